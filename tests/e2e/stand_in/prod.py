"""Stack `prod` on the stand-in account, on nodes without a kubelet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.manifests import names
from tests.e2e.harness.engine import CHECKOUT, Stack
from tests.e2e.harness.given import Ground
from tests.e2e.stand_in.account import ENV, Account
from tests.e2e.stand_in.scripts import make_account, write_scripts


class ProdStack:
    """The stack, its account and where its pods are."""

    def __init__(self, ground: Ground, home: Path, account: Account) -> None:
        self.kube, self.account = ground.kube, account
        self.engine = Stack(home, "prod", f"{write_scripts(home)}:{os.environ['PATH']}", ground.kubeconfig, {})

    def pools(self) -> list[str]:
        """Namespaces of the pools that the stack made."""
        label = f"app.kubernetes.io%2Fpart-of%3D{names.CLIENT_NAMESPACE}"
        found = self.kube.items(f"/api/v1/namespaces?labelSelector={label}")
        return sorted(item["metadata"]["name"] for item in found if item["metadata"]["name"] != names.CLIENT_NAMESPACE)

    def places(self, pool: str) -> dict[str, tuple[str, str]]:
        """Pod -> (node, zone); a pod that is not placed has ("", "")."""
        nodes = {node["metadata"]["name"]: node for node in self.kube.items("/api/v1/nodes")}
        zones = {name: node["metadata"]["labels"][names.ZONE_LABEL] for name, node in nodes.items()}
        pods = self.kube.items(f"/api/v1/namespaces/{pool}/pods?labelSelector=app%3Dredis")
        return {pod["metadata"]["name"]: (node := pod["spec"].get("nodeName", ""), zones.get(node, "")) for pod in pods}

    def lose(self, node: str) -> None:
        """A node's machine vanishes for good: its group starts another, and what ran there was not shut down."""
        self.account.terminate(node)
        self.kube.delete(f"/api/v1/nodes/{node}")


@contextmanager
def prod_stack(ground: Ground, home: Path) -> Iterator[ProdStack]:
    """The stack, not up yet, while nodes follow its account."""
    account = make_account(home)
    nodes = [sys.executable, "-m", "tests.e2e.stand_in.nodes", str(ground.kubeconfig), os.environ[ENV]]
    with (home / "nodes.log").open("wb") as log:
        following = subprocess.Popen(nodes, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=CHECKOUT)
    try:
        yield ProdStack(ground, home, account)
    finally:
        following.kill()
        following.wait()
