"""From what is observed and what is wanted to what is to be done. Pure: no clock, no network, no memory.

Each phase is a list of rules in order of urgency. A rule gives a `Decision`; the first that has actions, or that must
be waited for, is the answer, so that everything later starts from a cluster that agrees with itself.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler import balance, join, mend
from reconciler.actions import Decision
from reconciler.picture import Picture
from reconciler.topology import Desired
from reconciler.views import Observed

Rule = Callable[[Picture], Decision]

FORM: tuple[Rule, ...] = (
    join.one_cluster_at_most,
    join.every_pod_answers,
    join.no_second_cluster,
    join.no_strange_keys,
    join.forget_the_gone,
    join.distinct_epochs,
    join.meet,
    mend.dead_owners,
    mend.open_slots,
    mend.denied_slots,
    join.agreement,
    mend.holes,
    balance.hand_to_heirs,
    mend.shards_without_master,
    mend.pairing,
    join.replicas_in_sync,
    balance.even_out,
    join.all_good,
)

REPAIR: tuple[Rule, ...] = (
    join.one_cluster_at_most,
    mend.missing_pods,
    mend.nothing_formed,
    join.meet,
    mend.dead_owners,
    join.forget_the_gone,
    mend.denied_slots,
    join.agreement,
    mend.open_slots,
    mend.holes,
    mend.pairing,
    mend.bring_home,
)

RELEASE: tuple[Rule, ...] = (
    join.one_cluster_at_most,
    balance.nothing_to_release,
    join.every_member_answers,
    mend.dead_owners,
    mend.open_slots,
    mend.denied_slots,
    balance.hand_to_heirs,
    balance.drain_leaving,
    mend.pairing,
    balance.forget_leaving,
)

PHASES = {"form": FORM, "repair": REPAIR, "release": RELEASE}


def decide(phase: str, observed: Observed, desired: Desired) -> Decision:
    """The next step of a phase: actions, or what is waited for, or a refusal; none of them when all is done.

    *form* and *release* stop at the first rule that must wait: what follows builds on it. *repair* goes on, because
    one shard's trouble must not keep another from being repaired.
    """
    picture = Picture(observed, desired)
    waiting: list[str] = []
    notes: list[str] = []
    for rule in PHASES[phase]:
        found = rule(picture)
        notes += found.notes
        waiting += found.waiting
        if found.actions or found.refused is not None or (found.waiting and phase != "repair"):
            return Decision(found.actions, tuple(waiting), tuple(notes), found.refused)
        if found.finished:
            break
    return Decision(waiting=tuple(waiting), notes=tuple(notes))
