"""A container's environment and command line, as the kubelet computes them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.errors import InvalidError, UnsupportedError, known
from sandbox.host.images import DEFAULT_PATH, Image
from sandbox.kubernetes.manifests.container import Container, EnvVar
from sandbox.kubernetes.manifests.pod import PodSpec

Contents = Mapping[str, bytes]
Lookup = Callable[[str, str], Contents | None]
"""(kind, name) -> contents of a ConfigMap or Secret in the pod's namespace; None if there is none."""

_KEYED_PATH = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")


@dataclass(frozen=True)
class PodFacts:
    """What the downward API can tell a container about its pod."""

    name: str
    namespace: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    node: str
    host_ip: str
    pod_ip: str
    service_account: str

    def field(self, path: str) -> str:
        keyed = _KEYED_PATH.match(path)
        if keyed:
            return (self.labels if keyed[1] == "labels" else self.annotations).get(keyed[2], "")
        plain = {
            "metadata.name": self.name,
            "metadata.namespace": self.namespace,
            "metadata.uid": self.uid,
            "spec.nodeName": self.node,
            "spec.serviceAccountName": self.service_account,
            "status.hostIP": self.host_ip,
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
        }
        if path not in plain:
            known = ", ".join([*plain, "metadata.labels['…']", "metadata.annotations['…']"])
            raise UnsupportedError(f"fieldPath {path!r} is not supported by the sandbox; supported: {known}")
        return plain[path]

    def file(self, path: str) -> str:
        """For downwardAPI volumes, which may also carry all labels at once."""
        if path in ("metadata.labels", "metadata.annotations"):
            entries = self.labels if path == "metadata.labels" else self.annotations
            return "\n".join(f'{key}="{value}"' for key, value in sorted(entries.items()))
        return self.field(path)


class ConfigError(InvalidError):
    """A reference that does not resolve yet: the kubelet waits with CreateContainerConfigError and tries again."""


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


def environment_of(container: Container, spec: PodSpec, facts: PodFacts, lookup: Lookup) -> dict[str, str]:
    """All variables of the container. Raises ConfigError when a ConfigMap, Secret or key is missing."""
    values: dict[str, str] = {}
    for source in container.env_from:
        for kind, reference in (("ConfigMap", source.config_map_ref), ("Secret", source.secret_ref)):
            if reference is None:
                continue
            contents = lookup(kind, reference.name)
            if contents is None and not reference.optional:
                raise ConfigError(f"{kind.lower()} {reference.name!r} not found")
            values |= {source.prefix + key: value.decode() for key, value in (contents or {}).items()}
    for variable in container.env:
        value = _value_of(variable, container, spec, facts, lookup, values)
        if value is not None:
            values[variable.name] = value
    return {"PATH": DEFAULT_PATH, "HOSTNAME": spec.hostname or facts.name, **values}


def _value_of(
    variable: EnvVar,
    container: Container,
    spec: PodSpec,
    facts: PodFacts,
    lookup: Lookup,
    earlier: Mapping[str, str],
) -> str | None:
    source = variable.value_from
    if source is None:
        return expand(variable.value or "", earlier)
    if source.field_ref is not None:
        return facts.field(source.field_ref.field_path)
    if source.resource_field_ref is not None:
        wanted = source.resource_field_ref.container_name or container.name
        other = next((c for c in (*spec.containers, *spec.init_containers) if c.name == wanted), None)
        value = None if other is None else source.resource_field_ref.value_of(other.resources)
        if value is None:
            raise ConfigError(f"{variable.name}: container {wanted!r} sets no {source.resource_field_ref.resource}")
        return value
    kind = "ConfigMap" if source.config_map_key_ref is not None else "Secret"
    reference = known(source.config_map_key_ref or source.secret_key_ref, "EnvVarSource has exactly one source")
    contents = lookup(kind, reference.name)
    if contents is None or reference.key not in contents:
        if reference.optional:
            return None
        missing = (
            f"{kind.lower()} {reference.name!r} not found"
            if contents is None
            else (f"couldn't find key {reference.key} in {kind} {facts.namespace}/{reference.name}")
        )
        raise ConfigError(missing)
    return contents[reference.key].decode()


def command_line(container: Container, image: Image, values: Mapping[str, str]) -> list[str]:
    """`command` replaces the image's entrypoint and drops its default arguments; `args` replaces only those."""
    command = [expand(word, values) for word in container.command]
    args = [expand(word, values) for word in container.args]
    if command:
        return command + args
    return [*image.entrypoint, *(args or image.command)]
