"""Volumes: files of ConfigMaps and Secrets, scratch space, and claims; all on the sandbox's own tmpfs."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import known
from sandbox.host.process import run_tool
from sandbox.kubernetes.kubelet.environment import ConfigError, Lookup, PodFacts
from sandbox.kubernetes.manifests.objects import ClaimSpec
from sandbox.kubernetes.manifests.pod import DownwardItem, KeyToPath, PodSpec, Volume


@dataclass
class Claim:
    """A PersistentVolumeClaim and its volume. `zone` is set when its first pod is placed, and stays."""

    name: str
    namespace: str
    spec: ClaimSpec
    labels: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None
    path: Path | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def used_bytes(self) -> int:
        return 0 if self.path is None else used_bytes(self.path)


def used_bytes(path: Path) -> int:
    figures = os.statvfs(path)
    return (figures.f_blocks - figures.f_bfree) * figures.f_frsize


@dataclass(frozen=True)
class File:
    content: bytes
    mode: int


class VolumeStore:
    """Creates and removes the directories behind volumes, below `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def provision(self, claim: Claim) -> Path:
        """A file system of the claimed size; what does not fit is 'No space left on device'."""
        if claim.path is None:
            path = self._directory / "claims" / claim.namespace / claim.name
            path.mkdir(parents=True)
            run_tool(["mount", "-t", "tmpfs", "-o", f"size={claim.spec.size_bytes},mode=0755", "claim", str(path)])
            claim.path = path
        return claim.path

    def delete_claim(self, claim: Claim) -> None:
        if claim.path is not None:
            run_tool(["umount", "--lazy", str(claim.path)])
            claim.path.rmdir()
            claim.path = None

    def pod_directory(self, uid: str) -> Path:
        return self._directory / "pods" / uid

    def prepare(
        self,
        uid: str,
        spec: PodSpec,
        facts: PodFacts,
        lookup: Lookup,
        claims: Mapping[str, Claim],
    ) -> dict[str, Path]:
        """Directory of each volume of a pod. Raises ConfigError when a ConfigMap, Secret or claim is missing."""
        paths = {}
        for volume in (*spec.volumes, *(claim_volume(name) for name in claims if name not in _names(spec))):
            path = self.pod_directory(uid) / volume.name
            if volume.empty_dir is not None:
                if not path.exists():
                    path.mkdir(parents=True)
                    size = volume.empty_dir.size_bytes
                    option = f",size={size}" if size else ""
                    run_tool(["mount", "-t", "tmpfs", "-o", f"mode=0777{option}", "scratch", str(path)])
                    _own(path, spec.security_context.fs_group, writable=True, recursive=False)
            elif volume.name in claims:
                path = self.provision(claims[volume.name])
                recursive = spec.security_context.fs_group_change_policy == "Always" or not _is_owned(
                    path, spec.security_context.fs_group
                )
                _own(path, spec.security_context.fs_group, writable=True, recursive=recursive)
            else:
                path.mkdir(parents=True, exist_ok=True)
                publish(path, files_of(volume, spec, facts, lookup), spec.security_context.fs_group)
            paths[volume.name] = path
        return paths

    def remove_pod(self, uid: str) -> None:
        directory = self.pod_directory(uid)
        if directory.exists():
            for path in directory.iterdir():
                if os.path.ismount(path):
                    run_tool(["umount", "--lazy", str(path)])
            shutil.rmtree(directory)


def claim_volume(name: str) -> Volume:
    return Volume.model_validate({"name": name, "persistentVolumeClaim": {"claimName": name}})


def _names(spec: PodSpec) -> set[str]:
    return {volume.name for volume in spec.volumes}


def mounted(spec: PodSpec) -> set[tuple[str, str]]:
    """(kind, name) of every ConfigMap and Secret the pod's volumes show."""
    found = set()
    for volume in spec.volumes:
        if volume.config_map is not None:
            found.add(("ConfigMap", volume.config_map.name))
        if volume.secret is not None:
            found.add(("Secret", volume.secret.secret_name))
        for part in volume.projected.sources if volume.projected is not None else ():
            found |= {("ConfigMap", part.config_map.name)} if part.config_map is not None else set()
            found |= {("Secret", part.secret.name)} if part.secret is not None else set()
    return found


def files_of(volume: Volume, spec: PodSpec, facts: PodFacts, lookup: Lookup) -> dict[str, File]:
    """Path in the volume -> file, for the volume sources that carry content. Raises ConfigError when one is missing."""
    if volume.config_map is not None:
        source = volume.config_map
        return _select("ConfigMap", source.name, source.items, source.default_mode, source.optional, lookup)
    if volume.secret is not None:
        secret = volume.secret
        return _select("Secret", secret.secret_name, secret.items, secret.default_mode, secret.optional, lookup)
    if volume.downward_api is not None:
        return _downward(volume.downward_api.items, volume.downward_api.default_mode, spec, facts)
    projected = known(volume.projected, "the caller handles emptyDir and claims")
    files: dict[str, File] = {}
    mode = projected.default_mode
    for part in projected.sources:
        for kind, reference in (("ConfigMap", part.config_map), ("Secret", part.secret)):
            if reference is not None:
                files |= _select(kind, reference.name, reference.items, mode, reference.optional, lookup)
        if part.downward_api is not None:
            files |= _downward(part.downward_api.items, mode, spec, facts)
    return files


def _select(
    kind: str, name: str, items: tuple[KeyToPath, ...], mode: int, optional: bool, lookup: Lookup
) -> dict[str, File]:
    contents = lookup(kind, name)
    if contents is None:
        if optional:
            return {}
        raise ConfigError(f"{kind.lower()} {name!r} not found")
    if not items:
        return {key: File(value, mode) for key, value in contents.items()}
    missing = [item.key for item in items if item.key not in contents]
    if missing and not optional:
        raise ConfigError(f"{kind.lower()} {name!r} references non-existent key: {missing[0]}")
    return {
        item.path: File(contents[item.key], mode if item.mode is None else item.mode)
        for item in items
        if item.key in contents
    }


def _downward(items: tuple[DownwardItem, ...], mode: int, spec: PodSpec, facts: PodFacts) -> dict[str, File]:
    files = {}
    for item in items:
        if item.field_ref is not None:
            text = facts.file(item.field_ref.field_path)
        else:
            reference = item.resource_field_ref
            container = next((c for c in spec.containers if reference and c.name == reference.container_name), None)
            value = None if reference is None or container is None else reference.value_of(container.resources)
            if value is None:
                raise ConfigError(f"downwardAPI item {item.path} does not resolve")
            text = value
        files[item.path] = File(text.encode(), mode if item.mode is None else item.mode)
    return files


def publish(directory: Path, files: Mapping[str, File], fs_group: int | None) -> None:
    """Writes the files behind a `..data` link swapped in one rename, as the kubelet does: readers never see half."""
    generations = [int(entry.name[3:]) for entry in directory.iterdir() if entry.name.startswith("..v")]
    generation = max(generations, default=0) + 1
    target = directory / f"..v{generation}"
    target.mkdir(mode=0o755)
    for name, file in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    _own(target, fs_group, writable=False, recursive=True)
    swap = directory / "..data_tmp"
    swap.symlink_to(target.name)
    old = directory / "..data"
    previous = old.readlink() if old.is_symlink() else None
    swap.rename(old)
    tops = {name.partition("/")[0] for name in files}
    for top in tops:
        if not (directory / top).is_symlink():
            (directory / top).symlink_to(f"..data/{top}")
    for entry in directory.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in tops:
            entry.unlink()
    if previous is not None:
        shutil.rmtree(directory / previous)


def _is_owned(path: Path, group: int | None) -> bool:
    status = path.stat()
    return group is not None and status.st_gid == group and bool(status.st_mode & stat.S_ISGID)


def _own(path: Path, group: int | None, *, writable: bool, recursive: bool) -> None:
    """fsGroup as the kubelet applies it: group ownership, group rights added, setgid on directories."""
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
