"""A stand-in for Pulumi's AWS and random providers, so that a real engine runs stack prod without an account.

`python -m tests.e2e.stand_in.provider aws|random` speaks the provider protocol. It replaces what AWS cannot change,
names what has no name as the real provider does, and keeps node groups and launch templates in `account.py`.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict, ParseDict
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.e2e.harness.kube import Kube
from tests.e2e.stand_in.account import ENV, ZONES, Account
from tests.e2e.stand_in.node_groups import redis_pods, update_group

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_ROLE = "aws:iam/role:Role"
_PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 (a type)
_ACCOUNT_ID = "111122223333"
_SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""Marks a secret in the provider protocol."""
_REPLACED = {
    NODE_GROUP: {
        *("amiType", "capacityType", "clusterName", "diskSize", "instanceTypes", "nodeGroupName"),
        *("nodeRoleArn", "remoteAccess", "subnetIds"),
    },
    _TEMPLATE: {"name"},
    _ROLE: {"name", "path"},
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": {"role", "policyArn"},
    _PASSWORD: {"length", "special"},
}
"""Type -> what the real provider replaces for (`forceNew` in its schema)."""
_NAMED_BY = {NODE_GROUP: "nodeGroupName", _TEMPLATE: "name", _ROLE: "name"}
_MESSAGE_BYTES = 400 << 20


def _plain(value: Any) -> Any:
    """Without the marks of secrets."""
    if isinstance(value, dict):
        if value.items() >= _SECRET.items():
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _read(struct: struct_pb2.Struct) -> dict[str, Any]:
    return dict(_plain(MessageToDict(struct)))


def _struct(value: dict[str, Any]) -> struct_pb2.Struct:
    return ParseDict(value, struct_pb2.Struct())


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


class Provider(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]
    """One provider, aws or random."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._account = Account(Path(os.environ[ENV]))
        self._kube = Kube(Path(os.environ["KUBECONFIG"]))

    # The provider itself

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version(f"pulumi-{self._package}"))

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    # Resources

    def Check(self, request: Any, context: Any) -> Any:
        news, olds = MessageToDict(request.news), _read(request.olds)
        key = _NAMED_BY.get(_type(request.urn))
        if key is not None and key not in news:
            # The engine's seed gives a replacement another name, and a preview the same as the update.
            news[key] = olds.get(key) or f"{request.urn.split('::')[-1]}-{request.randomSeed.hex()[:7]}"
        return provider_pb2.CheckResponse(inputs=_struct(news))

    def Diff(self, request: Any, context: Any) -> Any:
        kinds = provider_pb2.PropertyDiff
        olds, news = _read(request.old_inputs), _read(request.news)
        changed = [
            key
            for key in sorted(olds.keys() | news.keys())
            if olds.get(key) != news.get(key) and key not in request.ignoreChanges
        ]
        replaced = [key for key in changed if key in _REPLACED.get(_type(request.urn), set())]
        answer = provider_pb2.DiffResponse
        return answer(
            changes=answer.DIFF_SOME if changed else answer.DIFF_NONE,
            diffs=changed,
            replaces=replaced,
            hasDetailedDiff=True,
            detailedDiff={
                key: kinds(kind=kinds.UPDATE_REPLACE if key in replaced else kinds.UPDATE, inputDiff=True)
                for key in changed
            },
        )

    def Create(self, request: Any, context: Any) -> Any:
        kind, inputs = _type(request.urn), MessageToDict(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=_struct(inputs))
        identity = str(inputs.get(_NAMED_BY.get(kind, ""), request.urn.split("::")[-1]))
        outputs = inputs | self._computed(kind, identity, {})
        self._put(kind, "create", identity, _plain(inputs), outputs)
        return provider_pb2.CreateResponse(id=identity, properties=_struct(outputs))

    def Update(self, request: Any, context: Any) -> Any:
        kind, inputs = _type(request.urn), MessageToDict(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_struct(inputs))
        outputs = inputs | self._computed(kind, request.id, _read(request.olds))
        self._put(kind, "update", request.id, _plain(inputs), outputs)
        return provider_pb2.UpdateResponse(properties=_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request: Any, context: Any) -> Any:
        kind = _type(request.urn)
        if kind == NODE_GROUP:
            self._account.note("delete", request.id, redis_pods(self._kube, request.id))
            self._account.drop("groups", request.id)
        elif kind == _TEMPLATE:
            self._account.drop("templates", request.id)
        return empty_pb2.Empty()

    def _computed(self, kind: str, identity: str, olds: dict[str, Any]) -> dict[str, Any]:
        """What the real provider would add to the inputs, as far as the program reads it."""
        if kind == _TEMPLATE:
            return {"latestVersion": float(olds.get("latestVersion", 0)) + 1}
        if kind == _ROLE:
            return {"arn": f"arn:aws:iam::{_ACCOUNT_ID}:role/{identity}"}
        if kind == _PASSWORD:
            made = olds.get("result") or secrets.token_hex(20)
            return {"result": _SECRET | {"value": made}, "bcryptHash": _SECRET | {"value": "none"}}
        return {}

    def _put(self, kind: str, verb: str, identity: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        if kind == _TEMPLATE:
            types = self._account.all("templates").get(identity, {})
            self._account.put(
                "templates", identity, types | {str(int(outputs["latestVersion"])): inputs.get("instanceType")}
            )
        elif kind == NODE_GROUP:
            self._account.note(verb, identity, redis_pods(self._kube, identity))
            update_group(self._kube, self._account, identity, inputs)

    # Lookups

    def Invoke(self, request: Any, context: Any) -> Any:
        arguments = _read(request.args)
        match request.tok:
            case "aws:eks/getCluster:getCluster":
                answer = {
                    "name": arguments["name"],
                    "version": "1.34",
                    "endpoint": self._kube.server,
                    "certificateAuthorities": [{"data": base64.b64encode(self._kube.authority).decode()}],
                    "arn": f"arn:aws:eks:us-east-1:{_ACCOUNT_ID}:cluster/{arguments['name']}",
                    "kubernetesNetworkConfigs": [{"ipFamily": "ipv4"}],
                    "status": "ACTIVE",
                }
            case "aws:eks/getAddon:getAddon":
                cni = {"serviceAccount": "aws-node", "roleArn": f"arn:aws:iam::{_ACCOUNT_ID}:role/vpc-cni"}
                answer = {
                    **arguments,
                    "configurationValues": '{"enableNetworkPolicy": "true"}',
                    "podIdentityAssociations": [cni],
                }
            case "aws:ec2/getSubnet:getSubnet":
                answer = {"id": arguments["id"], "availabilityZone": ZONES[arguments["id"]]}
            case "aws:eks/getNodeGroups:getNodeGroups":
                answer = {"clusterName": arguments["clusterName"], "names": list(self._account.all("groups"))}
            case "aws:eks/getNodeGroup:getNodeGroup":
                group = self._account.all("groups")[arguments["nodeGroupName"]]
                answer = {"scalingConfigs": [group["scalingConfig"]], "labels": group["labels"], "status": "ACTIVE"}
            case "aws:index/getPartition:getPartition":
                answer = {"partition": "aws", "dnsSuffix": "amazonaws.com", "id": "aws"}
            case "aws:index/getCallerIdentity:getCallerIdentity":
                answer = {"accountId": _ACCOUNT_ID, "arn": f"arn:aws:iam::{_ACCOUNT_ID}:user/e2e", "id": _ACCOUNT_ID}
            case "aws:index/getRegion:getRegion":
                answer = {"name": "us-east-1", "region": "us-east-1", "id": "us-east-1"}
            case unknown:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in has no answer to {unknown}({arguments})")
        return provider_pb2.InvokeResponse(**{"return": _struct(answer)})


def main(package: str) -> None:
    limits = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(8), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(package), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The engine reads the port from the first line.
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
