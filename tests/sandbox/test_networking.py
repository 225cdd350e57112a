"""Addresses, names and broken links, with real processes."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.control.place import ON_A_NODE, beside
from sandbox.errors import InvalidError
from tests.sandbox.conftest import eventually
from tests.sandbox.manifests import SLEEP, container, headless, pod_spec, resource, stateful_set

pytestmark = pytest.mark.sandbox

LISTEN = f"(while :; do echo $HOSTNAME | nc -l -p 7000; done) & {SLEEP}"
RESOLVE = "import socket,sys; print(*sorted({a[4][0] for a in socket.getaddrinfo(sys.argv[1], 1)}))"


def addresses(sandbox: Sandbox, name: str) -> list[str]:
    """What the name resolves to for a client in the sandbox's network; empty when it does not."""
    done = sandbox.run(["python", "-c", RESOLVE, name], timeout_s=10)
    return done.stdout.split() if done.exit == 0 else []


def talks(sandbox: Sandbox, source: str, target_ip: str) -> bool:
    return sandbox.exec(source, ["nc", "-w", "1", target_ip, "7000"]).exit == 0


def test_a_headless_service_resolves_to_its_ready_pods_and_each_pod_has_a_name(sandbox: Sandbox) -> None:
    probe = {"exec": {"command": ["test", "!", "-e", "/run/sick"]}, "periodSeconds": 1, "failureThreshold": 1}
    everyone = headless("web", publishNotReadyAddresses=True)
    everyone = resource("Service", "everyone", everyone.inputs["spec"])
    spec = pod_spec(container(SLEEP, readinessProbe=probe))
    sandbox.apply([headless("web"), everyone, stateful_set("web", spec, replicas=2)])
    ips = {name: pod["ip"] for name, pod in sandbox.pods().items()}
    assert addresses(sandbox, "web.default.svc.cluster.local") == sorted(ips.values())
    assert addresses(sandbox, "web-1.web.default.svc.cluster.local") == [ips["web-1"]]
    assert sandbox.exec("web-0", ["nslookup", "web-1.web.default.svc.cluster.local"]).stdout.count(ips["web-1"]) == 1
    sandbox.exec("web-1", ["touch", "/run/sick"]).check()
    eventually(lambda: not sandbox.pods()["web-1"]["ready"], 5, "unready")
    assert addresses(sandbox, "web.default.svc.cluster.local") == [ips["web-0"]]
    assert addresses(sandbox, "web-1.web.default.svc.cluster.local") == []
    assert addresses(sandbox, "everyone.default.svc.cluster.local") == sorted(ips.values())


def test_an_external_name_leads_to_another_service(sandbox: Sandbox) -> None:
    alias = resource("Service", "cache", {"type": "ExternalName", "externalName": "web.default.svc.cluster.local"})
    sandbox.apply([headless("web"), alias, stateful_set("web", pod_spec(container(SLEEP)))])
    assert addresses(sandbox, "cache.default.svc.cluster.local") == [sandbox.pods()["web-0"]["ip"]]


def test_all_pods_restarted_at_once_come_back_with_new_same_or_rotated_addresses(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("web", pod_spec(container(SLEEP)), replicas=3)])

    def restarted(how: str) -> tuple[dict[str, str], dict[str, str]]:
        pods = sandbox.pods()
        before, old = {name: pod["ip"] for name, pod in pods.items()}, {pod["uid"] for pod in pods.values()}
        sandbox.fault("restart-all", ips=how)
        eventually(
            lambda: sum(pod["ready"] and pod["uid"] not in old for pod in sandbox.pods().values()) == 3, 8, "all back"
        )
        return before, {name: pod["ip"] for name, pod in sandbox.pods().items()}

    before, after = restarted("new")
    assert not set(before.values()) & set(after.values())
    before, after = restarted("same")
    assert before == after
    before, after = restarted("rotated")
    assert set(before.values()) == set(after.values())
    assert all(before[name] != after[name] for name in before)


def test_a_partitioned_zone_talks_inside_but_not_to_the_others_until_healed(sandbox: Sandbox) -> None:
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }
    ]
    spec = pod_spec(container(LISTEN), topologySpreadConstraints=spread)
    sandbox.apply([stateful_set("web", spec, replicas=6)])
    pods = sandbox.pods()
    inside = [name for name, pod in pods.items() if pod["zone"] == "zone-a"]
    outside = [name for name, pod in pods.items() if pod["zone"] != "zone-a"]
    assert len(inside) == 2
    eventually(lambda: talks(sandbox, inside[0], pods[outside[0]]["ip"]), 5, "they reach each other at first")
    sandbox.fault("partition", members=["zone-a"])
    assert not talks(sandbox, inside[0], pods[outside[0]]["ip"])
    assert not talks(sandbox, outside[0], pods[inside[0]]["ip"])
    # The listeners take one connection after the other, with a gap in between.
    eventually(lambda: talks(sandbox, inside[0], pods[inside[1]]["ip"]), 5, "reachable inside the zone")
    eventually(lambda: talks(sandbox, outside[0], pods[outside[1]]["ip"]), 5, "reachable among the others")
    sandbox.fault("heal")
    eventually(lambda: talks(sandbox, inside[0], pods[outside[1]]["ip"]), 5, "healed")


def test_a_lost_pod_is_silent_stays_away_and_comes_back_when_restored(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("web", pod_spec(container(LISTEN)), replicas=2)])
    ip = sandbox.pods()["web-1"]["ip"]
    eventually(lambda: talks(sandbox, "web-0", ip), 5, "reachable at first")
    sandbox.fault("lose-pod", pod="web-1")
    done = sandbox.exec("web-0", ["sh", "-c", f"time nc -w 2 {ip} 7000"])
    # Silence takes the whole two seconds; a refusal would come at once.
    assert "timed out" in done.stderr or "real\t0m 2" in done.stderr, done.stderr
    assert sandbox.pods()["web-1"]["state"] == "Lost"
    sandbox.fault("restore", pod="web-1")
    eventually(lambda: sandbox.pods().get("web-1", {}).get("ready", False), 6, "back")
    assert sandbox.pods()["web-1"]["ip"] != ip


HANG = """
import os, socket, sys, time
ip = sys.argv[1]
def ends_in(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "an answer"
old = socket.create_connection((ip, 7000), 5)
open(sys.argv[2] + "/connected", "w").close()
while not os.path.exists(sys.argv[2] + "/lost"):
    time.sleep(0.05)
old.settimeout(2)
old.sendall(b"anybody there?")
print(ends_in(lambda: old.recv(1)), ends_in(lambda: socket.create_connection((ip, 7000), 2)))
"""
HOLD = """
import socket
server = socket.create_server(("", 7000))
held = []
while True:
    held.append(server.accept())
"""


def test_a_lost_pod_is_silent_to_clients_on_old_connections_and_on_new_ones(sandbox: Sandbox) -> None:
    main = {"name": "main", "image": "python:3.13-alpine", "command": ["python3", "-c", HOLD]}
    sandbox.apply([stateful_set("web", pod_spec({**main, "readinessProbe": LISTENS}))])
    ip = sandbox.pods()["web-0"]["ip"]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as threads:
        client = threads.submit(sandbox.run, ["python", "-c", HANG, ip, folder], timeout_s=30)
        while not Path(folder, "connected").exists():
            assert not client.done(), client.result()
            time.sleep(0.05)
        sandbox.fault("lose-pod", pod="web-0")
        Path(folder, "lost").touch()
        said = client.result().stdout.splitlines()
    # Also before a failed test ends: a pod whose machine is lost cannot be deleted.
    sandbox.fault("restore", pod="web-0")
    assert said == ["TimeoutError TimeoutError"]


def test_a_lost_zone_takes_its_pods_and_gives_them_back(sandbox: Sandbox) -> None:
    spec = pod_spec(container(SLEEP), nodeSelector={"topology.kubernetes.io/zone": "zone-b"})
    sandbox.apply([stateful_set("there", spec), stateful_set("here", pod_spec(container(SLEEP)))])
    sandbox.fault("lose-zone", zone="zone-b")
    assert sandbox.pods()["there-0"]["state"] == "Lost"
    assert sandbox.pods()["here-0"]["state"] == "Running"
    sandbox.fault("restore-zone", zone="zone-b")
    eventually(lambda: sandbox.pods().get("there-0", {}).get("ready", False), 6, "back")


FETCH = """
import socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], 7000), 5) as peer:
    count = 0
    while chunk := peer.recv(65536):
        count += len(chunk)
assert count == 500_000, count
print(time.monotonic() - began)
"""
SERVE = """
import socket
server = socket.create_server(("", 7000))
while True:
    peer, _ = server.accept()
    try:
        peer.sendall(bytes(500_000))
    except OSError:
        print("the readiness probe does not stay to read")
    peer.close()
"""


LISTENS = {
    "exec": {"command": ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 7000)).close()"]},
    "periodSeconds": 1,
    "timeoutSeconds": 5,
}


def test_a_slow_link_is_as_slow_as_asked_and_fast_again_afterwards(sandbox: Sandbox) -> None:
    main = {"name": "main", "image": "python:3.13-alpine", "command": ["python3", "-c", SERVE]}
    sandbox.apply([stateful_set("web", pod_spec({**main, "readinessProbe": LISTENS}))])

    def seconds() -> float:
        return float(sandbox.run(["python", "-c", FETCH, sandbox.pods()["web-0"]["ip"]], timeout_s=20).check().stdout)

    assert sandbox.fault("slow-link", pod="web-0", rate="2mbit").endswith("rate 2mbit in each direction")
    # 4 Mbit less what the queue takes at once (a quarter of a megabyte), at 2 Mbit/s.
    assert seconds() > 0.8
    sandbox.fault("slow-link", pod="web-0")
    assert seconds() < 0.8


def test_no_packet_can_leave_the_machine(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("web", pod_spec(container(SLEEP)))])
    done = sandbox.exec("web-0", ["nc", "-w", "2", "192.0.2.1", "80"])
    assert done.exit != 0
    routes = sandbox.run(["ip", "route"], place=ON_A_NODE).stdout
    assert "default" not in routes
    links = sandbox.run(["ip", "-o", "link"], place=ON_A_NODE).stdout
    assert {line.split(":")[1].split("@")[0].strip()[:4] for line in links.splitlines() if "state UP" in line} <= {
        "veth"
    }


def test_a_full_disk_is_full_and_can_be_freed(sandbox: Sandbox) -> None:
    claim = {
        "metadata": {"name": "d"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Mi"}}},
    }
    spec = pod_spec(container(SLEEP, volumeMounts=[{"name": "d", "mountPath": "/d"}]))
    sandbox.apply([stateful_set("disk", spec, volumeClaimTemplates=[claim])])
    sandbox.fault("fill-disk", pod="disk-0")
    assert "No space left" in sandbox.exec("disk-0", ["sh", "-c", "echo x > /d/x"]).stderr
    sandbox.fault("free-disk", pod="disk-0")
    assert sandbox.exec("disk-0", ["sh", "-c", "echo x > /d/x"]).exit == 0


PING = """
import socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], 7000), 20):
    print(time.monotonic() - began)
"""


def test_delay_and_loss_of_a_link_are_felt_by_every_peer_and_end_when_asked(sandbox: Sandbox) -> None:
    main = {"name": "main", "image": "python:3.13-alpine", "command": ["python3", "-c", SERVE]}
    sandbox.apply([stateful_set("web", pod_spec({**main, "readinessProbe": LISTENS}), replicas=2)])
    ip = sandbox.pods()["web-1"]["ip"]

    def handshake_s(source: str | None) -> float:
        if source is None:
            return float(sandbox.run(["python", "-c", PING, ip], timeout_s=30).check().stdout)
        return float(sandbox.exec(source, ["python3", "-c", PING, ip]).check().stdout)

    assert "delay 200 ms, loss 3 %" in sandbox.fault("slow-link", pod="web-1", delay_ms=200, loss_percent=3)
    # There and back again.
    assert handshake_s("web-0") >= 0.4
    assert handshake_s(None) >= 0.4
    assert float(sandbox.run(["python", "-c", FETCH, ip], timeout_s=60).check().stdout) > 0.8
    sandbox.fault("slow-link", pod="web-1")
    assert handshake_s("web-0") < 0.2
    rules = sandbox.run(["ip", "rule"], place=ON_A_NODE).stdout
    assert "slow" not in rules


def test_a_link_that_loses_everything_is_a_silent_one_and_does_not_outlive_its_pod(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("web", pod_spec(container(LISTEN)), replicas=2)])
    ip = sandbox.pods()["web-1"]["ip"]
    eventually(lambda: talks(sandbox, "web-0", ip), 5, "reachable at first")
    sandbox.fault("slow-link", pod="web-1", loss_percent=100)
    assert not talks(sandbox, "web-0", ip)
    sandbox.fault("kill-pod", pod="web-1", now=True)
    eventually(
        lambda: "slow" not in sandbox.run(["ip", "-o", "link"], place=ON_A_NODE).stdout, 5, "the emulated link is gone"
    )


def test_what_goes_from_zone_to_zone_takes_longer_and_is_counted_and_what_stays_in_a_zone_is_not(
    sandbox: Sandbox,
) -> None:
    main = {"name": "main", "image": "python:3.13-alpine", "command": ["python3", "-c", SERVE]}

    def in_zone(zone: str) -> Resource:
        here = {"nodeSelector": {"topology.kubernetes.io/zone": zone}}
        return stateful_set(zone, pod_spec({**main, "readinessProbe": LISTENS}, **here), replicas=2)

    sandbox.apply([in_zone("zone-a"), in_zone("zone-b")])
    ips = {name: pod["ip"] for name, pod in sandbox.pods().items()}

    def counted() -> int:
        return int(sandbox.status()["bytesBetweenZones"])

    def fetched(target: str) -> tuple[float, int]:
        before = counted()
        done = sandbox.run(["python", "-c", FETCH, ips[target]], timeout_s=30, place=beside("zone-a-0"))
        return float(done.check().stdout), counted() - before

    assert "200 ms" in sandbox.fault("zone-distance", delay_ms=200)
    seconds, passed = fetched("zone-b-0")
    assert seconds >= 0.4
    assert 500_000 < passed < 600_000
    seconds, passed = fetched("zone-a-1")
    assert seconds < 0.4
    assert passed == 0
    with pytest.raises(InvalidError, match="undo that first"):
        sandbox.fault("slow-link", pod="zone-a-0", delay_ms=1)
    # The rules follow a pod that comes back with another address.
    sandbox.fault("kill-pod", pod="zone-b-0", now=True)
    eventually(lambda: sandbox.pods().get("zone-b-0", {}).get("ip") not in (None, ips["zone-b-0"]), 8, "a new pod")
    eventually(lambda: sandbox.pods()["zone-b-0"]["ready"], 8, "ready")
    ips["zone-b-0"] = sandbox.pods()["zone-b-0"]["ip"]
    assert fetched("zone-b-0")[0] >= 0.4
    sandbox.fault("zone-distance")
    assert sandbox.status()["bytesBetweenZones"] is None
    assert "border" not in "".join(
        sandbox.run(command, place=ON_A_NODE).stdout for command in (["ip", "rule"], ["ip", "-o", "link"])
    )
