"""A container's environment and command line, as the kubelet computes them."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.errors import ConfigError, known
from sandbox.host.images import DEFAULT_PATH, Image
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.container import Container, EnvVar
from sandbox.kubernetes.nodes import ZONE_LABEL
from sandbox.kubernetes.pods import Pod

API_PORT = 6443
"""Where the API server listens, at its address."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` references; unknown names stay as written and `$$` is a literal `$`."""
    out = []
    position = 0
    while position < len(text):
        rest = text[position + 1 :]
        if text[position] != "$" or not rest:
            out.append(text[position])
            position += 1
        elif rest[0] == "$":
            out.append("$")
            position += 2
        elif rest[0] == "(" and ")" in rest:
            name = rest[1 : rest.index(")")]
            out.append(values.get(name, f"$({name})"))
            position += len(name) + 3
        else:
            out.append(text[position : position + 2])
            position += 2
    return "".join(out)


def environment_of(container: Container, pod: Pod, cluster: Cluster) -> dict[str, str]:
    """All variables of the container. Raises ConfigError when a Secret or one of its keys is missing."""
    values: dict[str, str] = {}
    for variable in container.env:
        values[variable.name] = _value_of(variable, pod, cluster, values)
    api_server = {"KUBERNETES_SERVICE_HOST": cluster.network.family.api_ip, "KUBERNETES_SERVICE_PORT": str(API_PORT)}
    return {"PATH": DEFAULT_PATH, "HOSTNAME": pod.name, **api_server, **values}


def _value_of(variable: EnvVar, pod: Pod, cluster: Cluster, earlier: Mapping[str, str]) -> str:
    source = variable.value_from
    if source is None:
        return expand(variable.value or "", earlier)
    if source.field_ref is not None:
        return {
            "metadata.name": pod.name,
            "metadata.namespace": pod.namespace,
            f"metadata.labels['{ZONE_LABEL}']": _zone(pod, cluster),
            "spec.nodeName": pod.node or "",
            "status.podIP": pod.ip or "",
        }[source.field_ref.field_path]
    reference = known(source.secret_key_ref, "EnvVarSource has exactly one source")
    contents = cluster.contents("Secret", pod.namespace, reference.name)
    if reference.key not in contents:
        raise ConfigError(f"couldn't find key {reference.key} in Secret {pod.namespace}/{reference.name}")
    return contents[reference.key].decode()


def _zone(pod: Pod, cluster: Cluster) -> str:
    """The label that a pod has of its node, as from Kubernetes 1.35 on."""
    node = cluster.nodes.get(pod.node or "")
    return "" if node is None else node.all_labels[ZONE_LABEL]


def command_line(container: Container, image: Image, values: Mapping[str, str]) -> list[str]:
    """`command` replaces the image's entrypoint and drops its default arguments; `args` replaces only those."""
    command = [expand(word, values) for word in container.command]
    args = [expand(word, values) for word in container.args]
    if command:
        return command + args
    return [*image.entrypoint, *(args or image.command)]
