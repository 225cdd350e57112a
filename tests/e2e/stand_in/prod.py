"""Stack `prod` on the stand-in account, on nodes without a kubelet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.manifests import names
from tests.e2e.harness.control_plane import TOKEN
from tests.e2e.harness.engine import CHECKOUT, Stack
from tests.e2e.harness.given import Ground
from tests.e2e.stand_in.account import ENV, Account

_CREDENTIAL = {
    "apiVersion": "client.authentication.k8s.io/v1beta1",
    "kind": "ExecCredential",
    "status": {"token": TOKEN},
}


class ProdStack:
    """The stack, its account and where its pods are."""

    def __init__(self, ground: Ground, home: Path, account: Account) -> None:
        self.kube, self.account = ground.kube, account
        self.engine = Stack(home, "prod", f"{_scripts(home)}:{os.environ['PATH']}", ground.kubeconfig, {})

    def places(self, pool: str) -> dict[str, tuple[str, str]]:
        """Pod -> (node, zone); a pod that is not placed has ("", "")."""
        nodes = {node["metadata"]["name"]: node for node in self.kube.items("/api/v1/nodes")}
        zones = {name: node["metadata"]["labels"][names.ZONE_LABEL] for name, node in nodes.items()}
        pods = self.kube.items(f"/api/v1/namespaces/{pool}/pods?labelSelector=app%3Dredis")
        return {pod["metadata"]["name"]: (node := pod["spec"].get("nodeName", ""), zones.get(node, "")) for pod in pods}


@contextmanager
def prod_stack(ground: Ground, home: Path) -> Iterator[ProdStack]:
    """The stack, not up yet, while nodes follow its account."""
    account = Account(home / "account")
    os.environ[ENV] = str(home / "account")
    nodes = [sys.executable, "-m", "tests.e2e.stand_in.nodes", str(ground.kubeconfig), os.environ[ENV]]
    with (home / "nodes.log").open("wb") as log:
        following = subprocess.Popen(nodes, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=CHECKOUT)
    try:
        yield ProdStack(ground, home, account)
    finally:
        following.kill()
        following.wait()


def _scripts(home: Path) -> Path:
    """A directory for PATH with the providers and the `aws` that signs in to the cluster."""
    directory = home / "bin"
    directory.mkdir()
    provider = f"export PYTHONPATH={CHECKOUT}\nexec {sys.executable} -m tests.e2e.stand_in.provider"
    scripts = {
        "pulumi-resource-aws": f"{provider} aws",
        "pulumi-resource-random": f"{provider} random",
        "aws": f"echo '{json.dumps(_CREDENTIAL)}'",
    }
    for name, text in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
    return directory
