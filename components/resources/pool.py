"""Wire: one pool, a namespace with everything that cannot change its size in place."""

import pulumi

from components.config.settings import Settings
from components.manifests import jobs, names, objects
from components.manifests.bundle import package_zip_base64, scripts
from components.manifests.pod import ALSO_ACCEPTED_KEY, AUTH_KEY, CONF_KEY, PodRefs
from components.manifests.redis_conf import redis_conf
from components.plan.plan import Plan
from components.resources.sdk import KubernetesObject


class RedisPool(pulumi.ComponentResource):
    """A pool's objects, in the order that keeps a living cache alive::

        namespace -> config, secret, claims -> release -> replicas -> masters -> form -> repair

    A StatefulSet is ready when its pods answer; that the pods form one cluster is the form Job's work, so nothing
    here waits for `cluster_state:ok` before the Job could bring it about.
    """

    formed: KubernetesObject
    """The Job after which the pool's slots are served by it."""
    namespace: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        plan: Plan,
        password: pulumi.Output[str],
        priority_class: pulumi.Output[str],
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-image-cache:index:RedisPool", name, None, opts)
        self._name, self._settings, self._plan = name, settings, plan
        self._child = pulumi.ResourceOptions(parent=self)

        metadata = objects.common_metadata(plan.pool, None, objects.namespace_labels())
        # Everything else names this namespace, and so waits for the nodes too.
        namespace = KubernetesObject("v1/Namespace", f"{name}-namespace", {"metadata": metadata}, self._after(after))
        self.namespace = namespace.name
        config_map, secret = self._configuration(password)
        refs = PodRefs(config_map, secret, priority_class)
        job_refs = self._reconciler(secret)
        # The nodes too, although the namespace waits for them: what goes in one update goes in reverse order.
        before: list[pulumi.Resource] = [*after, *self._network(), *self._claims()]

        release = self._job("release", job_refs, before)
        order: list[pulumi.Resource] = [release]
        for copy in reversed(range(plan.sizing.copies_per_shard)):
            order = [*order, self._stateful_set(copy, refs, [*before, *order])]
        self.formed = self._job("form", job_refs, order)
        KubernetesObject(
            "batch/v1/CronJob",
            f"{name}-repair",
            {"metadata": self._metadata("redis-repair"), "spec": jobs.cron_job(settings, plan, job_refs)},
            self._after([self.formed]),
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

    def _object(
        self, kind: str, name: str, body: dict[str, object], physical_name: str | None = None, **labels: str
    ) -> KubernetesObject:
        metadata = {"metadata": self._metadata(physical_name, labels)}
        return KubernetesObject(kind, f"{self._name}-{name}", metadata | body, self._child)

    def _config_map(self, name: str, **files: object) -> pulumi.Output[str]:
        return self._object("v1/ConfigMap", name, files).name

    def _configuration(self, password: pulumi.Output[str]) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        config_map = self._config_map("config", data={CONF_KEY: redis_conf(self._plan.tuning), **scripts()})
        passwords: dict[str, object] = {AUTH_KEY: password}
        also_accepted = self._settings.access.also_accepted
        if also_accepted is not None:
            passwords[ALSO_ACCEPTED_KEY] = pulumi.Output.secret(also_accepted.get_secret_value())
        secret = self._object("v1/Secret", "auth", {"stringData": passwords})
        return config_map, secret.name

    def _reconciler(self, secret: pulumi.Output[str]) -> jobs.JobRefs:
        topology = {jobs.TOPOLOGY_KEY: jobs.topology(self._settings, self._plan)}
        packages = {
            package: self._config_map(
                f"package-{package}", binaryData={jobs.zip_key(package): package_zip_base64(package)}
            )
            for package in jobs.PACKAGES
        }
        return jobs.JobRefs(self._config_map("topology", data=topology), secret, packages)

    def _network(self) -> list[pulumi.Resource]:
        """What must stand before pods: their names in DNS, who may reach them, how many may leave at a time."""
        services: list[pulumi.Resource] = [
            self._object(
                "v1/Service",
                f"{names.set_name(copy)}-service",
                {"spec": objects.headless_service(copy)},
                names.set_name(copy),
                **names.set_labels(copy),
            )
            for copy in range(self._plan.sizing.copies_per_shard)
        ]
        return [
            *services,
            self._object("v1/Service", "discovery", {"spec": objects.discovery_service()}, names.CLIENT_SERVICE),
            self._object(
                "networking.k8s.io/v1/NetworkPolicy",
                "network",
                {"spec": objects.network_policy(self._settings)},
                names.APP_LABEL["app"],
            ),
            self._object(
                "policy/v1/PodDisruptionBudget",
                "budget",
                {"spec": objects.disruption_budget()},
                names.APP_LABEL["app"],
            ),
        ]

    def _claims(self) -> list[pulumi.Resource]:
        metadata = {"annotations": {"pulumi.com/skipAwait": "true"}}  # bound only once its pod is scheduled
        return [
            KubernetesObject(
                "v1/PersistentVolumeClaim",
                f"{self._name}-{claim}",
                {
                    "metadata": self._metadata(claim, names.APP_LABEL) | metadata,
                    "spec": objects.claim_spec(self._plan, objects.claim_class(self._settings, zone)),
                },
                self._child,
            )
            for claim, zone in objects.zone_claims(self._settings, self._plan).items()
        ]

    def _stateful_set(self, copy: int, refs: PodRefs, after: list[pulumi.Resource]) -> KubernetesObject:
        name = names.set_name(copy)
        return KubernetesObject(
            "apps/v1/StatefulSet",
            f"{self._name}-{name}",
            {
                "metadata": self._metadata(name, names.set_labels(copy))
                | {"annotations": objects.awaited_to_the_last_pod(self._plan)},
                "spec": objects.stateful_set(self._settings, self._plan, copy, refs),
            },
            self._after(after, timeout_seconds=self._plan.rollout_timeout_seconds),
        )

    def _job(self, phase: str, refs: jobs.JobRefs, after: list[pulumi.Resource]) -> KubernetesObject:
        metadata = self._metadata(labels=jobs.labels(phase)) | {"annotations": {"pulumi.com/replaceUnready": "true"}}
        return KubernetesObject(
            "batch/v1/Job",
            f"{self._name}-{phase}",
            {"metadata": metadata, "spec": jobs.job(self._settings, self._plan, phase, refs)},
            self._after(after, timeout_seconds=jobs.await_seconds(self._plan)),
        )
