"""Rules about membership: one cluster, every pod in it, nobody in it who is gone."""

from __future__ import annotations

from reconciler.actions import Action, Decision, Forget, Meet, SetEpoch
from reconciler.picture import Picture, some
from reconciler.slots import describe
from reconciler.views import View


def one_cluster_at_most(picture: Picture) -> Decision:
    groups = picture.slot_clusters
    if len(groups) < 2:
        return Decision()
    texts = [
        f"{', '.join(sorted(picture.name(node) for node in group))} with {describe(picture.slots_known_in(group))}"
        for group in groups
    ]
    return Decision(
        refused=f"the nodes belong to {len(groups)} different clusters that both have slots: "
        + " / ".join(texts)
        + ". Joining them would drop the keys of one. Decide which one is to live and empty the other's pods."
    )


def every_pod_answers(picture: Picture) -> Decision:
    return Decision(waiting=tuple(f"{missing.pod}: {missing.reason}" for missing in picture.observed.missing))


def no_second_cluster(picture: Picture) -> Decision:
    """Nothing is created while a seed might lead to a cluster that lives."""
    if picture.formed_before:
        return Decision()
    return Decision(waiting=tuple(f"seed {seed.reason}" for seed in picture.observed.seeds if not seed.proven))


def no_strange_keys(picture: Picture) -> Decision:
    """A node that belongs to no cluster and holds keys is somebody's: it is not taken, and nothing is wiped."""
    strange = [view for view in picture.desired_views if view.keys and not view.me.slots]
    strange = [view for view in strange if view.isolated or not picture.formed_before]
    if not strange:
        return Decision()
    held = some(f"{view.name} holds {view.keys} keys" for view in strange)
    return Decision(
        refused=f"nodes that should be empty hold keys without owning a slot: {held}. "
        "Nothing is wiped; if the keys are not needed, run FLUSHALL there and start this again."
    )


def forget_the_gone(picture: Picture) -> Decision:
    """Dead nodes without slots go from every table, unless they may be a desired pod that is only away for now."""
    actions: list[Action] = []
    for node_id in picture.absent_ids:
        if any(row.slots for row in picture.rows_about(node_id)) or picture.copies_of(node_id):
            continue
        if not picture.down(node_id) or picture.may_be_missing_pod(node_id):
            continue
        knowing = tuple(view.node_id for view in picture.observed.views if node_id in view.table)
        actions.append(Forget(node_id, knowing, f"{picture.name(node_id)} is down and no pod has this id any more"))
    return Decision(tuple(actions))


def distinct_epochs(picture: Picture) -> Decision:
    if picture.formed_before:
        return Decision()
    return Decision(
        tuple(
            SetEpoch(view.node_id, 1 + index, f"{view.name} gets config epoch {1 + index}, so that no two collide")
            for index, node in enumerate(picture.desired.nodes)
            if (view := picture.by_pod.get(node.pod)) is not None and view.isolated and view.me.epoch == 0
        )
    )


def _address(view: View) -> tuple[str, int]:
    return view.me.ip or view.ip, view.me.port or view.port


def _meet(from_: View, to: View, why: str) -> Meet:
    ip, port = _address(to)
    return Meet(from_.node_id, to.node_id, ip, port, why)


def _shaking_hands(from_: View, to: View) -> bool:
    address = _address(to)
    return any(row.in_handshake and (row.ip, row.port) == address for row in from_.rows)


def _reaches(view: View, other: View) -> bool:
    row = view.table.get(other.node_id)
    return row is not None and (row.ip, row.port) == _address(other) and "noaddr" not in row.flags


def _gossip_will_tell(view: View, other: View, anchor: View) -> bool:
    """Nodes that never heard of each other hear it from a member both are connected to."""
    if other.node_id in view.table:
        return False
    return all(_reaches(one, anchor) and _reaches(anchor, one) for one in (view, other))


def meet(picture: Picture) -> Decision:
    """Newcomers are met by one member, gossip spreads the rest. Members that lost each other's address meet directly,
    each with each: after a restart with new addresses one meeting is not enough (nobody knows whom to tell)."""
    main = picture.main_cluster
    members = [view for view in picture.desired_views if view.node_id in main]
    anchors = [view for view in picture.observed.views if view.node_id in main and view.me.slots] or members
    actions: list[Action] = []
    notes: list[str] = []
    for view in picture.desired_views:
        if view.node_id in main or not anchors:
            continue
        if view.keys:
            notes.append(f"{view.name} is in no cluster but holds {view.keys} keys: it is left alone")
        elif not _shaking_hands(anchors[0], view):
            actions.append(_meet(anchors[0], view, f"{view.name} is not in the cluster"))
    for view in members:
        for other in members:
            row = view.table.get(other.node_id)
            known = view is other or _reaches(view, other)
            if not known and not _gossip_will_tell(view, other, anchors[0]) and not _shaking_hands(view, other):
                what = "an old address of" if row else "nothing of"
                actions.append(_meet(view, other, f"{view.name} knows {what} {other.name}"))
    return Decision(tuple(actions), notes=tuple(notes))


def agreement(picture: Picture) -> Decision:
    found = picture.disagreements
    return Decision(waiting=(some(found),) if found else ())


def every_member_answers(picture: Picture) -> Decision:
    """Before anything leaves, everybody must be there to be told, and every leaving node must be known as such."""
    waiting = [
        f"{picture.name(node_id)} is a member of the cluster and does not answer"
        for node_id in picture.absent_ids
        if not picture.down(node_id) or node_id in picture.absent_owned
    ]
    missing_hosts = {picture.desired.node(missing.pod).host for missing in picture.observed.missing}
    waiting += [f"{missing.pod}: {missing.reason}" for missing in picture.observed.missing if not missing.no_such_name]
    waiting += [
        f"{view.name} announces {view.me.hostname}, which DNS does not lead to"
        for view in picture.observed.views
        if view.me.hostname in missing_hosts
    ]
    return Decision(waiting=tuple(waiting))


def replicas_in_sync(picture: Picture) -> Decision:
    return Decision(
        waiting=tuple(
            f"{view.name} is not in sync with its master yet"
            for view in picture.desired_views
            if not view.is_master and not view.link_up
        )
    )


def all_good(picture: Picture) -> Decision:
    waiting = [
        f"{view.name} does not report cluster_state ok yet" for view in picture.desired_views if not view.cluster_ok
    ]
    if picture.holes:
        waiting.append(f"nobody owns {describe(picture.holes)}")
    return Decision(waiting=tuple(waiting))
