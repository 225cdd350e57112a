"""Strict decoding: every field of a manifest is either run, named as not enforced, or refused.

A model lists the fields the sandbox understands. `NotEnforced` marks those it accepts because they only describe
something this machine does not have (a cloud, a CPU scheduler); `status` lists them.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from preview.changes import prune
from sandbox.errors import InvalidError, UnsupportedError


@dataclass(frozen=True)
class NotEnforced:
    """Annotation of a field that is accepted and has no effect here."""

    reason: str


class Manifest(BaseModel):
    """A part of a Kubernetes object; field names are the camelCase of the attribute unless aliased."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


M = TypeVar("M", bound=Manifest)


def decode(model: type[M], inputs: Mapping[str, Any], subject: str) -> M:
    """`inputs` as `model`; all faults at once in one UnsupportedError or InvalidError naming `subject`."""
    try:
        return model.model_validate(prune(inputs))
    except ValidationError as error:
        lines = []
        unsupported = False
        faults = error.errors(include_url=False)
        for fault in faults:
            # A list whose only item is refused is also "too short": that says nothing more.
            depth = len(fault["loc"])
            if any(len(other["loc"]) > depth and other["loc"][:depth] == fault["loc"] for other in faults):
                continue
            loc = tuple(part for part in fault["loc"] if not (isinstance(part, str) and part.startswith("function-")))
            path = show_path(loc)
            if fault["type"] == "extra_forbidden":
                unsupported = True
                supported = ", ".join(sorted(supported_fields(model, loc[:-1])))
                lines.append(f"{path} is not supported by the sandbox; supported there: {supported}")
            elif fault["type"] == "literal_error":
                unsupported = True
                lines.append(f"{path} is {fault['input']!r}; the sandbox supports {fault['ctx']['expected']}")
            elif fault["type"] == "missing":
                lines.append(f"{path} is required")
            else:
                lines.append(f"{path} is {fault['input']!r}: {fault['msg'].removeprefix('Value error, ')}")
        text = f"{subject}: " + "; ".join(lines)
        raise (UnsupportedError(text) if unsupported else InvalidError(text)) from None


def show_path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text or "(object)"


def _models_in(annotation: Any) -> Iterator[type[Manifest]]:
    if isinstance(annotation, type) and issubclass(annotation, Manifest):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, tuple, list, dict) or get_args(annotation):
        for argument in get_args(annotation):
            yield from _models_in(argument)


def supported_fields(model: type[Manifest], loc: tuple[int | str, ...]) -> set[str]:
    """Aliases of the fields of the model found at `loc` below `model`."""
    current = model
    for part in loc:
        if isinstance(part, int):
            continue
        for field in current.model_fields.values():
            if field.alias == part:
                current = next(_models_in(field.annotation), current)
    return {field.alias or name for name, field in current.model_fields.items()}


def not_enforced(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(field path, reason) of every accepted field that has no effect here and that this object sets."""
    if isinstance(value, Manifest):
        for name, field in type(value).model_fields.items():
            if name not in value.model_fields_set:
                continue
            here = f"{path}.{field.alias}" if path else str(field.alias)
            marks = [mark for mark in field.metadata if isinstance(mark, NotEnforced)]
            if marks:
                yield here, marks[0].reason
            else:
                yield from not_enforced(getattr(value, name), here)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from not_enforced(item, f"{path}[{index}]")
