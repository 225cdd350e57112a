"""Starts a container with bubblewrap and runs further commands in it with nsenter.

The container's program is process 1 of its own pid namespace, sees only its image and its mounts, and holds only
the rights its security context leaves it: `setpriv` drops the rest inside the container, right before the program.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.host.images import HELPER_DIR, Image
from sandbox.host.logs import LogBuffer, PipeReader
from sandbox.host.process import SYSTEM_PATH, Process, run_tool, spawn

DEFAULT_CAPABILITIES = frozenset(
    {"chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service"}
    | {"net_raw", "sys_chroot", "mknod", "audit_write", "setfcap"}
)
"""What a container runtime leaves a container that drops nothing."""
_SETUP_CAPABILITIES = frozenset({"setuid", "setgid", "setpcap"})
_HELPER = f"/{HELPER_DIR}/setpriv"
_START_TIMEOUT_S = 30.0
_START_POLL_S = 0.004


@dataclass(frozen=True)
class Identity:
    """Who the program runs as, and what it may do."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    capabilities: frozenset[str]
    home: str

    def drop_rights(self) -> list[str]:
        """The setpriv prefix that turns root into this identity."""
        groups = ["--groups", ",".join(map(str, self.groups))] if self.groups else ["--clear-groups"]
        bounding = ",".join(["-all", *(f"+{name}" for name in sorted(self.capabilities))])
        rights = ["--inh-caps", "-all", "--bounding-set", bounding, "--no-new-privs"]
        return [_HELPER, "--reuid", str(self.uid), "--regid", str(self.gid), *groups, *rights, "--"]


@dataclass(frozen=True)
class Mount:
    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class Bundle:
    """Everything needed to start one container."""

    image: Image
    argv: Sequence[str]
    env: Mapping[str, str]
    identity: Identity
    hostname: str
    netns_path: str
    mounts: Sequence[Mount]
    read_only_root: bool
    scratch: Path
    """Directory for the container's own layer; emptied at every start."""


class RunningContainer:
    """A started container: `pid` is its process 1 as the supervisor sees it."""

    def __init__(self, bundle: Bundle, process: Process, pid: int, output: PipeReader) -> None:
        self._bundle = bundle
        self._process = process
        self.pid = pid
        self._output = output
        self._collected = False

    @property
    def running(self) -> bool:
        return self._process.running

    async def wait(self) -> int:
        """Exit status of process 1 once it and everything in its pid namespace are gone."""
        status = await self._process.wait()
        # Several may wait; the next run of the container uses the same directory.
        if not self._collected:
            self._collected = True
            self._output.close()
            discard(self._bundle.scratch)
        return status

    def signal(self, signal_number: int) -> None:
        """Like a container runtime: to process 1 alone. A signal it does not handle is ignored, except SIGKILL."""
        if self.running:
            os.kill(self.pid, signal_number)

    def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
    ) -> Process:
        """Runs `argv` in the container with its environment, user and working directory, as `kubectl exec` does."""
        enter = [_tool("nsenter"), "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid"]
        return spawn(
            [*enter, f"--wdns={self._bundle.image.working_dir}", "--", *self._bundle.identity.drop_rights(), *argv],
            env=self._bundle.env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )


async def start(bundle: Bundle, log: LogBuffer) -> RunningContainer:
    """Starts the container's program; its output goes to `log`. Raises SandboxError when it cannot even start."""
    root = _writable_root(bundle)
    info_read, info_write = os.pipe()
    output = PipeReader(log)
    try:
        with output as writer:
            process = spawn(
                [_tool("nsenter"), f"--net={bundle.netns_path}", "--", *_bwrap(bundle, root, info_write)],
                env=bundle.env,
                stdout=writer,
                stderr=writer,
                pass_fds=(info_write,),
            )
    finally:
        os.close(info_write)
    try:
        pid = await _child_pid(info_read)
        container = RunningContainer(bundle, process, pid, output) if pid else None
        if container is not None:
            await _until_program_runs(container)
            return container
    except BaseException:
        process.kill_tree()
        raise
    status = await process.wait()
    output.close()
    discard(bundle.scratch)
    raise SandboxError(f"bubblewrap failed ({status}): {log.tail(3)}")


def _bwrap(bundle: Bundle, root: Path, info_fd: int) -> list[str]:
    argv = [_tool("bwrap"), "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", bundle.hostname]
    argv += ["--as-pid-1", "--info-fd", str(info_fd), "--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev"]
    for source, target in bundle.image.binds:
        argv += ["--ro-bind", source, target]
    for path in bundle.image.masked:
        argv += ["--size", "4096", "--tmpfs", path]
    # Outer paths first, or an inner mount would be hidden.
    for mount in sorted(bundle.mounts, key=lambda mount: mount.target.count("/")):
        argv += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), mount.target]
    if bundle.read_only_root:
        argv += ["--remount-ro", "/"]
    argv += ["--chdir", bundle.image.working_dir, "--cap-drop", "ALL"]
    for name in sorted(bundle.identity.capabilities | _SETUP_CAPABILITIES):
        argv += ["--cap-add", f"CAP_{name.upper()}"]
    return [*argv, "--", *bundle.identity.drop_rights(), *bundle.argv]


def _writable_root(bundle: Bundle) -> Path:
    """The image under a fresh writable layer, which is also where mount points are made."""
    layers = {name: bundle.scratch / name for name in ("upper", "work", "root")}
    discard(bundle.scratch)
    for path in layers.values():
        path.mkdir(parents=True)
    options = f"lowerdir={bundle.image.root},upperdir={layers['upper']},workdir={layers['work']}"
    run_tool(["mount", "-t", "overlay", "-o", options, "overlay", str(layers["root"])])
    # bubblewrap would make missing directories for root alone.
    for target in (bundle.image.working_dir, *(mount.target for mount in bundle.mounts if mount.source.is_dir())):
        (layers["root"] / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return layers["root"]


def discard(scratch: Path) -> None:
    """Removes a container's writable layer."""
    if os.path.ismount(scratch / "root"):
        run_tool(["umount", "--lazy", str(scratch / "root")])
    if scratch.exists():
        shutil.rmtree(scratch)


async def _child_pid(fd: int) -> int | None:
    """The pid bubblewrap reports; None when it ended before."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb"))
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            text = await reader.read()
    finally:
        transport.close()
    return int(json.loads(text)["child-pid"]) if text.strip() else None


async def _until_program_runs(container: RunningContainer) -> None:
    """Until then a command run in the container would see a half-built file system."""
    bwrap = os.path.realpath(_tool("bwrap"))
    deadline = asyncio.get_running_loop().time() + _START_TIMEOUT_S
    while container.running and asyncio.get_running_loop().time() < deadline:
        try:
            executable = os.readlink(f"/proc/{container.pid}/exe")
        except OSError:
            # Between its end and its collection a process has no executable; `running` turns false next.
            await asyncio.sleep(_START_POLL_S)
            continue
        if executable not in (bwrap, _HELPER) and not executable.endswith((_HELPER, "/bwrap")):
            return
        await asyncio.sleep(_START_POLL_S)
    if container.running:
        raise SandboxError(f"the container's program did not start within {_START_TIMEOUT_S:.0f} s")


def _tool(name: str) -> str:
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise SandboxError(f"{name} is not installed; install it (Debian: bubblewrap, util-linux, iproute2)")
    return path
