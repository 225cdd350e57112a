"""Rules about functions (FUNCTION LOAD). They belong to a node and not to a slot, so they do not move with keys.

A replica gets its master's functions with its data. A master that joins has none, and every FCALL about a slot that
went to it would fail. So the libraries of the masters that serve are loaded there first
(docs/adr/0013-functions-follow-the-slots.md).
"""

from __future__ import annotations

from reconciler.decide.actions import Action, LoadLibrary, RuleResult
from reconciler.decide.state import ClusterState
from reconciler.observe.observation import Library, NodeReport
from reconciler.slots import count


def copy_libraries(state: ClusterState) -> RuleResult:
    """Every master of a shard gets the libraries it lacks, before its first slot.

    Nothing is ever deleted. A master that owns slots keeps its own version of a library, because somebody may be
    loading a new version on one master after the other at this moment. A master without slots serves nobody yet, and
    gets the version of those that do.
    """
    wanted, notes = _wanted_libraries(state)
    actions: list[Action] = []
    for _, target in sorted(state.shard_masters.items()):
        present = {library.name: library for library in target.libraries}
        for library in wanted:
            own = present.get(library.name)
            if own == library:
                continue
            if own is not None and target.myself.slots:
                notes.append(
                    f"{target.name} has another version of the library {library.name} than most masters, and keeps it; "
                    "FUNCTION LOAD REPLACE on every master makes them one"
                )
                continue
            clash = _clash(library, [other for other in target.libraries if other.name != library.name])
            if clash:
                notes.append(f"{target.name} does not get the library {library.name}: {clash}")
                continue
            why = f"{target.name} gets the library {library.name}, which other masters have"
            actions.append(LoadLibrary(target.node_id, library.name, library.code, own is not None, why))
    return RuleResult(tuple(actions), notes=tuple(notes))


def _wanted_libraries(state: ClusterState) -> tuple[list[Library], list[str]]:
    """All libraries by any master of the cluster, of each name one version; and what was left out, for the log.

    Of versions, and of libraries that both have a function of one name, which Redis does not allow, the one counts that
    most owners of slots have; of equals the one that serves more slots. The rest of the order only makes every run
    choose the same.
    """
    masters = [report for report in state.masters if report.node_id in state.main_cluster]
    found = {library for report in masters for library in report.libraries}

    def rank(library: Library) -> tuple[int, int, int, str, bytes]:
        having = [report for report in masters if library in report.libraries]
        owners = [report for report in having if report.myself.slots]
        return len(owners), _slots(owners), len(having), library.name, library.code

    wanted: list[Library] = []
    notes: list[str] = []
    for library in sorted(found, key=rank, reverse=True):
        if any(library.name == other.name for other in wanted):
            continue
        clash = _clash(library, wanted)
        if clash:
            notes.append(f"the library {library.name} is not copied to other masters: {clash}")
        else:
            wanted.append(library)
    return sorted(wanted, key=lambda library: library.name), notes


def _slots(owners: list[NodeReport]) -> int:
    return sum(count(report.myself.slots) for report in owners)


def _clash(library: Library, others: list[Library]) -> str | None:
    """Which other library has a function of the same name; None if there is none."""
    for other in others:
        shared = sorted(library.functions & other.functions)
        if shared:
            return f"its function {shared[0]} is in the library {other.name} too"
    return None
