"""What the tests run on: a cluster of its own inside the namespaces, or the one of KUBECONFIG."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.harness.cluster import Cluster
from tests.e2e.harness.kube import Kube

OWN = "E2E_OWN_CLUSTER"
"""Set inside the namespaces to the directory of the CNI plugins."""


@dataclass(frozen=True)
class Ground:
    """An API server and how to reach it."""

    kube: Kube
    kubeconfig: Path
    is_own: bool


def is_own() -> bool:
    """Whether this process is inside namespaces of its own, where a cluster can be started."""
    return OWN in os.environ


@contextmanager
def ground(with_node: bool) -> Iterator[Ground]:
    """A ready cluster; of its own it has a real node or none."""
    if is_own():
        cluster = Cluster(Path(os.environ[OWN]) if with_node else None)
        try:
            yield Ground(cluster.kube, cluster.kubeconfig, True)
        finally:
            cluster.stop()
    else:
        kubeconfig = Path(os.environ["KUBECONFIG"]).absolute()
        yield Ground(Kube(kubeconfig), kubeconfig, False)
