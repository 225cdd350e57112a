"""`status`: what each Redis says, and the text for people."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.control.redis_facts import parse_redis
from sandbox.control.report import WIDTH, age, status_text

INFO = (
    "# Replication\r\nrole:master\r\nused_memory:1000\r\nmaxmemory:2000\r\nevicted_keys:3\r\n"
    "# Keyspace\r\ndb0:keys=7,expires=0,avg_ttl=0\r\ndb12:keys=1,expires=0,avg_ttl=0\r\n"
)


def answer(info: str, *nodes: str) -> str:
    return f"{info}CLUSTER-NODES\n" + "".join(f"{node}\n" for node in nodes)


ids = st.one_of(
    st.text("0123456789abcdef", min_size=40, max_size=40),
    # These look like a database, and like a field of INFO, to whoever reads both replies as one.
    st.sampled_from(["db0", "db12", "dbfade", "role"]).map(lambda start: start.ljust(40, "e")),
)


@given(ids, ids)
def test_redis_tells_its_role_slots_and_keys_whatever_the_ids_of_its_nodes(own: str, other: str) -> None:
    facts = parse_redis(
        answer(
            INFO,
            f"{own} 10.244.0.2:6379@16379,web-0.web myself,master - 0 0 1 connected 0-99 200 [300->-{other}]",
            f"{other} 10.244.0.3:6379@16379,web-1.web master - 0 0 2 connected 100-199",
        )
    )
    assert facts == {
        "role": "master",
        "slots": 101,
        "keys": 8,
        "usedMemoryBytes": 1000,
        "maxMemoryBytes": 2000,
        "evictedKeys": 3,
        "nodeId": own,
        "masterId": None,
    }


def test_a_replica_tells_its_master_and_whether_it_hears_from_it() -> None:
    info = INFO.replace("role:master", "role:slave\r\nmaster_link_status:down")
    facts = parse_redis(answer(info, "aa 10.244.0.2:6379@16379 myself,slave bb 0 0 1 connected"))
    assert (facts["role"], facts["linkUp"], facts["masterId"], facts["slots"]) == ("replica", False, "bb", 0)


@pytest.mark.parametrize(
    ("info", "error"),
    [
        ("NOAUTH Authentication required.\n", "NOAUTH Authentication required."),
        ("Could not connect to Redis at 127.0.0.1:6379: Connection refused\n", "Could not connect to Redis at"),
        ("LOADING Redis is loading the dataset in memory\n", "LOADING"),
        ("", "no answer"),
    ],
)
def test_a_redis_that_does_not_answer_is_a_finding(info: str, error: str) -> None:
    assert parse_redis(answer(info, "dbaa 10.244.0.2:6379@16379 myself,master - 0 0 1 connected"))["error"].startswith(
        error
    )


@given(st.integers(0, len(INFO)), st.booleans())
def test_an_answer_that_was_cut_off_is_a_finding_too(length: int, is_replica: bool) -> None:
    info = INFO.replace("role:master", "role:slave\r\nmaster_link_status:up") if is_replica else INFO
    facts = parse_redis(info[:length])
    assert "error" in facts or {"role", "usedMemoryBytes", "maxMemoryBytes", "evictedKeys"} <= set(facts)


def test_ages_read_as_kubectl_shows_them() -> None:
    assert [age(seconds) for seconds in (5, 119, 120, 7200, 200000)] == ["5s", "119s", "2m", "2h", "2d"]


def pod(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "redis-256mb",
        "state": "Running",
        "ready": True,
        "containers": ["redis"],
        "readyContainers": 1,
        "restarts": 0,
        "ageS": 100.0,
        "ip": "10.244.0.112",
        "node": "node-a1",
        "zone": "zone-a",
        "message": "",
        "memoryBytes": 1023.5 * 2**20,
        "memoryLimitBytes": 368 * 2**20,
        **more,
    }


REPORT = {
    "fault": "",
    "pods": [
        pod("redis-master-0"),
        pod("redis-replica-15", ready=False, readyContainers=0, state="ImagePullBackOff", message="Back-off " * 20),
        pod("redis-256mb-form-0123456789-abcde", state="Succeeded", ready=False, ip=None, memoryBytes=0),
    ],
    "redis": {
        "redis-256mb/redis-master-0": {
            "role": "master",
            "slots": 16384,
            "keys": 123456,
            "usedMemoryBytes": 200.5 * 2**20,
            "maxMemoryBytes": 256 * 2**20,
        },
        "redis-256mb/redis-replica-15": {"error": "no answer"},
    },
    "jobs": [{"name": "form", "namespace": "redis-256mb", "condition": "Complete", "reason": "", "failures": 0}],
    "cronJobs": [{"name": "redis-repair", "namespace": "redis-256mb", "schedule": "* * * * *"}],
    "services": [
        {
            "name": "images",
            "namespace": "redis-cache",
            "externalName": "redis-master.redis-256mb.svc.cluster.local",
            "endpoints": [],
            "notReady": [],
        }
    ],
    "networkPolicies": [
        {"name": "default-deny", "namespace": "redis-256mb", "pods": 8, "directions": ["Ingress", "Egress"], "rules": 0}
    ],
    "claims": [
        {"name": "data-redis-master-0", "namespace": "redis-256mb", "zone": None, "usedBytes": 4096, "sizeBytes": 2**28}
    ],
    "partitions": [["redis-256mb/redis-master-0", "zone-a"]],
    "notEnforced": [
        {"subject": "StatefulSet a/b spec.template.spec.containers[0].resources.limits.cpu", "reason": "no throttling"},
        {"subject": "StatefulSet a/c spec.template.spec.containers[0].resources.limits.cpu", "reason": "no throttling"},
    ],
}


def test_the_text_fits_a_terminal_and_leaves_nothing_out() -> None:
    text = status_text(REPORT)
    assert max(map(len, text.splitlines())) <= WIDTH == 80
    for word in (
        "redis-master-0",
        "16384",
        "123456",
        "200.5Mi/256Mi",
        "no answer",
        "Complete",
        "limits.cpu",
        "zone-a",
        "default-deny",
    ):
        assert word in text
    assert "redis-master.redis-256mb.svc.cluster.local" in text
    assert text.index("NAMESPACE  redis-256mb") < text.index("redis-repair") < text.index("NAMESPACE  redis-cache")


words = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=120)


@given(words, words, st.text(max_size=300), st.integers(0, 2**50))
def test_the_text_fits_a_terminal_whatever_things_are_called(name: str, node: str, message: str, size: int) -> None:
    pods = [pod(name, node=node, ready=False, message=message, memoryBytes=size, restarts=size)]
    report = REPORT | {"pods": pods, "jobs": [{**REPORT["jobs"][0], "name": name, "reason": node}], "fault": message}
    assert max(map(len, status_text(report).splitlines())) <= WIDTH


def test_a_fault_of_the_sandbox_itself_comes_first() -> None:
    assert status_text(REPORT | {"fault": "fault in the sandbox itself"}).startswith("fault in the sandbox itself\n")
