"""Bytes between zones: the same application in every zone reads the same images, from masters or from the nearest
copies."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.advice.figures import derive_figures
from sandbox.control.place import beside
from sandbox.errors import SandboxError
from sandbox.kubernetes.nodes import ZONE_LABEL
from tests.examples.programs import Program
from tests.faults.deployment import Deployment
from tests.faults.stacks import zoned_stack
from tests.sandbox.manifests import SLEEP, container, pod_spec, resource, stateful_set

DELAY_MS = 5.0
"""In each direction, and several times that of a cloud: this machine does other work while it is measured."""
IMAGES, TURNS = 30, 5
_READY_WITHIN_S = 90.0


@dataclass(frozen=True)
class Reads:
    """`crossed` of the bytes went from one zone to another, with all that nodes and clients said to each other."""

    read_bytes: int
    crossed_bytes: int

    @property
    def crossed_share(self) -> float:
        return self.crossed_bytes / self.read_bytes


@contextmanager
def clients_in_every_zone(deployment: Deployment) -> Iterator[dict[str, str]]:
    """Zone -> a pod there, beside the deployment's own; the zones are as far apart as `DELAY_MS` says."""
    zones = sorted({str(node["zone"]) for node in deployment.sandbox.status()["nodes"]})
    namespace, labels = deployment.clients.namespace or "default", dict(deployment.clients.labels)
    pods = [
        stateful_set(
            f"client-{zone}",
            pod_spec(container(SLEEP), nodeSelector={ZONE_LABEL: zone}),
            namespace=namespace,
            labels=labels,
        )
        for zone in zones
    ]
    # Of the applications' own making, and so before their pods.
    applications = [resource("Namespace", namespace)] if namespace != "default" else []
    deployment.sandbox.apply([*deployment.resources, *applications])
    deployment.sandbox.apply([*deployment.resources, *applications, *pods])
    deployment.fault("zone-distance", delay_ms=DELAY_MS)
    try:
        yield {zone: f"client-{zone}-0" for zone in zones}
    finally:
        deployment.fault("zone-distance")


def read(deployment: Deployment, clients: dict[str, str], program: Program, reads_from: str) -> Reads:
    """What one turn of reads in every zone brought, once each application knew how far away the nodes are."""
    with tempfile.TemporaryDirectory(prefix="zones-") as name, ThreadPoolExecutor(len(clients)) as threads:
        folder = Path(name)
        (folder / "password").write_text(deployment.password)
        environment = {
            "REDIS_ENDPOINT": deployment.endpoint,
            "REDIS_USER": deployment.user,
            "REDIS_PASSWORD_FILE": str(folder / "password"),
            "REDIS_CA_FILE": deployment.ca_file or str(folder / "no-ca.crt"),
            "REDIS_READS_FROM": reads_from,
        }

        def reader(pod: str) -> int:
            words = [sys.executable, "-m", "tests.examples.zone_reader", pod, str(IMAGES), str(TURNS), name]
            place = beside(pod, deployment.clients.namespace)
            done = deployment.sandbox.run([*words, *program.command], place=place, timeout_s=240, env=environment)
            return int(done.check().stdout)

        running = [threads.submit(reader, pod) for pod in clients.values()]
        deadline = time.monotonic() + _READY_WITHIN_S
        while not all((folder / f"ready-{pod}").exists() for pod in clients.values()):
            for item in running:
                if item.done():
                    item.result()
            if time.monotonic() > deadline:
                raise SandboxError("the applications were not ready in time")
            time.sleep(0.05)
        before = int(deployment.sandbox.status()["bytesBetweenZones"])
        (folder / "go").touch()
        came = sum(item.result() for item in running)
        return Reads(came, int(deployment.sandbox.status()["bytesBetweenZones"]) - before)


TOLERANCE = 0.06
"""Headers, PINGs and what nodes say to each other are counted too. A client that was not scheduled for a while takes a
far copy for the nearest: on machines with a load of 30, up to a quarter of the reads went astray."""


def assert_as_planned(masters: Reads, nearest: Reads) -> None:
    """What crosses has the share that the plan counts with, where clients read from masters and where they do not."""
    figures = derive_figures(zoned_stack().settings)
    assert figures.cost is not None
    assert figures.nodes is not None
    from_masters, near, *_ = figures.cost.cross_zone
    zones = len(figures.nodes.zones)
    assert abs(masters.crossed_share - (zones - 1) / zones) < TOLERANCE, masters
    assert abs(nearest.crossed_bytes / masters.crossed_bytes - near.reads_usd / from_masters.reads_usd) < TOLERANCE, (
        masters,
        nearest,
    )
