"""What speaks against an edit: said where it is true, with what happens in place of the update, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from preview.diff.dangers import dangers
from preview.diff.edit import Edit
from tests.preview.updates import PLAIN, between, place, told, update, warned, with_an_older_provider, with_spec
from tests.resize.edits import evaluated, frozen

OTHER_POOL = {"podMemory": "128GB"}
IN_ANOTHER_REGION = {
    "aws:region": "us-west-2",
    "eks.subnets": json.dumps({f"us-west-2{zone}": f"subnet-0a1b2c3d4e5f6000{zone}" for zone in "abc"}),
}


@pytest.mark.parametrize("edit", [{"eks.clusterName": "images-two"}, IN_ANOTHER_REGION], ids=["name", "region"])
def test_another_kubernetes_cluster_is_one_danger_and_no_update(edit: Mapping[str, str]) -> None:
    found = update(edit)
    (danger,) = warned(found)
    assert "that is a second cache, and this one would be deleted. Pulumi refuses that while 4 resources" in danger
    assert found.instead == "makes a second cache in another Kubernetes cluster, and deletes this one"
    assert found.steps() == ()
    # What is not protected, Pulumi does not hold back.
    (danger,) = warned(update(edit, {"protect": "false"}))
    assert "Pulumi refuses" not in danger


@pytest.mark.parametrize(
    ("edit", "first", "instead"),
    [
        (PLAIN, {}, "tls.mode goes from required to plain in one edit"),
        ({"tls.mode": "required"}, PLAIN, "tls.mode goes from plain to required in one edit"),
        ({"images.redis": "valkey/valkey:8.1-alpine"}, {}, "Valkey 8.1 cannot read the data of Redis 7.4"),
        (
            {"tls.issuer": "redis-ca"},
            {},
            "the certificate would be signed by ClusterIssuer redis-ca of cert-manager.io",
        ),
        ({"tls.secret": "kept"}, {}, "the certificate would be signed by whoever made Secret kept"),
        ({"access.password": "correct-horse-battery"}, {}, "access.password changes in one edit"),
    ],
)
def test_what_the_job_release_refuses_has_no_steps_and_says_so(
    edit: Mapping[str, str], first: Mapping[str, str], instead: str
) -> None:
    found = update(edit, first)
    assert found.instead == f"refused by the Job release: {instead}"
    assert found.steps() == ()
    (danger,) = warned(found)
    assert "The Job release" in danger
    assert "refuses this before a pod is replaced" in danger


def test_a_change_of_authority_that_the_runbook_leads_through_has_its_steps() -> None:
    """From an issuer to a Secret whose ca.crt may have both authorities, and on to another issuer."""
    issuer, secret = {"tls.issuer": "redis-ca"}, {"tls.secret": "kept"}
    for found in (
        between(evaluated(frozen(issuer)), evaluated(frozen(secret))),
        between(evaluated(frozen(secret)), evaluated(frozen(issuer))),
    ):
        assert "unless the new ca.crt has both" in warned(found)[0]
        assert place(told(found), "redis-master: 16 pods are replaced") > 0
    assert between(evaluated(frozen(issuer)), evaluated(frozen({"tls.issuer": "other-ca"}))).instead != ""


def test_another_domain_is_refused_by_the_job_check() -> None:
    found = update({"clusterDomain": "corp.example"})
    (danger,) = warned(found)
    assert danger.startswith(
        "clusterDomain goes from cluster.local to corp.example. A Kubernetes cluster does not change its domain. The "
        "Job check refuses this before a pod of Redis is made or replaced, unless corp.example is the domain"
    )
    assert found.instead == "refused by the Job check, unless corp.example is the domain of this cluster"
    assert found.steps() == ()


def test_what_is_no_longer_protected_is_counted_and_so_is_the_reverse() -> None:
    found = update({"protect": "false"})
    assert warned(found) == (
        "`pulumi destroy` may delete what it refused to delete before: 1 Namespace, 2 RandomPasswords, 1 Service.",
    )
    assert told(found) == ["4 resources no longer protected, by marks in Pulumi's state alone."]

    back = update({"protect": "true"}, {"protect": "false"})
    assert warned(back) == ()
    assert told(back) == [
        "4 resources protected, by marks in Pulumi's state alone: 1 Namespace, 2 RandomPasswords, 1 Service."
    ]


def test_dangers_of_one_kind_are_one() -> None:
    before = evaluated(())
    broken = with_spec(before.resources, "PersistentVolumeClaim", volumeName="another")
    (danger,) = dangers(Edit.between(before.resources, broken))
    assert danger.text == (
        "32 PersistentVolumeClaims would be replaced for spec, and what they hold would go with them."
    )


def test_a_switch_of_engine_in_pods_that_stay_is_a_danger_that_says_what_changes() -> None:
    (danger,) = warned(update({"images.redis": "valkey/valkey:9.1-alpine"}, {"images.redis": "redis:7.2-alpine"}))
    assert danger == (
        "Redis 7.2 becomes Valkey 9.1 in pods that stay: slots move by the servers themselves (CLUSTER MIGRATESLOTS), "
        "and no longer by the Job, each slot in one moment; nodes say their zone (availability-zone) (docs/engines.md)."
    )
    (danger,) = warned(update({"images.redis": "redis:7.4-alpine"}, {"images.redis": "valkey/valkey:8.1-alpine"}))
    assert "the license is RSALv2 or SSPLv1, and was BSD-3-Clause; " in danger
    assert danger.endswith("; nodes no longer say their zone (availability-zone) (docs/engines.md).")


def test_another_version_of_the_same_engine_is_no_danger_and_what_it_changes_is_told() -> None:
    found = update({"images.redis": "redis:8.4-alpine"}, {"images.redis": "redis:7.4-alpine"})
    assert warned(found) == ()
    assert found.edit.told_servers() == (
        "Redis 7.4 becomes Redis 8.4: the license is RSALv2, SSPLv1 or AGPLv3, and was RSALv2 or SSPLv1; slots move by "
        "the servers themselves (CLUSTER MIGRATION IMPORT), and no longer by the Job, each slot in one moment "
        "(docs/engines.md).",
    )
    assert update({"images.redis": "redis:7.4.12-alpine"}).edit.told_servers() == ()


def test_a_server_that_cannot_read_what_runs_is_a_danger() -> None:
    (danger,) = warned(update({"images.redis": "valkey/valkey:9.1-alpine"}))
    assert danger.startswith("Valkey 9.1 cannot read the data of Redis 7.4, which runs now. The Job release refuses")
    (danger,) = warned(update({"images.redis": "redis:7.4-alpine"}, {"images.redis": "redis:8.6-alpine"}))
    assert danger.startswith("Redis 7.4 cannot read the data of Redis 8.6")


@pytest.mark.parametrize(
    ("server", "former", "fault"),
    [
        ("redis:7.4-alpine", "redis:8.6-alpine", "Redis 7.4 cannot read the keys of Redis 8.6"),
        ("valkey/valkey:9.1-alpine", "redis:7.4-alpine", "Valkey 9.1 cannot read the keys of Redis 7.4"),
        ("redis:7.4-alpine", "valkey/valkey:9.1-alpine", "Redis 7.4 cannot read the keys of Valkey 9.1"),
    ],
)
def test_a_pool_that_cannot_read_the_keys_of_the_living_one_is_refused_unless_it_fills_itself(
    server: str, former: str, fault: str
) -> None:
    edit, first = {"images.redis": server, **OTHER_POOL}, {"images.redis": former}
    found = update(edit, first)
    (danger,) = warned(found)
    assert danger == (
        f"{fault}, which runs now. The Job release refuses this before a pod is made (docs/engines.md, "
        '"From one version to another"). With resize.mode: expire the new pool fills itself.'
    )
    assert found.instead == f"refused by the Job release: {fault}"
    assert found.steps() == ()

    filled = update({**edit, "resize.mode": "expire"}, first)
    assert warned(filled) == ()
    assert place(told(filled), "moves all slots without their keys") > 0


@pytest.mark.parametrize("mode", ["copy", "expire"])
@pytest.mark.parametrize("pool", [{}, OTHER_POOL], ids=["same pods", "other pool"])
def test_servers_that_cannot_be_in_one_cluster_are_refused_in_every_way(mode: str, pool: Mapping[str, str]) -> None:
    found = update(
        {"images.redis": "redis:8.2-alpine", "resize.mode": mode, **pool}, {"images.redis": "valkey/valkey:8.1-alpine"}
    )
    (danger,) = warned(found)
    assert danger.startswith("Redis 8.2 cannot be in one cluster with Valkey 8.1, which runs now. The Job release")
    assert "expire" not in danger
    assert found.instead == "refused by the Job release: Redis 8.2 cannot be in one cluster with Valkey 8.1"


@pytest.mark.parametrize("pool", [{}, OTHER_POOL], ids=["same pods", "other pool"])
def test_a_newer_server_whose_data_the_former_cannot_read_has_another_way_back(pool: Mapping[str, str]) -> None:
    newer = update({"images.redis": "redis:8.6-alpine", **pool}, {"images.redis": "redis:7.4-alpine"})
    assert "Redis 7.4 cannot read what Redis 8.6 has written" in newer.edit.way_back
    assert "resize.mode: expire" in newer.edit.way_back
    for same in ({}, {"images.redis": "redis:8.2-alpine"}):
        found = update({**same, **pool, "workload.ttlSeconds": "200"}, {"images.redis": "redis:7.4-alpine"})
        assert found.edit.way_back == "Taking it back is the same edit the other way round, from wherever it stopped."


def test_what_a_pool_of_another_engine_changes_is_told() -> None:
    found = update({"images.redis": "redis:7.4-alpine", **OTHER_POOL}, {"images.redis": "valkey/valkey:8.1-alpine"})
    assert warned(found) == ()
    (change,) = found.edit.told_servers()
    assert change.startswith("Valkey 8.1 becomes Redis 7.4: the license is RSALv2 or SSPLv1, and was BSD-3-Clause; ")
    assert change.endswith("nodes no longer say their zone (availability-zone) (docs/engines.md).")


def test_a_replaced_statefulset_and_a_protected_object_that_goes_are_dangers() -> None:
    before = evaluated(())
    kept = [item for item in before.resources if not item.name.endswith("-client")]
    broken = with_spec(kept, "StatefulSet", podManagementPolicy="OrderedReady")
    found = [danger.text for danger in dangers(Edit.between(before.resources, broken))]
    assert found[0] == (
        "2 StatefulSets would be replaced for spec.podManagementPolicy, and what they hold would go with them."
    )
    assert found[1:] == ["Service images-client is protected: Pulumi refuses to delete it."]


def test_another_authority_is_a_danger_that_names_both_and_a_renewal_is_none() -> None:
    (danger,) = warned(update({"tls.issuer": "redis-ca"}))
    assert danger.startswith(
        "The certificate is signed by ClusterIssuer redis-ca of cert-manager.io and no longer by the"
    )
    (danger,) = warned(update({"tls.secret": "kept"}))
    assert "by whoever made Secret kept and no longer by the stack" in danger
    assert warned(update({"tls.mode": "both"}, PLAIN)) == ()


def test_a_step_of_the_change_to_tls_that_is_left_out_is_a_danger() -> None:
    for edit, first in (({"tls.mode": "required"}, PLAIN), (PLAIN, {})):
        (danger,) = warned(update(edit, first))
        assert "Set tls.mode: both first" in danger
    assert warned(update({"tls.mode": "both"}, PLAIN)) == ()
    assert warned(update({"tls.mode": "both"})) == ()


def test_a_provider_with_another_option_names_no_other_cluster() -> None:
    before = evaluated(())
    older = with_an_older_provider(before.resources)
    edit = Edit.between(older, before.resources)
    assert [item.type for item in edit.changed] == ["pulumi:providers:kubernetes"]
    assert dangers(edit) == ()
