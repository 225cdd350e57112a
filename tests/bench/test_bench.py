"""What `make bench` makes of what it measured: text, page, verdicts. The measuring itself is `make bench`."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from components.plan.core import get_seconds
from tests.bench import document, page, predictions, text
from tests.bench.__main__ import main
from tests.bench.predictions import Prediction
from tests.plan.calibrate import SIZES, middle

LATENCY = {name: {"count": 900, "p50_ms": 2.0, "p95_ms": 6.0, "p99_ms": 9.0, "max_ms": 20.0} for name in ("all", "get")}
SECONDS = [{"at": 1000 + n, "p95_ms": 5.0, "max_ms": 9.0, "failed": 0} for n in range(60)]
LOAD = {"requests_per_s": 480.0, "failed": 0, "latency": LATENCY, "seconds": SECONDS}
SIDE = {
    name: {"gets_per_s": gets, "p50_ms": 1.0, "p95_ms": 2.0, "max_ms": 3.0}
    for name, gets in (("redis", 900.0), ("one core that only sends", 1200.0), ("memcached", 800.0), ("nginx", 1000.0))
}
RATES = {
    "saturation": LOAD,
    "one_master": LOAD,
    "master_rate": LOAD,
    "rate": 300.0,
}
GENERATOR = {"loadgen_gets_per_s": 900.0, "redis_benchmark_gets_per_s": 1000.0}
BENCH: dict[str, Any] = {
    "date": "2026-11-27",
    "machine": "2 × a processor, 24 GiB",
    "document_rate": 500.0,
    "core_costs": [
        {
            "object_bytes": size,
            "get_us": round(size / 5000),
            "set_0_us": round(size / 2200),
            "set_1_us": round(size / 900),
        }
        for size in SIZES
    ],
    "fork": {"empty_ms": 1.0, "bytes": 500e6, "ms": 9.0},
    "ours": {
        "node_timeout_s": 5.0,
        "side_by_side": SIDE,
        **RATES,
        "expiry": {
            **{
                "ttl_s": 8,
                "image_bytes": 100_000,
                "writes_per_s": 40.0,
                "keys_on_the_plateau": 330.0,
                "bytes_on_the_plateau": 38e6,
            },
            **{"gone_after_s": 8.4, "failed": 0},
        },
        "resync": {
            **{"bytes": 120e6, "link_bytes_per_s": 20e6, "s": 6.6, "under_load_s": 8.0},
            **{"writes_per_s": 32.0, "write_bytes": 100_000},
        },
        "fork": {"bytes": 120e6, "ms": 2.0},
        "changes": {
            "rate": 30.0,
            "began": 1000,
            "seconds": SECONDS,
            "marks": [
                {"name": "rolling update", "from": 1004.0, "until": 1020.0, "failed": 0, "max_ms": 80.0},
                {
                    "name": "machine lost",
                    "from": 1025.0,
                    "until": 1050.0,
                    "failed": 60,
                    "max_ms": None,
                    "promotion_s": 8.1,
                },
                {
                    **{"name": "podMemory doubled", "from": 1055.0, "until": 1090.0, "failed": 0, "max_ms": 90.0},
                    **{"sources": 3, "moved_bytes": 150_000_000, "form_s": 16.0},
                },
            ],
        },
        "eviction": {
            **{"images": 1800, "evicted_keys": 700, "failed": 0},
            **{"maxmemory_bytes": 256 * 2**20},
            **{"used_of_maxmemory": 0.99, "rss_of_maxmemory": 1.08, "limit_of_maxmemory": 1.44},
        },
    },
    "plain": {**RATES, "generator": GENERATOR},
}


def with_predictions(bench: dict[str, Any]) -> dict[str, Any]:
    found = [
        {"what": p.what, "unit": p.unit, "predicted": p.predicted, "measured": p.measured, "holds": p.holds}
        for p in predictions.of(bench)
    ]
    return {**bench, "predictions": found}


def test_it_reads_in_80_columns_and_says_each_figure() -> None:
    shown = text.render(with_predictions(BENCH))
    assert max(map(len, shown.splitlines())) <= 80
    said = ["memcached", "75 %", "8.4 s after the load had ended", "rolling update", "Predicted", "480/s", "90 %"]
    said += ["300/s", "beyond this machine"]
    assert [words for words in said if words not in shown] == []


def test_the_page_opens_offline_and_marks_each_fault() -> None:
    shown = page.render(with_predictions(BENCH))
    assert "<script" not in shown
    assert "http://" not in shown.replace("http://www.w3.org/", "")
    assert shown.count("<svg") == 2
    assert "25 s: machine lost, 60 failed" in shown


def test_what_was_left_out_is_not_shown() -> None:
    assert "TTL" not in text.render({**BENCH, "ours": {"node_timeout_s": 5.0}, "plain": {}})
    assert "<svg" not in page.render({**BENCH, "ours": {"node_timeout_s": 5.0}, "plain": {}})


def test_the_document_has_what_was_printed_and_says_how_it_came_about() -> None:
    bench = with_predictions(BENCH)
    shown = document.render(bench)
    assert text.render(bench) in shown
    assert "120 MB over a link of 160 Mbit/s" in shown
    assert "{" not in shown


def test_the_document_is_of_a_whole_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--without", "plain", "--write", "bench.md"])
    assert "--write needs every part" in capsys.readouterr().err


def test_nothing_is_missed_where_all_is_well() -> None:
    assert text.wrong(BENCH) == []


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("expiry", "gone_after_s", None, "outlived"),
        ("expiry", "failed", 1, "1 writes with a TTL failed"),
        ("eviction", "evicted_keys", 0, "Nothing was evicted"),
        ("eviction", "failed", 2, "2 requests failed while"),
        ("eviction", "rss_of_maxmemory", 1.5, "beyond its limit"),
    ],
)
def test_what_must_not_be_is_told(part: str, key: str, value: Any, said: str) -> None:
    bench = copy.deepcopy(BENCH)
    bench["ours"][part][key] = value
    (line,) = text.wrong(bench)
    assert said in line


def test_a_load_generator_that_drives_less_than_four_fifths_is_told() -> None:
    bench = copy.deepcopy(BENCH)
    bench["plain"]["generator"]["loadgen_gets_per_s"] = 790.0
    (line,) = text.wrong(bench)
    assert "79 % of what redis-benchmark" in line


def test_a_planned_change_may_fail_no_request_and_a_lost_machine_may() -> None:
    bench = copy.deepcopy(BENCH)
    bench["ours"]["changes"]["marks"][0]["failed"] = 1
    assert text.wrong(bench) == ["1 requests failed: rolling update."]


@pytest.mark.parametrize(("measured", "holds"), [(4.9, False), (5.1, True), (19.9, True), (20.1, False), (0.0, False)])
def test_a_prediction_holds_within_twice_and_half(measured: float, holds: bool) -> None:
    assert Prediction("any", "s", 10.0, measured).holds is holds


def test_six_figures_of_the_core_give_all_others() -> None:
    found = predictions.core(BENCH["core_costs"])
    once = predictions.Core.measured(BENCH["core_costs"])
    assert len(found) == 3 * len(SIZES) - 6
    halved = [
        {key: value * (1 if key == "object_bytes" else 2) for key, value in row.items()} for row in BENCH["core_costs"]
    ]
    again = predictions.core(halved)
    twice = predictions.Core.measured(halved)
    assert (*twice.get, *twice.set) == pytest.approx([2 * times for times in (*once.get, *once.set)])
    assert [item.factor for item in again] == pytest.approx([item.factor for item in found], rel=0.05)


def test_a_core_that_is_slow_at_bytes_alone_is_as_fast_as_any_with_small_images() -> None:
    core = predictions.Core(get=(1.0, 4.0, 8.0), set=(1.0, 1.0, 1.0))
    sizes = (0, 10_000, 100_000, 10**6, 10**7, 10**8)
    times = [core.get_seconds(size) / get_seconds(size, tls=False) for size in sizes]
    assert times == pytest.approx([1, 1, 2, 4, 8, 8])


def test_seconds_in_which_the_machine_did_other_work_leave_the_p95_as_it_is() -> None:
    disturbed = copy.deepcopy(BENCH)
    disturbed["ours"]["master_rate"]["seconds"] = [
        *({**second, "p95_ms": 500.0} for second in SECONDS[::3]),
        {"p95_ms": None},
        *(second for number, second in enumerate(SECONDS) if number % 3),
    ]
    assert [item.measured for item in predictions.of(disturbed)] == [item.measured for item in predictions.of(BENCH)]


def predicted(bench: dict[str, Any], what: str) -> float:
    (found,) = (item.predicted for item in predictions.of(bench) if item.what.startswith(what))
    return found


def test_a_slower_core_and_a_slower_link_are_predicted_to_take_longer() -> None:
    slow_core, slow_link = copy.deepcopy(BENCH), copy.deepcopy(BENCH)
    for row in slow_core["core_costs"]:
        row["get_us"] *= 2
    slow_link["ours"]["side_by_side"]["one core that only sends"]["gets_per_s"] /= 2
    slow_link["ours"]["resync"]["link_bytes_per_s"] /= 2
    assert predicted(slow_core, "p95 of a second at") > predicted(BENCH, "p95 of a second at")
    assert predicted(slow_link, "p95 of a second at") > predicted(BENCH, "p95 of a second at")
    assert predicted(slow_core, "all slots to new pods") > predicted(BENCH, "all slots to new pods")
    alone = "full resync over a slow link, alone"
    assert predicted(slow_link, alone) == pytest.approx(2 * predicted(BENCH, alone))
    assert predicted(BENCH, "full resync over a slow link, beside writes") > predicted(BENCH, alone)


def test_a_machine_whose_forks_take_twice_as_long_is_predicted_to_stall_twice_as_long() -> None:
    slow = copy.deepcopy(BENCH)
    slow["fork"] = {**slow["fork"], "ms": 18.0, "empty_ms": 2.0}
    assert predicted(slow, "stall of a fork") == pytest.approx(2 * predicted(BENCH, "stall of a fork"))


def test_a_fork_of_little_data_takes_what_one_without_data_does_and_its_share_of_the_rest() -> None:
    assert predicted(BENCH, "stall of a fork") == pytest.approx(1 + (9 - 1) * 120 / 500)


def test_a_resync_that_never_ended_is_no_prediction_that_held() -> None:
    bench = copy.deepcopy(BENCH)
    bench["ours"]["resync"]["s"] = None
    assert "full resync over a slow link, alone: nothing was measured." in text.wrong(with_predictions(bench))


def test_the_readme_s_figures_are_those_of_the_run_that_is_kept() -> None:
    readme = " ".join(Path("README.md").read_text().split())
    said = re.search(r"the sizing document's (\d+) images/s with a p95 of (\S+ ms), and Redis sent (\d+ %)", readme)
    assert said is not None
    rate, p95, share = said.groups()
    run = Path("docs/bench.md").read_text()
    assert re.search(rf"this stack: {rate}/s on +{rate}/s +0 +\S+ ms +{re.escape(p95)} ", run)
    assert re.search(rf"  redis +\S+ +{share} ", run)


def test_a_part_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--without", "plain,nothing"])
    assert "there is no part nothing; parts: side, rate" in capsys.readouterr().err


def test_a_moment_in_which_the_machine_was_slow_is_in_no_figure_of_its_core() -> None:
    usual, slow = [{"object_bytes": 10, "get_us": 5}], [{"object_bytes": 10, "get_us": 50}]
    assert middle([usual, slow, usual]) == usual
