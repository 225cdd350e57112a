"""What a cluster has beside Kubernetes: DNS and volumes.

`python -m tests.e2e.harness.addons KUBECONFIG VOLUMES`

VOLUMES is a directory for the volumes of a real node, or `zonal`: volumes as EBS has them, bound to the zone of
the node that the scheduler chose, on nodes that run nothing.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tests.e2e.harness import dns, volumes
from tests.e2e.harness.kube import Kube
from tests.e2e.harness.machine import NODE_IP


def main(kubeconfig: str, volume_kind: str) -> None:
    kube = Kube(Path(kubeconfig))
    provisioner = volumes.Provisioner(kube, None if volume_kind == "zonal" else Path(volume_kind))
    threading.Thread(target=provisioner.run, daemon=True).start()
    dns.serve(kube, NODE_IP)


if __name__ == "__main__":
    main(*sys.argv[1:])
