"""`python -m sandbox up`: evaluates a stack, brings the sandbox to it, and tries the cache with real images."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from preview.command import overrides
from preview.errors import EvaluationError
from preview.evaluate import Evaluation, evaluate
from sandbox.control.client import Sandbox
from sandbox.errors import SandboxError
from sandbox.host.dns import CLUSTER_DOMAIN
from sandbox.host.images import has_server, stand_in

_CHECK_PROGRAM = Path(__file__).parent / "check_images.py"
_CHECK_TIMEOUT_S = 120.0
_CERTIFICATES = "/tls"
"""Where the pods have the files of their certificate."""


def up(sandbox: Sandbox, stack: str, changes: Sequence[str], say: Callable[[str], None]) -> int:
    """Raises SandboxError with what failed; what was reached until then stays up for inspection."""
    began = time.monotonic()
    say(f"evaluating stack {stack}")
    try:
        evaluation = evaluate(stack, overrides(list(changes)))
    except EvaluationError as refusal:
        raise SandboxError(str(refusal)) from None
    domain = evaluation.settings.cluster_domain
    if domain != CLUSTER_DOMAIN:
        raise SandboxError(
            f"clusterDomain = {domain}: the sandbox's domain is {CLUSTER_DOMAIN}, so no pod would find another; try "
            f"the stack here with --set clusterDomain={CLUSTER_DOMAIN}"
        )
    for warning in evaluation.warnings:
        say(f"warning: {warning}")
    other = stand_in(evaluation.settings.images.redis)
    if other is not None:
        say(other)
    if not sandbox.is_running:
        say("starting the sandbox")
        sandbox.start()
    counts = sandbox.apply(evaluation.resources, say)
    done = ", ".join(f"{count} {verb}" for verb, count in sorted(counts.items()))
    say(f"applied {len(evaluation.resources)} resources ({done or 'no changes'})")
    check(sandbox, evaluation, say)
    say(f"up after {time.monotonic() - began:.0f} s")
    cli = "redis-cli" if evaluation.settings.tls.mode.has_plain else "sh /scripts/cli.sh"
    say(_USAGE.format(endpoint=evaluation.outputs.get("endpoint", ""), cli=cli))
    return 0


def check(sandbox: Sandbox, evaluation: Evaluation, say: Callable[[str], None]) -> None:
    """Writes and reads 1 MB images through the stack's own endpoint with an ordinary cluster client."""
    endpoint = str(evaluation.outputs["endpoint"])
    pod = next(pod for pod in sandbox.pods().values() if has_server(pod["image"]) and pod["ready"])
    # Only the pods have the password; it goes from there to the client's environment, never to a command line.
    password = sandbox.exec(
        pod["name"], ["sh", "-c", 'printf %s "${REDISCLI_AUTH-}"'], namespace=pod["namespace"]
    ).check()
    environment = {"REDIS_PASSWORD": password.stdout}
    with tempfile.TemporaryDirectory() as folder:
        if evaluation.settings.tls.mode.has_tls:
            environment |= _certificate(sandbox, pod, Path(folder))
        done = sandbox.run([sys.executable, str(_CHECK_PROGRAM), endpoint], timeout_s=_CHECK_TIMEOUT_S, env=environment)
    if done.exit != 0:
        raise SandboxError(f"the cache at {endpoint} does not serve images: {(done.stderr or done.stdout).strip()}")
    say(done.stdout.strip())


def _certificate(sandbox: Sandbox, pod: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """The files of a pod's certificate, copied to a folder: variable for the check program -> path."""
    variables = {"REDIS_CA_FILE": "ca.crt", "REDIS_CERT_FILE": "tls.crt", "REDIS_KEY_FILE": "tls.key"}
    for name in variables.values():
        read = sandbox.exec(pod["name"], ["cat", f"{_CERTIFICATES}/{name}"], namespace=pod["namespace"]).check()
        (folder / name).write_text(read.stdout)
    return {variable: str(folder / name) for variable, name in variables.items()}


_USAGE = """
  make status                                        pods, roles, slots, memory
  python -m sandbox exec redis-master-0 -- {cli} CLUSTER INFO
  python -m sandbox run -- python your_client.py     runs where {endpoint} resolves
  python -m sandbox fault --help                     break it
  make down                                          stop it, leave nothing behind
"""
