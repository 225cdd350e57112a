"""Makes the inside of fresh namespaces look like a machine a kubelet can run on. Nothing of it is seen outside.

- /run is a tmpfs and /var an overlay on it: what containerd, CNI and kubelet write to their fixed places ends with the
  mount namespace, also when everything is killed.
- /sys shows this network namespace, and this run's control groups as the root of theirs.
- The processors are counted as 32: requests of CPU are places to the scheduler, and while the stack `local` changes its
  pool it asks for a dozen. They take turns on the processors there are.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.e2e.harness import cgroups

HOME = Path("/run/e2e")
"""Work directory of everything inside, on the private tmpfs."""
NODE_IP = "10.77.0.1"
"""Address of the node, of the API server and of the cluster's name server."""
_PROCESSORS_SHOWN = 32
_PROCESSORS = Path("/sys/devices/system/cpu")
_KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet sets on its machine. These are no namespace's own, so it is shown that they are set already."""


def set_up() -> None:
    """Prepares mounts and network. Must be the first process of its namespaces."""
    hierarchies = cgroups.hierarchies()
    _run("mount", "--make-rprivate", "/")
    _mount_run_and_var()
    _mount_sys(hierarchies)
    _show_processors()
    for setting, value in _KERNEL_SETTINGS.items():
        _show(Path("/proc/sys") / setting, value)
    _show(Path("/etc/resolv.conf").resolve(), f"nameserver {NODE_IP}\noptions ndots:1 timeout:1 attempts:2\n")
    # Volumes are mounted by kubelet and must be seen by what containerd has started before.
    _run("mount", "--make-rshared", "/")
    _network()


def _mount_run_and_var() -> None:
    _mount("tmpfs", "/run", "mode=755")
    for name in ("var.upper", "var.work", "shown"):
        (HOME / name).mkdir(parents=True)
    # A file system of its own: a kubelet that finds one mounted at several places takes the wrong one for its disk.
    _mount("tmpfs", str(HOME / "shown"), "mode=755")
    _mount("overlay", "/var", f"lowerdir=/var,upperdir={HOME}/var.upper,workdir={HOME}/var.work")
    for name in ("home", "tmp"):
        (HOME / name).mkdir()
    os.environ |= {"HOME": f"{HOME}/home", "TMPDIR": str(HOME / "tmp")}


def _mount_sys(hierarchies: list[cgroups.Hierarchy]) -> None:
    _mount("sysfs", "/sys")
    _mount("tmpfs", str(cgroups.ROOT), "mode=755")
    for hierarchy in hierarchies:
        hierarchy.mount_point.mkdir()
        named = hierarchy.options.startswith("name=")
        _mount("cgroup", str(hierarchy.mount_point), f"none,{hierarchy.options}" if named else hierarchy.options)
        for controller in hierarchy.options.split(",") if "," in hierarchy.options else ():
            (cgroups.ROOT / controller).symlink_to(hierarchy.options)


def _show_processors() -> None:
    """Mounts a directory over the kernel's that lists as many processors as the node is to have.

    A kubelet counts the directories; only those that are online as well may run anything, and these stay the real ones.
    """
    shown = HOME / "shown/cpu"
    shown.mkdir()
    for name in ("online", "possible", "present"):
        (shown / name).write_text((_PROCESSORS / name).read_text())
    for number in range(max(_PROCESSORS_SHOWN, os.cpu_count() or 1)):
        topology = shown / f"cpu{number}/topology"
        topology.mkdir(parents=True)
        for name, value in {"core_id": number, "physical_package_id": 0}.items():
            (topology / name).write_text(f"{value}\n")
    _run("mount", "--bind", str(shown), str(_PROCESSORS))
    # A kubelet counts the processors of the memory nodes, and where there are none those above.
    nodes = Path("/sys/devices/system/node")
    if nodes.is_dir():
        _mount("tmpfs", str(nodes), "mode=755")


def _show(path: Path, text: str) -> None:
    """Mounts a file with `text` over `path`."""
    shown = HOME / "shown" / path.as_posix().strip("/").replace("/", ".")
    shown.write_text(text)
    _run("mount", "--bind", str(shown), str(path))


def _network() -> None:
    """A bridge that carries the node's address, and no way out."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "node0", "type", "bridge")
    _run("ip", "addr", "add", f"{NODE_IP}/24", "dev", "node0")
    _run("ip", "link", "set", "node0", "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _mount(kind: str, target: str, options: str = "") -> None:
    flags = ["-o", options] if options else []
    _run("mount", "-t", kind, *flags, kind, target)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
