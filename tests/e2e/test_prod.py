"""Stack `prod` as committed, with its edits: real engine and scheduler, stand-in AWS, nodes without a kubelet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.harness import given
from tests.e2e.prod_checks import (
    assert_goes_last,
    assert_nothing_was_deleted_under_pods,
    assert_pairs_are_apart,
    eventually_placed,
    masters_per_zone,
)
from tests.e2e.stand_in.account import SUBNETS
from tests.e2e.stand_in.prod import ProdStack, prod_stack

pytestmark = pytest.mark.skipif(
    not given.is_own(), reason="stack prod needs nodes without a kubelet, so a cluster of its own; not this KUBECONFIG"
)


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProdStack]:
    with (
        given.ground(with_node=False) as ground,
        prod_stack(ground, tmp_path_factory.mktemp("prod")) as stack,
    ):
        yield stack


def test_up_places_pairs_apart_and_masters_six_five_five(prod: ProdStack) -> None:
    run = prod.engine.up().ok()

    assert_pairs_are_apart(prod, "redis-64gb", 16)
    assert masters_per_zone(prod, "redis-64gb") == [6, 5, 5]
    assert {group["subnetIds"][0] for group in prod.account.all("groups").values()} == set(SUBNETS)
    groups = [step for step in run.steps if step.type.endswith("NodeGroup")]
    assert len(groups) == 3
    first_pods = run.of("create", "StatefulSet::images-redis-64gb-redis-replica")
    assert all(group.ended is not None and group.ended < first_pods.began for group in groups)


def test_a_second_preview_and_a_refresh_show_no_change(prod: ProdStack) -> None:
    assert prod.engine.preview().ok().changes == []
    assert prod.engine.refresh().ok().changes == []


def test_another_architecture_moves_the_pods_to_new_groups_before_the_old_ones_go(prod: ProdStack) -> None:
    prod.engine.set(nodes={"architecture": "x86_64"})
    update = prod.engine.start_up()
    try:
        eventually_placed(prod, "redis-64gb", update)
        update.result().ok()
        assert_pairs_are_apart(prod, "redis-64gb", 16)
        assert len(prod.account.all("groups")) == 3
    finally:
        prod.engine.interrupt(update)
        assert_nothing_was_deleted_under_pods(prod)


@pytest.mark.e2e_long
def test_pods_of_128_gb_replace_those_of_64_gb_which_go_last_with_their_nodes(prod: ProdStack) -> None:
    prod.engine.set(nodes=None, podMemory="128GB")
    run = prod.engine.up().ok()

    assert_pairs_are_apart(prod, "redis-128gb", 8)
    assert_goes_last(run, "redis-64gb", "images-redis-128gb-form")
    assert_nothing_was_deleted_under_pods(prod)
    assert all("128gb" in group for group in prod.account.all("groups"))


def test_destroy_deletes_nothing_while_the_stack_is_protected(prod: ProdStack) -> None:
    before = sorted(prod.engine.resources())

    run = prod.engine.destroy()

    assert not run.succeeded
    assert "protect" in run.output
    assert sorted(prod.engine.resources()) == before


@pytest.mark.e2e_long
def test_an_edit_that_names_another_cluster_is_refused_while_the_stack_is_protected(prod: ProdStack) -> None:
    before = sorted(prod.engine.resources())
    prod.engine.set(eks={"clusterName": "another"})
    run = prod.engine.preview()
    prod.engine.set(eks=None)

    assert not run.succeeded
    assert "protect" in run.output
    assert sorted(prod.engine.resources()) == before
    assert prod.engine.preview().ok().changes == []


def test_destroy_takes_pods_before_their_nodes_and_leaves_nothing(prod: ProdStack) -> None:
    prod.engine.set(protect="false")
    assert prod.engine.up().ok().changes == []
    run = prod.engine.destroy().ok()

    groups = [step for step in run.steps if step.operation == "delete" and step.type.endswith("NodeGroup")]
    pods = [step for step in run.steps if step.operation == "delete" and step.type.endswith("StatefulSet")]
    assert len(pods) == 2
    assert all(step.ended is not None for step in pods)
    assert min(group.began for group in groups) > max(step.ended or 0 for step in pods)
    assert prod.account.all("groups") == {}
    assert_nothing_was_deleted_under_pods(prod)
    assert prod.engine.resources() == []
