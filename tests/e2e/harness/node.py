"""A real node: kubelet on containerd, with the images of this machine's programs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.e2e.harness import images
from tests.e2e.harness.components import Components
from tests.e2e.harness.kube import Kube
from tests.e2e.harness.machine import NODE_IP

NAME = "node-1"
ZONE = "zone-a"
_POD_RANGE = "10.88.0.0/16"
_CONTAINERD_WITHIN_S = 30.0
_READY_WITHIN_S = 60.0


def start(components: Components, kube: Kube, kubeconfig: Path, cni: Path) -> None:
    """Starts the node and waits until it is ready for pods."""
    home = components.home
    socket = home / "containerd.sock"
    (home / "cni").mkdir()
    (home / "cni/10-pods.conflist").write_text(json.dumps(_pod_network()))
    (home / "containerd.toml").write_text(_containerd_config(home, socket, cni))
    components.start("containerd", "containerd", "--config", str(home / "containerd.toml"), "--log-level", "warn")
    ctr = ["ctr", "--address", str(socket), "--namespace", "k8s.io"]
    answers = [*ctr, "version"]
    components.wait(
        "containerd",
        lambda: subprocess.run(answers, capture_output=True, check=False).returncode == 0,
        _CONTAINERD_WITHIN_S,
    )
    for archive in images.archives(home / "images"):
        subprocess.run([*ctr, "images", "import", str(archive)], check=True, capture_output=True)
        archive.unlink()
    (home / "kubelet.json").write_text(json.dumps(_kubelet_config(socket)))
    components.start(
        "kubelet",
        *("kubelet", "--kubeconfig", str(kubeconfig), "--config", str(home / "kubelet.json")),
        *("--hostname-override", NAME, "--node-ip", NODE_IP),
        *("--node-labels", f"topology.kubernetes.io/zone={ZONE}"),
    )
    components.wait("kubelet", lambda: _is_ready(kube), _READY_WITHIN_S)


def _is_ready(kube: Kube) -> bool:
    node = kube.find(f"/api/v1/nodes/{NAME}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _pod_network() -> dict[str, object]:
    """All pods on one bridge that has no way out."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": _POD_RANGE}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "pods0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def _containerd_config(home: Path, socket: Path, cni: Path) -> str:
    """Probes start a program in each pod every second. With crun that takes half the processor time that it takes with
    runc, where one stack `local` kept a core busy by its probes alone."""
    return f"""
version = 2
root = "{home}/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "crun"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
        BinaryName = "crun"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{home}/cni"
"""


def _kubelet_config(socket: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        # The control groups of pods are limited, those of all pods together are not: this machine is shared.
        "enforceNodeAllocatable": [],
        "containerRuntimeEndpoint": f"unix://{socket}",
        "clusterDNS": [NODE_IP],
        "clusterDomain": "cluster.local",
        "failSwapOn": False,
        "failCgroupV1": False,
        "makeIPTablesUtilChains": False,
        "evictionHard": {"memory.available": "100Mi"},
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "syncFrequency": "10s",
        "imageMaximumGCAge": "0s",
        "imageGCHighThresholdPercent": 100,
    }
