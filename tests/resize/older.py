"""A stack as rendered before there were users: one password for everybody, and the user default may do everything."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from components.manifests import users
from preview.resources import Resource
from sandbox.control.client import Sandbox
from tests.faults.stacks import attached, local_stack
from tests.resize.harness import Stack

_OTHER_NAMES = ("access.keyPrefix", "older")
"""A key that changes the content of the Secret, and so the names that are made from it: no object of the older stack
has the name of one that comes after it."""


@contextmanager
def without_users(name: str, **overrides: str) -> Iterator[Stack]:
    config = {key.replace("__", "."): value for key, value in overrides.items()}
    evaluation = local_stack(*sorted((config | dict([_OTHER_NAMES])).items()))
    password = config["access.password"]
    resources = tuple(_older(resource, password) for resource in evaluation.resources)
    with Sandbox(f"{name}-{os.getpid()}") as sandbox:
        sandbox.apply(resources)
        yield Stack(attached(sandbox, evaluation), config)


def _older(resource: Resource, password: str) -> Resource:
    if resource.kind == "Secret":
        quoted = users.quoted(password)
        values = {
            **resource.inputs["stringData"],
            users.USERS_CONF_KEY: f"requirepass {quoted}\nmasterauth {quoted}\n",
            users.OPERATOR_KEY: password,
            users.CREDENTIALS_KEY: json.dumps([{"user": users.DEFAULT, "password": password}]),
        }
        return replace(resource, inputs={**resource.inputs, "stringData": values})
    return replace(resource, inputs=_as_default(dict(resource.inputs)))


def _as_default(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("name") == "REDISCLI_USER":
            return {**value, "value": users.DEFAULT}
        return {key: _as_default(item) for key, item in value.items()}
    return [_as_default(item) for item in value] if isinstance(value, list | tuple) else value
