"""Reads a stack's config into `Settings`, or says everything that is wrong with it at once.

Every message has the same shape: key = value: rule (what the key is for; nearest spelling).
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from components.config.choices import MEANT
from components.config.did_you_mean import did_you_mean
from components.config.formats import shown
from components.config.rules import contradictions
from components.config.settings import Eks, Nodes, Settings
from components.config.zones import region_fault

NAMESPACE = "redis-image-cache"
"""Of the config keys, as in `redis-image-cache:podMemory`: the project's name."""


class ConfigErrors(Exception):
    """All that is wrong with a stack's config; `messages` has one line for each error."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = messages
        super().__init__("\n".join(messages))


def load_settings(raw: Mapping[str, str], region: str | None = None, instance_types: Collection[str] = ()) -> Settings:
    """Settings from config values as the CLI hands them over (maps as JSON text), keyed without namespace.

    `region` is the stack's `aws:region`, which the zones of the subnets must be in. None: there is none to compare.
    `instance_types` are those that the planner knows: where anything else is wrong, that a named one is none of them is
    told too. Where nothing else is, the planner tells it, with the cheapest that passes.

    Raises ConfigErrors with every error found: unknown, mistyped and out-of-range keys at any depth, and
    contradictions between keys that are valid by themselves.
    """
    fields = fields_of(Settings)
    return _read(
        {key: _parsed(text, fields[key]) if key in fields else text for key, text in raw.items()},
        region,
        instance_types,
    )


def settings_of(**values: Any) -> Settings:
    """Settings from Python values, for a program that imports the component and has no stack config of this project.

    Keys and values are spelt as in a stack file, and an absent key has its default:

        settings_of(podMemory="128GB", eks={"clusterName": "images", "subnets": {"us-east-1a": "subnet-0a1b2c", …}})

    The same rules hold, and ConfigErrors is raised as by `load_settings`.
    """
    return _read(values, None, ())


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the key that a stack's config has for each."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model that a key's map is read into, also where None is allowed; None for a key without keys of its own."""
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def takes_text(path: Sequence[str]) -> bool:
    """Whether what stands at a path, `("access", "keyPrefix")`, is a text or one of a list of words. An entry of a map
    has a path too; a path that no key has takes nothing."""
    kind: Any = Settings
    for step in path:
        if get_origin(kind) is dict:
            kind = _bare(get_args(kind)[1])
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and step in fields_of(kind):
            kind = _bare(fields_of(kind)[step].annotation)
        else:
            return False
    return isinstance(kind, type) and issubclass(kind, (str, SecretStr))


def _bare(annotation: Any) -> Any:
    """A type without its rules, and without None beside it."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    return annotation


def is_secret(field: FieldInfo) -> bool:
    """Whether the key's value must never be shown."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _read(values: Mapping[str, Any], region: str | None, instance_types: Collection[str]) -> Settings:
    known = fields_of(Settings)
    messages = [_unknown((), key, Settings) for key in values if key not in known]
    given: dict[str, Any] = {}
    valid: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        key = field.alias or name
        if key not in values:
            valid[name] = field.get_default(call_default_factory=True)
            continue
        value = values[key]
        is_absent = value == {} and type(None) in get_args(field.annotation)
        given[key] = None if is_absent else value
        try:
            valid[name] = _adapter(name).validate_python(given[key])
        except ValidationError as error:
            messages += [_message((key, *detail["loc"]), detail) for detail in error.errors()]
    messages += contradictions(valid)
    faults = [f"{NAMESPACE}:{message}" for message in messages]
    eks: Eks | None = valid.get("eks")
    wrong = region_fault(region, eks.subnets if eks else ())
    if wrong is not None:
        faults.append(wrong)
    if faults:
        # Without eks nobody reads the type; where eks is wrong it is meant to be there.
        nodes = valid.get("nodes") if valid.get("eks", ...) is not None else None
        raise ConfigErrors([*faults, *_unknown_type(nodes, instance_types)])
    return Settings.model_validate(given)


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """What reads one field of the settings alone, so that the wrong ones do not keep the right ones from being read."""
    return _adapter_of(Settings.model_fields[name])


def _adapter_of(field: FieldInfo) -> TypeAdapter[Any]:
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind)


def _parsed(text: str, field: FieldInfo) -> Any:
    if section_of(field) is None:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _unknown(path: tuple[str, ...], key: str, model: type[BaseModel]) -> str:
    allowed = sorted(fields_of(model))
    return (
        f"{'.'.join((*path, key))}: no such key; {did_you_mean(key, allowed, MEANT)}allowed here: {', '.join(allowed)}"
    )


def _unknown_type(nodes: Nodes | None, known: Collection[str]) -> Iterator[str]:
    if nodes is not None and known and nodes.instance_type not in ("auto", *known):
        yield (
            f"{NAMESPACE}:nodes.instanceType = {nodes.instance_type:.200}: no EC2 type of the catalogue; "
            f"{did_you_mean(nodes.instance_type, known) or 'auto takes the cheapest that passes'}".rstrip()
        )


def _message(loc: tuple[str | int, ...], detail: ErrorDetails) -> str:
    path, model, field, secret = _walk(loc)
    if detail["type"] == "extra_forbidden":
        return _unknown(path[:-1], path[-1], model)
    purpose = f" ({field.description})" if field is not None and field.description else ""
    key = ".".join(path)
    if detail["type"] == "missing":
        return f"{key} is missing{purpose}"
    value = "[secret]" if secret else shown(detail["input"])
    examples = field.examples if field is not None else None
    if detail["type"] == "string_pattern_mismatch" and examples:
        return f"{key} = {value}: must be written like {examples[0]}{purpose}"
    meant = "" if secret or field is None else _number_meant(detail["input"], field)
    return f"{key} = {value}: {_rule(detail)}{meant}{purpose}"


def _number_meant(given: Any, field: FieldInfo) -> str:
    """`; did you mean 8000?` behind a number in a spelling of people, where the key takes the one that is meant."""
    if _bare(field.annotation) not in (int, float):
        return ""
    text = str(given).strip()
    if re.fullmatch(r"\d{1,3}(,\d{3})+", text):
        meant = float(text.replace(",", ""))
    elif re.fullmatch(r"\d+(\.\d+)?e\+?\d{1,2}", text, re.IGNORECASE):
        meant = float(text)
    elif _bare(field.annotation) is float and re.fullmatch(r"[1-9]\d(\.\d+)?|\d+(\.\d+)?\s*%", text):
        meant = float(text.removesuffix("%")) / 100
    else:
        return ""
    spelled = f"{meant:.0f}" if meant.is_integer() else f"{meant:g}"
    try:
        _adapter_of(field).validate_python(spelled)
    except ValidationError:
        return ""
    return f"; did you mean {spelled}?"


def _walk(loc: tuple[str | int, ...]) -> tuple[tuple[str, ...], type[BaseModel], FieldInfo | None, bool]:
    """The key's path, the model that holds it, its field, and whether its value must not be shown."""
    model: type[BaseModel] = Settings
    holder, field, secret = model, None, False
    path: list[str] = []
    for part in loc:
        path.append(str(part))
        holder = model
        found = fields_of(model).get(str(part))
        if found is None:
            break
        field = found
        section = section_of(field)
        secret = is_secret(field) or (section is not None and any(map(is_secret, fields_of(section).values())))
        if section is None:
            # pydantic marks a map's key by a further `[key]`, which is no part of the path a stack file has.
            path += [str(rest) for rest in loc[len(path) :] if rest != "[key]"]
            break
        model = section
    return tuple(path), holder, field, secret


def _unquoted(value: Any) -> str:
    """What to do where YAML made something else of a text. It repeats nothing of the value, which may be a secret, and
    names none to write: of 7.10 the number 7.1 is left."""
    match value:
        case bool():
            words = "yes, on and true" if value else "no, off and false"
            return f"; YAML reads {words} as {str(value).lower()}: quote the text"
        case int() | float():
            return "; YAML reads a text of digits as a number: quote it"
        case dict() if list(value.values()) == [None]:
            return "; YAML reads a text that ends in a colon as a map: quote it"
        case _:
            return ""


def _bound(bound: float) -> float:
    """1 and not 1.0."""
    return int(bound) if float(bound).is_integer() else bound


def _rule(detail: ErrorDetails) -> str:
    """What is allowed, in the words of whoever writes a stack file."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a map of keys and values"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "too_short" | "string_too_short":
            least, counted = context["min_length"], "characters" if isinstance(detail["input"], str) else "entries"
            return "must not be empty" if least == 1 else f"must have at least {least} {counted}"
        case "too_long" | "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "greater_than":
            return f"must be more than {_bound(context['gt'])}"
        case "greater_than_equal":
            return f"must be at least {_bound(context['ge'])}"
        case "less_than":
            return f"must be less than {_bound(context['lt'])}"
        case "less_than_equal":
            return f"must be at most {_bound(context['le'])}"
        case "enum":
            allowed = context["expected"]
            near = did_you_mean(str(detail["input"]), re.findall(r"'([^']+)'", allowed), MEANT)
            return f"{near}must be one of {allowed}{_unquoted(detail['input'])}"
        case "string_type" | "secret_type":
            return f"must be a text{_unquoted(detail['input'])}"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size" | "finite_number":
            return "must be a whole number"
        case "float_parsing" | "float_type":
            return "must be a number"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case "invalid_key":
            return "every key must be a text"
        case _:
            # The library's own words speak of Python's types, which mean nothing in a stack file.
            return "is not what belongs here"
