"""Wire: one pool, a namespace with everything that cannot change its size in place."""

import pulumi
import pulumi_kubernetes as k8s

from components import jobs, names, objects
from components.bundle import package_zip_base64, scripts
from components.plan import Plan
from components.pod_template import CONF_KEY, SECRET_KEY, PodRefs
from components.redis_conf import redis_conf
from components.settings import Settings


class RedisPool(pulumi.ComponentResource):
    """A pool's objects, in the order that keeps a living cache alive::

        namespace -> config, secret, claims -> release -> replicas -> masters -> form -> repair

    A StatefulSet is ready when its pods answer; that the pods form one cluster is the form Job's work, so nothing
    here waits for `cluster_state:ok` before the Job could bring it about.
    """

    formed: k8s.batch.v1.Job
    """The Job after which the pool's slots are served by it."""
    namespace: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        plan: Plan,
        password: pulumi.Output[str],
        priority_class: pulumi.Output[str],
        storage_class: pulumi.Output[str] | str | None,
        zone_classes: dict[str, pulumi.Output[str]],
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-image-cache:index:RedisPool", name, None, opts)
        self._name, self._settings, self._plan = name, settings, plan
        self._child = pulumi.ResourceOptions(parent=self)

        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata=objects.common_metadata(plan.pool, None, objects.namespace_labels()),
            # Everything else names this namespace, and so waits for the nodes too.
            opts=self._after(after),
        )
        self.namespace = namespace.metadata["name"]
        config_map, secret = self._configuration(password)
        refs = PodRefs(config_map.metadata["name"], secret.metadata["name"], priority_class)
        job_refs = self._reconciler(secret)
        before: list[pulumi.Resource] = [*self._network(), *self._claims(zone_classes)]

        release = self._job("release", job_refs, before)
        order: list[pulumi.Resource] = [release]
        for copy in reversed(range(plan.sizing.replicas_per_master + 1)):
            order = [*order, self._stateful_set(copy, refs, storage_class, [*before, *order])]
        self.formed = self._job("form", job_refs, order)
        k8s.batch.v1.CronJob(
            f"{name}-repair",
            metadata=self._metadata("redis-repair"),
            spec=jobs.cron_job(settings, plan, job_refs),
            opts=self._after([self.formed]),
        )
        self.register_outputs({"namespace": self.namespace})

    def _metadata(self, name: str | None = None, labels: dict[str, str] | None = None) -> dict[str, object]:
        return objects.common_metadata(name, self.namespace, labels or {})

    def _after(self, resources: list[pulumi.Resource], timeout_seconds: int | None = None) -> pulumi.ResourceOptions:
        timeouts = None
        if timeout_seconds is not None:
            timeouts = pulumi.CustomTimeouts(create=f"{timeout_seconds}s", update=f"{timeout_seconds}s")
        return pulumi.ResourceOptions.merge(
            self._child, pulumi.ResourceOptions(depends_on=resources, custom_timeouts=timeouts)
        )

    def _configuration(self, password: pulumi.Output[str]) -> tuple[k8s.core.v1.ConfigMap, k8s.core.v1.Secret]:
        config_map = k8s.core.v1.ConfigMap(
            f"{self._name}-config",
            metadata=self._metadata(),
            data={CONF_KEY: redis_conf(self._plan.tuning), **scripts()},
            opts=self._child,
        )
        secret = k8s.core.v1.Secret(
            f"{self._name}-auth", metadata=self._metadata(), string_data={SECRET_KEY: password}, opts=self._child
        )
        return config_map, secret

    def _reconciler(self, secret: k8s.core.v1.Secret) -> jobs.JobRefs:
        topology = k8s.core.v1.ConfigMap(
            f"{self._name}-topology",
            metadata=self._metadata(),
            data={jobs.TOPOLOGY_KEY: jobs.topology(self._settings, self._plan)},
            opts=self._child,
        )
        packages = {
            package: k8s.core.v1.ConfigMap(
                f"{self._name}-package-{package}",
                metadata=self._metadata(),
                binary_data={jobs.zip_key(package): package_zip_base64(package)},
                opts=self._child,
            ).metadata["name"]
            for package in jobs.PACKAGES
        }
        return jobs.JobRefs(topology.metadata["name"], secret.metadata["name"], packages)

    def _network(self) -> list[pulumi.Resource]:
        """What must stand before pods: their names in DNS, who may reach them, how many may leave at a time."""
        services: list[pulumi.Resource] = [
            k8s.core.v1.Service(
                f"{self._name}-{names.set_name(copy)}-service",
                metadata=self._metadata(names.set_name(copy), names.set_labels(copy)),
                spec=objects.headless_service(copy),
                opts=self._child,
            )
            for copy in range(self._plan.sizing.replicas_per_master + 1)
        ]
        return [
            *services,
            k8s.core.v1.Service(
                f"{self._name}-discovery",
                metadata=self._metadata(names.CLIENT_SERVICE),
                spec=objects.discovery_service(),
                opts=self._child,
            ),
            k8s.networking.v1.NetworkPolicy(
                f"{self._name}-network",
                metadata=self._metadata("redis"),
                spec=objects.network_policy(self._settings),
                opts=self._child,
            ),
            k8s.policy.v1.PodDisruptionBudget(
                f"{self._name}-budget",
                metadata=self._metadata("redis"),
                spec=objects.disruption_budget(),
                opts=self._child,
            ),
        ]

    def _claims(self, zone_classes: dict[str, pulumi.Output[str]]) -> list[pulumi.Resource]:
        if not zone_classes:
            return []
        metadata = {"annotations": {"pulumi.com/skipAwait": "true"}}  # bound only once its pod is scheduled
        return [
            k8s.core.v1.PersistentVolumeClaim(
                f"{self._name}-{claim}",
                metadata=self._metadata(claim, names.APP_LABEL) | metadata,
                spec=objects.claim_spec(self._plan, zone_classes[zone]),
                # A claim's zone is for life; StatefulSets delete claims of pods that are scaled away.
                opts=pulumi.ResourceOptions.merge(
                    self._child, pulumi.ResourceOptions(ignore_changes=["spec.storageClassName"])
                ),
            )
            for claim, zone in objects.zone_claims(self._plan, self._settings.zones).items()
        ]

    def _stateful_set(
        self,
        copy: int,
        refs: PodRefs,
        storage_class: pulumi.Output[str] | str | None,
        after: list[pulumi.Resource],
    ) -> k8s.apps.v1.StatefulSet:
        return k8s.apps.v1.StatefulSet(
            f"{self._name}-{names.set_name(copy)}",
            metadata=self._metadata(names.set_name(copy), names.set_labels(copy)),
            spec=objects.stateful_set(self._settings, self._plan, copy, refs, storage_class),
            opts=self._after(after, timeout_seconds=self._plan.rollout_timeout_seconds),
        )

    def _job(self, phase: str, refs: jobs.JobRefs, after: list[pulumi.Resource]) -> k8s.batch.v1.Job:
        metadata = self._metadata() | {"annotations": {"pulumi.com/replaceUnready": "true"}}
        return k8s.batch.v1.Job(
            f"{self._name}-{phase}",
            metadata=metadata,
            spec=jobs.job(self._settings, self._plan, phase, refs),
            opts=self._after(after, timeout_seconds=self._plan.tuning.form_deadline_seconds + 120),
        )
