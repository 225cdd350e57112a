"""Container images, assembled from this machine's own programs.

An image holds only what the real one would: busybox's applets as /bin, and its one program with the shared
libraries it needs. GNU tools and bash are not in it, so a script that needs them fails here as it would in Alpine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import ImagePullError, SandboxError, UnsupportedError
from sandbox.host.libraries import copy_libraries
from sandbox.host.servers import PARTS, REDIS, VALKEY, ServerProgram, server_for, stands_in

PARTS_DIR = "/opt/servers"
"""Where an image has what the scripts of `make servers` name."""
HELPER_DIR = ".sandbox"
"""Holds `setpriv`, with which the sandbox drops rights inside the container; not on any PATH."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of every container, as the official images set it."""

EXPORTER = "redis_exporter"
SERVER_IMAGES = {"redis": REDIS, "valkey/valkey": VALKEY}
"""Repository of each official image of a server -> its engine."""

_REDIS_ENTRYPOINT = """#!/bin/sh
# As the official image: options alone mean redis-server, and root steps down to the user redis.
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
    set -- redis-server "$@"
fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis '{}' +
    exec /.sandbox/setpriv --reuid 999 --regid 1000 --clear-groups -- "$@"
fi
exec "$@"
"""


@dataclass(frozen=True)
class Image:
    """A read-only root file system and the image's defaults.

    `binds` are (directory of this machine, path in the container); `masked` are directories inside them shown empty.
    """

    name: str
    root: Path
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_dir: str = "/"
    binds: tuple[tuple[str, str], ...] = ()
    masked: tuple[str, ...] = ()

    def user(self, uid: int) -> tuple[int, str]:
        """(group, home) of a user of the image; group 0 and / for a number the image does not know."""
        for line in (self.root / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if int(fields[2]) == uid:
                return int(fields[3]), fields[5]
        return 0, "/"


class ImageStore:
    """Assembles each image once, below `directory` (on the sandbox's own tmpfs)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._built: dict[str, Image] = {}

    def get(self, reference: str) -> Image:
        """Raises UnsupportedError as `check_known`, and ImagePullError for a tag that the repository does not have."""
        check_known(reference)
        name, tag = _parts(reference)
        if not exists(reference):
            raise ImagePullError(f"{name} has no tag {tag!r}: not found")
        if name in SERVER_IMAGES:
            return self._with_server(_server(SERVER_IMAGES[name], tag))
        if name not in self._built:
            self._built[name] = _BUILDERS[name](self._directory / name)
        return self._built[name]

    def _with_server(self, server: ServerProgram) -> Image:
        """One image for each server of this machine, whatever tags it runs for."""
        name = server.title.lower().replace(" ", "-")
        if name not in self._built:
            self._built[name] = _server_image(self._directory / name, server)
        return self._built[name]


def check_known(reference: str) -> None:
    """Raises UnsupportedError for an image this machine has no programs for, whether it exists elsewhere or not."""
    if repository(reference) not in _TAGS:
        known = ", ".join(sorted(_TAGS))
        raise UnsupportedError(f"image {reference!r} is not known; the sandbox has: {known}")


def exists(reference: str) -> bool:
    """Whether a registry has this image, of the repositories known here."""
    name, tag = _parts(reference)
    return name in _TAGS and re.fullmatch(_TAGS[name], tag) is not None


def has_server(reference: str) -> bool:
    """Whether it is an image of Redis or Valkey."""
    return repository(reference) in SERVER_IMAGES


def stand_in(reference: str) -> str | None:
    """What is to be said where this machine runs another version of Redis or Valkey than an image has."""
    name, tag = _parts(reference)
    return stands_in(SERVER_IMAGES[name], tag) if name in SERVER_IMAGES else None


def repository(reference: str) -> str:
    """`redis` of `docker.io/library/redis:7-alpine@sha256:…`."""
    return _parts(reference)[0]


def _parts(reference: str) -> tuple[str, str]:
    """Repository and tag; the tag is `latest` when there is none."""
    path = reference.partition("@")[0]
    # A colon before the last slash is that of a registry's port.
    folder, slash, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    path = folder + slash + name
    for registry in ("docker.io/", "public.ecr.aws/docker/", "index.docker.io/"):
        path = path.removeprefix(registry)
    return path.removeprefix("library/"), tag or "latest"


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SandboxError(
            f"{name} is not installed on this machine; install it (Debian: redis-server, busybox, util-linux; "
            f"{EXPORTER}: make up MONITORING=1)"
        )
    return path


def _base(root: Path) -> None:
    """busybox with links for its applets, users, and the directories every image has."""
    outer = ("bin", "sbin", "etc", "root", "var", "home", "run", "mnt")
    for directory in (*outer, "usr/bin", "usr/sbin", "usr/local/bin"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    for directory in ("tmp", "var/tmp"):
        (root / directory).mkdir(parents=True, exist_ok=True)
        (root / directory).chmod(0o1777)
    for directory in ("proc", "dev", "sys", "data", HELPER_DIR):
        (root / directory).mkdir()
    shutil.copy2(_program("busybox"), root / "bin/busybox")
    applets = subprocess.run(
        [str(root / "bin/busybox"), "--list"], capture_output=True, text=True, timeout=10, check=True
    ).stdout.split()
    for applet in applets:
        (root / "bin" / applet).symlink_to("/bin/busybox")
    for path in ("usr/bin/env", "sbin/ip"):
        (root / path).symlink_to("/bin/busybox")
    shutil.copy2(_program("setpriv"), root / HELPER_DIR / "setpriv")
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nredis:x:999:1000:redis:/data:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    )
    (root / "etc/group").write_text("root:x:0:\nredis:x:1000:redis\nnobody:x:65534:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    for name in ("hosts", "resolv.conf", "hostname"):
        (root / "etc" / name).write_text("")
    copy_libraries(root, [str(root / "bin/busybox"), str(root / HELPER_DIR / "setpriv")])


def _busybox(root: Path) -> Image:
    _base(root)
    return Image("busybox", root, command=("sh",))


def _server(engine: str, tag: str) -> ServerProgram:
    found = server_for(engine, tag)
    if found is None:
        raise SandboxError(
            f"this machine has no {engine}-server; install it (Debian: redis-server; Python: sandbox/requirements.txt)"
        )
    return found


def _server_image(root: Path, server: ServerProgram) -> Image:
    """As the official images of both engines, with Debian's redis-cli. Valkey's have Redis's names as links."""
    _base(root)
    engine = server.engine
    folder = root / "usr/local/bin"
    programs = {
        f"{engine}-server": server.path,
        f"{engine}-cli": _program("redis-cli"),
        f"{engine}-benchmark": _program("redis-benchmark"),
    }
    for name, path in programs.items():
        shutil.copy2(os.path.realpath(path), folder / name)
        if engine != REDIS:
            (folder / name.replace(engine, REDIS)).symlink_to(name)
    if server.brings_libraries:
        binds = _with_parts(root, folder / f"{engine}-server")
        programs.pop(f"{engine}-server")
    else:
        binds = ()
    copy_libraries(root, [str(folder / name) for name in programs])
    (folder / f"{engine}-sentinel").symlink_to(f"{engine}-server")
    entrypoint = folder / "docker-entrypoint.sh"
    entrypoint.write_text(_REDIS_ENTRYPOINT.replace(REDIS, engine))
    entrypoint.chmod(0o755)
    for name in ("passwd", "group"):
        file = root / "etc" / name
        file.write_text(file.read_text().replace(REDIS, engine))
    os.chown(root / "data", 999, 1000)
    command = (f"{engine}-server",)
    return Image(engine, root, entrypoint=("docker-entrypoint.sh",), command=command, working_dir="/data", binds=binds)


def _with_parts(root: Path, script: Path) -> tuple[tuple[str, str], ...]:
    """Lets a script of `make servers` find in the image what it begins, and what that needs of this machine."""
    text = script.read_text()
    (own,) = re.findall(r"LD_LIBRARY_PATH=(\S+) ", text) or [None]
    if own is not None:
        # The others bring every library and a loader.
        program = text.split()[-2]
        copy_libraries(root, [program], own)
    script.write_text(text.replace(str(PARTS), PARTS_DIR))
    (root / PARTS_DIR.lstrip("/")).mkdir(parents=True)
    return ((str(PARTS), PARTS_DIR),)


def _exporter(root: Path) -> Image:
    _base(root)
    target = root / "redis_exporter"
    # Built by sandbox/setup.sh beside the interpreter; a Go program that needs no library.
    beside = Path(sys.executable).parent / EXPORTER
    shutil.copy2(beside if beside.exists() else _program(EXPORTER), target)
    return Image("redis_exporter", root, entrypoint=("/redis_exporter",))


def _python(root: Path) -> Image:
    """The interpreter this project's environment is based on, without the environment's packages."""
    _base(root)
    # The base of a virtual environment; only CPython's private name for it survives nested environments.
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    binary = root / "usr/local/bin" / version
    shutil.copy2(executable, binary)
    for link in ("python3", "python"):
        (root / "usr/local/bin" / link).symlink_to(version)
    standard_library = sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix})
    modules = [str(path) for path in Path(str(sysconfig.get_config_var("DESTSHARED"))).glob("*.so")]
    copy_libraries(root, [executable, *[module for module in modules if "_tkinter" not in module]])
    target = f"/usr/local/lib/{version}"
    (root / target.lstrip("/")).mkdir(parents=True)
    masked = tuple(
        f"{target}/{name}" for name in ("site-packages", "dist-packages") if (Path(standard_library) / name).is_dir()
    )
    return Image("python", root, command=("python3",), binds=((standard_library, target),), masked=masked)


def _tags(versions: str, variants: str) -> str:
    """Pattern of a repository's tags: `7`, `7.4`, `7.4.2`, each alone or with a variant, and a variant alone."""
    version = rf"(?:{versions})"
    return rf"latest|{variants}|{version}(?:-(?:{variants}))?"


_BUILDERS: dict[str, Callable[[Path], Image]] = {
    "busybox": _busybox,
    "oliver006/redis_exporter": _exporter,
    "python": _python,
}
"""Repository -> how its image is assembled, where a tag does not matter: what runs is this machine's program."""

_SYSTEMS = r"alpine(3\.\d+)?|bookworm|trixie"
_TAGS: dict[str, str] = {
    "busybox": _tags(r"1(\.3[0-7](\.\d+)?)?", "glibc|musl|uclibc"),
    "oliver006/redis_exporter": r"latest|v1\.\d+\.\d+(?:-(?:alpine|amd64|arm64))?",
    "python": _tags(r"3(\.(9|1[0-4])(\.\d+)?)?", r"alpine(3\.\d+)?|(slim-)?(bookworm|trixie)|slim"),
    "redis": _tags(r"6(\.[02](\.\d+)?)?|7(\.[024](\.\d+)?)?|8(\.(0|2|4|6|8|10)(\.\d+)?)?", _SYSTEMS),
    "valkey/valkey": _tags(r"7(\.2(\.\d+)?)?|8(\.[01](\.\d+)?)?|9(\.[01](\.\d+)?)?", _SYSTEMS),
}
"""Repository -> which tags it has (the official images, as of November 2026)."""
