"""The applications of `examples/` against pods in the sandbox, without a cache, and against a cluster with TLS.

Without `make examples` only the one in Python is there.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme

from tests.examples.driver import AT_ONCE, application, ask, right
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
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What applications take for the cache lets them connect, and says nothing."""
    (tmp_path / "password").write_text("none")
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        monkeypatch.setenv("REDIS_ENDPOINT", f"127.0.0.1:{listening.getsockname()[1]}")
        monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))
        monkeypatch.setenv("REDIS_CA_FILE", str(tmp_path / "no-ca.crt"))
        yield


CROWD = 40
"""Requests at a time, and more than an application of before had threads for. One after the other, each of them waited
for a connection of its own that failed: 40 s in all."""
PROMPT_S, PROBED_S = 10.0, 3.0
"""The patience is 2 s, and this machine does other work."""


@pytest.mark.redis
@each_program
@pytest.mark.usefixtures("silent")
def test_while_the_cache_is_silent_an_application_answers_requests_and_its_probe_promptly(program: Program) -> None:
    with application(program.command) as (_, port), ThreadPoolExecutor(CROWD) as threads:
        began = time.monotonic()
        asked = [threads.submit(right, port, f"{number}.jpg") for number in range(CROWD)]
        time.sleep(0.5)
        probed = time.monotonic()
        metrics = ask(port, "/metrics")[1].decode()
        assert time.monotonic() - probed < PROBED_S
        assert [item.result() for item in asked] == [True] * CROWD
        assert time.monotonic() - began < PROMPT_S
        metrics = ask(port, "/metrics")[1].decode()
    assert counted({"metrics": metrics}, "image_cache_errors", "get") == CROWD


@pytest.mark.redis
@each_program
@pytest.mark.usefixtures("silent")
def test_an_application_keeps_its_connections_to_the_origin(program: Program) -> None:
    with application(program.command) as (origin, port), ThreadPoolExecutor(AT_ONCE) as threads:
        for turn in range(2):
            assert all(threads.map(lambda number, turn=turn: right(port, f"slow-{turn}-{number}.jpg"), range(AT_ONCE)))
            time.sleep(0.5)
        assert origin.connections < 1.5 * AT_ONCE


NO_NAMES = (
    "..%2Fx.jpg",
    "..%5Cx.jpg",
    "%2e%2e",
    "%2E%2E%2Fx.jpg",
    "../x.jpg",
    "..",
    ".",
    "a/x.jpg",
    "a%2Fx.jpg",
    "x%2ejpg",
    "",
)
"""A library or an origin may read them as a name of another folder, or two of them as the same."""


@pytest.mark.redis
@each_program
@pytest.mark.usefixtures("silent")
def test_a_name_is_the_same_in_every_language_and_never_one_of_another_folder(program: Program) -> None:
    with application(program.command) as (origin, port):
        answers = {name: ask(port, f"/images/{name}")[0] for name in NO_NAMES}
        # Go sends whoever asks for a path with dots to the one without them.
        assert set(answers.values()) <= {301, 307, 404}, answers
        assert all(answers[name] == 404 for name in NO_NAMES if "%" in name), answers
        assert not origin.fetched
        assert right(port, "A-b_c.1.jpg")
        assert ask(port, "/images/1.jpg?width=3") == ask(port, "/images/1.jpg")
        assert set(origin.fetched) == {"A-b_c.1.jpg", "1.jpg"}


@contextmanager
def serving(folder: Path, port: int) -> Iterator[None]:
    """A cluster of one node, by the configuration that lies there."""
    command = ["setpriv", "--pdeathsig", "KILL", "redis-server", str(folder / "redis.conf")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, password="of this test alone", ssl=True, ssl_ca_certs=str(folder / "ca.crt"))

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
        yield
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def tls_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Where `serving` serves, with TLS alone. Applications are told so."""
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
        port = int(probe.getsockname()[1]) % 20_000 + 20_000
    (tmp_path / "redis.conf").write_text(
        f"port 0\ntls-port {port}\ntls-cluster yes\ntls-replication yes\ntls-auth-clients no\nbind 127.0.0.1\nsave ''\n"
        f"tls-ca-cert-file {tmp_path}/ca.crt\ntls-cert-file {tmp_path}/tls.crt\ntls-key-file {tmp_path}/tls.key\n"
        f"cluster-enabled yes\ncluster-announce-ip 127.0.0.1\ndir {tmp_path}\nrequirepass 'of this test alone'\n"
    )
    monkeypatch.setenv("REDIS_ENDPOINT", f"localhost:{port}")
    monkeypatch.setenv("REDIS_USER", "default")
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("REDIS_CA_FILE", str(tmp_path / "ca.crt"))
    return port


@pytest.mark.redis
@each_program
def test_with_an_authority_s_certificate_an_application_speaks_tls(
    program: Program, tls_port: int, tmp_path: Path
) -> None:
    with serving(tmp_path, tls_port):
        assert_images_came_from_the_cache(tried(program, {}, IMAGES, TURNS))


@pytest.mark.redis
@each_program
def test_a_cache_that_comes_after_the_application_is_used(program: Program, tls_port: int, tmp_path: Path) -> None:
    with application(program.command) as (_, port):
        assert right(port, "1.jpg")

        def comes_from_the_cache() -> bool:
            assert right(port, "1.jpg")
            return counted({"metrics": ask(port, "/metrics")[1].decode()}, "image_lookups", "hit") > 0

        with serving(tmp_path, tls_port):
            wait_until(comes_from_the_cache)


SLOW_BROWSERS = 8
"""Two for each connection to the node."""


@pytest.mark.redis
@each_program
def test_who_takes_an_image_slowly_keeps_nobody_else_from_the_cache(
    program: Program, tls_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PATIENCE_S", "4")
    others = [f"{number}.jpg" for number in range(10)]
    big = [f"big-{number}.jpg" for number in range(SLOW_BROWSERS)]
    with serving(tmp_path, tls_port), application(program.command) as (origin, port), ExitStack() as browsers:

        def are_stored() -> bool:
            before = sum(origin.fetched.values())
            assert all(right(port, name) for name in (*others, *big))
            return sum(origin.fetched.values()) == before

        wait_until(are_stored)
        for name in big:
            browser = browsers.enter_context(socket.socket())
            # The kernel keeps less of an answer for who takes little at a time.
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            browser.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            browser.connect(("127.0.0.1", port))
            browser.sendall(f"GET /images/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(2)
        fetched = sum(origin.fetched.values())
        assert all(right(port, name) for name in others)
        assert sum(origin.fetched.values()) == fetched
