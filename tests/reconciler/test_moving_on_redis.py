"""Growing, shrinking and changing pools on real redis-servers that serve clients meanwhile."""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from reconciler.observe.native_jobs import NativeWay
from reconciler.slots import count
from tests.reconciler.every_kind import HOUR_MS, stream, write_every_kind
from tests.reconciler.load import Load
from tests.reconciler.servers import Fleet, Server, assert_formed, await_sync, eventually

pytestmark = pytest.mark.redis

Reconcile = Callable[..., tuple[int, str]]
KEYS = 3000


class Watcher(threading.Thread):
    """Asks masters again and again whether they mark a slot as going."""

    def __init__(self, servers: list[Server]) -> None:
        super().__init__(daemon=True)
        self._clients = [server.client for server in servers]
        self._stop_event = threading.Event()
        self.looks = self.marked = 0

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop_event.set()
        self.join(10)
        for client in self._clients:
            client.close()

    def run(self) -> None:
        while not self._stop_event.wait(0.005):
            for client in self._clients:
                self.looks += 1
                self.marked += "->-" in str(client.execute_command("CLUSTER", "NODES"))


def same_number_of_keys(one: Server, other: Server) -> bool:
    return bool(one.call("DBSIZE") == other.call("DBSIZE"))


def run_killed(fleet: Fleet, phase: str, file: Path, times: int, longest_s: float) -> int:
    """Starts the phase and kills it at random moments; returns the seed."""
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    for _ in range(times):
        child = fleet.spawn(phase, file, password=next(iter(fleet.servers.values())).password)
        time.sleep(moments.uniform(0.3, longest_s))
        child.kill()
        child.wait()
    return seed


def test_growing_under_load_and_kills_loses_no_key_and_fails_no_request(
    fleet: Fleet, reconcile: Reconcile, tmp_path: Path
) -> None:
    # As long as it may be, and with what would be taken apart on its way into the Job, to the nodes and into MIGRATE.
    password = secrets.token_urlsafe() + " 'quo\"te' back\\slash $HOME `id` \ttab\r\nline ü "
    password += "#" * (4096 - len(password.encode()))
    fleet.formed(3, password=password)
    fleet.write(KEYS)
    fleet.shards(1, first=3, password=password)
    topology = fleet.topology(4, move={"bytesPerSecond": 200_000})
    file = tmp_path / "four.json"
    file.write_text(json.dumps(topology))
    with Load(fleet, KEYS) as load:
        seed = run_killed(fleet, "form", file, 4, 2.5)
        status, output = reconcile("form", topology, password=password)
        time.sleep(0.5)
    assert status == 0, output
    assert password not in output
    assert_formed(fleet, 4)
    assert count(fleet.servers["redis-master-3"].myself.slots) == 4096
    assert load.failures == [], f"seed {seed}"
    assert load.misses == 0, f"seed {seed}"
    assert load.requests > 100
    assert fleet.read(KEYS) == KEYS


def test_a_new_pool_takes_over_from_the_old_one_through_the_client_service(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.formed(3)
    fleet.write(KEYS)
    with fleet.client() as client:
        for index in range(6):
            client.set(f"large:{index}", bytes([index]) * 8_000_000)
            client.set(f"soon:{index}", "x", px=300)
            client.set(f"later:{index}", "x", ex=500)
        kinds = write_every_kind(client)
        expiring = {name for name in kinds if client.pttl(name) > 0}
        written = stream(client)
    old = list(fleet.servers)
    fleet.shards(3, prefix="big")
    topology = fleet.topology(3, prefix="big", seeds=[fleet.servers["redis-master-1"].ip])
    with Load(fleet, KEYS) as load:
        status, output = reconcile("form", topology)
        time.sleep(0.5)
    assert status == 0, output
    assert_formed(fleet, 3, "big")
    assert load.failures == []
    assert load.misses == 0
    assert not any(fleet.servers[pod].myself.slots for pod in old)
    assert "MiB/s" in output
    assert sum(int(fleet.servers[f"big-master-{shard}"].call("DBSIZE")) for shard in range(3)) == KEYS + 12 + len(kinds)
    with fleet.client() as client:
        for index in range(6):
            assert client.get(f"large:{index}") == bytes([index]) * 8_000_000
            assert client.get(f"soon:{index}") is None
            ttl = client.ttl(f"later:{index}")
            assert isinstance(ttl, int)
            assert 400 < ttl <= 500
        sent_as_commands = {b"stream"} if fleet.servers["big-master-0"].native_way is NativeWay.MIGRATESLOTS else set()
        alike = kinds.keys() - sent_as_commands
        assert {name: client.dump(name) for name in alike} == {name: kinds[name] for name in alike}
        assert stream(client) == written
        assert {name for name in kinds if HOUR_MS / 2 < client.pttl(name) <= HOUR_MS} == expiring
        assert all(client.pttl(name) == -1 for name in kinds.keys() - expiring)
    for pod in old:
        fleet.servers[pod].kill()
        del fleet.servers[pod]
    eventually(lambda: all(server.call("CLUSTER", "INFO").count(b"state:ok") for server in fleet.servers.values()))
    eventually(lambda: sum(entry.failed for entry in fleet.servers["big-master-0"].entries().values()) == 6, 20)
    status, output = reconcile("repair", topology)
    assert status == 0, output
    assert all(len(server.entries()) == 6 for server in fleet.servers.values())
    assert fleet.read(KEYS) == KEYS


def test_keys_that_have_expired_stay_behind_a_huge_slot_goes_in_parts_and_a_huge_key_is_named(
    fleet: Fleet, reconcile: Reconcile
) -> None:
    # A master that is busy with so many bytes, on busy cores, must not be taken for lost.
    room = ("--maxmemory", "400mb", "--cluster-node-timeout", "15000")
    fleet.formed(3, "--enable-debug-command", "yes", *room)
    fleet.write(30)
    old = [server for server in fleet.servers.values() if server.myself.is_master]
    for server in old:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    with fleet.client() as client:
        client.set("huge", b"x" * 40_000_000)
        for index in range(170):
            client.set(f"{{tag}}{index}", bytes([index]) * 1_000_000)
        for index in range(300):
            client.set(f"expired:{index}", "x", px=1)
    assert sum(int(server.call("DBSIZE")) for server in old) == 501
    fleet.shards(3, *room, prefix="big")
    status, output = reconcile("form", fleet.topology(3, prefix="big", seeds=[old[0].ip], deadlineSeconds=110))
    assert status == 0, output
    if old[0].native_way is None:
        assert "a key of 40 MiB blocked" in output
        assert output.count("MiB blocked") == 1
    assert not any(server.myself.slots for server in old)
    assert sum(int(fleet.servers[f"big-master-{shard}"].call("DBSIZE")) for shard in range(3)) == 201
    with fleet.client() as client:
        assert client.strlen("huge") == 40_000_000
        assert all(client.get(f"{{tag}}{index}") == bytes([index]) * 1_000_000 for index in range(170))


def test_copies_left_behind_by_a_killed_run_are_outdated_and_dropped(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.formed(3)
    if fleet.servers["redis-master-0"].native_way is NativeWay.MIGRATESLOTS:
        pytest.skip("a Valkey 9 gives nobody copies of a slot's keys before it gives the slot, and refuses this mark")
    source, target = (server for server in list(fleet.servers.values())[:2])
    slot = int(source.call("CLUSTER", "KEYSLOT", "{tag}"))
    if not source.myself.slots >> slot & 1:
        source = next(server for server in fleet.servers.values() if server.myself.slots >> slot & 1)
        target = next(server for server in fleet.servers.values() if server.myself.is_master and server is not source)
    keys = [f"{{tag}}{index}" for index in range(600)]
    for key in keys:
        source.call("SET", key, "then")
    # As a run leaves it that is killed while it copies.
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", target.myself.node_id)
    source.call("MIGRATE", target.ip, target.port, "", 0, 5000, "COPY", "REPLACE", "KEYS", *keys)
    assert int(target.call("CLUSTER", "COUNTKEYSINSLOT", slot)) == 600
    source.call("DEL", keys[0])
    source.call("SET", keys[1], "now")
    status, output = reconcile("repair", fleet.topology(3))
    assert status == 0, output
    await_sync(fleet)
    assert_formed(fleet, 3)
    with fleet.client() as client:
        assert [client.get(key) for key in keys[:3]] == [None, b"now", b"then"]
        assert sum(client.exists(key) for key in keys) == 599


def test_a_slot_of_many_megabytes_is_never_half_moved_for_long_while_its_keys_are_written(
    fleet: Fleet, reconcile: Reconcile
) -> None:
    fleet.formed(3)
    if str(fleet.servers["redis-master-0"].info("server").get("valkey_version", "")).startswith("8."):
        pytest.skip("a Valkey 8 moves slots in parts, and both sides serve one for a while (docs/engines.md)")
    sources = [server for server in fleet.servers.values() if server.myself.is_master]
    fleet.write(KEYS)
    with fleet.client() as client:
        for index in range(60 * 20):
            client.set(f"{{{index % 60}}}{index}", b"x" * 50_000)
    fleet.shards(1, first=3)
    with Watcher(sources) as watcher, Load(fleet, KEYS) as load:
        status, output = reconcile("form", fleet.topology(4, move={"bytesPerSecond": 3_000_000}))
    assert status == 0, output
    assert_formed(fleet, 4)
    assert load.failures == []
    assert load.misses == 0
    # Slots that are marked for as long as their keys travel would be so in half of the looks.
    assert watcher.marked <= watcher.looks * 0.15, output
    with fleet.client() as client:
        assert all(client.strlen(f"{{{index % 60}}}{index}") == 50_000 for index in range(60 * 20))


def test_release_refuses_what_cannot_fit_and_then_empties_what_goes(
    fleet: Fleet, reconcile: Reconcile, tmp_path: Path
) -> None:
    fleet.formed(4)
    fleet.write(KEYS)
    topology = fleet.topology(3)
    before = {pod: server.myself.slots for pod, server in fleet.servers.items()}
    for pod in fleet.servers:
        fleet.servers[pod].call("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
    status, output = reconcile("release", topology)
    assert status == 2
    assert "maxmemory" in output
    assert {pod: server.myself.slots for pod, server in fleet.servers.items()} == before
    for pod in fleet.servers:
        fleet.servers[pod].call("CONFIG", "SET", "maxmemory", "200mb")
    file = tmp_path / "three.json"
    file.write_text(json.dumps({**topology, "move": {"bytesPerSecond": 200_000}}))
    with Load(fleet, KEYS) as load:
        seed = run_killed(fleet, "release", file, 3, 1.5)
        status, output = reconcile("release", topology)
    assert status == 0, output
    assert load.failures == [], f"seed {seed}"
    assert load.misses == 0, f"seed {seed}"
    for pod in ("redis-master-3", "redis-replica-3"):
        assert not fleet.servers[pod].myself.slots
        fleet.servers.pop(pod).kill()
    assert all(len(server.entries()) == 6 for server in fleet.servers.values())
    assert_formed(fleet, 3)
    assert fleet.read(KEYS) == KEYS
    status, output = reconcile("release", topology)
    assert status == 0
    assert "0 actions" in output


def test_expire_hands_slots_over_within_the_budget_of_misses(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.formed(3)
    fleet.write(KEYS)
    fleet.shards(1, first=3)
    budget = 300
    topology = fleet.topology(4, move={"mode": "expire", "extraMissesPerSecond": budget})
    start = time.monotonic()
    with Load(fleet, KEYS) as load:
        status, output = reconcile("form", topology)
        time.sleep(0.5)
    seconds = time.monotonic() - start
    assert status == 0, output
    assert_formed(fleet, 4)
    assert load.failures == []
    moved_share = KEYS / 4
    # Every key that changed owner is gone, once, and never faster than the budget allows.
    assert seconds > moved_share / budget * 0.8
    assert 0 < load.misses <= moved_share * 1.3
    for shard in range(4):
        master, replica = fleet.servers[f"redis-master-{shard}"], fleet.servers[f"redis-replica-{shard}"]
        eventually(partial(same_number_of_keys, master, replica))


def test_a_target_without_memory_stops_the_move_and_keeps_every_key(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.formed(3)
    owners = [server for server in fleet.servers.values() if server.myself.is_master]
    slot = int(owners[0].call("CLUSTER", "KEYSLOT", "{tag}"))
    source = next(server for server in owners if server.myself.slots >> slot & 1)
    target = next(server for server in owners if server is not source)
    for index in range(40):
        source.call("SET", f"{{tag}}{index}", b"x" * 100_000)
    target.call("CONFIG", "SET", "maxmemory", str(int(str(target.info("memory")["used_memory"])) + 1_000_000))
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.myself.node_id)
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.myself.node_id)
    status, output = reconcile("repair", fleet.topology(3), "--deadline", "3")
    assert status == 1
    assert "no memory left" in output
    held = [int(server.call("CLUSTER", "COUNTKEYSINSLOT", slot)) for server in (source, target)]
    assert sum(held) == 40
    assert source.myself.slots >> slot & 1
    target.call("CONFIG", "SET", "maxmemory", "200mb")
    status, output = reconcile("repair", fleet.topology(3))
    assert status == 0, output
    await_sync(fleet)
    assert_formed(fleet, 3)
    assert sum(int(server.call("CLUSTER", "COUNTKEYSINSLOT", slot)) for server in owners) == 40


def test_a_source_that_dies_in_the_middle_is_replaced_by_its_replica_and_the_move_goes_on(
    fleet: Fleet, reconcile: Reconcile, tmp_path: Path
) -> None:
    fleet.formed(3)
    fleet.write(KEYS, 100)
    fleet.shards(1, first=3)
    file = tmp_path / "four.json"
    topology = fleet.topology(4, move={"bytesPerSecond": 60_000})
    file.write_text(json.dumps(topology))
    child = fleet.spawn("form", file)
    eventually(lambda: count(fleet.servers["redis-master-3"].myself.slots) > 300, 20)
    fleet.servers["redis-master-1"].kill()
    eventually(lambda: bool(fleet.servers["redis-replica-1"].myself.slots), 15)
    fleet.servers["redis-master-1"].start()
    output, _ = child.communicate(timeout=90)
    status, again = reconcile("form", {**topology, "move": {}})
    assert status == 0, output + again
    assert_formed(fleet, 4)
    assert fleet.read(KEYS) == KEYS
