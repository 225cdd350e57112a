"""Reads Pulumi.yaml and Pulumi.<stack>.yaml. A reader of YAML takes without a word what nobody meant, which is refused
here: a key that stands twice, of which the last one counts, a number that is not the one that is written, and a key
that is nobody's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from components.config.did_you_mean import did_you_mean
from components.config.load import NAMESPACE
from preview.errors import EvaluationError

STACK_KEYS = ("config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider")
"""What Pulumi itself reads of a stack file (its schema of project stacks)."""
NAMESPACES = (NAMESPACE, "pulumi", "aws", "kubernetes", "random")
"""Whose config a stack may have: this project's, Pulumi's own, and that of the providers in requirements.txt."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_DECIMAL = re.compile(r"[-+]?(0|[1-9]\d*|\d*\.\d*(e[-+]\d+)?|\.inf|\.nan)", re.IGNORECASE)
"""A number that is the same to people and to YAML."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The file's map. Raises EvaluationError when it is none, when a key stands twice, when a value holds itself, or
    when a number is read as another one, with the lines."""
    return _read(path)[0]


def read_value(text: str, named: str) -> Any:
    """A value as JSON or YAML. Raises EvaluationError when it is neither or has one of the faults of a file;
    `named` is what it was given as."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise EvaluationError(
            f"{named}={text}: {text} is neither JSON nor YAML; quote it for the shell, and close what it opens"
        ) from None
    faults = _faults(root) if root is not None else []
    if faults:
        raise EvaluationError("\n".join(f"{named}: {fault}" for fault in faults))
    return value


def read_stack_config(path: Path) -> dict[Any, Any]:
    """What stands under `config` of a stack file; nothing where it has none.

    Raises EvaluationError naming every key that stands twice or belongs to nobody, with its line.
    """
    content, root = _read(path)
    faults = [
        f"{path.name}, line {line}: {key}: no such key; {did_you_mean(key, STACK_KEYS)}allowed here: "
        f"{', '.join(STACK_KEYS)}"
        for key, line in _keys(root)
        if key not in STACK_KEYS
    ]
    config = content.get("config") or {}
    if not isinstance(config, dict):
        raise EvaluationError(f"{path.name}: config must be a map of keys and values")
    for node in _values(root, "config"):
        faults += [fault for key, line in _keys(node) for fault in _foreign(path, key, line)]
    if faults:
        raise EvaluationError("\n".join(faults))
    return config


def encrypted(path: Path) -> dict[str, str]:
    """Every encrypted value of a stack file by its path, as it stands there. Nobody can read it without the key of
    the stack, but that it is another one can be seen."""
    return dict(_encrypted(read_yaml(path).get("config"), ""))


def _encrypted(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            yield path, str(value["secure"])
            return
        for key, item in value.items():
            yield from _encrypted(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _encrypted(item, f"{path}.{index}")


def foreign(key: str) -> Iterator[str]:
    """What is wrong with the key of a config whose namespace nobody here reads: its value would count for nothing."""
    namespace, _, name = key.partition(":")
    if namespace not in NAMESPACES:
        meant = did_you_mean(namespace, NAMESPACES, suffix=f":{name}")
        yield (f"{key}: nothing here reads the namespace {namespace}; {meant}allowed are {', '.join(NAMESPACES)}")


def _foreign(path: Path, key: str, line: int) -> Iterator[str]:
    if ":" not in key:
        yield f"{path.name}, line {line}: {key}: a key of a config has a namespace; write {NAMESPACE}:{key}"
    else:
        yield from (f"{path.name}, line {line}: {fault}" for fault in foreign(key))


def _read(path: Path) -> tuple[dict[str, Any], yaml.MappingNode]:
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, yaml.SafeLoader)
        content = yaml.safe_load(text)
    except OSError as error:
        raise EvaluationError(f"{path.name} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        # The reader was given a text, and knows no name for it.
        told = str(error).replace('"<unicode string>"', path.name)
        raise EvaluationError(f"{path.name} is no valid YAML: {told}") from None
    if not isinstance(content, dict) or not isinstance(root, yaml.MappingNode):
        raise EvaluationError(f"{path.name} must be a map with the key config")
    faults = [f"{path.name}, {fault}" for fault in _faults(root)]
    if faults:
        raise EvaluationError("\n".join(faults))
    return content, root


def _keys(node: yaml.Node) -> Iterator[tuple[str, int]]:
    """Each key of a map, with its line."""
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            yield str(key.value), key.start_mark.line + 1


def _values(node: yaml.MappingNode, name: str) -> Iterator[yaml.Node]:
    yield from (value for key, value in node.value if key.value == name)


def _faults(root: yaml.Node) -> list[str]:
    """What a reader of YAML takes without a word and nobody can have meant, in the order of the lines."""
    found = [*_endless(root, set(), set())]
    for path, node in _nodes(root, "", set()):
        found += [*_twice(node, path), *_other_number(node, path)]
    return [f"line {line}: {fault}" for line, fault in sorted(found)]


def _nodes(node: yaml.Node, path: str, seen: set[int]) -> Iterator[tuple[str, yaml.Node]]:
    """Every value at any depth, with the keys that lead to it. What an alias stands for comes once: it may even hold
    itself."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield path, node
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _nodes(item, path, seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _nodes(value, _below(path, key), seen)


def _below(path: str, key: yaml.Node) -> str:
    return f"{path}.{key.value}" if path else str(key.value)


def _other_number(node: yaml.Node, path: str) -> Iterator[tuple[int, str]]:
    """A number that YAML reads as another one than people do: of another base, in sixties, or with underscores."""
    if node.tag in _NUMBERS and not _DECIMAL.fullmatch(node.value):
        read = yaml.safe_load(node.value)
        digits = re.fullmatch(r"([-+]?)0+(\d+)", node.value)
        meant = f"{digits[1]}{digits[2]}".lstrip("+") if digits else read
        named = f"{path}: " if path else ""
        yield (
            node.start_mark.line + 1,
            f"{named}{node.value} is {read} in YAML; write {meant}, or quote it where a text is meant",
        )


def _twice(node: yaml.Node, path: str) -> Iterator[tuple[int, str]]:
    """Every key that stands more than once in a map."""
    first: dict[tuple[str, str], int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode):
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in first:
                told = f"stands twice, first in line {first[name]}; only the last would count, so remove one"
                yield line, f"{_below(path, key)} {told}"
            first.setdefault(name, line)


def _endless(node: yaml.Node, around: set[int], seen: set[int]) -> Iterator[tuple[int, str]]:
    """Every alias inside of what it stands for: such a value has no end. `around` are the values that hold this one."""
    if id(node) in around:
        told = "the value that begins here holds itself, by an alias (*); write out what is meant"
        yield node.start_mark.line + 1, told
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    for item in node.value:
        for part in item if isinstance(node, yaml.MappingNode) else (item,):
            yield from _endless(part, around | {id(node)}, seen)
