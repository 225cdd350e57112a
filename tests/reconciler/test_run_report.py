"""What a run tells of itself, and that telling it changes nothing about the run."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.decide.actions import RuleResult
from reconciler.decide.phases import PHASES, rule_name
from reconciler.decide.state import ClusterState
from reconciler.exit_status import ExitStatus
from reconciler.loop import Run
from reconciler.run_report import ACTIONS, RunReport, exposition
from reconciler.shown_certificate import OfAnother, Validity
from reconciler.tell import VARIABLE, teller
from reconciler.topology import Topology
from tests.reconciler.fake_cluster import FakeCluster
from tests.reconciler.simulation import formed, start_all, topology

P = "redis_image_cache_reconciler"


def samples(text: str) -> dict[str, float]:
    """Series -> value; every line must be one or a comment."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            series, _, value = line.rpartition(" ")
            assert re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"\\]*"\})?', series), line
            found[series] = float(value)
    return found


reports = st.builds(
    RunReport,
    phase=st.sampled_from(sorted(PHASES)),
    pool=st.just("redis-64gb"),
    seconds=st.floats(0, 1e6),
    status=st.sampled_from([None, *ExitStatus]),
    actions=st.dictionaries(st.sampled_from(ACTIONS), st.integers(1, 99)),
    failed=st.integers(0, 9),
    pending=st.integers(0, 9),
    slots=st.dictionaries(
        st.sampled_from(["redis-master-0", "redis-replica-0", "10.0.0.7:6379"]), st.integers(0, 16384)
    ),
    certificates=st.dictionaries(
        st.sampled_from(["redis-master-0", "10.0.0.7:6380"]),
        st.builds(Validity, st.integers(0, 2**31).map(float), st.integers(0, 2**33).map(float)),
    ),
)


@given(reports)
def test_everything_that_a_run_knows_is_told_and_what_is_zero_too(report: RunReport) -> None:
    told = samples(exposition(report, 1_790_000_000.25))
    assert told[f"{P}_last_seen_timestamp_seconds"] == 1_790_000_000.25
    assert {name: told[f'{P}_actions{{action="{name}"}}'] for name in report.actions} == report.actions
    begun = [value for series, value in told.items() if series.startswith(f"{P}_actions{{")]
    assert (len(begun), sum(begun)) == (len(ACTIONS), sum(report.actions.values()))
    for rule in PHASES[report.phase]:
        assert told[f'{P}_waiting{{rule="{rule_name(rule)}"}}'] == 0
    assert {series for series in told if "_slots{" in series} == {f'{P}_slots{{pod="{pod}"}}' for pod in report.slots}
    for pod, validity in report.certificates.items():
        assert told[f'{P}_certificate_begin_timestamp_seconds{{pod="{pod}"}}'] == validity.begins
        assert told[f'{P}_certificate_end_timestamp_seconds{{pod="{pod}"}}'] == validity.ends
    assert sum("_certificate_" in series for series in told) == 2 * len(report.certificates)
    # What was told before stays where nothing new is told: when a run last ended well, and how the last one ended.
    assert (f"{P}_last_success_timestamp_seconds" in told) == (report.status is ExitStatus.DONE)
    assert (f"{P}_exit_status" in told) == (report.status is not None)


def runs(phase: str, world: FakeCluster, desired: Topology, deadline_s: float = 60) -> list[RunReport]:
    told: list[RunReport] = []
    Run(phase, desired, world, world.named, lambda line: None, deadline_s, in_threads=False, tell=told.append).run()
    return told


@pytest.mark.usefixtures("few_slots")
def test_a_form_tells_what_it_does_and_ends_with_the_slots_of_each_master() -> None:
    world, desired = FakeCluster(), topology(3, 1)
    start_all(world, desired)
    told = runs("form", world, desired)
    assert all(report.status is None for report in told[:-1])
    assert told[-1].status is ExitStatus.DONE
    assert (told[-1].actions["Meet"], told[-1].actions["AssignSlots"]) == (5, 3)
    assert (told[-1].pending, sum(told[-1].waiting.values())) == (0, 0)
    assert any(report.pending for report in told)
    owners = {f"redis-master-{shard}" for shard in range(3)}
    assert {pod for pod, slots in told[-1].slots.items() if slots} == owners
    assert told[-1].seconds > 0


def for_ever(state: ClusterState) -> RuleResult:
    return RuleResult(waiting=("redis-master-0: does not answer", "redis-master-1: does not answer"))


@pytest.mark.usefixtures("few_slots")
def test_a_repair_that_can_do_nothing_tells_at_which_rule_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    world, desired = formed(3, 1)
    monkeypatch.setitem(PHASES, "repair", (*PHASES["repair"], for_ever))
    told = runs("repair", world, desired, 4)
    assert told[-1].status is ExitStatus.NOT_IN_TIME
    assert told[-1].waiting == {"test_run_report.for_ever": 2}
    assert samples(exposition(told[-1], 0))[f'{P}_waiting{{rule="test_run_report.for_ever"}}'] == 2


@pytest.mark.usefixtures("few_slots")
def test_a_run_tells_how_long_the_certificate_of_each_node_holds_and_asks_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, desired = formed(3, 1)
    monkeypatch.setitem(PHASES, "repair", (*PHASES["repair"], for_ever))
    asked: list[tuple[str, int]] = []
    told: list[RunReport] = []

    def certificate(ip: str, port: int) -> Validity | None:
        asked.append((ip, port))
        return Validity(0, len(asked)) if len(asked) > 1 else None

    Run(
        *("repair", desired, world, world.named, lambda line: None, 4),
        in_threads=False,
        tell=told.append,
        certificate=certificate,
    ).run()
    assert (len(told) > 2, len(asked), len(set(asked))) == (True, 6, 6)
    # The first node shows none.
    assert sorted(validity.ends for validity in told[0].certificates.values()) == [2, 3, 4, 5, 6]
    assert told[-1].certificates == told[0].certificates
    assert set(told[-1].certificates) < {node.pod for node in desired.nodes}


@pytest.mark.usefixtures("few_slots")
def test_a_release_ends_at_once_where_a_node_shows_a_certificate_of_another_authority() -> None:
    world, desired = formed(3, 1)
    said: list[str] = []

    def certificate(ip: str, port: int) -> OfAnother | Validity:
        return OfAnother("not trusted") if ip == desired_ip else Validity(0, 1)

    desired_ip = world.resolve(desired.nodes[4].host)[0]
    given = ("release", desired, world, world.named, said.append, 30)
    assert Run(*given, in_threads=False, certificate=certificate).run() is ExitStatus.REFUSED
    assert said == [f"release: refused: {desired.nodes[4].pod}: not trusted"]


class Listener:
    """In the place of a Pushgateway."""

    def __init__(self, status: int = 200) -> None:
        self.heard: list[tuple[str, str, str]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                listener.heard.append((self.path, self.headers["Content-Type"], text))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: its caller asserts what was heard."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


def test_a_run_tells_the_group_of_its_pool_and_its_phase(listener: Listener) -> None:
    tell = teller({VARIABLE: listener.address}, lambda line: None)
    tell(RunReport("repair", "redis-64gb"))
    # Soon after it, and not worth a second word.
    tell(RunReport("repair", "redis-64gb", pending=1))
    tell(RunReport("repair", "redis-64gb", status=ExitStatus.DONE))
    assert [path for path, _, _ in listener.heard] == [
        "/metrics/job/redis-image-cache/namespace/redis-64gb/phase/repair"
    ] * 2
    assert {kind for _, kind, _ in listener.heard} == {"text/plain; version=0.0.4"}
    assert samples(listener.heard[-1][2])[f"{P}_exit_status"] == 0


@pytest.mark.parametrize("status", [None, 400, 500])
def test_a_pushgateway_that_does_not_listen_or_refuses_is_said_once_and_stops_nothing(status: int | None) -> None:
    lines: list[str] = []
    listener = Listener(status or 200)
    if status is None:
        listener.close()
    tell = teller({VARIABLE: listener.address}, lines.append)
    tell(RunReport("form", "redis-64gb", status=ExitStatus.NOT_IN_TIME))
    tell(RunReport("form", "redis-64gb", status=ExitStatus.DONE))
    (line,) = lines
    assert line.startswith(f"form: the Pushgateway {listener.address} was not told: ")
    if status is not None:
        listener.close()


def test_without_an_address_nobody_is_told() -> None:
    lines: list[str] = []
    teller({}, lines.append)(RunReport("form", "redis-64gb", status=ExitStatus.DONE))
    assert lines == []
