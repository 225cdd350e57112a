"""What rules and panels ask of the exporter is in a real scrape of a real Redis Cluster."""

from __future__ import annotations

import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from components.manifests import names
from tests.monitoring.stacks import KNOWN, LATER
from tests.reconciler.servers import Fleet, die_with_parent, eventually

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def scraped() -> Iterator[str]:
    """What the exporter of a master with a replica shows, after reads and writes."""
    fleet = Fleet()
    exporter = None
    try:
        fleet.formed(3, password="correct-horse-battery")
        master = fleet.servers["redis-master-0"]
        fleet.write(20)
        fleet.read(20)
        where = f"{master.ip}:{names.EXPORTER_PORT}"
        exporter = subprocess.Popen(
            ["prometheus-redis-exporter", f"-web.listen-address={where}"],
            env={"REDIS_ADDR": f"redis://{master.ip}:{master.port}", "REDIS_PASSWORD": str(master.password)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        eventually(lambda: _listens(master.ip))
        with urllib.request.urlopen(f"http://{where}/metrics", timeout=10) as answer:
            yield answer.read().decode()
    finally:
        if exporter is not None:
            exporter.kill()
            exporter.wait()
        fleet.close()


def _listens(ip: str) -> bool:
    try:
        with socket.create_connection((ip, names.EXPORTER_PORT), timeout=1):
            return True
    except OSError:
        return False


def test_every_series_of_the_exporter_is_there(scraped: str) -> None:
    shown = set(re.findall(r"^(redis_\w+)[{ ]", scraped, re.MULTILINE))
    assert set(KNOWN["exporter"].split()) - LATER <= shown


def test_the_labels_that_rules_ask_for_are_there(scraped: str) -> None:
    assert re.search(r'^redis_instance_info\{[^}]*role="master"', scraped, re.MULTILINE)
    assert re.search(r'^redis_connected_slave_offset_bytes\{[^}]*slave_state="online"', scraped, re.MULTILINE)
    assert re.search(r'^redis_db_keys\{db="db0"\} [1-9]', scraped, re.MULTILINE)
    assert re.search(r"^redis_cluster_slots_ok 16384", scraped, re.MULTILINE)
