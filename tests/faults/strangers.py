"""A stranger joins the rendered cluster over its bus, while the repairs of the stack run as they are scheduled."""

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
from sandbox.control.client import Completed
from sandbox.errors import SandboxError
from sandbox.host.network import GATEWAY_IP
from tests.faults.deployment import SLOTS, Deployment

_ROGUE = Path(__file__).parent / "rogue.py"
_COMES_WITHIN_S = 150.0
_BELIEVED_WITHIN_S = 60.0
_OUT_WITHIN_S = 180.0


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
        command = [sys.executable, str(_ROGUE), name, GATEWAY_IP, deployment.pods()[pod]["ip"]]

        def run() -> None:
            ended.append(deployment.sandbox.run(command, timeout_s=400))

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


def intrude(deployment: Deployment, pod: str, *, repair_at_once: bool) -> Intrusion:
    """Every pod of the cluster is talked out of its slots, and gets them back: by the repair that is due next, or by
    one that is started when the stranger is believed."""
    with stranger(deployment, pod):

        def is_believed() -> bool:
            owners = [view for view in deployment.views().values() if view.slots]
            return sum(len(view.slots) for view in owners) < SLOTS

        believed = deployment.until(is_believed, _BELIEVED_WITHIN_S)
        if repair_at_once:
            deployment.sandbox.trigger(names.REPAIR, deployment.namespace)
        out = deployment.until(deployment.is_whole, _OUT_WITHIN_S)
    return Intrusion(believed, out)
