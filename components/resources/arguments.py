"""Wire: what the component is made from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any

import pulumi

from components.config.load import load_settings
from components.config.settings import Settings
from components.config.value_types import SUBNET_OF_AN_OUTPUT
from components.manifests.launch_template import NODE_KMS_KEY_ARN
from components.manifests.manifest import Ref
from components.manifests.node_groups import CLUSTER_NAME, NODE_ROLE_ARN, subnet_id

_STAND_IN_ROLE = "arn:aws:iam::000000000000:role/given-as-an-output"


@dataclass(frozen=True, slots=True)
class RedisImageCacheClusterArgs:
    """The settings, and nothing that could contradict them: the plan is derived by the component.

    `of` takes the keys of a stack's config as a mapping, in which what another resource makes may be its output.
    """

    settings: Settings
    outputs: Mapping[Ref, pulumi.Input[Any]] = field(default_factory=dict)
    """What stands in the settings only as a stand-in. Made by `of`."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "RedisImageCacheClusterArgs":
        """From the same keys as a stack's config (docs/config.md)::

            RedisImageCacheClusterArgs.of({
                "podMemory": "64GB",
                "totalMemory": "1TB",
                "eks": {
                    "clusterName": cluster.name,
                    "subnets": {"us-east-1a": subnet_a.id, "us-east-1b": subnet_b.id, "us-east-1c": subnet_c.id},
                    "nodeRoleArn": role.arn,
                },
            })

        `eks.clusterName`, the ids in `eks.subnets`, `eks.nodeRoleArn` and `eks.nodeKmsKeyArn` may be outputs; every
        other value decides something before anything is made, and must be known. A subnet or a role that is given as an
        output does not stand in the node groups' names: when it changes, EKS replaces the groups under their pods.
        Passwords may be plain texts that the caller keeps secret. AWS is asked nothing here, so with `eks.cniRole` at
        auto a node role that is made has the rights of the VPC CNI.

        Raises ConfigErrors with every fault at once.
        """
        outputs: dict[Ref, pulumi.Input[Any]] = {}
        eks = config.get("eks")
        if isinstance(eks, Mapping):
            config = {**config, "eks": _without_outputs(eks, outputs)}
        return cls(load_settings({key: _text(value) for key, value in config.items()}), outputs)

    def given(self) -> dict[Ref, pulumi.Input[Any]]:
        """Values of the references that node groups have: from the settings, or the outputs given instead."""
        eks = self.settings.eks
        if eks is None:
            return {}
        known: dict[Ref, pulumi.Input[Any]] = {CLUSTER_NAME: eks.cluster_name}
        known |= {subnet_id(zone): subnet for zone, subnet in eks.subnets.items()}
        if eks.node_role_arn is not None:
            known[NODE_ROLE_ARN] = eks.node_role_arn
        if eks.node_kms_key_arn is not None:
            known[NODE_KMS_KEY_ARN] = eks.node_kms_key_arn
        return {**known, **self.outputs}


def _without_outputs(eks: Mapping[str, Any], outputs: dict[Ref, pulumi.Input[Any]]) -> dict[str, Any]:
    """The section with a valid stand-in for every output, which is put into `outputs`."""
    plain = dict(eks)

    def stand_in(ref: Ref, value: Any, text: str) -> Any:
        if not isinstance(value, pulumi.Output):
            return value
        outputs[ref] = value
        return text

    for key, ref, text in (
        ("clusterName", CLUSTER_NAME, "given-as-an-output"),
        ("nodeRoleArn", NODE_ROLE_ARN, _STAND_IN_ROLE),
        ("nodeKmsKeyArn", NODE_KMS_KEY_ARN, _stand_in_key(plain.get("subnets"))),
    ):
        if key in plain:
            plain[key] = stand_in(ref, plain[key], text)
    if isinstance(plain.get("subnets"), Mapping):
        plain["subnets"] = {
            zone: stand_in(subnet_id(str(zone)), subnet, SUBNET_OF_AN_OUTPUT)
            for zone, subnet in plain["subnets"].items()
        }
    return plain


def _stand_in_key(subnets: Any) -> str:
    """Of the nodes' region, since a key of another one is refused."""
    zone = str(min(subnets, default="")) if isinstance(subnets, Mapping) else ""
    return f"arn:aws:kms:{zone.rstrip(ascii_lowercase)}:000000000000:key/given-as-an-output"


def _text(value: Any) -> str:
    """A value as the CLI would hand it over: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=_refuse_output)


def _refuse_output(value: object) -> Any:
    if isinstance(value, pulumi.Output):
        raise TypeError(
            "an output stands where the value decides something before anything is made; outputs may stand at "
            "eks.clusterName, in eks.subnets, at eks.nodeRoleArn and at eks.nodeKmsKeyArn"
        )
    raise TypeError(f"{value!r} is no value of a stack's config")
