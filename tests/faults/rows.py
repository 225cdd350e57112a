"""The rows of the fault table: which fault, which goal, and whether what was measured meets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.faults import planned, resync, scenarios
from tests.faults.deployment import Deployment
from tests.faults.scenarios import PATIENT, Limits, Outcome

CRASH_S = 2.0
PROMOTION_S = 9.0
RESTART_ALL_S = 30.0
HANDOVER_S = 0.5
RESYNC_RATIO = 3.0
NODE_TIMEOUT_S = 5.0
BYSTANDERS_S = 2.0
"""The longest gap between writes that still counts as serving throughout, on cores that everything here shares."""
GENEROUS = 3
"""How many times as long as its goal a fault may take in a test, on cores that other tests share."""
_REPAIR_S = 100.0
"""The CronJob runs every minute, and its work takes seconds."""


class Stack(StrEnum):
    """Which rendering a row runs on. `zones` pins pods to zones by their volumes, as on EKS; `local` cannot."""

    LOCAL = "local"
    ZONES = "zones"


@dataclass(frozen=True)
class Result:
    """One cell of the table."""

    text: str
    is_met: bool
    outcome: Outcome | None = None


Measure = Callable[[Deployment], Result]


@dataclass(frozen=True)
class Row:
    """`plain` is None where the plain deployment has nothing that could be tried."""

    key: str
    fault: str
    goal: str
    ours: Measure
    plain: Measure | None
    stack: Stack = Stack.LOCAL


_BRIEF = Limits(service_s=25.0, whole_s=10.0)
"""For a deployment that is not expected to come back: past its node timeout of 15 s and an election."""
_A_MINUTE = Limits(service_s=60.0, whole_s=10.0)

Scenario = Callable[[Deployment, Limits], Outcome]


def _row(
    key: str,
    fault: str,
    goal: str,
    scenario: Scenario,
    describe: Callable[[Outcome], str],
    is_met: Callable[[Outcome], bool],
    *,
    stack: Stack = Stack.LOCAL,
    limits: Limits = PATIENT,
    plain_limits: Limits = _BRIEF,
    plain: Scenario | None = None,
) -> Row:
    def measure(scenario: Scenario, limits: Limits) -> Measure:
        def measured(deployment: Deployment) -> Result:
            outcome = scenario(deployment, limits)
            return Result(describe(outcome), is_met(outcome), outcome)

        return measured

    return Row(key, fault, goal, measure(scenario, limits), measure(plain or scenario, plain_limits), stack)


def _lost(outcome: Outcome) -> str:
    load = outcome.load
    if load.unreadable:
        return f"{load.unreadable} of {load.keys} keys unreadable"
    if load.lost_keys:
        return f"{load.lost_keys} of {load.keys} keys lost"
    return "no key lost"


def _gap(outcome: Outcome) -> str:
    gap = outcome.load.write_gap
    return f"{gap.seconds:.1f} s" if gap.ended else f"no write in {gap.seconds:.0f} s"


def _lost_and_gap(outcome: Outcome) -> str:
    return f"{_lost(outcome)}, {_gap(outcome)}"


def _keeps(outcome: Outcome) -> bool:
    return not (outcome.load.lost_keys or outcome.load.unreadable)


def _within(outcome: Outcome, seconds: float) -> bool:
    gap = outcome.load.write_gap
    return gap.ended and gap.seconds <= seconds


def _shard_and_others(outcome: Outcome) -> str:
    others = f"others ≤ {outcome.bystanders_gap_s:.1f} s" if outcome.bystanders_serve else "others too"
    return f"shard {_gap(outcome)}; {others}"


def _others_serve(outcome: Outcome) -> bool:
    back = outcome.load.write_gap.ended and outcome.whole_after_s is not None
    return back and outcome.bystanders_serve and outcome.bystanders_gap_s <= BYSTANDERS_S


def _planned(outcome: Outcome) -> str:
    again = f", {outcome.load.sent_again} sent again" if outcome.load.sent_again else ""
    return f"{outcome.load.failed} of {outcome.load.requests} failed{again}, {_lost(outcome)}, {_gap(outcome)}"


def _unnoticed(outcome: Outcome) -> bool:
    return outcome.load.failed == 0 and _keeps(outcome) and outcome.load.lost_updates_before == 0


def _handed_over(outcome: Outcome) -> bool:
    return _unnoticed(outcome) and _within(outcome, HANDOVER_S)


def last_lost_ack_s(outcome: Outcome) -> float | None:
    """When the last write was acknowledged that is gone, in seconds since the fault."""
    return max((s.last_lost_ack_s for s in outcome.load.shards if s.last_lost_ack_s is not None), default=None)


def _split(outcome: Outcome) -> str:
    last = last_lost_ack_s(outcome)
    lost = outcome.load.lost_updates_before + outcome.load.lost_updates_after
    return _lost(outcome) if last is None else f"{lost} writes lost, the last at {last:.1f} s"


def _split_is_bounded(outcome: Outcome) -> bool:
    return _keeps(outcome) and (last_lost_ack_s(outcome) or 0.0) <= NODE_TIMEOUT_S


def _resynced(found: resync.Resync) -> Result:
    if found.ratio is None or found.loaded_s is None:
        return Result(f"never: {found.full_syncs} begun, none ended", False)
    memory = f"peak {found.peak_bytes / found.limit_bytes:.0%} of limit"
    text = f"{found.loaded_s:.1f} s, {found.ratio:.1f}x, {found.full_syncs} begun, {memory}"
    return Result(text, found.ratio <= RESYNC_RATIO and found.peak_bytes <= found.limit_bytes)


def _resync(deployment: Deployment) -> Result:
    return _resynced(resync.full_resync(deployment))


def _plain_resync(deployment: Deployment) -> Result:
    return _resynced(resync.full_resync(deployment, scaled_default_limit=True))


def _killed_repair(deployment: Deployment) -> Result:
    killed = planned.repair_killed(deployment, planned.REPAIR_KILLED_S)
    same = planned.bring_home(deployment)
    return Result(f"killed {killed} times: {'same' if same else 'another'} end state", same and killed > 0)


ROWS: tuple[Row, ...] = (
    _row(
        "crash",
        "master's process killed, container restarted",
        f"no key lost, ≤ {CRASH_S:g} s",
        scenarios.crash,
        _lost_and_gap,
        lambda outcome: _keeps(outcome) and _within(outcome, CRASH_S),
    ),
    _row(
        "memory",
        "master over its memory limit, killed",
        f"no key lost, ≤ {CRASH_S:g} s",
        scenarios.memory_limit,
        _lost_and_gap,
        lambda outcome: _keeps(outcome) and _within(outcome, CRASH_S),
    ),
    _row(
        "lost",
        "master's machine lost for good",
        f"no key lost, ≤ {PROMOTION_S:g} s",
        scenarios.master_lost,
        _lost_and_gap,
        lambda outcome: _keeps(outcome) and _within(outcome, PROMOTION_S),
    ),
    _row(
        "both",
        "both copies of a shard lost with their volumes",
        "others serve; back by itself",
        scenarios.both_copies_lost,
        _shard_and_others,
        _others_serve,
        limits=Limits(service_s=_REPAIR_S),
        plain_limits=_A_MINUTE,
    ),
    _row(
        "zone",
        "zone with the most masters lost",
        "every slot served",
        scenarios.zone_lost,
        _lost_and_gap,
        lambda outcome: _keeps(outcome) and outcome.load.write_gap.ended,
        stack=Stack.ZONES,
    ),
    _row(
        "restart-new",
        "all pods restart at once with new IPs",
        f"≤ {RESTART_ALL_S:g} s, untouched",
        scenarios.restart_all,
        _gap,
        lambda outcome: _within(outcome, RESTART_ALL_S),
        plain_limits=_A_MINUTE,
    ),
    _row(
        "restart-rotated",
        "all pods restart with each other's IPs",
        f"≤ {RESTART_ALL_S:g} s, untouched",
        lambda deployment, limits: scenarios.restart_all(deployment, limits, ips="rotated"),
        _gap,
        lambda outcome: _within(outcome, RESTART_ALL_S),
        plain_limits=_A_MINUTE,
    ),
    _row(
        "split",
        "master cut off from all pods, not from clients",
        f"no write lost after {NODE_TIMEOUT_S:g} s",
        scenarios.partition,
        _split,
        _split_is_bounded,
    ),
    _row(
        "slow",
        "master's link at half of its load for 10 s",
        "no key lost",
        scenarios.slow_link,
        _lost_and_gap,
        lambda outcome: _keeps(outcome) and outcome.whole_after_s is not None,
    ),
    Row(
        "resync",
        "full resync under the full write load",
        f"ends, ≤ {RESYNC_RATIO:g}x of it without load",
        _resync,
        _plain_resync,
    ),
    _row(
        "resync-memory",
        "master's memory runs out while it sends a full resync",
        "no key lost",
        resync.out_of_memory,
        _lost_and_gap,
        lambda outcome: _keeps(outcome) and outcome.whole_after_s is not None,
        # On nodes that nobody has set up, the kubelet has all processes of a container killed.
        plain=lambda deployment, limits: resync.out_of_memory(deployment, limits, together=True),
    ),
    Row("job", "repair Job killed, and run again", "same end state", _killed_repair, None),
    _row(
        "kill-pod",
        "planned: master's pod deleted",
        f"no failed request, ≤ {HANDOVER_S:g} s",
        scenarios.kill_pod,
        _planned,
        _handed_over,
    ),
    _row(
        "drain",
        "planned: node drained",
        f"no failed request, ≤ {HANDOVER_S:g} s",
        scenarios.drain,
        _planned,
        _handed_over,
    ),
    _row(
        "rolling",
        "planned: rolling update of all pods",
        f"no failed request, ≤ {HANDOVER_S:g} s",
        planned.new_template,
        _planned,
        _handed_over,
        plain=planned.plain_new_template,
    ),
    Row(
        "resize",
        "planned: podMemory changed under load",
        "no failed request, no key lost",
        lambda deployment: _resized(planned.other_pod_size(deployment)),
        None,
    ),
)


def _resized(outcome: Outcome) -> Result:
    return Result(_planned(outcome), _unnoticed(outcome), outcome)
