"""The derived redis.conf is one that Redis takes as it is meant."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.choices import NodeEndpoint
from components.config.settings import Tls
from components.config.units import GIB, MIB
from components.manifests.redis_conf import redis_conf
from components.plan.tuning import derive_tuning
from tests.pod_life.conftest import small_tuning
from tests.pod_life.network import Network
from tests.pod_life.pods import PORT, Pod, wait_until

SIZES = [(256 * MIB, 368 * MIB), (64 * GIB, 92 * GIB), (128 * GIB, 185 * GIB), (512 * GIB, 737 * GIB)]


def conf_of(maxmemory_bytes: int, limit_bytes: int, replicas_per_master: int = 1) -> str:
    return redis_conf(
        derive_tuning(
            maxmemory_bytes=maxmemory_bytes,
            limit_bytes=limit_bytes,
            write_bytes_per_second_per_master=100 * MIB,
            object_bytes=MIB,
            ttl_seconds=300,
            replicas_per_master=replicas_per_master,
        ),
        NodeEndpoint.HOSTNAME,
        Tls.defaults(),
    )


def directives(conf: str) -> list[list[str]]:
    return [line.split() for line in conf.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("maxmemory_bytes", "limit_bytes"), SIZES)
def test_every_directive_has_its_reason_and_stands_once(maxmemory_bytes: int, limit_bytes: int) -> None:
    conf = conf_of(maxmemory_bytes, limit_bytes)
    for paragraph in conf.strip().split("\n\n"):
        assert paragraph.startswith("# ")
    names = [words[0] for words in directives(conf)]
    assert len(set(names)) == len(names)


@given(st.integers(1, 3))
def test_a_snapshot_waits_for_all_replicas_of_a_master_and_never_for_one_that_is_not_there(replicas: int) -> None:
    values = {words[0]: words[1] for words in directives(conf_of(*SIZES[1], replicas))}
    assert int(values["repl-diskless-sync-max-replicas"]) == replicas
    assert (int(values["repl-diskless-sync-delay"]) == 0) == (replicas == 1)


@pytest.mark.redis
@pytest.mark.sandbox
@pytest.mark.parametrize(("maxmemory_bytes", "limit_bytes"), SIZES)
def test_redis_runs_with_exactly_what_is_written(network: Network, maxmemory_bytes: int, limit_bytes: int) -> None:
    conf = conf_of(maxmemory_bytes, limit_bytes)
    pod = Pod(network, "redis-master-0", conf, None)
    pod.create()
    pod.wait_for_answer()
    with pod.client() as client:
        for name, *values in directives(conf):
            wanted = " ".join(values).strip('"')
            got = client.config_get(name)[name]
            if name == "client-output-buffer-limit":
                assert wanted.replace("replica", "slave") in got
            elif name == "maxclients":
                assert int(got) <= int(wanted)
            elif name == "maxmemory":
                assert int(got) == maxmemory_bytes
            else:
                assert got == wanted, name
    if maxmemory_bytes == SIZES[0][0]:
        the_largest_value_is_taken_and_a_larger_one_is_answered_with_an_error(pod, small_tuning().largest_value_bytes)


def the_largest_value_is_taken_and_a_larger_one_is_answered_with_an_error(pod: Pod, largest_bytes: int) -> None:
    with pod.client(timeout_seconds=20) as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_until("it serves", lambda: client.set("image", bytes(largest_bytes)))
        assert client.strlen("image") == largest_bytes
        with socket.create_connection((pod.ip or "", PORT), timeout=10) as connection:
            connection.sendall(b"*3\r\n$3\r\nSET\r\n$5\r\nimage\r\n$%d\r\n" % (largest_bytes + 1))
            assert connection.recv(100) == b"-ERR Protocol error: invalid bulk length\r\n"
            assert connection.recv(100) == b""
        assert client.strlen("image") == largest_bytes


def test_the_smallest_pods_backlog_holds_an_image() -> None:
    assert small_tuning().repl_backlog_bytes > MIB
