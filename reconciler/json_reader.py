"""Reads typed values out of JSON and keeps every complaint."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any, TypeAlias

Version: TypeAlias = tuple[int, int]
"""Of a server: its first two numbers."""

ENGINES = ("redis", "valkey")


class Reader:
    """Reads typed values out of one JSON object and keeps every complaint instead of stopping at the first."""

    def __init__(self, problems: list[str], where: str, value: object, allowed: tuple[str, ...]) -> None:
        self._problems = problems
        self._where = where
        self._values: dict[str, Any] = {}
        self._is_object = isinstance(value, dict)
        if not isinstance(value, dict):
            problems.append(f"{where or 'the file'}: {show(value)} is given, an object is needed")
            return
        self._values = value
        for key in value:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1)
                hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(allowed)}"
                problems.append(f"{self._path(key)}: unknown key; {hint}")

    def _path(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def _missing(self, key: str, kind: str) -> None:
        if self._is_object:
            self._problems.append(f"{self._path(key)}: missing; {kind} is needed")

    def _wrong(self, key: str, kind: str) -> None:
        self._problems.append(f"{self._path(key)}: {show(self._values[key])} is given, {kind} is needed")

    def text(self, key: str, default: str | None = None, one_of: tuple[str, ...] = ()) -> str:
        kind = f"one of {', '.join(one_of)}" if one_of else "a string that is not empty"
        if key not in self._values:
            if default is None:
                self._missing(key, kind)
            return default or ""
        value = self._values[key]
        if not isinstance(value, str) or not value or (one_of and value not in one_of):
            self._wrong(key, kind)
            return default or ""
        return value

    def pattern(self, key: str) -> str | None:
        """A regular expression; None where there is none."""
        if key not in self._values:
            return None
        expression = self.text(key)
        try:
            re.compile(expression)
        except re.error as error:
            self._wrong(key, f"a regular expression ({error})")
        return expression

    def whole(self, key: str, default: int | None, low: int, high: int) -> int:
        kind = f"a whole number from {low} to {high}"
        if key not in self._values:
            if default is None:
                self._missing(key, kind)
            return low if default is None else default
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._wrong(key, kind)
            return low
        return value

    def seconds(self, key: str, default: float, low: float, high: float) -> float:
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._wrong(key, f"a number of seconds from {low:g} to {high:g}")
            return default
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            self._wrong(key, "true or false")
            return default
        return value

    def items(self, key: str, required: bool) -> list[Any]:
        if key not in self._values:
            if required:
                self._missing(key, "a list")
            return []
        value = self._values[key]
        if not isinstance(value, list) or (required and not value):
            self._wrong(key, "a list" + (" that is not empty" if required else ""))
            return []
        return value

    def versions(self, key: str) -> dict[str, Version]:
        kind = 'an object of engines and versions, such as {"redis": "7.4"}'
        value = self._values.get(key)
        if value is None:
            self._missing(key, kind)
            return {}
        found: dict[str, Version] = {}
        for engine, version in value.items() if isinstance(value, dict) else ():
            numbers = str(version).split(".")
            if engine in ENGINES and len(numbers) == 2 and all(number.isdigit() for number in numbers):
                found[engine] = (int(numbers[0]), int(numbers[1]))
        if not isinstance(value, dict) or len(found) != len(value):
            self._wrong(key, kind)
        return found

    def get(self, key: str) -> object:
        return self._values.get(key)


def show(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
