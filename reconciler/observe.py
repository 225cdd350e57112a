"""Looks at every node that is wanted, or that any reachable node or seed knows of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.link import (
    Address,
    LinkError,
    Links,
    NameAbsentError,
    NameUnknownError,
    Reply,
    ReplyError,
    integer,
    text,
)
from reconciler.topology import Desired, DesiredNode
from reconciler.views import Missing, Observed, Row, Seed, View, parse_cluster_nodes

MAX_ROUNDS = 8
"""Rounds of following addresses from table to table; gossip makes tables complete, so two are the rule."""

LOOK_TIMEOUT_S = 3.0
QUESTIONS = (("CLUSTER", "NODES"), ("CLUSTER", "INFO"), ("INFO",), ("DBSIZE",), ("TIME",))

MOVER_NAME = "reconciler-mover"
"""CLIENT SETNAME of connections that move slots: how one run sees that another is at work (and gone, when killed)."""


def parse_info(text_: str) -> dict[str, str]:
    """`INFO` as a mapping; section titles and empty lines are left out."""
    pairs = (line.partition(":") for line in text_.splitlines() if ":" in line and not line.startswith("#"))
    return {key: value.strip() for key, _, value in pairs}


def _is_replica_online(key: str, value: str) -> bool:
    """Of INFO's `slave0:ip=…,port=…,state=online,offset=…,lag=0` (and no other line)."""
    if not key.removeprefix("slave").isdigit():
        return False
    fields = dict(part.partition("=")[::2] for part in value.split(","))
    return fields.get("state") == "online" and fields.get("lag") in ("0", "1")


def _milliseconds(time: Reply | ReplyError) -> float:
    """The node's own clock, which is what the times in its table are of; TIME gives seconds and microseconds."""
    if isinstance(time, ReplyError):
        raise time
    if not isinstance(time, list) or len(time) != 2:
        raise ReplyError(f"two numbers were expected of TIME, the node answered {time!r:.80}")
    return int(text(time[0])) * 1000 + int(text(time[1])) / 1000


def client_names(client_list: str) -> frozenset[str]:
    """Names of connections that move slots, out of CLIENT LIST."""
    names = (word[5:] for line in client_list.splitlines() for word in line.split(" ") if word.startswith("name="))
    return frozenset(name for name in names if name.startswith(MOVER_NAME))


def look_at(links: Links, address: Address, pod: str | None) -> View:
    """One node's view. Raises `LinkError` or `ReplyError` when the node is not (yet) able to answer."""
    link = links.to(address)
    nodes, state, info, keys, time = link.pipeline(QUESTIONS, LOOK_TIMEOUT_S)
    rows = parse_cluster_nodes(text(nodes), _milliseconds(time))
    facts = parse_info(text(info))
    if facts.get("loading") == "1":
        raise LinkError("the node is loading its data")
    replica_offset = facts.get("slave_repl_offset", facts.get("master_repl_offset", "0"))
    me = next((row for row in rows if "myself" in row.flags), None)
    if me is None:
        raise ReplyError("CLUSTER NODES has no line of the node itself")
    return View(
        ip=address[0],
        port=address[1],
        pod=pod,
        rows=rows,
        cluster_ok=parse_info(text(state)).get("cluster_state") == "ok",
        keys=integer(keys),
        link_up=facts.get("master_link_status") == "up",
        syncing=facts.get("master_sync_in_progress") == "1",
        replicas_online=sum(1 for key, value in facts.items() if _is_replica_online(key, value)),
        replication_offset=int(replica_offset),
        used_bytes=int(facts.get("used_memory", "0")),
        dataset_bytes=int(facts.get("used_memory_dataset", "0")),
        max_bytes=int(facts.get("maxmemory", "0")),
    )


def _resolve_pod(links: Links, node: DesiredNode) -> Address | Missing:
    try:
        found = links.network.resolve(node.host)
    except (NameAbsentError, NameUnknownError) as error:
        return Missing(node.pod, str(error), isinstance(error, NameAbsentError))
    if len(found) != 1:
        return Missing(node.pod, f"{node.host} has {len(found)} addresses ({', '.join(found)}); a pod has one")
    return found[0], node.port


def _look_many(
    links: Links, targets: Iterable[tuple[Address, str | None]]
) -> tuple[list[View], list[tuple[Address, str | None, str]]]:
    views: list[View] = []
    silent: list[tuple[Address, str | None, str]] = []

    def look(target: tuple[Address, str | None]) -> View | str:
        try:
            return look_at(links, *target)
        except (LinkError, ReplyError, ValueError) as error:
            return str(error)

    ordered = list(targets)
    for (address, pod), answer in zip(ordered, links.threads.map(look, ordered), strict=True):
        if isinstance(answer, View):
            views.append(answer)
        else:
            silent.append((address, pod, answer))
    return views, silent


def _look_at_seed(links: Links, name: str, port: int, known: set[Address]) -> tuple[Seed, list[View]]:
    host, _, own_port = name.partition(":")
    try:
        addresses = [(ip, int(own_port or port)) for ip in links.network.resolve(host)]
    except NameAbsentError as error:
        return Seed(name, True, False, str(error)), []
    except NameUnknownError as error:
        return Seed(name, False, False, str(error)), []
    new = [address for address in addresses if address not in known]
    views, silent = _look_many(links, [(address, None) for address in new])
    if views or len(new) < len(addresses):
        return Seed(name, True, True, "answers"), views
    reasons = "; ".join(f"{address[0]}: {reason}" for address, _, reason in silent)
    return Seed(name, False, False, f"{name} has an address but nothing answers there ({reasons})"), []


def _misled(view: View, node: DesiredNode, desired: Desired) -> str | None:
    """Stale DNS leads to an address another pod has by now; the node's own announced name tells."""
    others = {other.host for other in desired.nodes} - {node.host}
    if view.me.hostname in others:
        return f"DNS of {node.host} leads to {view.me.hostname}"
    return None


def _row_address(row: Row) -> Address | None:
    return (row.ip, row.port) if row.ip and "noaddr" not in row.flags else None


def observe(links: Links, desired: Desired, own_mover: str = "", look_for_movers: bool = False) -> Observed:
    """One look at everything. Never raises for a node that does not answer: that is an observation too.

    Connections of other runs that move slots are looked for when a slot is half moved, or with `look_for_movers`.
    """
    resolved = list(links.threads.map(lambda node: _resolve_pod(links, node), desired.nodes))
    missing = [answer for answer in resolved if isinstance(answer, Missing)]
    targets = [
        (answer, node.pod)
        for node, answer in zip(desired.nodes, resolved, strict=True)
        if not isinstance(answer, Missing)
    ]
    found, silent = _look_many(links, targets)
    missing += [Missing(pod, f"{address[0]}:{address[1]}: {why}") for address, pod, why in silent if pod]
    views: dict[str, View] = {}
    for view in found:
        node = desired.node(view.pod or "")
        why = _misled(view, node, desired)
        if why or view.node_id in views:
            missing.append(Missing(node.pod, why or f"DNS of {node.host} leads to {views[view.node_id].pod}"))
        else:
            views[view.node_id] = view

    seeds = []
    tried = {address for address, _ in targets}
    for name in desired.seeds:
        seed, seen = _look_at_seed(links, name, desired.port, tried)
        seeds.append(seed)
        # A Service's own address is no member's address: members are looked at by the addresses they gossip.
        for view in seen:
            own = view.me.ip or view.ip
            if view.node_id not in views and (own, view.me.port) == (view.ip, view.port):
                views[view.node_id] = view
                tried.add((view.ip, view.port))
        extra = {address for view in seen for row in view.rows if (address := _row_address(row))} - tried
        _follow(links, views, tried, extra)
    unanswered = _follow(links, views, tried, set())
    return Observed(
        views=tuple(_with_open_slots(links, list(views.values()), look_for_movers)),
        missing=tuple(missing),
        seeds=tuple(seeds),
        unanswered=tuple(sorted(unanswered)),
        existing_hosts=_existing_hosts(links, list(views.values()), desired),
        own_mover=own_mover,
    )


def _follow(links: Links, views: dict[str, View], tried: set[Address], extra: set[Address]) -> set[str]:
    unanswered: set[str] = set()
    for _ in range(MAX_ROUNDS):
        known = {address for view in views.values() for row in view.rows if (address := _row_address(row))}
        new = (known | extra) - tried
        if not new:
            break
        tried |= new
        seen, silent = _look_many(links, [(address, None) for address in sorted(new)])
        for view in seen:
            views.setdefault(view.node_id, view)
        unanswered |= {f"{ip}:{port}" for (ip, port), _, _ in silent}
    return unanswered


def _existing_hosts(links: Links, views: list[View], desired: Desired) -> frozenset[str]:
    """Announced names of members that do not answer and are not of this topology, but that DNS still has (or cannot
    tell): pods of another pool that are only away for now."""
    answering = {view.node_id for view in views}
    hosts = {row.hostname for view in views for row in view.rows if row.node_id not in answering and row.hostname}

    def exists(host: str) -> bool:
        try:
            return bool(links.network.resolve(host))
        except NameAbsentError:
            return False
        except NameUnknownError:
            return True

    others = sorted(hosts - {node.host for node in desired.nodes})
    return frozenset(host for host, there in zip(others, links.threads.map(exists, others), strict=True) if there)


def _with_open_slots(links: Links, views: list[View], look_for_movers: bool) -> list[View]:
    """Where a slot is half moved, how many of its keys each master holds, and who else is moving slots."""
    open_slots = sorted({slot for view in views for slot, _ in (*view.me.migrating, *view.me.importing)})
    if not open_slots and not look_for_movers:
        return views
    result = []
    for view in views:
        if not view.is_master:
            result.append(view)
            continue
        commands: list[tuple[str | int, ...]] = [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in open_slots]
        try:
            *counts, clients = links.to((view.ip, view.port)).pipeline([*commands, ("CLIENT", "LIST")])
            result.append(
                replace(
                    view,
                    open_slot_keys=tuple(zip(open_slots, map(integer, counts), strict=True)),
                    movers=client_names(text(clients)),
                )
            )
        except (LinkError, ReplyError):
            # The node went away since the first look: the next look will tell; leave it out of this one.
            continue
    return result
