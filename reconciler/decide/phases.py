"""The rules of each phase, in order of urgency, and how the next step of a phase comes of them.

A rule gives a `RuleResult`. The first that has actions, or that must wait, is the answer; so every later rule starts
from a cluster in which all earlier ones are satisfied.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.decide import (
    agreement,
    balance,
    bus,
    failed_owners,
    functions,
    half_moved_slots,
    leaving,
    membership,
    native_jobs,
    other_runs,
    replication,
    strangers,
    unowned_slots,
    versions,
)
from reconciler.decide.actions import RuleResult
from reconciler.decide.state import ClusterState
from reconciler.observe.observation import Observation
from reconciler.topology import Topology

Rule = Callable[[ClusterState], RuleResult]

FORM: tuple[Rule, ...] = (
    other_runs.await_other_runs,
    membership.refuse_two_clusters,
    versions.refuse_what_cannot_be_read,
    bus.refuse_a_change_in_one_step,
    membership.refuse_where_not_admitted,
    membership.await_every_pod,
    bus.switch_after_the_roll,
    membership.await_seeds,
    membership.refuse_unexpected_keys,
    membership.forget_failed_nodes,
    membership.set_config_epochs,
    membership.meet,
    failed_owners.replace_failed_owners,
    native_jobs.await_native_jobs,
    half_moved_slots.finish_half_moved_slots,
    unowned_slots.reclaim_disowned_slots,
    agreement.await_agreement,
    unowned_slots.assign_unowned_slots,
    leaving.fail_over_to_staying_replicas,
    replication.give_every_shard_a_master,
    replication.attach_replicas,
    replication.await_replicas_in_sync,
    functions.copy_libraries,
    balance.even_out_slots,
    agreement.await_cluster_ok,
)

REPAIR: tuple[Rule, ...] = (
    other_runs.leave_to_other_runs,
    membership.refuse_two_clusters,
    membership.name_missing_pods,
    membership.finish_unless_formed,
    strangers.turn_strangers_out,
    membership.meet,
    failed_owners.replace_failed_owners,
    membership.forget_failed_nodes,
    unowned_slots.reclaim_disowned_slots,
    agreement.await_agreement,
    native_jobs.await_native_jobs,
    half_moved_slots.finish_half_moved_slots,
    unowned_slots.assign_unowned_slots,
    replication.attach_replicas,
    functions.copy_libraries,
    replication.restore_initial_masters,
)

RELEASE: tuple[Rule, ...] = (
    other_runs.await_other_runs,
    membership.refuse_two_clusters,
    versions.refuse_what_cannot_be_read,
    bus.refuse_a_change_in_one_step,
    bus.refuse_tls_beside_another_change,
    leaving.refuse_unless_admitted,
    bus.switch_before_the_roll,
    leaving.await_second_copies,
    leaving.finish_unless_nodes_leave,
    membership.await_every_member,
    failed_owners.replace_failed_owners,
    native_jobs.await_native_jobs,
    half_moved_slots.finish_half_moved_slots,
    unowned_slots.reclaim_disowned_slots,
    leaving.fail_over_to_staying_replicas,
    functions.copy_libraries,
    leaving.drain_leaving_nodes,
    replication.attach_replicas,
    leaving.forget_leaving_nodes,
)

PHASES = {"form": FORM, "repair": REPAIR, "release": RELEASE}


def rule_name(rule: Rule) -> str:
    """`replication.attach_replicas`: module and function, by which people find it."""
    return f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"


def next_step(phase: str, observation: Observation, desired: Topology) -> RuleResult:
    """What is to be done now in a phase: actions, or what is waited for, or a refusal; none of them when all is done.

    *form* and *release* stop at the first rule that must wait, because what follows builds on it. *repair* goes on,
    because the trouble of one shard must not keep another from being repaired.
    """
    state = ClusterState(observation, desired)
    waiting: list[str] = []
    waiting_rules: list[str] = []
    notes: list[str] = []
    for rule in PHASES[phase]:
        found = rule(state)
        notes += found.notes
        waiting += found.waiting
        waiting_rules += [rule_name(rule)] * len(found.waiting)
        if found.actions or found.refused is not None or (found.waiting and phase != "repair"):
            return RuleResult(
                found.actions, tuple(waiting), tuple(notes), found.refused, waiting_rules=tuple(waiting_rules)
            )
        if found.finished:
            break
    return RuleResult(waiting=tuple(waiting), notes=tuple(notes), waiting_rules=tuple(waiting_rules))
