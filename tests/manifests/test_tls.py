"""TLS as it is rendered: ports, the certificate, who is given which file. Without TLS nothing of it is there."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from components.config.load import settings_of
from components.manifests import names
from components.manifests.keys import AUTH
from components.manifests.manifest import Manifest
from components.manifests.pool import pool_manifests
from components.manifests.tls import client_ports, dns_names
from components.plan.plan import derive_plan

EVERYWHERE: dict[str, Any] = {"kubeContext": "kind", "nodes": {"production": False}}
MODES = ("plain", "both", "required")
CLIENTS = ("none", "optional", "required")
PORTS = {"plain": [6379], "both": [6379, 6380], "required": [6380]}


def pool(mode: str = "plain", clients: str = "none", **more: Any) -> dict[str, Manifest]:
    tls = {"mode": mode, "clientCertificates": clients, **({} if mode == "plain" else {"issuer": "redis-ca"})}
    stack = settings_of(**{**EVERYWHERE, "monitoring": {"exporter": True}, "tls": tls} | more)
    return {item.key: item for item in pool_manifests(stack, derive_plan(stack))}


def pod_of(manifests: dict[str, Manifest], key: str = "redis-master") -> dict[str, Any]:
    spec = manifests[key].body["spec"]
    found: dict[str, Any] = spec["template"]["spec"]
    return found


def files_in(pod: dict[str, Any], container: dict[str, Any]) -> set[str]:
    """What of the certificate's Secret a container sees."""
    mounted = {mount["name"] for mount in container.get("volumeMounts", ()) if mount["mountPath"] == names.TLS_PATH}
    return {
        item["key"]
        for volume in pod["volumes"]
        if volume["name"] in mounted and "secret" in volume
        for item in volume["secret"]["items"]
    }


@pytest.mark.parametrize("mode", MODES)
def test_pods_and_services_have_the_same_ports_for_clients(mode: str) -> None:
    manifests = pool(mode)
    redis = pod_of(manifests)["containers"][0]
    of_pods = {port["name"]: port["containerPort"] for port in redis["ports"] if port["name"] != "cluster-bus"}
    assert list(of_pods.values()) == PORTS[mode]
    for key in ("redis-master-service", "redis-replica-service", "discovery"):
        ports = [port for port in manifests[key].body["spec"]["ports"] if port["name"] != "cluster-bus"]
        assert {port["name"]: port["port"] for port in ports} == of_pods
        assert all(port["targetPort"] == port["name"] for port in ports)


def test_an_edit_that_release_may_refuse_has_changed_no_policy_before() -> None:
    """Policies come before the Job *release*. One that follows `tls.mode` would cut clients off by a refused edit."""
    policies = [{key: item.body for key, item in pool(mode).items() if item.kind == "NetworkPolicy"} for mode in MODES]
    assert len(policies[0]) == 4
    assert all(found == policies[0] for found in policies)
    rules = policies[0]["network"]["spec"]["ingress"]
    # Of the rule that lets in whom the config names, which is nobody in particular here.
    (clients,) = [rule["ports"] for rule in rules if "from" not in rule]
    assert [port["port"] for port in clients] == PORTS["both"]


def test_without_tls_nothing_of_it_is_rendered_but_what_the_jobs_are_told() -> None:
    manifests = pool("plain")
    assert "certificate" not in manifests
    for key in ("redis-master", "redis-replica", "form", "repair"):
        text = json.dumps(manifests[key].body, default=str)
        assert "tls" not in text.lower(), key
    assert "tls" not in manifests["config"].body["data"]["redis.conf"]


@pytest.mark.parametrize(("mode", "clients"), list(itertools.product(MODES[1:], CLIENTS)))
def test_the_key_goes_to_nobody_who_does_not_show_a_certificate(mode: str, clients: str) -> None:
    manifests = pool(mode, clients)
    pod = pod_of(manifests)
    redis, exporter = pod["containers"]
    everything = {names.CERTIFICATE, names.PRIVATE_KEY, names.AUTHORITY}
    shown = everything if clients == "required" else {names.AUTHORITY}
    assert files_in(pod, redis) == everything
    assert files_in(pod, exporter) == (set() if mode == "both" else shown)
    for key in ("check", "release", "form"):
        job = pod_of(manifests, key)
        assert files_in(job, job["containers"][0]) == shown
        # The files are root's and their group's.
        assert job["securityContext"]["fsGroup"] == job["securityContext"]["runAsGroup"]
    rollout = pod_of(manifests, "rollout-redis-master")
    assert files_in(rollout, rollout["containers"][0]) == set(), "it asks the API server, and no Redis"


@pytest.mark.parametrize(
    ("mode", "address"), [("both", "redis://127.0.0.1:6379"), ("required", "rediss://127.0.0.1:6380")]
)
def test_the_exporter_asks_where_its_redis_listens(mode: str, address: str) -> None:
    exporter = pod_of(pool(mode, "required"))["containers"][1]
    variables = {item["name"]: item.get("value") for item in exporter["env"]}
    assert variables["REDIS_ADDR"] == address
    certificate = {key: value for key, value in variables.items() if key.startswith("REDIS_EXPORTER_TLS_")}
    wanted = {"CA_CERT_FILE": "ca.crt", "CLIENT_CERT_FILE": "tls.crt", "CLIENT_KEY_FILE": "tls.key"}
    assert certificate == (
        {} if mode == "both" else {f"REDIS_EXPORTER_TLS_{k}": f"/tls/{v}" for k, v in wanted.items()}
    )


def test_the_certificate_has_the_name_of_every_pod_and_service_and_of_the_cache() -> None:
    stack = settings_of(**EVERYWHERE, replicasPerMaster=2, tls={"mode": "both", "issuer": "redis-ca"})
    plan = derive_plan(stack)
    given = dns_names(stack, plan.pool)

    def covered(name: str) -> bool:
        return name in given or f"*.{name.partition('.')[2]}" in given

    hosts = [node["host"] for node in json.loads(pool_topology(stack))["nodes"]]
    assert len(hosts) == plan.sizing.masters * 3
    assert all(map(covered, hosts))
    for service in ("redis-master", "redis-replica", "redis-replica-2", "redis"):
        assert covered(f"{service}.{plan.pool}.svc.cluster.local")
    assert covered("redis.redis-image-cache.svc.cluster.local")
    assert not covered("redis.other.svc.cluster.local")


def pool_topology(stack: Any) -> str:
    (text,) = [
        item.body["data"]["topology.json"]
        for item in pool_manifests(stack, derive_plan(stack))
        if item.key == "topology"
    ]
    return str(text)


def test_a_given_secret_is_mounted_and_nothing_is_asked_of_cert_manager() -> None:
    manifests = pool("required", tls={"mode": "required", "secret": "images-redis-tls"})
    assert "certificate" not in manifests
    for key in ("redis-master", "form"):
        secrets = {volume["secret"]["secretName"] for volume in pod_of(manifests, key)["volumes"] if "secret" in volume}
        assert secrets == {"images-redis-tls", AUTH}


@pytest.mark.parametrize("mode", MODES)
def test_pods_wait_for_the_certificate(mode: str) -> None:
    manifests = pool(mode)
    assert all(("certificate" in manifests[key].after) == (mode != "plain") for key in ("check", "redis-master"))


def test_every_mode_has_a_port() -> None:
    from components.config.choices import TlsMode

    assert {mode.value: list(client_ports(mode).values()) for mode in TlsMode} == PORTS
