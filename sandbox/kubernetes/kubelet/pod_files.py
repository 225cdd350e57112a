"""The files of /etc that the kubelet writes for each pod. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.host.dns import CLUSTER_DOMAIN
from sandbox.kubernetes.cluster import Pod


def etc_files(pod: Pod, nameserver: str) -> Mapping[str, str]:
    """Name in /etc -> text."""
    search = [f"{pod.namespace}.svc.{CLUSTER_DOMAIN}", f"svc.{CLUSTER_DOMAIN}", CLUSTER_DOMAIN]
    options = {"ndots": "5"} | {option.name: option.value or "" for option in pod.spec.dns_config.options}
    shown = " ".join(f"{name}:{value}" if value else name for name, value in options.items())
    names = pod.hostname
    if pod.spec.subdomain:
        names = f"{pod.hostname}.{pod.spec.subdomain}.{pod.namespace}.svc.{CLUSTER_DOMAIN}\t{pod.hostname}"
    aliases = "".join(f"{alias.ip}\t{' '.join(alias.hostnames)}\n" for alias in pod.spec.host_aliases)
    return {
        "resolv.conf": f"search {' '.join([*search, *pod.spec.dns_config.searches])}\n"
        f"nameserver {nameserver}\noptions {shown}\n",
        "hosts": f"# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n{pod.ip}\t{names}\n{aliases}",
        "hostname": f"{pod.hostname}\n",
    }
