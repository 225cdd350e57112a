"""A stranger joins the rendered cluster over its bus, while the repairs of the stack run as they are scheduled.

The network policies of the stack let no stranger near the bus. What is tried here is what happens where they do not
hold: on a cluster whose network does not enforce them, or when somebody has got through them.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.manifests import names
from preview.resources import Resource
from sandbox.control.client import Completed
from sandbox.control.place import Place
from sandbox.errors import SandboxError
from tests.faults.deployment import SHARDS, SLOTS, Deployment

_ROGUE = Path(__file__).parent / "rogue.py"
_COMES_WITHIN_S = 150.0
_BELIEVED_WITHIN_S = 60.0
_OUT_WITHIN_S = 180.0
_HEARD_WITHIN_S = 8.0
"""Where a stranger is let in, it owned every slot six seconds after it came (docs/reference/redis.md)."""


STRANGER = Place("stranger", {"app": "redis", "role": "master"})
"""A pod of another namespace, with the labels of the cluster's own."""


@dataclass(frozen=True)
class Intrusion:
    """What a stranger reached, and for how long. `None`: not within the time that was given."""

    believed_after_s: float | None
    """From the attack until some pod lost all of its slots."""
    out_after_s: float | None
    """From then until every pod finds the cluster whole again, without the stranger."""


@contextmanager
def stranger(deployment: Deployment, pod: str) -> Iterator[None]:
    """A stranger that has met the pod, and stays while the block runs."""
    with tempfile.TemporaryDirectory(prefix="stranger-") as name:
        folder, ended = Path(name), []
        command = [sys.executable, str(_ROGUE), name, deployment.pods()[pod]["ip"]]

        def run() -> None:
            ended.append(deployment.sandbox.run(command, place=STRANGER, timeout_s=400))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            _await(folder / "attacked", ended)
            yield
        finally:
            (folder / "stop").touch()
            thread.join(30)


def _await(file: Path, ended: list[Completed]) -> None:
    end = time.monotonic() + _COMES_WITHIN_S
    while not file.exists():
        if ended or time.monotonic() > end:
            raise SandboxError(f"the stranger did not come: {ended}")
        time.sleep(0.05)


def is_heard(deployment: Deployment, pod: str) -> bool:
    """Whether anybody in the whole cluster gets to know a stranger that meets the pod."""
    whole = deployment.views()
    known = {row[0] for view in whole.values() for row in view.nodes}
    if not len(whole) == len(known) == 2 * SHARDS:
        raise SandboxError(f"{len(whole)} pods know {len(known)} nodes before any stranger came")

    def is_known() -> bool:
        return any({row[0] for row in view.nodes} - known for view in deployment.views().values())

    with stranger(deployment, pod):
        return deployment.until(is_known, _HEARD_WITHIN_S) is not None


@contextmanager
def let_in(deployment: Deployment) -> Iterator[None]:
    """While the block runs, one more policy lets strangers talk to the cluster's pods, on every port and both ways."""
    strangers = {"namespaceSelector": {"matchLabels": {names.NAMESPACE_NAME_LABEL: STRANGER.namespace}}}
    opened = Resource(
        "urn:pulumi:test::test::kubernetes:networking.k8s.io/v1:NetworkPolicy::let-strangers-in",
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "let-strangers-in",
        provider="kubernetes",
        inputs={
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "let-strangers-in", "namespace": deployment.namespace},
            "spec": {
                "podSelector": {"matchLabels": names.APP_LABEL},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [strangers]}],
                "egress": [{"to": [strangers]}],
            },
        },
    )
    deployment.sandbox.apply([*deployment.resources, opened])
    try:
        yield
    finally:
        deployment.sandbox.apply(deployment.resources)


def intrude(deployment: Deployment, pod: str, *, repair_at_once: bool) -> Intrusion:
    """Every pod of the cluster is talked out of its slots, and gets them back: by the repair that is due next, or by
    one that is started when the stranger is believed. The stranger is let in for it."""
    with let_in(deployment), stranger(deployment, pod):

        def is_believed() -> bool:
            owners = [view for view in deployment.views().values() if view.slots]
            return sum(len(view.slots) for view in owners) < SLOTS

        believed = deployment.until(is_believed, _BELIEVED_WITHIN_S)
        if repair_at_once:
            deployment.sandbox.trigger(names.REPAIR, deployment.namespace)
        out = deployment.until(deployment.is_whole, _OUT_WITHIN_S)
    return Intrusion(believed, out)
