"""`--diff` says beforehand what the Jobs refuse: every pair of servers, in pods that stay, in pods of which masters go,
and in a pool that takes over, with keys and without."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import permutations

import pytest

from components.config.engines import LINES, Line
from components.manifests.topology import wanted_server
from preview.diff.dangers import dangers
from preview.diff.edit import Edit
from preview.resources import Resource
from reconciler.decide.versions import refuse_what_cannot_be_read
from tests.preview.updates import update
from tests.reconciler.decide.cases import SLOTS, Node, healthy, state_of, wanted
from tests.resize.edits import evaluated, frozen

EDITS = {"pods stay": {}, "fewer masters": {"totalMemory": "640GB"}, "other pool": {"podMemory": "32GB"}}
MEMBERS = ("m0", "m1", "m2", "r0", "r1", "r2")


@cache
def resources_of(edit: str) -> tuple[Resource, ...]:
    return tuple(evaluated(frozen(EDITS[edit])).resources)


def running(resources: Iterable[Resource], line: Line, mode: str) -> list[Resource]:
    """The same with another server, as the Jobs are told."""
    changed = []
    for item in resources:
        data = item.inputs.get("data") or {}
        if item.kind == "ConfigMap" and "topology.json" in data:
            topology = json.loads(data["topology.json"])
            topology |= {"server": wanted_server(line), "move": {**topology["move"], "mode": mode}}
            data = {**data, "topology.json": json.dumps(topology)}
            item = replace(item, inputs={**item.inputs, "data": data})
        changed.append(item)
    return changed


def refused_by_the_job(before: Line, after: Line, edit: str, mode: str) -> str | None:
    serves = before.engine.value, (before.major, before.minor)
    if edit == "other pool":
        nodes = [Node(f"old{shard}", SLOTS[shard], server=serves) for shard in range(3)]
    else:
        nodes = list(healthy(**{name: {"server": serves} for name in MEMBERS}))
    if edit == "fewer masters":
        nodes.append(Node("m9", SLOTS[0], server=serves))
    return refuse_what_cannot_be_read(state_of(nodes, wanted(server=wanted_server(after), move={"mode": mode}))).refused


@pytest.mark.parametrize("mode", ["copy", "expire"])
@pytest.mark.parametrize("edit", EDITS)
def test_the_preview_names_every_refusal_of_a_server_and_no_other(edit: str, mode: str) -> None:
    differ = []
    for before, after in permutations(LINES, 2):
        resources = running(resources_of("pods stay"), before, "copy"), running(resources_of(edit), after, mode)
        told = [danger.text for danger in dangers(Edit.between(*resources)) if danger.instead]
        refused = refused_by_the_job(before, after, edit, mode)
        if bool(told) != bool(refused) or (refused and ("in one cluster" in refused) != ("in one cluster" in told[0])):
            differ.append(f"{before.title} to {after.title}: {told} | {refused}")
    assert not differ


def test_a_server_that_only_the_setting_names_is_judged_as_well() -> None:
    digest = f"registry.example.com/cache@sha256:{'a' * 64}"
    found = update({"images.redis": digest, "images.redisVersion": "valkey 9.1"})
    assert found.instead == "refused by the Job release: Valkey 9.1 cannot read the data of Redis 7.4"


def test_the_nodes_own_right_to_move_slots_is_no_change_of_users() -> None:
    found = update({"images.redis": "redis:8.6-alpine"})
    assert found.edit.changes_rights_of_nodes_alone
    assert not update({"images.redis": "redis:8.2-alpine"}).edit.changes_rights_of_nodes_alone
    both = update({"images.redis": "redis:8.6-alpine", "access.scripts": "run by the thumbnail service"})
    assert not both.edit.changes_rights_of_nodes_alone


def test_a_pool_takes_the_time_of_the_job_where_not_both_servers_move_slots_themselves() -> None:
    other_pool = {"podMemory": "128GB"}
    times = {}
    for before, after in (("7.4", "7.4"), ("7.4", "8.6"), ("8.6", "8.6")):
        found = update(
            {"images.redis": f"redis:{after}-alpine", **other_pool}, {"images.redis": f"redis:{before}-alpine"}
        )
        (form,) = [step for step in found.steps() if step.what.startswith("form joins")]
        times[before, after] = form.least_seconds or 0, form.most_seconds or 0
    assert times["7.4", "8.6"] == pytest.approx(times["7.4", "7.4"], rel=1e-2)
    assert times["8.6", "8.6"] < times["7.4", "8.6"]
