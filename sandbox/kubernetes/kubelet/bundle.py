"""What the kubelet hands to the container runtime: image, command line, environment, user, rights and mounts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sandbox.errors import ConfigError, known
from sandbox.host.addresses import ClusterNetwork
from sandbox.host.container import DEFAULT_CAPABILITIES, Bundle, Identity, Mount
from sandbox.host.images import Image, ImageStore
from sandbox.host.volumes import publish
from sandbox.kubernetes.accounts import Accounts
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.kubelet.environment import command_line, environment_of
from sandbox.kubernetes.kubelet.volumes import shows
from sandbox.kubernetes.manifests.container import Container
from sandbox.kubernetes.pods import Pod

_HOSTS_HEAD = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_ACCOUNT_DIRECTORY = "account"
_ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def bundle_of(
    container: Container,
    pod: Pod,
    cluster: Cluster,
    images: ImageStore,
    volumes: Mapping[str, Path],
    directory: Path,
) -> Bundle:
    """`volumes` are the directories of the pod's volumes, `directory` holds what is the pod's own.

    Raises ConfigError or ImagePullError for what may still come.
    """
    image = images.get(container.image)
    env = environment_of(container, pod, cluster)
    identity = identity_of(container, pod, image)
    etc = directory / "etc"
    mounts = [Mount(etc / name, f"/etc/{name}", read_only=False) for name in etc_files(pod, cluster.network)]
    read_only = {volume.name for volume in pod.spec.volumes if shows(volume)}
    mounts += [
        Mount(volumes[mount.name], mount.mount_path, mount.read_only or mount.name in read_only)
        for mount in container.volume_mounts
    ]
    if pod.spec.automount_service_account_token:
        mounts.append(Mount(directory / _ACCOUNT_DIRECTORY, _ACCOUNT_PATH, read_only=True))
    return Bundle(
        image=image,
        argv=command_line(container, image, env),
        env={"HOME": identity.home, **env},
        identity=identity,
        hostname=pod.name,
        netns_path=known(pod.network, "the network is made before any container").netns_path,
        mounts=mounts,
        read_only_root=container.security_context.read_only_root_filesystem,
        scratch=directory / "containers" / container.name,
    )


def identity_of(container: Container, pod: Pod, image: Image) -> Identity:
    """The pod's security context over the image's user, which is root. Raises ConfigError where root is unwanted."""
    context = pod.spec.security_context
    uid = context.run_as_user or 0
    if context.run_as_non_root and uid == 0:
        raise ConfigError(f"container has runAsNonRoot and image {image.name} will run as root; set runAsUser")
    group, home = image.user(uid)
    dropped = {name.lower().removeprefix("cap_") for name in container.security_context.capabilities.drop}
    return Identity(
        uid=uid,
        gid=group if context.run_as_group is None else context.run_as_group,
        groups=() if context.fs_group is None else (context.fs_group,),
        capabilities=frozenset() if "all" in dropped else DEFAULT_CAPABILITIES - dropped,
        home=home,
    )


def publish_account(pod: Pod, accounts: Accounts, directory: Path) -> None:
    """Writes the token of a pod that asks for one below `directory`, where `bundle_of` mounts it from."""
    if pod.spec.automount_service_account_token:
        files = accounts.files_of(pod.namespace, pod.spec.service_account_name)
        publish(directory / _ACCOUNT_DIRECTORY, files, pod.spec.security_context.fs_group)


def etc_files(pod: Pod, network: ClusterNetwork) -> Mapping[str, str]:
    """The files of /etc that the kubelet writes for each pod: name -> text."""
    names = pod.name
    if pod.subdomain:
        names = f"{pod.name}.{pod.subdomain}.{pod.namespace}.svc.{network.domain}\t{pod.name}"
    return {
        "resolv.conf": network.resolv_conf(pod.namespace),
        "hosts": f"{_HOSTS_HEAD}{pod.ip}\t{names}\n",
        "hostname": f"{pod.name}\n",
    }
