"""Programs for the PATH of a Pulumi engine that has no network to get them from: providers, and the `aws` CLI."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.e2e.harness.control_plane import TOKEN
from tests.e2e.harness.engine import CHECKOUT
from tests.e2e.stand_in.account import ENV, Account

_CREDENTIAL = {
    "apiVersion": "client.authentication.k8s.io/v1beta1",
    "kind": "ExecCredential",
    "status": {"token": TOKEN},
}


def make_account(home: Path) -> Account:
    """An empty account, which the providers that this process starts keep their resources in."""
    os.environ[ENV] = str(home / "account")
    return Account(home / "account")


def write_scripts(home: Path) -> Path:
    """A directory for PATH with the stand-ins for AWS's and the random provider, and the `aws` that signs in."""
    directory = home / "bin"
    directory.mkdir()
    provider = f"export PYTHONPATH={CHECKOUT}\nexec {sys.executable} -m tests.e2e.stand_in.provider"
    scripts = {
        "pulumi-resource-aws": f"{provider} aws",
        "pulumi-resource-random": f"{provider} random",
        "aws": f"echo '{json.dumps(_CREDENTIAL)}'",
    }
    for name, text in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
    return directory
