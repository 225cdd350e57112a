"""A real Prometheus, in the sandbox, with the rendered targets and the rendered rules."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from PIL import Image

from components.manifests.monitoring.dashboard import panels
from preview import command
from preview.prometheus import hit_rate_of
from sandbox.control.dashboard import write_dashboard
from tests.monitoring.live import POOL, Live, eventually, live
from tests.monitoring.picture import HEIGHT_PX, WIDTH_PX, photographed
from tests.monitoring.provocations import PROVOCATIONS, SHORT, provoke
from tests.monitoring.stacks import KNOWN, rules_of, series, watched

pytestmark = [pytest.mark.sandbox, pytest.mark.second_look]

PANELS = [panel for row in panels(*watched("local")).values() for panel in row]
DOCUMENT = r"""
kubectl get pods -l app=redis -o wide  # ^redis-replica-2 .* node-
kubectl top pods -l app=redis  # ^redis-master-0 +\d+m +\d
kubectl exec redis-master-0 -- redis-cli INFO memory | grep -E "used_memory|evicted_keys|maxmemory"  # ^maxmemory:268
kubectl exec redis-master-0 -- redis-cli INFO stats | grep -E "total_commands|instantaneous_ops"  # ^total_commands
kubectl exec redis-master-0 -- redis-cli cluster info  # ^cluster_state:ok
kubectl exec redis-master-0 -- redis-cli cluster nodes  # myself
kubectl exec redis-master-0 -- redis-cli INFO keyspace  # ^db0:keys=
kubectl exec redis-master-0 -- redis-cli --latency-history  # ^min: \d|^\d+ \d+ \d|samples
kubectl logs redis-master-0 -f  # Ready to accept connections
kubectl logs redis-replica-0 -f  # Ready to accept connections
kubectl get pvc  # ^redis-data-redis-master-0 +Bound
kubectl describe pvc redis-data-redis-master-0  # usedBytes: \d
kubectl exec redis-master-0 -- redis-cli INFO stats | grep -E "keyspace_hits|keyspace_misses"  # ^keyspace_hits:\d
kubectl exec redis-master-0 -- redis-cli INFO memory | grep mem_fragmentation_ratio  # ^mem_fragmentation_ratio:\d
kubectl exec redis-master-0 -- redis-cli INFO stats | grep expired_keys  # ^expired_keys:\d
kubectl get pods -l app=redis --field-selector=status.phase=Running  # ^redis-master-0 .*Running
kubectl describe pod redis-master-0 | grep -i restart  # restarts: 0
""".strip().splitlines()
"""The sizing document's "Monitoring Commands" and "Key Metrics to Track", each with what it must show."""
ENDLESS = ("kubectl exec redis-master-0 -- redis-cli --latency-history", "kubectl logs")
OF_CERTIFICATES = {name for name in KNOWN["Pushgateway"].split() if "_certificate_" in name}
UNSEEN = {"ALERTS", *KNOWN["cert-manager"].split(), *OF_CERTIFICATES}
"""Series that are there only while something fires, or where there is TLS, which has a test of its own."""


DEBIANS_PUSHGATEWAY = Path("/var/lib/prometheus/pushgateway.data")
"""Where Debian's Pushgateway keeps what it is told, unless it is told otherwise."""


def kept_by_debian() -> float:
    """When that was written last; 0 if never."""
    return DEBIANS_PUSHGATEWAY.stat().st_mtime if DEBIANS_PUSHGATEWAY.exists() else 0


@pytest.fixture(scope="module")
def began() -> tuple[float, float]:
    """(time, what `kept_by_debian` says), before anything ran."""
    return time.time(), kept_by_debian()


@pytest.fixture(scope="module")
def running(began: tuple[float, float]) -> Iterator[Live]:
    with live(f"watched-{os.getpid()}", lambda text: None) as found, found.load("images"):
        found.sandbox.trigger("redis-repair", wait=True)
        for series_name in ("kube_cronjob_status_last_successful_time", "redis_image_cache:hit_rate:ratio > 0"):
            eventually(lambda expr=series_name: bool(found.query(expr)), 60, series_name)  # type: ignore[misc]
        yield found


def test_every_pod_is_scraped_under_its_own_name_and_every_rule_works(running: Live) -> None:
    targets = running.ask("targets")["activeTargets"]
    assert {target["health"] for target in targets} == {"up"}
    scraped = [item["labels"]["pod"] for item in targets if item["scrapePool"] == "kubernetes-pods"]
    assert sorted(scraped) == running.pods()
    assert {item["labels"]["namespace"] for item in targets if "pod" in item["labels"]} == {POOL}
    rules = [rule for group in running.ask("rules")["groups"] for rule in group["rules"]]
    rendered = [rule.get("record") or rule["alert"] for rule in rules_of("local")]
    assert sorted(rule["name"] for rule in rules) == sorted(rendered)
    assert {rule["health"] for rule in rules} == {"ok"}


def test_every_series_that_a_rule_or_a_panel_asks_for_is_in_a_real_scrape(running: Live) -> None:
    asked = [rule["expr"] for name in ("local", "prod") for rule in rules_of(name)] + [panel.expr for panel in PANELS]
    named = set().union(*map(series, asked)) & {name for names in KNOWN.values() for name in names.split()}
    assert named - UNSEEN <= set(running.ask("label/__name__/values"))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_panel_shows_data(running: Live, panel: object) -> None:
    expr = getattr(panel, "expr")  # noqa: B009
    # What repair pushes is scraped later, and a rule that records from it comes later still.
    eventually(lambda: bool(running.query(expr)), 60, expr)


def test_the_master_of_a_shard_is_the_one_of_now_and_not_the_one_of_the_pod_s_label(running: Live) -> None:
    before = {item["metric"]["pod"] for item in running.query("redis_image_cache:master:info")}
    assert before == set(running.pods(role="master"))


def test_the_pushgateway_knows_nothing_of_an_earlier_sandbox(running: Live, began: tuple[float, float]) -> None:
    seen = "redis_image_cache_reconciler_last_seen_timestamp_seconds"
    eventually(lambda: bool(running.query(f'{seen}{{phase="repair"}}')), 90, "a repair tells that it ran")
    told = running.query(seen)
    assert {item["metric"]["phase"] for item in told} >= {"form", "repair"}
    assert min(float(item["value"][1]) for item in told) > began[0]
    assert kept_by_debian() == began[1]


def test_nothing_fires_in_a_healthy_cluster(running: Live) -> None:
    # While it was formed it was not healthy, and a tenth of an alert's wait is not enough for that.
    began = time.time()
    time.sleep(30)
    assert running.fired(since=began) == set()


def test_right_sizing_reads_what_is_in_use_from_prometheus(running: Live, capsys: pytest.CaptureFixture[str]) -> None:
    eventually(lambda: bool(running.query(hit_rate_of(POOL))), 60, "half a minute of lookups")
    assert command.main(["--stack", "local", "--no-color", "--measured-from", running.url]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"within a day +at most \d.* in use\n +\d+(\.\d)? % of the lookups were hits", shown), shown
    assert "Enough: totalMemory: " in shown


@pytest.mark.second_look
@pytest.mark.parametrize("line", DOCUMENT)
def test_a_monitoring_command_of_the_sizing_document_runs_as_it_is_written(running: Live, line: str) -> None:
    written, _, expected = line.partition("  # ")
    # What goes on for ever is looked at for a moment.
    ends = "timeout 6 " if line.startswith(ENDLESS) else ""
    script = f'kubectl() {{ {ends}"$PYTHON" -m sandbox --name "$NAME" "$@"; }}; {written}'
    done = subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, "PYTHON": sys.executable, "NAME": running.sandbox.name},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in ((0, 124, 137) if ends else (0,)), done.stderr
    assert re.search(expected, done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("alert", SHORT)
def test_a_fault_makes_its_alert_fire_and_its_end_resolves_it(running: Live, alert: str) -> None:
    (provocation,) = (item for item in PROVOCATIONS if item.alerts == (alert,))
    assert [seen.alert for seen in provoke(running, provocation)] == [alert]


def test_a_browser_shows_every_panel_of_the_dashboard_from_real_data(running: Live, tmp_path: Path) -> None:
    (page,) = write_dashboard(running.sandbox, tmp_path / "dashboard.html", 120)
    text = page.read_text()
    assert '<b class="none">' not in text
    assert [html.unescape(title) for title in re.findall('data-title="([^"]*)"', text)] == [p.title for p in PANELS]
    photographed(page, tmp_path / "dashboard.png")
    with Image.open(tmp_path / "dashboard.png") as picture:
        assert picture.size == (WIDTH_PX, HEIGHT_PX)
        # Each graph has its lines, and each of the stats its colour: a page that did not load has two colours.
        assert len(picture.convert("RGB").getcolors(WIDTH_PX * HEIGHT_PX)) > 500


def test_how_long_the_certificate_of_each_pod_holds_is_in_a_real_scrape_of_a_stack_with_tls() -> None:
    with live(f"watched-tls-{os.getpid()}", lambda text: None, ["tls.mode=required"]) as found:
        found.sandbox.trigger("redis-repair", wait=True)
        for name in OF_CERTIFICATES:
            eventually(lambda name=name: len(found.query(name)) == 6, 60, name)  # type: ignore[misc]
        command = ["cat", "/tls/tls.crt"]
        text = found.sandbox.exec("redis-master-0", command, namespace=POOL).check().stdout
        certificate = x509.load_pem_x509_certificate(text.encode())
        begin, end = (
            {item["metric"]["pod"]: float(item["value"][1]) for item in found.query(name)}
            for name in sorted(OF_CERTIFICATES)
        )
        assert begin == dict.fromkeys(found.pods(), certificate.not_valid_before_utc.timestamp())
        assert end == dict.fromkeys(found.pods(), certificate.not_valid_after_utc.timestamp())
        assert {item["metric"]["namespace"] for item in found.query(max(OF_CERTIFICATES))} == {POOL}
        assert {item["value"][1] for item in found.query("redis_up")} == {"1"}
