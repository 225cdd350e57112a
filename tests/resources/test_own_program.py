"""The component used by another program: by import, without this project's Pulumi.yaml, with outputs as arguments."""

from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.config.load import ConfigErrors
from components.manifests.launch_template import NODE_KMS_KEY_ARN
from components.manifests.node_groups import CLUSTER_NAME
from components.plan.refusal import PlanRefused
from components.resources.arguments import RedisImageCacheClusterArgs
from components.resources.cluster import RedisImageCacheCluster
from preview.engine import Recording, record
from tests.plan.stacks import PRODUCTION

EXAMPLE = Path("examples/own_program/__main__.py")
SUBNETS = {f"us-east-1{letter}": f"subnet-{letter}" for letter in "abc"}


@cache
def example() -> Recording:
    return record(EXAMPLE, "shop", "prod", {"aws:region": "eu-west-1"})


def made(recording: Recording, suffix: str) -> list[Any]:
    return [item for item in recording.resources if item.type.endswith(suffix)]


def test_the_example_makes_a_cache_on_the_cluster_of_its_own() -> None:
    recording = example()
    (cluster,) = made(recording, "eks/cluster:Cluster")
    subnets = {item.inputs["availabilityZone"]: item for item in made(recording, "ec2/subnet:Subnet")}
    groups = made(recording, ":NodeGroup")

    assert len(groups) == len(subnets) == 3
    for group in groups:
        # The cluster, the role and the subnet are the ones that the program makes, and are waited for.
        assert cluster.urn in group.needs
        zone = next(zone for zone in subnets if group.name.endswith(zone))
        assert subnets[zone].urn in group.needs
    assert {item.inputs["spec"]["replicas"] for item in made(recording, ":StatefulSet")} == {8}
    # A role that is given is not made again.
    assert not [item for item in made(recording, "iam/role:Role") if item.name.startswith("thumbnails")]


def test_the_example_gets_the_handles_it_needs() -> None:
    outputs = example().outputs
    assert outputs["endpoint"] == "redis.redis-image-cache.svc.cluster.local:6380"
    namespace, _, secret = outputs["passwordSecret"].partition("/")
    (rendered,) = [item for item in made(example(), ":Secret") if item.name.endswith("-auth")]
    assert (namespace, secret) == (rendered.inputs["metadata"]["namespace"], rendered.inputs["metadata"]["name"])
    assert sorted(outputs["nodeGroups"]) == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    assert all(outputs["nodeGroups"].values())


def test_no_output_is_taken_for_its_text() -> None:
    """Where an output stands the settings have a stand-in, which must not reach a provider."""
    for resource in example().resources:
        assert "given-as-an-output" not in str(resource.inputs), resource.name


def of(**config: Any) -> RedisImageCacheClusterArgs:
    eks = {"clusterName": "shop", "subnets": SUBNETS}
    return RedisImageCacheClusterArgs.of({"eks": eks, **PRODUCTION, **config})


def test_plain_values_need_no_outputs_and_every_key_has_its_default() -> None:
    args = of()
    assert args.settings.pod_memory == 64 * 2**30
    assert args.given()[CLUSTER_NAME] == "shop"


@pytest.mark.parametrize("zones", ["eu-west-1", "us-gov-west-1"])
def test_the_key_of_root_volumes_may_be_an_output_in_every_region(zones: str) -> None:
    def program() -> None:
        key = pulumi.Output.from_input("arn:aws:kms:somewhere:111122223333:key/1234")
        subnets = {f"{zones}{letter}": f"subnet-{letter}" for letter in "abc"}
        args = of(eks={"clusterName": "shop", "subnets": subnets, "nodeKmsKeyArn": key})
        assert args.given()[NODE_KMS_KEY_ARN] is key
        assert args.settings.eks is not None
        assert args.settings.eks.node_kms_key_arn == f"arn:aws:kms:{zones}:000000000000:key/given-as-an-output"

    record(program, "shop", "prod")


def test_a_fault_of_the_arguments_is_told_as_a_stack_s_is() -> None:
    with pytest.raises(ConfigErrors) as refused:
        of(podMemory="64", colour="red")
    assert len(refused.value.messages) == 2
    with pytest.raises(PlanRefused, match="m6i"):
        record(lambda: RedisImageCacheCluster("x", of(nodes={"instanceType": "m6i.2xlarge"})), "shop", "prod")


def test_an_output_where_a_value_decides_something_is_refused_with_the_places_where_one_may_stand() -> None:
    def program() -> None:
        of(podMemory=pulumi.Output.from_input("64GB"))

    with pytest.raises(TypeError, match=r"eks\.clusterName, in eks\.subnets, at eks\.nodeRoleArn and at eks\.n"):
        record(program, "shop", "prod")
