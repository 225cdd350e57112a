"""Runs rendered Kubernetes objects as real processes on this machine, in namespaces without any uplink.

The sandbox knows Kubernetes, not the program that rendered the objects: what it does not support is an
error that names the object and the field, never silence.
"""

from preview.resources import Resource
from sandbox.errors import SandboxError

__all__ = ["Resource", "SandboxError"]
