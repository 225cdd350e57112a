"""Every alert fires for what it is about, and not just below it: by Prometheus's own `promtool test rules`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.manifests.monitoring.rules import rule_groups
from components.plan.plan import derive_plan
from preview.evaluate import decide_stack
from tests.monitoring.cases import (
    CASES,
    PLANNED,
    POOL,
    SHOWN_CERTIFICATES,
    TOLD,
    WITH_KUBERNETES,
    WITHOUT_KUBERNETES,
    Case,
)
from tests.monitoring.stacks import promtool, rules_of, series, written


def test_every_alert_has_a_case() -> None:
    assert list(CASES) == [rule["alert"] for rule in rules_of() if "alert" in rule]


def test_every_alert_fires_for_what_it_is_about_and_not_just_below(tmp_path: Path) -> None:
    tested = promtool("test", "rules", _file(tmp_path, [test for name in CASES for test in _tests(name, CASES[name])]))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_what_the_reconciler_tells_is_enough_where_nobody_asks_kubernetes(tmp_path: Path) -> None:
    tests = [test for name, case in WITHOUT_KUBERNETES.items() for test in _tests(name, case)]
    tested = promtool("test", "rules", _file(tmp_path, tests))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_certificate_that_repair_sees_at_a_node_is_late_by_the_time_for_which_it_holds(tmp_path: Path) -> None:
    tests = [test for case in SHOWN_CERTIFICATES.values() for test in _tests("RedisCertificateEnds", case)]
    tested = promtool("test", "rules", _file(tmp_path, tests))
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    ("config", "tellers"),
    [
        ({"tls.mode": "required"}, ["redis_image_cache_reconciler"]),
        ({"tls.mode": "both", "tls.secret": "theirs"}, ["redis_image_cache_reconciler"]),
        ({"tls.mode": "required", "tls.issuer": "redis-ca"}, ["certmanager", "redis_image_cache_reconciler"]),
        ({"tls.mode": "required", "tls.issuer": "redis-ca", "monitoring.pushgateway": None}, ["certmanager"]),
        ({"tls.mode": "required", "monitoring.pushgateway": None}, []),
        ({"tls.mode": "plain"}, []),
    ],
    ids=str,
)
def test_the_end_of_a_certificate_is_asked_of_all_who_know_it(
    config: dict[str, str | None], tellers: list[str]
) -> None:
    given = {"monitoring.exporter": "true", "monitoring.pushgateway": "pushgateway.monitoring:9091", **config}
    settings = decide_stack("local", {key: value for key, value in given.items() if value is not None}).settings
    rules = [rule for group in rule_groups(settings, derive_plan(settings))["groups"] for rule in group["rules"]]
    asked = [rule["expr"] for rule in rules if rule.get("alert") == "RedisCertificateEnds"]
    assert sorted({name.partition("_certificate_")[0] for expr in asked for name in series(expr)}) == tellers


def test_what_kubernetes_says_counts_where_it_is_asked(tmp_path: Path) -> None:
    tests = [test for name, case in WITH_KUBERNETES.items() for test in _tests(name, case)]
    tested = promtool("test", "rules", _file(tmp_path, tests))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_what_a_pushgateway_was_told_does_not_silence_what_kubernetes_says(tmp_path: Path) -> None:
    name = "RedisRepairNotRun"
    forged = replace(CASES[name], both=WITHOUT_KUBERNETES[name].quiet)
    tested = promtool("test", "rules", _file(tmp_path, [next(_tests(name, forged))]))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_pool_that_comes_back_is_not_judged_by_its_repairs_of_long_ago(tmp_path: Path) -> None:
    """A Pushgateway has them still. *form* comes first, and counts as one as long as it tells what it does."""
    told = {
        f'{TOLD}_last_success_timestamp_seconds{{{POOL}, phase="repair"}}': "-100000x240",
        f'{TOLD}_last_seen_timestamp_seconds{{{POOL}, phase="form"}}': "-90000x3 240+60x20 1440x220",
    }
    quiet = [_test(f"at minute {n}", told, "RedisRepairNotRun", n, []) for n in (1, 3, 5, 20, 35)]
    tested = promtool("test", "rules", _file(tmp_path, quiet))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_planned_change_calls_nobody(tmp_path: Path) -> None:
    tests = [
        _test(f"{name}, planned", {**CASES[name].both, **CASES[name].fires, **job}, name, CASES[name].minute, [])
        for name, job in PLANNED.items()
    ]
    tested = promtool("test", "rules", _file(tmp_path, tests))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_promtool_notices_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    quiet = CASES["RedisMemoryHigh"]
    wrong = Case(quiet.quiet, quiet.quiet, quiet.minute, quiet.severity, quiet.summary, both=quiet.both)
    tested = promtool("test", "rules", _file(tmp_path, list(_tests("RedisMemoryHigh", wrong))))
    assert tested.returncode != 0


def _tests(name: str, case: Case) -> Iterator[dict[str, Any]]:
    expected = {
        "exp_labels": {**case.labels, "severity": case.severity},
        "exp_annotations": {"summary": case.summary, "runbook_url": f"docs/runbook.md#{name.lower()}"},
    }
    yield _test(f"{name} fires", {**case.both, **case.fires}, name, case.minute, [expected])
    yield _test(f"{name} is quiet", {**case.both, **case.quiet}, name, case.minute, [])


def _test(title: str, series: dict[str, str], alert: str, minute: int, expected: list[Any]) -> dict[str, Any]:
    return {
        "name": title,
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": expected}],
    }


def _file(folder: Path, tests: list[dict[str, Any]]) -> Path:
    rules = written(folder)
    path = folder / "tests.yml"
    path.write_text(
        yaml.safe_dump({"rule_files": [rules.name], "evaluation_interval": "1m", "tests": tests}, width=10_000)
    )
    return path
