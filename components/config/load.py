"""Reads the raw stack config into `Settings`, or says everything that is wrong with it at once.

Every message has the same shape: key = value: rule (what the key is for; nearest spelling).
"""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from components.config.settings import CapacityType, Placement, Settings
from components.config.units import format_size

NAMESPACE = "redis-image-cache"
MASTERS_MIN = 3
"""Redis Cluster elects by a majority of masters; with two, the loss of one leaves none."""
MASTERS_MAX = 500
"""The Redis Cluster specification aims at 1,000 nodes; with a replica each that is 500 masters."""
ZONES_MIN = 3
"""With two zones one of them holds half of the masters or more, and its loss ends every failover."""


class ConfigErrors(Exception):
    """All that is wrong with a stack config; `messages` has one line for each fault."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = messages
        super().__init__("\n".join(messages))


def load_settings(raw: Mapping[str, str]) -> Settings:
    """Settings from config values as the CLI hands them over (maps as JSON text), keyed without namespace.

    Raises ConfigErrors with every fault found: unknown, missing, mistyped and out-of-range keys at any
    depth, and contradictions between keys that are valid by themselves.
    """
    messages = [_unknown((), key, Settings) for key in raw if key not in _aliases(Settings)]
    parsed: dict[str, Any] = {}
    valid: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        alias = field.alias or name
        if alias not in raw:
            messages.append(f"{NAMESPACE}:{alias} is missing: {field.description or 'a map, {} for the defaults'}")
            continue
        parsed[alias] = _parse(raw[alias], field)
        try:
            valid[alias] = TypeAdapter(_annotated(field)).validate_python(parsed[alias])
        except ValidationError as error:
            messages += [_message((alias, *detail["loc"]), detail) for detail in error.errors()]
    messages += [message for rule in _RULES for message in rule(valid)]
    if messages:
        raise ConfigErrors(messages)
    return Settings.model_validate(parsed)


def _annotated(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The model a key's map is read into, also where None is allowed; None for scalars."""
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _parse(text: str, field: FieldInfo) -> Any:
    section = _section(field)
    if section is None:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    is_absent = value == {} and type(None) in get_args(field.annotation)
    return None if is_absent else value


def _aliases(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _unknown(path: tuple[str, ...], key: str, model: type[BaseModel]) -> str:
    allowed = sorted(_aliases(model))
    folded = {alias.lower(): alias for alias in allowed}
    near = difflib.get_close_matches(key.lower(), folded, n=1, cutoff=0.6)
    hint = f"did you mean {folded[near[0]]}? " if near else ""
    return f"{_dotted((*path, key))}: no such key; {hint}Allowed here: {', '.join(allowed)}"


def _dotted(path: tuple[str, ...]) -> str:
    return f"{NAMESPACE}:{'.'.join(path)}"


def _message(loc: tuple[str | int, ...], detail: ErrorDetails) -> str:
    path, model, field, secret = _walk(loc)
    if detail["type"] == "extra_forbidden":
        return _unknown(path[:-1], path[-1], model)
    purpose = f" ({field.description})" if field is not None and field.description else ""
    if detail["type"] == "missing":
        return f"{_dotted(path)} is missing{purpose}"
    value = "[secret]" if secret else json.dumps(detail["input"], default=str)
    return f"{_dotted(path)} = {value}: {_rule(detail)}{purpose}"


def _walk(loc: tuple[str | int, ...]) -> tuple[tuple[str, ...], type[BaseModel], FieldInfo | None, bool]:
    """The key's path, the model that holds it, its field, and whether its value must not be shown."""
    model: type[BaseModel] = Settings
    holder, field, secret = model, None, False
    path: list[str] = []
    for part in loc:
        path.append(str(part))
        holder = model
        found = _aliases(model).get(str(part))
        if found is None:
            break
        field = found
        nested = _section(field)
        secret = SecretStr in (field.annotation, *get_args(field.annotation)) or (
            nested is not None and any(SecretStr in get_args(inner.annotation) for inner in _aliases(nested).values())
        )
        if nested is None:
            path += [str(rest) for rest in loc[len(path) :]]
            break
        model = nested
    return tuple(path), holder, field, secret


def _rule(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a map of keys and values"
        case "greater_than":
            return f"must be more than {context['gt']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than":
            return f"must be less than {context['lt']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "enum":
            return f"must be one of {context['expected']}"
        case "string_type" | "secret_type":
            return "must be a text"
        case "int_parsing" | "int_type" | "int_from_float":
            return "must be a whole number"
        case "float_parsing" | "float_type":
            return "must be a number"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case _:
            message = detail["msg"]
            return message[0].lower() + message[1:]


Rule = Callable[[Mapping[str, Any]], Iterator[str]]


def _enough_masters(valid: Mapping[str, Any]) -> Iterator[str]:
    if "podMemory" not in valid or "totalMemory" not in valid:
        return
    pod_bytes, total_bytes = valid["podMemory"], valid["totalMemory"]
    pod, total = format_size(pod_bytes), format_size(total_bytes)
    masters = -(-total_bytes // pod_bytes)
    if total_bytes < pod_bytes:
        yield (
            f"{NAMESPACE}:podMemory = {pod} with totalMemory = {total}: one pod must not hold more than all masters "
            f"together; podMemory can be at most {format_size(_floor_mib(total_bytes // MASTERS_MIN))}"
        )
    elif masters < MASTERS_MIN:
        yield (
            f"{NAMESPACE}:podMemory = {pod} with totalMemory = {total}: that is {masters} masters, and a Redis Cluster "
            f"needs at least {MASTERS_MIN}; podMemory can be at most "
            f"{format_size(_floor_mib((total_bytes - 1) // (MASTERS_MIN - 1)))}, or totalMemory more"
        )
    elif masters > MASTERS_MAX:
        yield (
            f"{NAMESPACE}:podMemory = {pod} with totalMemory = {total}: that is {masters} masters, and a Redis Cluster "
            f"carries at most {MASTERS_MAX}; make podMemory larger or totalMemory smaller"
        )


def _floor_mib(size_bytes: int) -> int:
    return max(1, size_bytes >> 20) << 20


def _one_cluster(valid: Mapping[str, Any]) -> Iterator[str]:
    if "eks" not in valid or "kubeContext" not in valid:
        return
    eks, context = valid["eks"], valid["kubeContext"]
    if eks is None and not context:
        yield f"{NAMESPACE}:eks or kubeContext is missing: say which EKS cluster, or which kubeconfig context, to use"
    if eks is not None and context:
        yield (
            f'{NAMESPACE}:kubeContext = "{context}" with eks.clusterName = "{eks.cluster_name}": only one of the two '
            "can be meant; remove the other"
        )


def _zones_survive(valid: Mapping[str, Any]) -> Iterator[str]:
    eks, nodes = valid.get("eks"), valid.get("nodes")
    if eks is None or nodes is None or nodes.allow_fewer_zones:
        return
    zones = sorted(eks.subnets)
    if len(zones) < ZONES_MIN:
        yield (
            f"{NAMESPACE}:eks.subnets = {zones}: {len(zones)} of at least {ZONES_MIN} zones, so one zone would hold "
            "half of the masters and its loss would end all failovers; add zones, or accept that with "
            "nodes.allowFewerZones: true"
        )
    replicas = valid.get("replicasPerMaster")
    if replicas is not None and ZONES_MIN <= len(zones) < replicas + 1:
        yield (
            f"{NAMESPACE}:replicasPerMaster = {replicas} with {len(zones)} zones: the {replicas + 1} copies of a shard "
            f"need as many zones; at most {len(zones) - 1} replicas, or more zones"
        )


def _spot_is_not_production(valid: Mapping[str, Any]) -> Iterator[str]:
    nodes = valid.get("nodes")
    if nodes is not None and nodes.capacity_type is CapacityType.SPOT and nodes.production:
        yield (
            f"{NAMESPACE}:nodes.capacityType = spot with nodes.production = true: AWS takes spot nodes back at two "
            "minutes' notice, several at a time; use onDemand, or say nodes.production: false"
        )


def _required_placement_in_production(valid: Mapping[str, Any]) -> Iterator[str]:
    eks, nodes = valid.get("eks"), valid.get("nodes")
    if eks is None or nodes is None:
        return
    if nodes.placement is Placement.PREFERRED and nodes.production:
        yield (
            f"{NAMESPACE}:nodes.placement = preferred with nodes.production = true: both copies of a shard could end "
            "on one node; use required, or say nodes.production: false"
        )


def _storage_class_is_ours_to_shape(valid: Mapping[str, Any]) -> Iterator[str]:
    storage = valid.get("storage")
    if storage is None or "eks" not in valid:
        return
    shaped = [
        alias
        for alias in ("iops", "throughputMibPerSecond", "kmsKeyId")
        if getattr(storage, next(n for n, f in type(storage).model_fields.items() if f.alias == alias)) is not None
    ]
    if shaped and (storage.class_name is not None or valid["eks"] is None):
        reason = "with storage.className" if storage.class_name is not None else "without eks"
        yield (
            f"{NAMESPACE}:storage.{', storage.'.join(shaped)} {reason}: these shape the StorageClass fast-ssd, which "
            "is only made with eks and without className; remove one or the other"
        )


_RULES: tuple[Rule, ...] = (
    _enough_masters,
    _one_cluster,
    _zones_survive,
    _spot_is_not_production,
    _required_placement_in_production,
    _storage_class_is_ours_to_shape,
)
