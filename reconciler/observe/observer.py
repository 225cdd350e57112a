"""Finds and asks every node that is wanted, or that any node which answers, or any seed, knows of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from reconciler.addresses import split_port
from reconciler.connection import (
    Address,
    Connections,
    NameNotResolvedError,
    NoSuchNameError,
    NotAdmittedError,
    RefusedError,
    ReplyError,
    UnreachableError,
    WrongModeError,
    integer,
    text,
)
from reconciler.observe.cluster_nodes import NodeEntry
from reconciler.observe.host_names import HostNames
from reconciler.observe.libraries import libraries
from reconciler.observe.native_jobs import read_jobs
from reconciler.observe.node import ask_node, milliseconds, run_names
from reconciler.observe.observation import MissingPod, NodeReport, Observation, SeedAnswer
from reconciler.tls import Tls
from reconciler.topology import Topology, TopologyNode

MAX_ROUNDS = 8
"""How often addresses are followed from one node's table to the next. Gossip makes tables complete, so two rounds are
the rule; the bound is for tables that never end."""


@dataclass
class _Found:
    """What has been found so far: reports by node id, and addresses that need not be asked again."""

    reports: dict[str, NodeReport] = field(default_factory=dict)
    asked: set[Address] = field(default_factory=set)


def observe(connections: Connections, desired: Topology, own_run: str = "", look_for_runs: bool = False) -> Observation:
    """Ask every node once. Never raises for a node that does not answer: that is an observation too.

    Other runs that are changing the cluster are looked for where a slot is half moved, or with `look_for_runs`. It is
    not done every time, because a cluster has thousands of clients, and each master lists all of its own.
    """
    found = _Found()
    names = HostNames(connections, desired)
    missing = _ask_wanted_pods(connections, desired, found, names)
    seeds = [_ask_seed(connections, name, desired, found, names) for name in desired.seeds]
    _follow_tables(connections, desired, found, set(), names)
    reports = list(found.reports.values())
    half_moved = _with_half_moved_keys(connections, reports, look_for_runs)
    return Observation(
        reports=tuple(_with_libraries(connections, _with_native_jobs(connections, half_moved))),
        missing=tuple(missing),
        seeds=tuple(seeds),
        other_hosts=_other_hosts(connections, reports, desired),
        own_run=own_run,
        other_names=names.others(reports),
    )


def _ask_many(
    connections: Connections, targets: Iterable[tuple[Address, str | None]], tls: Tls
) -> list[tuple[Address, str | None, NodeReport | Exception]]:
    """The reports of many nodes, asked at once; instead of a report, the reason why there is none."""

    def ask(target: tuple[Address, str | None]) -> NodeReport | Exception:
        try:
            return ask_node(connections, *target, tls)
        except (UnreachableError, ReplyError, ValueError) as error:
            return error

    ordered = list(targets)
    answers = connections.map(ask, ordered)
    return [(address, pod, answer) for (address, pod), answer in zip(ordered, answers, strict=True)]


def _resolve(connections: Connections, node: TopologyNode) -> Address | MissingPod:
    try:
        addresses = connections.network.resolve(node.host)
    except (NoSuchNameError, NameNotResolvedError) as error:
        return MissingPod(node.pod, str(error), isinstance(error, NoSuchNameError))
    if len(addresses) != 1:
        listed = ", ".join(addresses)
        return MissingPod(node.pod, f"{node.host} has {len(addresses)} addresses ({listed}); a pod has one")
    return addresses[0], node.port


def _ask_wanted_pods(connections: Connections, desired: Topology, found: _Found, names: HostNames) -> list[MissingPod]:
    """Asks the pods of the topology by their host names. Returns those that are missing."""
    resolved = connections.map(lambda node: _resolve(connections, node), desired.nodes)
    for node, where in zip(desired.nodes, resolved, strict=True):
        names.learn(node.host, where)
    missing = [answer for answer in resolved if isinstance(answer, MissingPod)]
    targets: list[tuple[Address, str | None]] = [
        (answer, node.pod)
        for node, answer in zip(desired.nodes, resolved, strict=True)
        if not isinstance(answer, MissingPod)
    ]
    for address, pod, answer in _ask_many(connections, targets, desired.tls):
        found.asked.add(address)
        node = desired.node(pod or "")
        if isinstance(answer, Exception):
            lives = isinstance(answer, RefusedError | ReplyError)
            missing.append(
                MissingPod(
                    node.pod,
                    f"{address[0]}:{address[1]}: {answer}",
                    lives=lives,
                    not_admitted=isinstance(answer, NotAdmittedError),
                    wrong_mode=isinstance(answer, WrongModeError),
                )
            )
            continue
        reason = _wrong_pod(answer, node, desired)
        if reason is None and answer.node_id in found.reports:
            reason = f"DNS of {node.host} leads to {found.reports[answer.node_id].pod}"
        if reason is None:
            found.reports[answer.node_id] = answer
        else:
            missing.append(MissingPod(node.pod, reason))
    return missing


def _wrong_pod(report: NodeReport, node: TopologyNode, desired: Topology) -> str | None:
    """Why the node that answered is not the wanted pod; None if it is. DNS may be stale, and lead to an address that
    another pod has by now. The host name that a node announces tells."""
    others = {other.host for other in desired.nodes} - {node.host}
    if report.myself.hostname in others:
        return f"DNS of {node.host} leads to {report.myself.hostname}"
    return None


def _ask_seed(connections: Connections, name: str, desired: Topology, found: _Found, names: HostNames) -> SeedAnswer:
    """Asks at every address of a seed, and every node that the answers lead to."""
    host, port = split_port(name, desired.port)
    try:
        addresses = [(ip, port) for ip in connections.network.resolve(host)]
    except NoSuchNameError as error:
        return SeedAnswer(name, True, str(error))
    except NameNotResolvedError as error:
        return SeedAnswer(name, False, str(error))
    new = [address for address in addresses if address not in found.asked]
    answers = _ask_many(connections, [(address, None) for address in new], desired.tls)
    reports = [answer for _, _, answer in answers if isinstance(answer, NodeReport)]
    for report in reports:
        # A Service has an address of its own, behind which another node may answer the next time. So a node is only
        # taken from here if this is its own address; else it is asked below, at the address it has.
        own = report.myself.ip or report.ip
        if report.node_id not in found.reports and (own, report.myself.port) == (report.ip, report.port):
            found.reports[report.node_id] = report
            found.asked.add((report.ip, report.port))
    told = {address for report in reports for address in _addresses(report, names)}
    _follow_tables(connections, desired, found, told, names)
    if reports or len(new) < len(addresses):
        return SeedAnswer(name, True, "a node answers there")
    reasons = "; ".join(f"{address[0]}: {answer}" for address, _, answer in answers)
    not_admitted = any(isinstance(answer, NotAdmittedError) for _, _, answer in answers)
    what = "lets nobody in" if not_admitted else "has an address but nothing answers there"
    wrong_mode = any(isinstance(answer, WrongModeError) for _, _, answer in answers)
    return SeedAnswer(name, False, f"{name} {what} ({reasons})", not_admitted, wrong_mode)


def _addresses(report: NodeReport, names: HostNames) -> set[Address]:
    """Where the nodes that a node knows are to be found, as far as they are pods: who asks gives away the password."""
    names.look_up(report.entries)
    return {
        address
        for entry in report.entries
        if (address := _entry_address(entry)) and ("myself" in entry.flags or names.is_pod(entry))
    }


def _entry_address(entry: NodeEntry) -> Address | None:
    return (entry.ip, entry.port) if entry.ip and not entry.address_lost else None


def _follow_tables(
    connections: Connections, desired: Topology, found: _Found, more: set[Address], names: HostNames
) -> None:
    """Asks nodes at the addresses in the tables of those found (and at `more`), until no new one turns up."""
    for _ in range(MAX_ROUNDS):
        known = {address for report in found.reports.values() for address in _addresses(report, names)}
        new = (known | more) - found.asked
        if not new:
            break
        found.asked |= new
        for _, _, answer in _ask_many(connections, [(address, None) for address in sorted(new)], desired.tls):
            if isinstance(answer, NodeReport):
                found.reports.setdefault(answer.node_id, answer)


def _other_hosts(connections: Connections, reports: list[NodeReport], desired: Topology) -> frozenset[str]:
    """Host names of nodes that do not answer and are not of this topology, but that DNS still has (or cannot tell)."""
    answering = {report.node_id for report in reports}
    entries = (entry for report in reports for entry in report.entries)
    hosts = {entry.hostname for entry in entries if entry.node_id not in answering and entry.hostname}

    def exists(host: str) -> bool:
        try:
            return bool(connections.network.resolve(host))
        except NoSuchNameError:
            return False
        except NameNotResolvedError:
            return True

    others = sorted(hosts - {node.host for node in desired.nodes})
    answers = connections.map(exists, others)
    return frozenset(host for host, there in zip(others, answers, strict=True) if there)


def _with_half_moved_keys(connections: Connections, reports: list[NodeReport], look_for_runs: bool) -> list[NodeReport]:
    """Adds to each master's report how many keys of the half-moved slots it has, and which runs are connected to it."""
    half_moved = sorted(
        {slot for report in reports for slot, _ in (*report.myself.migrating, *report.myself.importing)}
    )
    if not half_moved and not look_for_runs:
        return reports
    result = []
    for report in reports:
        if not report.is_master:
            result.append(report)
            continue
        counting: list[tuple[str | int, ...]] = [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in half_moved]
        try:
            connection = connections.to((report.ip, report.port))
            *counts, clients = connection.pipeline([*counting, ("CLIENT", "LIST")])
            result.append(
                replace(
                    report,
                    half_moved_keys=tuple(zip(half_moved, map(integer, counts), strict=True)),
                    run_names=run_names(text(clients)),
                )
            )
        except (UnreachableError, ReplyError):
            # The node went away since it was asked first. Without its counts the rules would take its slots for empty,
            # so it is left out, as a node that does not answer.
            continue
    return result


def _with_native_jobs(connections: Connections, reports: list[NodeReport]) -> list[NodeReport]:
    """Adds to each master's report the jobs by which servers move slots themselves, if it has any."""

    def asked(report: NodeReport) -> NodeReport | None:
        if not report.is_master or report.native_way is None:
            return report
        try:
            connection = connections.to((report.ip, report.port))
            answer, time = connection.pipeline([report.native_way.value, ("TIME",)])
            jobs = read_jobs(report.native_way, answer, milliseconds(time) / 1000)
            return replace(report, native_jobs=tuple(job for job in jobs if not job.is_over))
        except (UnreachableError, ReplyError):
            # As above: without them the rules would take its slots for at rest.
            return None

    return [report for report in connections.map(asked, reports) if report is not None]


def _with_libraries(connections: Connections, reports: list[NodeReport]) -> list[NodeReport]:
    """Adds to each master's report the functions it has. Clusters without functions are not asked for any."""

    def asked(report: NodeReport) -> NodeReport | None:
        if not (report.is_master and report.library_count):
            return report
        try:
            answer = connections.to((report.ip, report.port)).call("FUNCTION", "LIST", "WITHCODE")
            return replace(report, libraries=libraries(answer))
        except (UnreachableError, ReplyError):
            # As above: without its libraries the rules would take the node for one that has none.
            return None

    return [report for report in connections.map(asked, reports) if report is not None]
