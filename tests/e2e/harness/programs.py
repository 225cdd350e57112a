"""Where the programs of the real engine are, and what to do about those that are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ENGINE = {
    "pulumi": "https://www.pulumi.com/docs/iac/download-install/ (3.238 or later)",
    "pulumi-resource-kubernetes": "pulumi plugin install resource kubernetes 4.34.2; it lies in ~/.pulumi/plugins then",
}
"""Programs of Pulumi -> how to get them."""
CONTROL_PLANE = {
    "etcd": "https://github.com/etcd-io/etcd/releases, or Debian's package etcd-server",
    "kube-apiserver": "https://kubernetes.io/releases/download/ (1.31 or later)",
    "kube-controller-manager": "as kube-apiserver",
    "kube-scheduler": "as kube-apiserver",
    "kubelet": "as kube-apiserver",
}
DEBIAN = {
    "containerd": "containerd",
    "ctr": "containerd",
    "crun": "crun",
    "redis-server": "redis-server",
    "busybox": "busybox",
    "openssl": "openssl",
    "ip": "iproute2",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
"""Commands -> the Debian package that brings them; `make e2e` installs these by itself."""
CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_CNI_PLUGINS = ("bridge", "host-local", "loopback")
_UNPACKED = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "redis-image-cache-engine"


class Missing(Exception):
    """What cannot be found, one line each, with where it comes from."""


@dataclass(frozen=True)
class Programs:
    """`path` is what PATH is to begin with; `cni` is the directory of the CNI plugins, None with a cluster given."""

    path: str
    cni: Path | None


def find(engine: Path | None, own_cluster: bool) -> Programs:
    """The programs in `engine` (a directory that has them, or one that has `unpack`) or on PATH.

    Raises Missing with every one that is in neither place.
    """
    directories = [] if engine is None else [_with_programs(engine)]
    path = os.pathsep.join([*map(str, directories), os.environ.get("PATH", os.defpath)])
    wanted = ENGINE | CONTROL_PLANE if own_cluster else {"pulumi": ENGINE["pulumi"]}
    lines = [f"{name}: {source}" for name, source in wanted.items() if shutil.which(name, path=path) is None]
    cni = None
    if own_cluster:
        lines += [
            f"{name}: Debian's package {package}"
            for name, package in DEBIAN.items()
            if shutil.which(name, path=path) is None
        ]
        cni = next((place for place in CNI_DIRECTORIES if all((place / name).exists() for name in _CNI_PLUGINS)), None)
        if cni is None:
            lines.append(f"CNI plugins {', '.join(_CNI_PLUGINS)}: Debian's package containernetworking-plugins")
    if lines:
        where = "on PATH" if engine is None else f"in {engine} or on PATH"
        raise Missing(
            f"these programs are not {where}:\n"
            + "\n".join(f"  {line}" for line in lines)
            + "\nmake e2e ENGINE=DIR takes them from a directory;"
            + " KUBECONFIG=FILE make e2e runs on a cluster you have (kind), and needs pulumi alone"
        )
    return Programs(path, cni)


def _with_programs(engine: Path) -> Path:
    """`engine` itself, or where its `unpack` put the programs (once for each version of it)."""
    if not engine.is_dir():
        raise Missing(f"ENGINE={engine} is no directory")
    unpack = engine / "unpack"
    if not os.access(unpack, os.X_OK):
        return engine
    packed = sorted(path for path in (engine / "bin").glob("*") if path.is_file())
    stamp = "\n".join(f"{path.name} {path.stat().st_size}" for path in packed)
    done = _UNPACKED / "unpacked"
    if not done.exists() or done.read_text() != stamp:
        print(f"unpacking the programs of {engine} into {_UNPACKED} (half a minute)", flush=True)
        shutil.rmtree(_UNPACKED, ignore_errors=True)
        subprocess.run([str(unpack), str(_UNPACKED)], check=True)
        done.write_text(stamp)
    return _UNPACKED
