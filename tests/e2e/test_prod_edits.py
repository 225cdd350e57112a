"""Stack `prod`: every edit of its nodes and of its size ends on a real scheduler, and no node goes under its pods.

Each edit begins where the one before has ended; the last ones go back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.harness import given
from tests.e2e.prod_checks import assert_nothing_was_deleted_under_pods, assert_pairs_are_apart, eventually_placed
from tests.e2e.stand_in.account import OTHER_SUBNETS, SUBNETS
from tests.e2e.stand_in.prod import ProdStack, prod_stack

pytestmark = [
    pytest.mark.e2e_long,
    pytest.mark.skipif(not given.is_own(), reason="stack prod needs nodes without a kubelet; not this KUBECONFIG"),
]
_ROLE = "arn:aws:iam::111122223333:role/redis-nodes"
_SAME_ZONES = {zone: subnet for subnet, zone in OTHER_SUBNETS.items() if zone in SUBNETS.values()}
_ANOTHER_ZONE = dict(sorted(((zone, subnet) for subnet, zone in OTHER_SUBNETS.items()))[1:])
_OWN_CLASS = "encrypted-gp3"
"""A StorageClass that the cluster's owner made."""


@dataclass(frozen=True)
class Edit:
    name: str
    settings: dict[str, Any]
    masters: int = 16
    replicas: int = 1
    exchanges_pool: bool = False
    """A second pool is made; the first one and its groups go."""
    exchanges_groups: bool = False
    """New groups are made for the same pods; the old ones go."""


EDITS = (
    Edit("packing", {"nodes": {"packing": "requests"}}),
    Edit("instance-type", {"nodes": {"instanceType": "r7g.12xlarge"}}),
    Edit(
        "capacity-type",
        {"nodes": {"instanceType": "r7g.12xlarge", "capacityType": "spot", "production": False}},
        exchanges_groups=True,
    ),
    Edit("as-at-first", {"nodes": None}, exchanges_groups=True),
    Edit("node-role", {"eks": {"nodeRoleArn": _ROLE}}, exchanges_groups=True),
    Edit("subnets-of-the-same-zones", {"eks": {"subnets": _SAME_ZONES}}, exchanges_groups=True),
    Edit("more-memory", {"totalMemory": "1280GB"}, masters=20),
    Edit("two-replicas", {"replicasPerMaster": 2}, masters=20, replicas=2),
    Edit("one-replica", {"replicasPerMaster": None}, masters=20),
    Edit("less-memory", {"totalMemory": None}),
    Edit("another-zone", {"eks": {"subnets": _ANOTHER_ZONE}}, exchanges_pool=True),
    Edit("volume-size", {"storage": {"size": "100GB"}}, exchanges_pool=True),
    Edit("storage-class", {"storage": {"className": _OWN_CLASS}}, exchanges_pool=True),
    Edit("128gb", {"podMemory": "128GB"}, masters=8, exchanges_pool=True),
    Edit("64gb", {"podMemory": "64GB"}, exchanges_pool=True),
)


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProdStack]:
    with (
        given.ground(with_node=False) as ground,
        prod_stack(ground, tmp_path_factory.mktemp("prod")) as stack,
    ):
        ground.kube.ensure("/apis/storage.k8s.io/v1/storageclasses", _storage_class())
        stack.engine.up().ok()
        yield stack


def _storage_class() -> dict[str, Any]:
    return {
        "metadata": {"name": _OWN_CLASS},
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "encrypted": "true"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


@pytest.mark.parametrize("edit", EDITS, ids=[edit.name for edit in EDITS])
def test_an_edit_ends_with_every_pod_placed_and_old_groups_go_last(prod: ProdStack, edit: Edit) -> None:
    groups, (pool,) = set(prod.account.all("groups")), prod.pools()
    prod.engine.set(**edit.settings)
    update = prod.engine.start_up()
    try:
        eventually_placed(prod, pool, update)
        update.result().ok()
    finally:
        prod.engine.interrupt(update)
        assert_nothing_was_deleted_under_pods(prod)

    (now,) = prod.pools()
    assert (now != pool) == edit.exchanges_pool
    assert_pairs_are_apart(prod, now, edit.masters, edit.replicas)
    exchanged = edit.exchanges_groups or edit.exchanges_pool
    assert (set(prod.account.all("groups")) & groups == set()) == exchanged
    assert prod.engine.preview().ok().changes == []
