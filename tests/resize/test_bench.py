"""What `make bench-resize` reads out of a run, and when it says that a goal was missed."""

from __future__ import annotations

import pytest

from reconciler.act.progress import Progress
from tests.reconciler.test_rate_and_progress import Clock
from tests.resize import bench_ways as ways
from tests.resize.bench import OWN_TIME_S, SAME_TIME, Row, judged
from tests.resize.bench_cluster import MANY_SMALL


def said_by_a_mover(*moves_s: float) -> str:
    lines: list[str] = []
    for seconds in moves_s:
        clock = Clock()
        progress = Progress(clock, lines.append, total_slots=100)
        for part in (0.6, 0.4):
            clock.time_s += part * seconds
            progress.add(slots=50, keys=10, size_bytes=5 << 20, block_s=part / 10)
        progress.report_end()
    return "".join(f"2026-11-28T05:00:00Z {line}\n" for line in lines)


def test_of_what_a_mover_says_its_ends_are_added_up_and_its_longest_step_is_found() -> None:
    output = said_by_a_mover(20.0, 1.5)
    assert output.count("move:") > 2
    assert ways.moving_seconds(output) == pytest.approx(21.5)
    assert ways.longest_block_ms(output) == 60


def rows(*seconds: tuple[float, float, float], kept: int = MANY_SMALL.values) -> list[Row]:
    """By the servers alone, and by the mover: how long it moved, and what it took beside."""
    found = []
    for alone_s, moving_s, own_s in seconds:
        found.append(Row(ways.ALONE, alone_s, MANY_SMALL.values, 10))
        found.append(Row(ways.CHOSEN, moving_s + own_s, kept, 10, said_by_a_mover(moving_s)))
    return found


def test_a_mover_as_fast_as_the_servers_before_it_misses_no_goal_however_the_machine_changes() -> None:
    _, missed = judged(MANY_SMALL, rows((2, 2, 1), (40, 40, 1), (3, 3, 1)))
    assert missed == []


@pytest.mark.parametrize(
    ("found", "goal"),
    [
        (rows((10, 10 * SAME_TIME + 1, 1), (10, 10, 1), (10, 10 * SAME_TIME + 1, 1)), "slower than the servers alone"),
        (rows((10, 10, OWN_TIME_S + 1), (10, 10, OWN_TIME_S + 1), (10, 10, 0)), "beside moving"),
        (rows((10, 10, 1), kept=MANY_SMALL.values - 1), "kept 199,999 keys"),
    ],
)
def test_a_goal_that_is_missed_is_named(found: list[Row], goal: str) -> None:
    _, missed = judged(MANY_SMALL, found)
    assert any(goal in text for text in missed)
