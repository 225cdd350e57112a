"""The applications of `examples/` against pods in the sandbox, without a cache, and against a cluster with TLS.

Without `make examples` only the one in Python is there.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme

from tests.examples.driver import AT_ONCE
from tests.examples.programs import PROGRAMS, Program
from tests.faults.deployment import Deployment
from tests.faults.stacks import ours
from tests.plan.calibrate import wait_until

DRIVER = Path(__file__).parent / "driver.py"
IMAGES, TURNS = 30, 4
TTL_SECONDS = 120
KEY = "image:0.jpg"
each_program = pytest.mark.parametrize(
    "program",
    [
        pytest.param(
            program, marks=pytest.mark.skipif(not program.is_built, reason="`make examples` builds it"), id=program.name
        )
        for program in PROGRAMS
    ],
)


def counted(report: Mapping[str, Any], name: str, label: str) -> float:
    """A counter of /metrics; 0 where it was never counted."""
    for line in report["metrics"].splitlines():
        if line.startswith(f"{name}_total{{") and f'"{label}"' in line:
            return float(line.split()[-1])
    return 0.0


def tried(program: Program, environment: Mapping[str, str], images: int, turns: int) -> Any:
    """What the driver saw on this machine's loopback."""
    done = subprocess.run(
        [sys.executable, DRIVER, str(images), str(turns), *program.command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


LATE = 3
"""Reads that a replica may answer before it has what its master was given."""


def assert_images_came_from_the_cache(report: Mapping[str, Any]) -> None:
    """Each was fetched from its origin once, but for what the cache did not answer in time: a machine may be busy."""
    assert report["together"] == [True] * AT_ONCE
    assert report["turns"] == [[True] * IMAGES] * TURNS
    assert report["missing"] == 404
    unanswered = sum(counted(report, "image_cache_errors", command) for command in ("get", "set"))
    assert unanswered < IMAGES / 3
    assert sum(report["fetched"].values()) <= IMAGES + 2 + unanswered + LATE
    assert sum(report["fetched"].values()) == counted(report, "image_lookups", "miss")
    assert counted(report, "image_lookups", "coalesced") > AT_ONCE / 2
    assert counted(report, "image_lookups", "hit") >= (TURNS - 1) * IMAGES - unanswered - LATE


MASTERS_AWAY_MS = 10
"""Added to what masters are sent and send: replicas are the nearest copies then."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Deployment]:
    with ours("test-examples") as deployment:
        for pod in deployment.pods():
            if pod.startswith("redis-master"):
                deployment.fault("slow-link", pod=pod, delay_ms=MASTERS_AWAY_MS)
        yield deployment


def in_pods(deployment: Deployment, *command: str) -> dict[str, str]:
    """What each pod answers."""
    return {
        pod: deployment.sandbox.exec(pod, ["redis-cli", *command], namespace=deployment.namespace).check().stdout
        for pod in deployment.pods()
    }


def calls(commandstats: str, command: str) -> int:
    found = [line for line in commandstats.splitlines() if line.startswith(f"cmdstat_{command}:")]
    return int(found[0].partition("calls=")[2].partition(",")[0]) if found else 0


@pytest.mark.sandbox
@each_program
def test_an_application_serves_each_image_from_the_cache_after_one_look_at_the_origin(
    stack: Deployment, program: Program, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(stack.password)
    in_pods(stack, "FLUSHALL")
    in_pods(stack, "CONFIG", "RESETSTAT")
    environment = {
        "REDIS_ENDPOINT": stack.endpoint,
        "REDIS_USER": stack.user,
        "REDIS_PASSWORD_FILE": str(tmp_path / "password"),
        "REDIS_CA_FILE": str(tmp_path / "no-ca.crt"),
        "TTL_SECONDS": str(TTL_SECONDS),
    }
    command = [sys.executable, str(DRIVER), str(IMAGES), str(TURNS), *program.command]
    done = stack.run(command, timeout_s=120, env=environment).check()
    assert_images_came_from_the_cache(json.loads(done.stdout))
    reads = {pod: calls(text, "get") for pod, text in in_pods(stack, "INFO", "commandstats").items()}
    by_replicas = sum(count for pod, count in reads.items() if pod.startswith("redis-replica"))
    assert by_replicas > sum(reads.values()) / 2, reads
    answers = [answer.strip() for answer in in_pods(stack, "-c", "TTL", KEY).values()]
    assert all(0 < int(answer) <= TTL_SECONDS for answer in answers), answers


@pytest.mark.redis
@each_program
def test_without_a_cache_an_application_starts_and_serves_from_the_origin(program: Program, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("none")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        environment = {
            "REDIS_ENDPOINT": f"127.0.0.1:{nobody.getsockname()[1]}",
            "REDIS_PASSWORD_FILE": str(tmp_path / "password"),
            "REDIS_CA_FILE": str(tmp_path / "no-ca.crt"),
        }
        report = tried(program, environment, images=2, turns=1)
    assert report["together"] == [True] * AT_ONCE
    assert report["turns"] == [[True, True]]
    assert report["fetched"]["slow.jpg"] == 1
    assert counted(report, "image_cache_errors", "get") > 0


@pytest.fixture
def with_tls(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A cluster of one node that speaks TLS alone; what an application is told of it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    served = authority.issue_cert("localhost", "127.0.0.1")
    served.private_key_pem.write_to_path(tmp_path / "tls.key")
    for part in served.cert_chain_pems:
        part.write_to_path(tmp_path / "tls.crt", append=True)
    (tmp_path / "password").write_text("of this test alone")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        # The bus of a cluster listens 10,000 above.
        port = probe.getsockname()[1] % 20_000 + 20_000
    (tmp_path / "redis.conf").write_text(
        f"port 0\ntls-port {port}\ntls-cluster yes\ntls-replication yes\ntls-auth-clients no\nbind 127.0.0.1\nsave ''\n"
        f"tls-ca-cert-file {tmp_path}/ca.crt\ntls-cert-file {tmp_path}/tls.crt\ntls-key-file {tmp_path}/tls.key\n"
        f"cluster-enabled yes\ncluster-announce-ip 127.0.0.1\ndir {tmp_path}\nrequirepass 'of this test alone'\n"
    )
    command = ["setpriv", "--pdeathsig", "KILL", "redis-server", str(tmp_path / "redis.conf")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, password="of this test alone", ssl=True, ssl_ca_certs=str(tmp_path / "ca.crt"))

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        def serves() -> bool:
            try:
                return bool(client.delete("any") == 0)
            except redis.ResponseError:
                return False

        wait_until(answers)
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_until(serves)
        client.close()
        yield {
            "REDIS_ENDPOINT": f"localhost:{port}",
            "REDIS_USER": "default",
            "REDIS_PASSWORD_FILE": str(tmp_path / "password"),
            "REDIS_CA_FILE": str(tmp_path / "ca.crt"),
        }
    finally:
        server.kill()
        server.wait()


@pytest.mark.redis
@each_program
def test_with_an_authority_s_certificate_an_application_speaks_tls(program: Program, with_tls: dict[str, str]) -> None:
    assert_images_came_from_the_cache(tried(program, with_tls, IMAGES, TURNS))
