"""All four applications read from the nearest copy, so that as little crosses zones as the plan says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.examples.programs import PROGRAMS, Program
from tests.examples.test_applications import each_program
from tests.examples.zones import Reads, assert_as_planned, clients_in_every_zone, read
from tests.faults.deployment import Deployment
from tests.faults.stacks import zoned

pytestmark = [pytest.mark.sandbox, pytest.mark.second_look]


@pytest.fixture(scope="module")
def in_zones() -> Iterator[tuple[Deployment, dict[str, str], Reads]]:
    """A deployment, a client in every zone, and what crosses where those read from masters."""
    # Handshakes and records are no part of what is counted; test_applications.py shows these clients with TLS.
    plain = ("tls.mode", "plain")
    with zoned("test-example-zones", plain) as deployment, clients_in_every_zone(deployment) as clients:
        yield deployment, clients, read(deployment, clients, PROGRAMS[0], "master")


@each_program
def test_reads_from_the_nearest_copy_halve_what_crosses_zones_as_the_plan_says(
    in_zones: tuple[Deployment, dict[str, str], Reads], program: Program
) -> None:
    deployment, clients, masters = in_zones
    nearest = read(deployment, clients, program, "nearest")
    print(f"{program.name}: {masters} from masters, {nearest} from the nearest copies")
    assert_as_planned(masters, nearest)
