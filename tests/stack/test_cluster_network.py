"""The rendered stack `local` where pods have IPv6 addresses alone, and the cluster a domain of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from preview.command import overrides
from preview.evaluate import evaluate
from sandbox.control.client import Sandbox
from sandbox.control.place import Place
from sandbox.control.redis_facts import redis_facts
from sandbox.control.up import app_password, up
from sandbox.errors import ApplyError, SandboxError
from tests import tested_server
from tests.sandbox.conftest import eventually

pytestmark = pytest.mark.sandbox

DOMAIN = "k8s.example.com"
NAMESPACE = "redis-256mb"
CHANGES = [f"clusterDomain={DOMAIN}", 'access.allowFromNamespaces=["web"]']
IMAGES = """
import os, sys, time
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError
login = {"username": os.environ["REDIS_USER"], "password": os.environ["REDIS_PASSWORD"]}
limits = {"dynamic_startup_nodes": False, "socket_connect_timeout": 0.5, "socket_timeout": 1}
deadline = time.monotonic() + float(sys.argv[2])
host, _, port = sys.argv[1].rpartition(":")
while True:
    try:
        client = RedisCluster(host=host, port=int(port), **login, **limits)
        images = {f"image:{number}": os.urandom(1_000_000) for number in range(12)}
        for key, image in images.items():
            client.set(key, image, ex=300)
        assert all(client.get(key) == image for key, image in images.items())
        break
    except (OSError, RedisError, RedisClusterException) as error:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.2)
print(*sorted({client.get_node_from_key(key).host for key in images}))
"""
CONNECT = """
import socket, sys
for port in sys.argv[2:]:
    try:
        socket.create_connection((sys.argv[1], int(port)), 1).close()
        print("open")
    except TimeoutError:
        print("dropped")
"""


def changes() -> list[str]:
    server = tested_server.tested_server()
    return CHANGES if server is None else [*CHANGES, f"images.redis={tested_server.image_of(server)}"]


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Sandbox, list[str]]]:
    said: list[str] = []
    sandbox = Sandbox(f"ipv6-{os.getpid()}")
    try:
        assert up(sandbox, "local", changes(), said.append, ip_family="ipv6") == 0
        yield sandbox, said
    finally:
        sandbox.stop()


@pytest.fixture(scope="module")
def running(started: tuple[Sandbox, list[str]]) -> Sandbox:
    return started[0]


def images(sandbox: Sandbox, within_s: float) -> list[str]:
    """Writes and reads images through the client Service until that works; the hosts of the masters that have them."""
    found = evaluate("local", overrides(changes()))
    login = {"REDIS_USER": str(found.outputs["user"]), "REDIS_PASSWORD": app_password(found)}
    command = ["python", "-c", IMAGES, str(found.outputs["endpoint"]), f"{within_s:g}"]
    return sandbox.run(command, place=Place("web"), env=login, timeout_s=within_s + 30).check().stdout.split()


def masters(sandbox: Sandbox) -> dict[str, int]:
    """Pod -> how many slots it serves."""
    facts = redis_facts(sandbox, sandbox.status())
    return {name.partition("/")[2]: fact["slots"] for name, fact in facts.items() if fact["slots"]}


def servers(sandbox: Sandbox) -> dict[str, Any]:
    """The pods of Redis. Those of Jobs that have ended are never ready again."""
    return {name: pod for name, pod in sandbox.pods().items() if pod["owner"]["kind"] == "StatefulSet"}


def test_it_forms_a_cluster_that_serves_images_by_names_of_its_own_domain(
    started: tuple[Sandbox, list[str]],
) -> None:
    sandbox, said = started
    text = "\n".join(said)
    assert f"starting the sandbox: domain {DOMAIN}, fd00:10:244::/112 for its pods" in text
    assert "48 images of 1 MB written and read over 3 masters" in text
    assert len(servers(sandbox)) == 6
    assert all(":" in pod["ip"] for pod in servers(sandbox).values())
    assert images(sandbox, 10) == [f"redis-master-{n}.redis-master.{NAMESPACE}.svc.{DOMAIN}" for n in range(3)]


def test_up_for_another_cluster_is_refused_while_this_one_lives(running: Sandbox) -> None:
    with pytest.raises(SandboxError, match=r"clusterDomain = cluster\.local: the running .*k8s\.example\.com.*down"):
        up(running, "local", [], lambda text: None)
    with pytest.raises(SandboxError, match="--ip-family ipv4: the running sandbox was started with ipv6"):
        up(running, "local", changes(), lambda text: None, ip_family="ipv4")


def test_policies_let_clients_reach_redis_and_nobody_else(running: Sandbox) -> None:
    ip = running.pods()["redis-master-0"]["ip"]

    def reached(namespace: str) -> list[str]:
        asked = ["python", "-c", CONNECT, ip, "6379", "16379"]
        return running.run(asked, place=Place(namespace), timeout_s=20).check().stdout.split()

    assert reached("web") == ["open", "dropped"]
    assert reached("default") == ["dropped", "dropped"]


def test_all_pods_with_new_addresses_find_each_other_again_with_nobodys_help(running: Sandbox) -> None:
    before = {name: pod["ip"] for name, pod in servers(running).items()}
    running.fault("restart-all")
    images(running, 30)
    after = {name: pod["ip"] for name, pod in servers(running).items()}
    assert all(after[name] != before[name] for name in before)
    eventually(lambda: sum(masters(running).values()) == 16384, 10, "all slots are served")


def test_a_lost_master_is_replaced_by_its_replica(running: Sandbox) -> None:
    eventually(lambda: all(pod["ready"] for pod in servers(running).values()), 60, "every pod of Redis is ready")
    lost = next(name for name in sorted(masters(running)))
    number = lost.rpartition("-")[2]
    successor = next(f"redis-{role}-{number}" for role in ("master", "replica") if f"redis-{role}-{number}" != lost)
    running.fault("lose-pod", pod=lost)
    began = time.monotonic()
    hosts = images(running, 30)
    waited_s = time.monotonic() - began
    running.fault("restore", pod=lost)
    assert any(host.startswith(f"{successor}.") for host in hosts), (hosts, waited_s)
    assert not any(host.startswith(f"{lost}.") for host in hosts)


def test_a_domain_that_is_not_the_clusters_is_refused_by_the_first_job() -> None:
    stack = evaluate("local", overrides(changes()))
    with Sandbox(f"domain-{os.getpid()}") as sandbox:
        with pytest.raises(ApplyError) as caught:
            sandbox.apply(stack.resources)
        assert f"clusterDomain = {DOMAIN}: the domain of this cluster is cluster.local" in str(caught.value)
        assert "set clusterDomain to cluster.local" in str(caught.value)
        assert not servers(sandbox)
