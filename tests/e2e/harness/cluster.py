"""A cluster of its own, inside the namespaces that `supervise.py` made."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.e2e.harness import control_plane, node
from tests.e2e.harness.components import Components
from tests.e2e.harness.kube import Kube
from tests.e2e.harness.machine import HOME


class Cluster:
    """A control plane, cluster DNS and volumes; with `cni`, a real node on which pods run."""

    def __init__(self, cni: Path | None) -> None:
        began = time.monotonic()
        home = HOME / "cluster"
        home.mkdir()
        self._components = Components(home)
        self.kubeconfig = control_plane.start(self._components)
        self.kube = Kube(self.kubeconfig)
        volume_kind = "zonal" if cni is None else str(home / "volumes")
        self._components.start(
            "addons", sys.executable, "-m", "tests.e2e.harness.addons", str(self.kubeconfig), volume_kind
        )
        if cni is not None:
            node.start(self._components, self.kube, self.kubeconfig, cni)
        self.seconds = time.monotonic() - began
        """What it took until it was ready."""

    def stop(self) -> None:
        """Ends its programs. Pods go with the namespaces."""
        self._components.stop()
