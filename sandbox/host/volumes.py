"""File systems of a bounded size, and files that change all at once; everything is on the sandbox's own tmpfs."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.host.process import run_tool


@dataclass(frozen=True)
class File:
    content: bytes
    mode: int


def mount_tmpfs(path: Path, size_bytes: int | None, mode: str) -> None:
    """An empty file system; what does not fit into its size is 'No space left on device'. No size means no bound."""
    path.mkdir(parents=True)
    options = f"mode={mode}" + (f",size={size_bytes}" if size_bytes else "")
    run_tool(["mount", "-t", "tmpfs", "-o", options, "volume", str(path)])


def unmount(path: Path) -> None:
    """Lazily: a process that is just ending may still hold a file of it."""
    run_tool(["umount", "--lazy", str(path)])


def used_bytes(path: Path) -> int:
    figures = os.statvfs(path)
    return (figures.f_blocks - figures.f_bfree) * figures.f_frsize


def publish(directory: Path, files: Mapping[str, File], group: int | None) -> None:
    """Writes the files behind a `..data` link that one rename swaps, as the kubelet does: no reader ever sees half."""
    directory.mkdir(parents=True, exist_ok=True)
    generations = [int(entry.name[3:]) for entry in directory.iterdir() if entry.name.startswith("..v")]
    target = directory / f"..v{max(generations, default=0) + 1}"
    target.mkdir(mode=0o755)
    for name, file in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    give_to_group(target, group, writable=False, recursive=True)
    swap = directory / "..data_tmp"
    swap.symlink_to(target.name)
    current = directory / "..data"
    previous = current.readlink() if current.is_symlink() else None
    swap.rename(current)
    tops = {name.partition("/")[0] for name in files}
    for top in tops:
        if not (directory / top).is_symlink():
            (directory / top).symlink_to(f"..data/{top}")
    for entry in directory.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in tops:
            entry.unlink()
    if previous is not None:
        shutil.rmtree(directory / previous)


def belongs_to_group(path: Path, group: int | None) -> bool:
    """Whether `give_to_group` has been here before."""
    status = path.stat()
    return group is not None and status.st_gid == group and bool(status.st_mode & stat.S_ISGID)


def give_to_group(path: Path, group: int | None, *, writable: bool, recursive: bool) -> None:
    """An fsGroup as the kubelet applies it: group ownership, group rights added, setgid on directories."""
    if group is None:
        return
    entries = [path]
    if recursive:
        entries += [Path(root) / name for root, dirs, names in os.walk(path) for name in (*dirs, *names)]
    for entry in entries:
        if entry.is_symlink():
            os.lchown(entry, -1, group)
            continue
        os.chown(entry, -1, group)
        mode = stat.S_IMODE(entry.stat().st_mode)
        added = 0o660 if writable else 0o440
        if entry.is_dir():
            added |= 0o110 | stat.S_ISGID
        entry.chmod(mode | added)


def write_until_full(fd: int, block_bytes: int) -> int:
    """Writes zeros until the file system has no room for another block. Bytes written."""
    written = 0
    block = bytes(block_bytes)
    while True:
        try:
            written += os.write(fd, block)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return written
            raise
