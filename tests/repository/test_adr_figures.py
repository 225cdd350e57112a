"""Figures of stack prod that decisions and the comparison with the sizing document rest on are those of the plan."""

import re
from pathlib import Path

import pytest

from components.advice.advice import Advice
from components.advice.figures import derive_figures
from components.plan.plan import POD_START_SECONDS
from tests.plan.stacks import option_1, option_2

NODE_GROUPS = Path("docs/adr/0006-node-groups-only-grow.md").read_text()
DRAIN = Path("docs/adr/0017-a-drain-borrows-a-node.md").read_text()
IN_TRANSIT = Path("docs/adr/0029-tls-is-what-encrypts-in-transit.md").read_text()
SIZING_DOCUMENT = Path("docs/reference/sizing-document.md").read_text()
VOLUMES = Path("docs/adr/0018-pods-keep-their-volumes.md").read_text()
EKS_GIVES_UP_MINUTES = 15


def minutes(figures: Advice, pods: int, start_seconds: int = POD_START_SECONDS) -> tuple[int, int]:
    """For so many pods in turn, at the workload's hit rate and with full masters."""
    found = figures.resilience
    resyncs = (found.reprotection_seconds, found.reprotection_full_seconds)
    least, most = (round(pods * (resync + start_seconds + figures.tuning.min_ready_seconds) / 60) for resync in resyncs)
    return least, most


@pytest.mark.parametrize(
    ("name", "figures"), [("64GB", derive_figures(option_1())), ("128GB", derive_figures(option_2()))]
)
def test_how_long_the_pods_of_a_node_take_turns(name: str, figures: Advice) -> None:
    (row,) = re.findall(rf"^\| {name} \| .*$", NODE_GROUPS, re.MULTILINE)
    assert figures.nodes is not None
    found, per_node = figures.resilience, figures.nodes.pods_per_node
    one, three = minutes(figures, per_node), minutes(figures, 3 * per_node)
    assert row == (
        f"| {name} | {per_node} | {found.reprotection_seconds} s | {found.reprotection_full_seconds} s | "
        f"{one[0]} to {one[1]} min | {three[0]} to {three[1]} min |"
    )


def test_with_a_minute_for_its_volume_and_image_no_pod_of_64_gb_is_given_up() -> None:
    least, most = minutes(derive_figures(option_1()), 4, start_seconds=60)
    assert f"four pods of 64 GB take {least} to {most} minutes" in NODE_GROUPS
    assert most < EKS_GIVES_UP_MINUTES < minutes(derive_figures(option_1()), 4)[1]


def test_a_node_by_itself_is_drained_before_eks_gives_it_up_and_three_at_once_are_not() -> None:
    for figures in (derive_figures(option_1()), derive_figures(option_2())):
        assert figures.nodes is not None
        per_node = figures.nodes.pods_per_node
        assert minutes(figures, per_node)[0] < EKS_GIVES_UP_MINUTES < minutes(figures, 3 * per_node)[0]


def test_what_a_spare_node_and_a_borrowed_one_cost() -> None:
    nodes = derive_figures(option_1(nodes={"instanceType": "r6g.12xlarge", "sparePerZone": 1})).nodes
    assert nodes is not None
    assert f"{nodes.spare_usd_per_month:,.0f} USD a month" in DRAIN
    assert f"costs {nodes.usd_per_hour:.2f} USD" in DRAIN


def test_what_nodes_that_encrypt_cost_more() -> None:
    plain, encrypting = derive_figures(option_1()), derive_figures(option_1(nodes={"transitEncryption": True}))
    assert plain.nodes is not None
    assert encrypting.nodes is not None
    assert plain.cost is not None
    assert encrypting.cost is not None
    more = encrypting.cost.infrastructure_usd - plain.cost.infrastructure_usd
    assert f"runs on {plain.nodes.instance_type}. " in IN_TRANSIT
    assert f"make that {encrypting.nodes.instance_type} and cost {more:,.0f} USD a month more" in IN_TRANSIT


def test_how_long_a_lost_node_leaves_shards_without_a_second_copy() -> None:
    found = derive_figures(option_1()).resilience
    assert found.node_unprotected_seconds is not None
    assert found.node_replaced_seconds is not None
    assert f"| the shards serve again | {found.promotion_seconds:g} s |" in VOLUMES
    assert f"| full resync | {found.node_reprotection_seconds} s |" in VOLUMES
    assert f"**{round(found.node_unprotected_seconds / 60)} min at most**" in VOLUMES


def test_what_stands_beside_the_figures_of_the_sizing_document() -> None:
    figures = derive_figures(option_1())
    assert figures.nodes is not None
    assert f"capacity of Option 1 is {figures.capacity.ops_total:,.0f} requests/s" in SIZING_DOCUMENT
    assert f"on its {figures.nodes.nodes_total} nodes" in SIZING_DOCUMENT
    assert f"the cheapest nodes that pass cost {figures.nodes.usd_per_month:,.0f} USD" in SIZING_DOCUMENT
    assert f"| p95 of 5 to 15 ms | {figures.latency.p95_ms:.0f} ms by the model" in SIZING_DOCUMENT
