"""What is read from the drivers' lines."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clients.figures import OUTAGE_S, UNANSWERED, Figures, Request, figures, outage_end, requests

times = st.floats(0, 1000)
sent_requests = st.lists(
    st.builds(Request, sent_at=times, seconds=st.floats(0, 100), error=st.none() | st.sampled_from(["a", "b"])),
    max_size=30,
)


@given(st.dictionaries(st.integers(1, 99), st.tuples(times, st.none() | st.floats(0, 9), st.booleans())))
def test_every_request_that_was_sent_is_counted_once_and_one_without_an_end_as_unanswered(
    told: dict[int, tuple[float, float | None, bool]],
) -> None:
    lines = []
    for n, (at, seconds, failed) in told.items():
        lines.append(json.dumps({"n": n, "at": at * 1000}))
        if seconds is not None:
            lines.append(json.dumps({"n": n, "ms": seconds * 1000, "error": "e" if failed else None}))
    found = requests(lines, until=1000)
    assert sorted(request.sent_at for request in found) == pytest.approx(sorted(at for at, _, _ in told.values()))
    unanswered = [request for request in found if request.error == UNANSWERED]
    assert len(unanswered) == sum(seconds is None for _, seconds, _ in told.values())
    assert all(request.seconds == pytest.approx(1000 - request.sent_at) for request in unanswered)


def test_a_line_that_was_cut_off_when_its_program_ended_is_left_out() -> None:
    lines = ['{"n": 1, "at": 1000}', '{"n": 1, "ms": 5, "error": null}', '{"n": 2, "a']
    assert requests(lines, until=9) == [Request(1, 0.005, None)]


@given(sent_requests, times, times, times)
def test_figures_are_of_the_requests_sent_within_the_phase(
    found: list[Request], since: float, until: float, over_at: float
) -> None:
    inside = [request for request in found if since <= request.sent_at < until]
    result = figures(found, since, until, over_at)
    assert result.sent == len(inside)
    assert result.failed == sum(result.errors.values()) == sum(request.error is not None for request in inside)
    assert all(request.seconds <= result.longest_s for request in inside)
    late = any(request.error is not None and request.sent_at > over_at for request in inside)
    assert result.failed_afterwards == late


@given(st.lists(st.lists(times, max_size=20).map(sorted), min_size=1, max_size=3), times, times)
def test_after_the_end_of_the_outage_no_shard_was_out(acks: list[list[float]], one: float, other: float) -> None:
    since, until = sorted((one, other))
    end = outage_end(acks, since, until)
    assert since <= end <= max(since, until)
    for shard in acks:
        # Its last acknowledgement before the end is left out, so steps are taken between those after it.
        after = [*(ack for ack in shard if end < ack <= until), until]
        assert all(later - earlier <= OUTAGE_S for earlier, later in pairwise(after))


def test_an_outage_ends_with_the_first_write_of_the_last_shard_that_comes_back() -> None:
    steady = [n / 10 for n in range(200)]
    gone = [ack for ack in steady if not 5 < ack < 13]
    assert outage_end([steady, gone], since=4, until=19) == 13
    assert outage_end([steady, steady], since=4, until=19) == 4
    assert outage_end([steady, [ack for ack in steady if ack < 5]], since=4, until=19) == 19


def test_a_request_that_failed_before_the_end_of_the_outage_is_no_miss() -> None:
    assert not Figures(9, 1, 2.0, -0.1, {"e": 1}).failed_afterwards
    assert Figures(9, 1, 2.0, 0.1, {"e": 1}).failed_afterwards
