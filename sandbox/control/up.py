"""`python -m sandbox up`: evaluates a stack, brings the sandbox to it, and tries the cache with real images."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from preview.command import overrides
from preview.errors import EvaluationError
from preview.evaluate import Evaluation, evaluate
from sandbox.control.client import Sandbox
from sandbox.control.place import client_place, run_options
from sandbox.control.protocol import Message
from sandbox.errors import SandboxError
from sandbox.host.addresses import FAMILIES, IPV4, USUAL_NETWORK, ClusterNetwork
from sandbox.host.images import has_server, stand_in

_CHECK_PROGRAM = Path(__file__).parent / "check_images.py"
_CHECK_TIMEOUT_S = 120.0
_CERTIFICATES = "/tls"
"""Where the pods have the files of their certificate."""


def up(
    sandbox: Sandbox,
    stack: str,
    changes: Sequence[str],
    say: Callable[[str], None],
    *,
    hurry: float = 1.0,
    ip_family: str | None = None,
) -> int:
    """A stack with exporters gets a Prometheus, whose patience is divided by `hurry`. A sandbox that does not run yet
    is started with the stack's cluster domain and with addresses of this family, IPv4 unless given.

    Raises SandboxError with what failed; what was reached until then stays up for inspection."""
    began = time.monotonic()
    say(f"evaluating stack {stack}")
    try:
        evaluation = evaluate(stack, overrides(list(changes)))
    except EvaluationError as refusal:
        raise SandboxError(str(refusal)) from None
    domain = evaluation.settings.cluster_domain
    running = sandbox.hello() if sandbox.is_running else None
    if running is not None:
        _refuse_another_network(running, domain, ip_family)
    for warning in evaluation.warnings:
        say(f"warning: {warning}")
    other = stand_in(evaluation.settings.images.redis)
    if other is not None:
        say(other)
    if running is None:
        sandbox.network = ClusterNetwork(FAMILIES[ip_family or IPV4.name], domain)
        say(f"starting the sandbox{_unusual(sandbox.network)}")
        sandbox.start()
    # Before the Jobs, which tell it what they do.
    where = _watched(sandbox, evaluation, hurry)
    counts = sandbox.apply(evaluation.resources, say)
    done = ", ".join(f"{count} {verb}" for verb, count in sorted(counts.items()))
    say(f"applied {len(evaluation.resources)} resources ({done or 'no changes'})")
    check(sandbox, evaluation, say)
    say(f"up after {time.monotonic() - began:.0f} s")
    place = client_place(evaluation)
    run = f"python -m sandbox run{run_options(place)} -- python your_client.py".ljust(49)
    say(_USAGE.format(endpoint=evaluation.outputs.get("endpoint", ""), run=run))
    if where:
        say(where)
    return 0


def _refuse_another_network(running: Message, domain: str, ip_family: str | None) -> None:
    """Raises SandboxError where the running sandbox is another cluster than the stack needs."""
    differs = []
    if running["clusterDomain"] != domain:
        differs.append(f"clusterDomain = {domain}: the running sandbox was started with {running['clusterDomain']}")
    if ip_family not in (None, running["ipFamily"]):
        differs.append(f"--ip-family {ip_family}: the running sandbox was started with {running['ipFamily']}")
    if differs:
        raise SandboxError(
            "; ".join(differs) + ". No cluster changes that while it lives: run `make down` first, then this again"
        )


def _unusual(network: ClusterNetwork) -> str:
    """What is said of it where it is not what most clusters have."""
    said = [f"domain {network.domain}"] if network.domain != USUAL_NETWORK.domain else []
    said += [f"{network.family.pod_range} for its pods"] if network.family is not IPV4 else []
    return f": {', '.join(said)}" if said else ""


def _watched(sandbox: Sandbox, evaluation: Evaluation, hurry: float) -> str:
    """Where to look; nothing to look at without exporters."""
    if not evaluation.settings.monitoring.exporter:
        sandbox.unwatch()
        return ""
    url = sandbox.watch(namespace=evaluation.settings.monitoring.allow_from_namespaces[0], hurry=hurry)
    text = f"  {url}/alerts".ljust(53) + "what fires; also /targets, /rules, /graph"
    text += "\n" + "  python -m sandbox dashboard".ljust(53) + "the dashboard as a page, from what Prometheus knows"
    return text if hurry == 1 else f"{text}\n  every alert waits, and every query looks back, {hurry:g} times less long"


def check(sandbox: Sandbox, evaluation: Evaluation, say: Callable[[str], None]) -> None:
    """Writes and reads 1 MB images through the stack's own endpoint with an ordinary cluster client."""
    endpoint = str(evaluation.outputs["endpoint"])
    environment = {"REDIS_USER": str(evaluation.outputs["user"]), "REDIS_PASSWORD": app_password(evaluation)}
    with tempfile.TemporaryDirectory() as folder:
        if not evaluation.settings.tls.mode.has_plain:
            environment |= certificate_files(sandbox, Path(folder))
        command = [sys.executable, str(_CHECK_PROGRAM), endpoint]
        place = client_place(evaluation)
        done = sandbox.run(command, place=place, timeout_s=_CHECK_TIMEOUT_S, env=environment)
    if done.exit != 0:
        raise SandboxError(f"the cache at {endpoint} does not serve images: {(done.stderr or done.stdout).strip()}")
    say(done.stdout.strip())


def app_password(evaluation: Evaluation) -> str:
    """What an application is given. It goes to a client's environment, never to a command line."""
    secrets = (resource.inputs.get("stringData", {}) for resource in evaluation.resources if resource.kind == "Secret")
    return next(str(values["password"]) for values in secrets if "password" in values)


def certificate_files(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """The files of a pod's certificate, copied to a folder: variable for a client program -> path."""
    pod = next(pod for pod in sandbox.pods().values() if has_server(pod["image"]) and pod["ready"])
    variables = {"REDIS_CA_FILE": "ca.crt", "REDIS_CERT_FILE": "tls.crt", "REDIS_KEY_FILE": "tls.key"}
    for name in variables.values():
        read = sandbox.exec(pod["name"], ["cat", f"{_CERTIFICATES}/{name}"], namespace=pod["namespace"]).check()
        (folder / name).write_text(read.stdout)
    return {variable: str(folder / name) for variable, name in variables.items()}


_USAGE = """
  make status                                        pods, roles, slots, memory
  python -m sandbox exec redis-master-0 -- redis-cli CLUSTER INFO
  {run}  runs where {endpoint} resolves
  python -m sandbox fault --help                     break it
  make down                                          stop it, leave nothing behind
"""
