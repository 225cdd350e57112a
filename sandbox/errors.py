"""Errors a person can act on: what was given, what is allowed, what to do. Never shown as a traceback."""

from __future__ import annotations

from typing import TypeVar


class SandboxError(Exception):
    """Base of every error the sandbox reports to its user."""


class UnsupportedError(SandboxError):
    """A manifest uses something the sandbox does not run; it would be a lie to ignore it."""


class InvalidError(SandboxError):
    """The API server would refuse this object or this change."""


class ConfigError(InvalidError):
    """A reference of a pod that does not resolve yet: the kubelet waits, and tries again."""


class ImagePullError(SandboxError):
    """An image that no registry has: the kubelet waits longer and longer, and tries again."""


class NotFoundError(SandboxError):
    """A named pod, container, node or object does not exist."""


class ApplyError(SandboxError):
    """A resource did not reach the state Pulumi waits for."""


T = TypeVar("T")


def known(value: T | None, why: str) -> T:
    """`value`, which cannot be None because of `why`; if it is, that is a fault of the sandbox itself."""
    if value is None:
        raise RuntimeError(f"fault in the sandbox: {why}")
    return value
