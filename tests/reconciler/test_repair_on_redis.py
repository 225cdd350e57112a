"""*repair* against real redis-servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.observe.native_jobs import NativeWay, read_jobs
from reconciler.slots import ALL_SLOTS
from tests.reconciler.servers import Fleet, assert_formed, await_sync, eventually

pytestmark = pytest.mark.redis

Reconcile = Callable[..., tuple[int, str]]

READING = {"cluster|nodes", "cluster|info", "info", "dbsize", "client|setname", "client|setinfo", "client|list", "time"}
JOBS = {NativeWay.MIGRATESLOTS: "cluster|getslotmigrations", NativeWay.MIGRATION: "cluster|migration"}
"""Asks a server that moves slots itself for its jobs. By the second a Redis is also told to begin one."""


def command_counts(fleet: Fleet) -> dict[str, int]:
    """How often each command ran, over all servers; what nodes send each other is left out."""
    total: dict[str, int] = {}
    for server in fleet.servers.values():
        for name, stats in server.info("commandstats").items():
            command = name.removeprefix("cmdstat_")
            if command not in ("replconf", "psync", "ping"):
                assert isinstance(stats, dict)
                total[command] = total.get(command, 0) + int(stats["calls"])
    return total


@pytest.fixture
def formed(fleet: Fleet) -> Fleet:
    fleet.formed(3)
    return fleet


def test_a_healthy_cluster_gets_no_write_command(formed: Fleet, reconcile: Reconcile) -> None:
    before = command_counts(formed)
    status, output = reconcile("repair", formed.topology(3, bringHome=True))
    assert status == 0
    assert "0 actions" in output
    after = command_counts(formed)
    sent = {name for name, calls in after.items() if calls > before.get(name, 0)}
    assert sent <= READING | set(JOBS.values())
    assert "cluster|nodes" in sent
    for server in formed.servers.values():
        way = server.native_way
        assert (way in JOBS) == bool(sent & set(JOBS.values()))
        assert way is None or list(read_jobs(way, server.call(*way.value), 0)) == []


def test_lost_pods_are_rejoined_paired_and_the_dead_forgotten(formed: Fleet, reconcile: Reconcile) -> None:
    formed.write(60)
    old = {pod: formed.servers[pod].myself.node_id for pod in ("redis-master-0", "redis-replica-1")}
    for pod in old:
        formed.servers[pod].kill()
    eventually(lambda: bool(formed.servers["redis-replica-0"].myself.slots), 15)
    for pod in old:
        formed.servers[pod].start()
    status, output = reconcile("repair", formed.topology(3))
    assert status == 0, output
    await_sync(formed)
    assert_formed(formed, 3)
    assert formed.servers["redis-replica-0"].myself.is_master
    for server in formed.servers.values():
        assert not {entry.node_id for entry in server.entries().values()} & set(old.values())
    assert formed.read(60) == 60


def test_a_shard_that_lost_both_copies_comes_back_empty_and_the_others_keep_theirs(
    formed: Fleet, reconcile: Reconcile
) -> None:
    formed.write(60)
    kept = sum(int(formed.servers[f"redis-master-{shard}"].call("DBSIZE")) for shard in (0, 2))
    for pod in ("redis-master-1", "redis-replica-1"):
        formed.servers[pod].kill()
    for pod in ("redis-master-1", "redis-replica-1"):
        formed.servers[pod].start()
    status, output = reconcile("repair", formed.topology(3))
    assert status == 0, output
    await_sync(formed)
    assert_formed(formed, 3)
    assert formed.read(60) == kept
    formed.write(60)
    assert formed.read(60) == 60


def test_all_pods_with_new_addresses_find_each_other_again(formed: Fleet, reconcile: Reconcile) -> None:
    kept = {pod: server.kill() for pod, server in formed.servers.items()}
    addresses = [server.ip for server in formed.servers.values()]
    # Every pod gets an address another one had: the hardest case, because the old tables all lead to somebody.
    for (pod, server), ip in zip(formed.servers.items(), [*addresses[1:], addresses[0]], strict=True):
        server.ip = ip
        server.start(kept[pod])
    status, output = reconcile("repair", formed.topology(3))
    assert status == 0, output
    assert_formed(formed, 3)


def test_half_moved_slots_are_finished_with_their_keys(formed: Fleet, reconcile: Reconcile) -> None:
    source, target = formed.servers["redis-master-0"], formed.servers["redis-master-1"]
    keys = [f"{{tag}}{index}" for index in range(20)]
    slot = int(source.call("CLUSTER", "KEYSLOT", "{tag}"))
    owner = next(
        server for server in formed.servers.values() if server.myself.is_master and server.myself.slots >> slot & 1
    )
    if owner is target:
        target = source
    for key in keys:
        owner.call("SET", key, key)
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.myself.node_id)
    owner.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.myself.node_id)
    owner.call("MIGRATE", target.ip, target.port, "", 0, 5000, "KEYS", *keys[:7])
    # And one that was only marked: nothing moved, so it stays.
    third = formed.servers["redis-master-2"]
    third_slot = (third.myself.slots & -third.myself.slots).bit_length() - 1
    target.call("CLUSTER", "SETSLOT", third_slot, "IMPORTING", third.myself.node_id)
    status, output = reconcile("repair", formed.topology(3))
    assert status == 0, output
    assert_formed(formed, 3)
    assert target.myself.slots >> slot & 1
    assert third.myself.slots >> third_slot & 1
    assert target.call("CLUSTER", "COUNTKEYSINSLOT", slot) == 20
    assert not any(server.myself.migrating or server.myself.importing for server in formed.servers.values())


def test_masters_come_home_after_a_failover_when_asked(formed: Fleet, reconcile: Reconcile) -> None:
    formed.write(60)
    formed.servers["redis-replica-2"].call("CLUSTER", "FAILOVER")
    eventually(lambda: not formed.servers["redis-master-2"].myself.is_master)
    status, output = reconcile("repair", formed.topology(3))
    assert status == 0
    assert not formed.servers["redis-master-2"].myself.is_master
    status, output = reconcile("repair", formed.topology(3, bringHome=True))
    assert status == 0, output
    assert formed.servers["redis-master-2"].myself.is_master
    assert_formed(formed, 3)
    assert formed.read(60) == 60


def test_a_master_that_comes_home_again_and_again_never_waits_for_votes_it_cannot_get(
    formed: Fleet, reconcile: Reconcile
) -> None:
    formed.write(60)
    master, replica = formed.servers["redis-master-1"], formed.servers["redis-replica-1"]
    for _ in range(2):
        replica.call("CLUSTER", "FAILOVER", "TAKEOVER")
        eventually(lambda: not master.myself.is_master)
        status, output = reconcile("repair", formed.topology(3, bringHome=True))
        assert status == 0, output
        assert master.myself.is_master
        # Redis itself would have given up, and the repair asked once more.
        assert "not done" not in output
        assert output.count("Failover:") == 1, output
    assert_formed(formed, 3)
    assert formed.read(60) == 60


def test_two_repairs_at_once_and_kills_in_between_do_no_harm(
    formed: Fleet, reconcile: Reconcile, tmp_path: Path
) -> None:
    formed.write(60)
    formed.servers["redis-master-0"].kill()
    formed.servers["redis-replica-1"].kill()
    eventually(lambda: bool(formed.servers["redis-replica-0"].myself.slots), 15)
    formed.servers["redis-master-0"].start()
    formed.servers["redis-replica-1"].start()
    file = tmp_path / "both.json"
    file.write_text(json.dumps(formed.topology(3)))
    pair: list[Any] = [formed.spawn("repair", file) for _ in range(2)]
    outputs = [child.communicate(timeout=90)[0] for child in pair]
    assert [child.returncode for child in pair] == [0, 0], outputs
    await_sync(formed)
    assert_formed(formed, 3)
    assert formed.read(60) == 60


def test_a_lost_majority_is_reported_and_not_forced(formed: Fleet, reconcile: Reconcile) -> None:
    before = {pod: server.myself.slots for pod, server in formed.servers.items()}
    formed.servers["redis-master-0"].pause()
    formed.servers["redis-master-1"].pause()
    status, output = reconcile("repair", formed.topology(3), "--deadline", "5")
    formed.servers["redis-master-0"].resume()
    formed.servers["redis-master-1"].resume()
    assert status == 1
    assert "most masters do not answer" in output
    eventually(lambda: {pod: server.myself.slots for pod, server in formed.servers.items()} == before)
    assert sum(before.values()) == ALL_SLOTS


def test_slots_a_master_was_talked_out_of_and_nobody_else_owns_are_its_own_again(
    formed: Fleet, reconcile: Reconcile
) -> None:
    owner, other = formed.servers["redis-master-0"], formed.servers["redis-master-1"]
    for slot in range(26):
        owner.call("CLUSTER", "SETSLOT", slot, "NODE", other.myself.node_id)
    assert not any(server.myself.slots & (1 << 26) - 1 for server in formed.servers.values())
    status, output = reconcile("repair", formed.topology(3))
    assert status == 0, output
    assert owner.myself.slots & (1 << 26) - 1 == (1 << 26) - 1
    assert_formed(formed, 3)
