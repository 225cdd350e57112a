"""Wire: resources registered by their type token instead of through the SDK's class for it.

The SDK modules of Kubernetes' objects and of AWS's services take longer to import than Pulumi and the whole program
together, and every preview would wait for them. These classes register the same tokens with the same
provider versions, so state and previews are the same; `docs/adr/0002` weighs it. The field names that the SDK's
types would check are checked by the schema tests of what is rendered.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version as installed_version
from typing import Any

import pulumi


@cache
def version(package: str) -> str:
    """Of an installed SDK; it is asked for every resource."""
    return installed_version(package)


class KubernetesObject(pulumi.CustomResource):
    """A Kubernetes object, from what `kubectl apply` would take."""

    metadata: pulumi.Output[Any]
    name: pulumi.Output[str]
    """Its physical name, also where Pulumi made it up."""

    def __init__(self, logical_name: str, body: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        kind, api_version = body["kind"], body["apiVersion"]
        module = api_version if "/" in api_version else f"core/{api_version}"
        secret = ["data", "stringData"] if kind == "Secret" else None
        super().__init__(
            f"kubernetes:{module}:{kind}",
            logical_name,
            dict(body),
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(version=version("pulumi-kubernetes"), additional_secret_outputs=secret), opts
            ),
        )
        self.name = self.metadata["name"]


class ReadDefinition(pulumi.CustomResource):
    """A CustomResourceDefinition that somebody else has made: it is read, also during a preview, and never changed."""

    def __init__(self, logical_name: str, definition: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
            logical_name,
            {},
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(version=version("pulumi-kubernetes"), id=definition), opts
            ),
        )


class AwsResource(pulumi.CustomResource):
    """A resource of AWS; `inputs` as in the provider's schema (camelCase), `computed` names outputs that are read."""

    def __init__(
        self,
        token: str,
        logical_name: str,
        inputs: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
        computed: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            f"aws:{token}",
            logical_name,
            dict.fromkeys(computed) | dict(inputs),
            pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=version("pulumi-aws")), opts),
        )

    def computed(self, output: str) -> pulumi.Output[Any]:
        """An output that was named when the resource was made."""
        value: pulumi.Output[Any] = pulumi.get(self, output)
        return value


class RandomPassword(pulumi.CustomResource):
    """A password that is made once and kept, encrypted, in the stack's state."""

    result: pulumi.Output[str]

    def __init__(self, logical_name: str, length: int, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            "random:index/randomPassword:RandomPassword",
            logical_name,
            # No punctuation: it would need quoting in redis.conf and in every shell a person pastes it into.
            {"length": length, "special": False, "result": None},
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(
                    version=version("pulumi-random"), additional_secret_outputs=["bcryptHash", "result"]
                ),
                opts,
            ),
        )


def ask_aws(token: str, arguments: Mapping[str, Any], opts: pulumi.InvokeOptions | None = None) -> pulumi.Output[Any]:
    """What AWS answers to a lookup such as `eks/getCluster:getCluster`, also during a preview. An argument that is not
    known yet makes an answer that is not known yet."""
    merged = pulumi.InvokeOptions.merge(pulumi.InvokeOptions(version=version("pulumi-aws")), opts)
    answer: pulumi.Output[Any] = pulumi.runtime.invoke_output(f"aws:{token}", dict(arguments), merged)
    return answer


def ask_aws_now(token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, at once: for what is checked before anything is registered."""
    options = pulumi.InvokeOptions(version=version("pulumi-aws"))
    answer: Mapping[str, Any] = pulumi.runtime.invoke(f"aws:{token}", dict(arguments), options).value
    return answer
