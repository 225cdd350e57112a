"""The volumes of a pod: files of ConfigMaps and Secrets, scratch space, and claims."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sandbox.errors import ConfigError, known
from sandbox.host.volumes import File, belongs_to_group, give_to_group, mount_tmpfs, publish, unmount
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.pod import PodSpec, Volume
from sandbox.kubernetes.pods import Claim, Pod


class VolumeStore:
    """Creates and removes the directories behind volumes, below `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def delete_claim(self, claim: Claim) -> None:
        """Its data is gone; the next pod that uses the claim gets a blank volume."""
        if claim.path is not None:
            unmount(claim.path)
            claim.path.rmdir()
            claim.path = None

    def prepare(self, pod: Pod, cluster: Cluster) -> dict[str, Path]:
        """Directory of each volume of a pod. Raises ConfigError when a ConfigMap, a Secret or a key is missing; all
        other volumes are up to date then, for one that is missing must not keep the others from changing."""
        group = pod.spec.security_context.fs_group
        missing: ConfigError | None = None
        paths = {name: self._provision(claim, pod.spec) for name, claim in pod.claims.items()}
        for volume in pod.spec.volumes:
            path = paths[volume.name] = self._pod_directory(pod) / volume.name
            if volume.empty_dir is None:
                try:
                    publish(path, files_of(volume, pod.namespace, cluster), group)
                except ConfigError as error:
                    missing = error
            elif not path.exists():
                mount_tmpfs(path, volume.empty_dir.size_bytes, "0777")
                give_to_group(path, group, writable=True, recursive=False)
        if missing is not None:
            raise missing
        return paths

    def _provision(self, claim: Claim, spec: PodSpec) -> Path:
        group = spec.security_context.fs_group
        if claim.path is None:
            path = self._directory / "claims" / claim.namespace / claim.name
            mount_tmpfs(path, claim.spec.size_bytes, "0755")
            claim.path = path
        always = spec.security_context.fs_group_change_policy == "Always"
        recursive = always or not belongs_to_group(claim.path, group)
        give_to_group(claim.path, group, writable=True, recursive=recursive)
        return claim.path

    def remove_pod(self, pod: Pod) -> None:
        directory = self._pod_directory(pod)
        if directory.exists():
            for path in directory.iterdir():
                if os.path.ismount(path):
                    unmount(path)
            shutil.rmtree(directory)

    def _pod_directory(self, pod: Pod) -> Path:
        return self._directory / "pods" / pod.uid


def shows(volume: Volume) -> tuple[str, str] | None:
    """(kind, name) of the ConfigMap or Secret whose keys are the files of this volume; None for other volumes."""
    if volume.config_map is not None:
        return "ConfigMap", volume.config_map.name
    return None if volume.secret is None else ("Secret", volume.secret.secret_name)


def files_of(volume: Volume, namespace: str, cluster: Cluster) -> dict[str, File]:
    """Path in the volume -> file. Raises ConfigError when the object or one of its keys is missing."""
    kind, name = known(shows(volume), "the caller handles the other volumes")
    source = known(volume.config_map or volume.secret, "it shows one of the two")
    contents = cluster.contents(kind, namespace, name)
    missing = [item.key for item in source.items if item.key not in contents]
    if missing:
        raise ConfigError(f"{kind.lower()} {name!r} references non-existent key: {missing[0]}")
    paths = {item.path: item.key for item in source.items} or {key: key for key in contents}
    return {path: File(contents[key], source.default_mode) for path, key in paths.items()}
