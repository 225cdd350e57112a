"""The reference of the stack config, generated from the settings: `python -m components.config.reference`.

It writes docs/config.md for people and docs/config.schema.json for editors. `declarations` is what Pulumi.yaml must
say of the keys; a test compares the three with what stands in the repository.
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from components.config.load import NAMESPACE, fields_of, is_secret, section_of
from components.config.rules import RULES
from components.config.settings import Settings
from components.config.units import format_size
from components.config.value_types import SizeBytes

DOCS = Path(__file__).resolve().parents[2] / "docs"
MARKDOWN, SCHEMA = DOCS / "config.md", DOCS / "config.schema.json"
_AS_TEXT = {"integer": "-?[0-9]+", "number": "-?[0-9.]+(e-?[0-9]+)?", "boolean": "true|false"}
"""How a scalar that is no text looks where it is written as a text, as `pulumi config set` writes it."""
_SIZE_RULE = get_args(SizeBytes)[1]
_TYPE_NAMES: Mapping[type, str] = {
    StrEnum: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    tuple: "list of texts",
    dict: "map of texts",
}
_BOUNDS: Mapping[str, str] = {
    "ge": "at least {:,}",
    "gt": "more than {:,}",
    "le": "at most {:,}",
    "lt": "less than {:,}",
    "min_length": "at least {} characters",
    "max_length": "at most {} characters",
}
"""What a bound of pydantic's says in words, by the name of its figure."""
_ENCRYPTED = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
    "description": "a value that `pulumi config set --secret` encrypted",
}


def declarations() -> dict[str, dict[str, Any]]:
    """The `config:` of Pulumi.yaml: type, default and description of every key."""
    return {key: _declaration(field) for key, field in fields_of(Settings).items()}


def markdown() -> str:
    """docs/config.md: a table for the plain keys and one for each section."""
    plain = {key: field for key, field in fields_of(Settings).items() if section_of(field) is None}
    parts = [
        "# Stack config",
        "",
        "Generated from `components/config/settings.py` by `python -m components.config.reference`.",
        "",
        f"Every key stands in a stack file under `config:` with the prefix `{NAMESPACE}:`.",
        "Editors complete and check the keys by [config.schema.json](config.schema.json).",
        "A section is a map. A section that a stack file names replaces the section as a whole.",
        "A key that is left out has its default.",
        "",
        "Rules between keys:",
        "",
        *(f"- {sentence}" for sentence in RULES.values()),
        "",
        "## Keys without a section",
        "",
        *_table(plain),
    ]
    for key, field in fields_of(Settings).items():
        section = section_of(field)
        if section is not None:
            parts += ["", f"## {key}", "", f"{field.description}.", "", *_table(fields_of(section))]
    return "\n".join(parts) + "\n"


def schema() -> dict[str, Any]:
    """docs/config.schema.json: the JSON schema of a stack file, Pulumi.<stack>.yaml.

    It is of draft 7, which every editor reads.
    """
    generated = Settings.model_json_schema(by_alias=True, mode="validation")
    keys = {key: _as_written(generated["properties"][key]) for key in fields_of(Settings)}
    for key, field in fields_of(Settings).items():
        section = section_of(field)
        others = []
        if section is not None and type(None) in get_args(field.annotation):
            others.append({"type": "object", "maxProperties": 0, "description": "absent"})
        if section is not None and any(map(is_secret, fields_of(section).values())):
            others.append(_ENCRYPTED)
        if others:
            keys[key] = {"anyOf": [keys[key], *others], "description": field.description}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"A stack file of {NAMESPACE}",
        "type": "object",
        "properties": {
            "config": {
                "type": ["object", "null"],
                "properties": {f"{NAMESPACE}:{key}": body for key, body in keys.items()},
                # What belongs to other namespaces, such as aws:region, their providers check.
                "patternProperties": {f"^(?!{NAMESPACE}:)[^:]+:.+$": {}},
                "additionalProperties": False,
            }
        },
        "$defs": {name: _as_written(body) for name, body in generated["$defs"].items()},
    }


def write() -> None:
    """Writes both files."""
    MARKDOWN.write_text(markdown(), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")


def schema_text() -> str:
    """The schema as it stands in its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _declaration(field: FieldInfo) -> dict[str, Any]:
    section = section_of(field)
    if section is not None:
        keys = ", ".join(fields_of(section))
        return {"type": "object", "default": {}, "description": f"{field.description}. Keys: {keys}"}
    default = _default(field)
    kind = "boolean" if isinstance(default, bool) else "integer" if isinstance(default, int) else "string"
    return {
        "type": kind,
        "default": default,
        "description": field.description,
    }


def _default(field: FieldInfo) -> Any:
    """As a stack file would write it."""
    default = field.get_default(call_default_factory=True)
    return format_size(default) if _is_size(field) and default is not None else default


def _is_size(field: FieldInfo) -> bool:
    kinds = [field, *get_args(field.annotation)]
    return any(_SIZE_RULE in getattr(kind, "metadata", getattr(kind, "__metadata__", ())) for kind in kinds)


def _table(fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| key | type | default | allowed | meaning |"
    yield "|---|---|---|---|---|"
    for key, field in fields.items():
        cells = (f"`{key}`", _type(field), _default_text(field), _allowed(field), str(field.description))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(field: FieldInfo) -> str:
    if _is_size(field):
        return "size"
    if is_secret(field):
        return "secret text"
    candidates = [kind for kind in (field.annotation, *get_args(field.annotation)) if kind is not type(None)]
    for candidate in candidates:
        kind = get_origin(candidate) or candidate
        for known, name in _TYPE_NAMES.items():
            if isinstance(kind, type) and issubclass(kind, known):
                return name
    raise TypeError(f"{field.annotation} has no name in the reference of the config")


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = _default(field)
    if default is None:
        return "absent"
    if default in ("", (), {}):
        return "empty"
    return f"`{json.dumps(default) if not isinstance(default, str) else default}`"


def _allowed(field: FieldInfo) -> str:
    if _is_size(field):
        return "a whole number directly followed by `MB`, `GB` or `TB`"
    enum = next((kind for kind in (field.annotation,) if isinstance(kind, type) and issubclass(kind, StrEnum)), None)
    if enum is not None:
        return ", ".join(f"`{member.value}`" for member in enum)
    if field.examples:
        return f"such as `{field.examples[0]}`"
    found = [
        words.format(getattr(bound, name))
        for bound in field.metadata
        for name, words in _BOUNDS.items()
        if hasattr(bound, name)
    ]
    return ", ".join(found).replace("at least 1 characters", "not empty")


def _as_written(body: Any) -> Any:
    """pydantic's schema of a value, as the value may be written in YAML.

    A number or a truth may be a text, as `pulumi config set` writes it. A size's default is spelt as a size. A secret
    may be encrypted. A map with patterns for its keys has no other keys. Titles only repeat the key.
    """
    if isinstance(body, list):
        return [_as_written(item) for item in body]
    if not isinstance(body, dict):
        return body
    written: dict[str, Any] = {
        key: {name: _as_written(inner) for name, inner in value.items()} if key == "properties" else _as_written(value)
        for key, value in body.items()
        if key not in ("title", "writeOnly")
    }
    if "patternProperties" in written:
        written["additionalProperties"] = False
    if written.get("type") == "string" and isinstance(written.get("default"), int):
        written["default"] = format_size(written["default"])
    if written.get("format") == "password":
        return {"anyOf": [written, _ENCRYPTED]}
    if written.get("type") in _AS_TEXT:
        about = {name: written.pop(name) for name in ("default", "description") if name in written}
        return {"anyOf": [written, {"type": "string", "pattern": f"^({_AS_TEXT[written['type']]})$"}], **about}
    return written


if __name__ == "__main__":
    write()
