"""What rules and panels ask of the exporter is in a real scrape of a real Redis Cluster."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.config.load import settings_of
from components.manifests import names
from components.manifests.pool import pool_manifests
from components.plan.plan import derive_plan
from sandbox.host.images import EXPORTER
from tests.monitoring.stacks import KNOWN
from tests.plan.stacks import PRODUCTION
from tests.reconciler.servers import Fleet, die_with_parent, eventually

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """A cluster of three masters with their replicas, after reads and writes."""
    with contextlib.closing(Fleet()) as fleet:
        fleet.formed(3, password="correct-horse-battery")
        fleet.write(20)
        fleet.read(20)
        yield fleet


@contextlib.contextmanager
def exporter(fleet: Fleet, **environment: str) -> Iterator[str]:
    """The exporter of a master with a replica; its address."""
    master = fleet.servers["redis-master-0"]
    where = f"{master.ip}:{names.EXPORTER_PORT}"
    process = subprocess.Popen(
        [Path(sys.executable).parent / EXPORTER, f"-web.listen-address={where}"],
        env={"REDIS_ADDR": f"redis://{master.ip}:{master.port}", "REDIS_PASSWORD": str(master.password), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        eventually(lambda: _listens(master.ip))
        yield f"http://{where}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def scraped(fleet: Fleet) -> str:
    with exporter(fleet) as url, urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
        text: str = answer.read().decode()
    return text


def _listens(ip: str) -> bool:
    try:
        with socket.create_connection((ip, names.EXPORTER_PORT), timeout=1):
            return True
    except OSError:
        return False


def test_every_series_of_the_exporter_is_there(scraped: str) -> None:
    shown = set(re.findall(r"^(redis_\w+)[{ ]", scraped, re.MULTILINE))
    assert set(KNOWN["exporter"].split()) <= shown


def test_the_labels_that_rules_ask_for_are_there(scraped: str) -> None:
    assert re.search(r'^redis_instance_info\{[^}]*role="master"', scraped, re.MULTILINE)
    assert re.search(r'^redis_connected_slave_offset_bytes\{[^}]*slave_state="online"', scraped, re.MULTILINE)
    assert re.search(r'^redis_db_keys\{db="db0"\} [1-9]', scraped, re.MULTILINE)
    assert re.search(r"^redis_cluster_slots_ok 16384", scraped, re.MULTILINE)


PLAIN = {"mode": "plain", "plainBecause": "the test's exporter has no certificate"}


def rendered_environment() -> dict[str, str]:
    """What the pods set for their exporter, without its address and password."""
    settings = settings_of(kubeContext="kind", **{**PRODUCTION, "tls": PLAIN}, monitoring={"exporter": True})
    found = {item.key: item for item in pool_manifests(settings, derive_plan(settings))}
    containers: list[dict[str, Any]] = found["redis-master"].body["spec"]["template"]["spec"]["containers"]
    (container,) = (item for item in containers if item["name"] == "exporter")
    return {item["name"]: item["value"] for item in container["env"] if item["name"].startswith("REDIS_EXPORTER_")}


@pytest.mark.parametrize(("environment", "is_asked"), [({}, True), (rendered_environment(), False)])
def test_an_exporter_as_the_pods_have_it_sends_the_password_nowhere_else(
    fleet: Fleet, environment: dict[str, str], is_asked: bool
) -> None:
    with exporter(fleet, **environment) as url, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        target = f"redis://127.0.0.1:{elsewhere.getsockname()[1]}"
        elsewhere.settimeout(1)
        asking = subprocess.Popen(
            ["curl", "-s", "-o", "/dev/null", "--max-time", "3", f"{url}/scrape?target={target}"],
            preexec_fn=die_with_parent,
        )
        try:
            connection, _ = elsewhere.accept()
            with connection:
                connection.settimeout(1)
                heard = connection.recv(1000)
        except TimeoutError:
            heard = b""
        finally:
            asking.kill()
            asking.wait()
        assert (b"correct-horse-battery" in heard) is is_asked
