"""Addresses with ports as texts. An IPv6 address has colons of its own, so it stands in brackets before a port."""

from __future__ import annotations


def with_port(host: str, port: int) -> str:
    """`10.0.0.7:6379`, `[fd00::7]:6379` or `name:6379`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_port(text: str, otherwise: int) -> tuple[str, int]:
    """Host and port of such a text; `otherwise` where it has no port. An IPv6 address without a port may do without
    brackets."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, int(port.removeprefix(":") or otherwise)
    host, _, port = text.partition(":")
    return (text, otherwise) if ":" in port else (host, int(port or otherwise))
