"""What a node of the cluster of dictionaries answers to each command, and what that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.connection import Reply, ReplyError
from reconciler.observe.native_jobs import NativeWay
from reconciler.slots import NO_SLOTS, ranges, slot_range
from tests.reconciler import fake_native
from tests.reconciler.fake_node import ELECTION_PATIENCE_S, EPOCH_S, PORT, VOTE_AGAIN_S, FakeNode, KnownNode

if TYPE_CHECKING:
    from tests.reconciler.fake_cluster import FakeCluster


def answer(world: FakeCluster, node: FakeNode, words: list[str]) -> Reply:
    """One command on one node. Raises `ReplyError` where Redis answers an error."""
    match words:
        case ["CLUSTER", "NODES"]:
            return _nodes(world, node).encode()
        case ["CLUSTER", "INFO"]:
            state = "ok" if node.serves(world.time_s) else "fail"
            return f"cluster_state:{state}\r\ncluster_my_epoch:{node.epoch}\r\n".encode()
        case ["INFO", *_]:
            size = 100 * len(node.all_keys())
            facts: dict[str, object] = {"role": "slave" if node.master_id else "master"}
            if node.master_id:
                facts["master_link_status"] = "up" if node.linked else "down"
                facts["master_sync_in_progress"] = int(node.syncing)
                facts["slave_repl_offset"] = node.offset
            facts["master_repl_offset"] = node.offset
            for number, replica in enumerate(world.online(node)):
                facts[f"slave{number}"] = f"ip={replica.ip},port={PORT},state=online,offset={replica.offset},lag=0"
            if world.is_valkey:
                facts["valkey_version"] = "8.1.9"
            facts |= fake_native.VERSIONS[world.native_way] if world.native_way and not node.is_older else {}
            facts["number_of_libraries"] = len(node.libraries)
            facts |= {"used_memory": size, "used_memory_dataset": size, "maxmemory": node.max_bytes}
            return "".join(f"{key}:{value}\r\n" for key, value in facts.items()).encode()
        case ["PING"]:
            return b"PONG"
        case ["TIME"]:
            now: list[Reply] = [str(int(EPOCH_S + world.time_s)).encode(), b"0"]
            return now
        case ["ASKING" | "UNWATCH"] | ["WATCH", *_]:
            return b"OK"
        case ["UNLINK", *keys]:
            for slot, held in node.keys.items():
                going = held & {key.encode() for key in keys}
                if going and node.slots >> slot & 1:
                    world.dropped += [(world.time_s, key.decode()) for key in going]
                elif going and slot not in node.importing:
                    raise ReplyError(f"MOVED {slot}")
                held -= going
            return len(keys)
        case ["DBSIZE"]:
            return len(node.all_keys())
        case ["CLIENT", "LIST", *_]:
            names = [name for (ip, name), number in world.named_connections.items() if ip == node.ip and number > 0]
            listed = "".join(f"id=8 addr=10.1.1.2:98 name={name} age=9 idle=0\n" for name in names)
            if world.clients and node.slots:
                # An ordinary client talks to whoever has slots.
                listed += "id=7 addr=10.1.1.1:99 name= age=9 idle=0\n"
            return listed.encode()
        case ["MEMORY", "USAGE", _]:
            return world.key_bytes
        case ["FUNCTION", "LIST", *rest]:
            names = rest[1:2] if rest[0] == "LIBRARYNAME" else sorted(node.libraries)
            return [_library(name, node.libraries[name]) for name in names if name in node.libraries]
        case ["FUNCTION", "LOAD", *replace, code]:
            name = code.partition("name=")[2].partition(chr(10))[0]
            if name in node.libraries and not replace:
                raise ReplyError(f"Library '{name}' already exists")
            assert node.master_id is None, "functions are loaded on masters"
            node.libraries[name] = code
            return name.encode()
        case ["CLUSTER", "COUNTKEYSINSLOT", slot]:
            return len(node.keys.get(int(slot), ()))
        case ["CLUSTER", "GETKEYSINSLOT", slot, number]:
            found: list[Reply] = [*sorted(node.keys.get(int(slot), ()))[: int(number)]]
            return found
        case ["CLUSTER", "GETSLOTMIGRATIONS"] | ["CLUSTER", "MIGRATION", "STATUS", "ALL"]:
            return fake_native.listed(world, node)
        case ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *bounds, "NODE", target]:
            fake_native.start(world, node, _known(world, target), NativeWay.MIGRATESLOTS, bounds)
            return b"OK"
        case ["CLUSTER", "MIGRATION", "IMPORT", *bounds]:
            owner = next(other for other in world.living() if other.slots >> int(bounds[0]) & 1)
            return fake_native.start(world, owner, node, NativeWay.MIGRATION, bounds).name.encode()
        case ["CLUSTER", "CANCELSLOTMIGRATIONS"]:
            if not fake_native.cancel(world, node, None):
                raise ReplyError("No migrations ongoing")
            return b"OK"
        case ["CLUSTER", "MIGRATION", "CANCEL", "ID", name]:
            return fake_native.cancel(world, node, name)
        case ["CLUSTER", *rest]:
            _change(world, node, rest)
            return b"OK"
        case ["MIGRATE", ip, _, _, _, _, "REPLACE", "KEYS", *keys]:
            return _migrate(world, node, ip, [key.encode() for key in keys], copy=False)
        case ["MIGRATE", ip, _, _, _, _, "COPY", "REPLACE", "KEYS", *keys]:
            return _migrate(world, node, ip, [key.encode() for key in keys], copy=True)
        case _:
            raise AssertionError(f"a command this cluster does not know: {words}")


def _known(world: FakeCluster, node_id: str) -> FakeNode:
    node = world.by_id(node_id)
    if node is None:
        raise ReplyError(f"Unknown node name: {node_id}")
    return node


def _library(name: str, code: str) -> Reply:
    function: Reply = [b"name", f"f_{name}".encode(), b"description", None, b"flags", []]
    return [b"library_name", name.encode(), b"engine", b"LUA", b"functions", [function], b"library_code", code.encode()]


def _nodes(world: FakeCluster, node: FakeNode) -> str:
    def line(
        node_id: str,
        ip: str,
        flags: str,
        master: str | None,
        epoch: int,
        link: str,
        slots: int,
        more: str,
        heard_s: float = 0,
    ) -> str:
        there = world.by_id(node_id)
        hostname = there.hostname if there else ""
        spans = " ".join(f"{a}-{b}" for a, b in ranges(slots))
        heard = 0 if node_id == node.node_id else int((EPOCH_S + heard_s) * 1000)
        return f"{node_id} {ip}:{PORT}@16379,{hostname} {flags} {master or '-'} 0 {heard} {epoch} {link} {spans} {more}"

    marks = [f"[{slot}->-{other}]" for slot, other in node.migrating.items()]
    marks += [f"[{slot}-<-{other}]" for slot, other in node.importing.items()]
    role = "slave" if node.master_id else "master"
    lines = [
        line(
            node.node_id,
            node.ip,
            f"myself,{role}",
            node.master_id,
            node.epoch,
            "connected",
            node.slots,
            " ".join(marks),
        )
    ]
    for node_id, known in node.table.items():
        there = world.by_id(node_id)
        missed = ",fail" if known.failed else ",fail?" if there is None or not there.alive else ""
        flags = ("slave" if known.master_id else "master") + missed
        reached = there is not None and there.alive and there.ip == known.ip
        link = "connected" if reached else "disconnected"
        lines.append(line(node_id, known.ip, flags, known.master_id, known.epoch, link, known.slots, "", known.heard_s))
    return "\n".join(lines)


def _change(world: FakeCluster, node: FakeNode, words: list[str]) -> None:
    match words:
        case ["SET-CONFIG-EPOCH", epoch]:
            if node.table or node.epoch:
                raise ReplyError("The user can assign a config epoch only when the node does not know any other node.")
            node.epoch = int(epoch)
        case ["MEET", ip, _]:
            other = world.nodes.get(ip)
            if other is not None and other.alive and other is not node:
                node.table.setdefault(other.node_id, KnownNode(ip, other.master_id, other.epoch)).ip = ip
                other.table.setdefault(node.node_id, KnownNode(node.ip, node.master_id, node.epoch)).ip = node.ip
        case ["ADDSLOTSRANGE", *bounds]:
            slots = NO_SLOTS
            for first, last in zip(bounds[::2], bounds[1::2], strict=True):
                slots |= slot_range(int(first), int(last))
            if slots & node.slots or any(known.slots & slots for known in node.table.values()):
                raise ReplyError("Slot is already busy")
            assert not any(other.slots & slots for other in world.living()), "a slot would get a second owner"
            node.slots |= slots
        case ["BUMPEPOCH"]:
            node.epoch = 1 + max([node.epoch, *(known.epoch for known in node.table.values())])
        case ["REPLICATE", master]:
            if master not in node.table:
                raise ReplyError("Unknown node")
            if node.master_id is None and (node.slots or node.all_keys()):
                raise ReplyError("To set a master the node must be empty and without assigned slots.")
            node.master_id, node.keys, node.linked, node.offset = master, {}, False, 0
        case ["RESET", "SOFT"]:
            assert node.master_id is not None, "a master would be reset"
            node.master_id, node.table, node.keys, node.epoch = None, {}, {}, 0
        case ["FORGET", gone]:
            if gone not in node.table:
                raise ReplyError("Unknown node " + gone)
            if gone == node.master_id:
                raise ReplyError("Can't forget my master!")
            there = world.by_id(gone)
            assert there is None or not there.alive or not there.slots, "a living owner would be forgotten"
            del node.table[gone]
            node.banned[gone] = world.time_s + 60
        case ["FAILOVER", *mode]:
            if node.master_id is None:
                raise ReplyError("You should send CLUSTER FAILOVER to a replica")
            former = world.by_id(node.master_id) or FakeNode(node.master_id or "", "", "", alive=False)
            if not former.alive and former.node_id in node.table:
                former.slots = node.table[former.node_id].slots
            assert mode or node in world.online(former), "a hand-over would hold back writes for long"
            assert mode or node.offset == former.offset, "a hand-over would hold back writes until it is given up"
            if mode == ["FORCE"] and world.elects_after_s < ELECTION_PATIENCE_S:
                assert world.time_s - former.alive_s >= ELECTION_PATIENCE_S, "an election would be started anew"
            if not mode and world.time_s - former.voted_s < VOTE_AGAIN_S:
                # Writes are held back meanwhile, for 5 s if nothing else is done.
                node.waits_for_votes = True
                return
            taken_over = mode == ["TAKEOVER"]
            assert not taken_over or not former.alive or node.waits_for_votes, "a living master would be taken over"
            assert not taken_over or not former.alive or node.offset == former.offset, "writes would be lost"
            node.waits_for_votes = False
            if not taken_over:
                former.voted_s = world.time_s
            world.promote(node, former)
        case ["SETSLOT", slot, *rest]:
            _setslot(world, node, int(slot), rest)
        case _:
            raise AssertionError(f"a command this cluster does not know: {words}")


def _setslot(world: FakeCluster, node: FakeNode, slot: int, words: list[str]) -> None:
    bit = 1 << slot
    if node.master_id is not None:
        raise ReplyError("You can use SETSLOT only with masters.")
    if words[0] != "STABLE" and words[1] != node.node_id and words[1] not in node.table:
        raise ReplyError(f"I don't know about node {words[1]}")
    match words:
        case ["IMPORTING", other]:
            if node.slots & bit:
                raise ReplyError(f"I'm already the owner of hash slot {slot}")
            node.importing[slot] = other
        case ["MIGRATING", other]:
            if not node.slots & bit:
                raise ReplyError(f"I'm not the owner of hash slot {slot}")
            shared = [other for other in world.living() if other is not node and other.epoch == node.epoch]
            assert all(other.master_id for other in shared), "the source may raise its epoch and outrank the target"
            node.migrating[slot] = other
        case ["STABLE"]:
            node.migrating.pop(slot, None)
            node.importing.pop(slot, None)
        case ["NODE", owner]:
            if node.slots & bit and owner != node.node_id and node.keys.get(slot):
                raise ReplyError(
                    f"Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
                )
            if owner == node.node_id and any(other.slots & bit for other in world.living() if other is not node):
                assert node.serves(world.time_s), "a slot would go to a node that refuses its clients"
            if owner == node.node_id and world.functions:
                assert node.libraries.keys() >= world.functions, "a slot would go where its functions are not"
            if owner == node.node_id and slot in node.importing:
                del node.importing[slot]
                node.epoch = max(node.epoch, 1 + max([0, *(known.epoch for known in node.table.values())]))
            node.migrating.pop(slot, None)
            node.slots = node.slots | bit if owner == node.node_id else node.slots & ~bit
            for node_id, known in node.table.items():
                known.slots = known.slots | bit if node_id == owner else known.slots & ~bit
        case _:
            raise AssertionError(f"SETSLOT {words}")


def _migrate(world: FakeCluster, node: FakeNode, ip: str, keys: list[bytes], *, copy: bool) -> Reply:
    target = world.nodes.get(ip)
    if target is None or not target.alive:
        raise ReplyError("IOERR error or timeout connecting to the client")
    if refusal := world.refusals.get(ip) or world.refuses_writes.get(ip):
        raise ReplyError(f"Target instance replied with error: {refusal.of_call}")
    moved = 0
    for slot, held in node.keys.items():
        going = held & set(keys)
        if going and not (target.slots >> slot & 1 or slot in target.importing):
            raise ReplyError(f"Target instance replied with error: MOVED {slot}")
        target.keys.setdefault(slot, set()).update(going)
        held -= set() if copy else going
        moved += len(going)
    return b"OK" if moved else b"NOKEY"
