"""Reads the answer of FUNCTION LIST WITHCODE: the libraries of functions that a node has."""

from __future__ import annotations

from reconciler.connection import Reply, ReplyError, text
from reconciler.observe.observation import Library


def libraries(answer: Reply) -> tuple[Library, ...]:
    """The libraries in the order of the answer. Raises `ReplyError` on an answer of another shape."""
    return tuple(_library(_fields(entry)) for entry in _items(answer))


def _library(fields: dict[str, Reply]) -> Library:
    code = fields.get("library_code")
    if not isinstance(code, bytes):
        raise ReplyError("FUNCTION LIST WITHCODE gave a library without its code")
    functions = (_fields(function).get("name") for function in _items(fields.get("functions")))
    return Library(text(fields.get("library_name")), frozenset(text(name) for name in functions), code)


def _items(reply: Reply) -> list[Reply]:
    if not isinstance(reply, list):
        raise ReplyError(f"a list was expected of FUNCTION LIST, the node answered {reply!r:.80}")
    return reply


def _fields(reply: Reply) -> dict[str, Reply]:
    """A list of names and values in turn, as a mapping."""
    items = _items(reply)
    return {text(name): value for name, value in zip(items[::2], items[1::2], strict=False)}
