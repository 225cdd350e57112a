"""The load generator on real servers: what it sends, what it sees, and what it does when slots move or a node dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from loadgen.__main__ import arguments, main, run, shares_of, target_of
from loadgen.report import missed, text
from loadgen.topology import Node, Target, readers_of
from loadgen.workload import WrongWorkload
from tests.loadgen.conftest import SLOTS, Cluster, MakeCluster

SMALL = ["--sizes", "20000", "--images", "40", "--warm-up", "0"]


def report_of(cluster: Cluster, *given: str) -> dict[str, Any]:
    options = arguments().parse_args([cluster.endpoint, *SMALL, *given])
    return run(target_of(options), shares_of(options))


def await_load(cluster: Cluster) -> None:
    """Until the load has asked for some images. When its processes have started depends on the machine."""
    end = time.monotonic() + 20
    while cluster.nodes[0].info("commandstats").get("cmdstat_get", {}).get("calls", 0) < 10:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.redis
def test_every_request_is_sent_and_answered_and_every_image_is_written_with_its_ttl(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(2)
    report = report_of(cluster, "--rate", "40", "--duration", "3", "--ttl", "77", "--processes", "2")
    assert report["failed"] == 0, report["errors"]
    reads = report["latency"]["get"]["count"]
    assert reads == pytest.approx(120, abs=3)
    counts = report["counts"]
    assert counts["hits"] + counts["misses"] + counts.get("hits_missed", 0) == reads
    assert counts["hits"] > counts["misses"] > 0
    assert "wrong_values" not in counts
    assert sum(second["count"] for second in report["seconds"]) == report["latency"]["all"]["count"]
    keys = [key for node in cluster.nodes for key in node.scan_iter(count=1000)]
    assert len(keys) >= 40 + counts["misses"]
    for node in cluster.nodes:
        for key in node.scan_iter(count=1000):
            assert 0 < int(str(node.ttl(key))) <= 77
            assert node.strlen(key) == 20_000


@pytest.mark.redis
def test_a_stall_is_in_the_latencies_of_all_who_would_have_asked_meanwhile(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(1)

    def stall() -> None:
        await_load(cluster)
        time.sleep(0.5)
        cluster.processes[0].send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        cluster.processes[0].send_signal(signal.SIGCONT)

    stalled = threading.Thread(target=stall)
    stalled.start()
    report = report_of(cluster, "--rate", "50", "--duration", "4", "--hit-rate", "1")
    stalled.join()
    # At 50/s, 0.8 s are 40 of 200 requests, each of which waited for what was left of the stall. A closed loop would
    # see as many slow ones as it has connections: 4.
    assert report["latency"]["all"]["max_ms"] > 700
    assert report["latency"]["all"]["p95_ms"] > 400


@pytest.mark.redis
@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_slots_that_move_under_the_load_fail_no_request(make_cluster: MakeCluster, ip: str) -> None:
    cluster = make_cluster(2, ip=ip)
    source_id, target_id = cluster.id_of(0), cluster.id_of(1)

    def move() -> None:
        await_load(cluster)
        # Ownership alone, as when the content may expire: the source drops its keys, so hits turn into misses.
        with cluster.nodes[1].pipeline(transaction=False) as commands:
            for slot in range(0, SLOTS // 2, 4):
                commands.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
                commands.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)
            commands.execute()

    moving = threading.Thread(target=move)
    moving.start()
    report = report_of(cluster, "--rate", "60", "--duration", "4")
    moving.join()
    assert report["failed"] == 0, report["errors"]
    assert report["counts"]["redirected"] > 0
    assert report["counts"]["hits_missed"] > 0


@pytest.mark.redis
def test_a_node_that_dies_costs_its_own_requests_and_the_load_goes_on(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(2)

    def kill() -> None:
        await_load(cluster)
        time.sleep(1)
        cluster.processes[1].kill()

    killing = threading.Thread(target=kill)
    killing.start()
    report = report_of(cluster, "--rate", "40", "--duration", "5")
    killing.join()
    assert report["failed"] > 10
    assert report["latency"]["get"]["count"] > 100
    assert any("requests failed" in line for line in missed(report, None, None))


@pytest.mark.redis
def test_from_the_command_line_it_says_what_it_measured_and_fails_for_what_was_missed(
    make_cluster: MakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = make_cluster(1)
    given = [cluster.endpoint, *SMALL, "--rate", "20", "--duration", "1"]
    assert main([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == 0
    assert main([*given, "--p95-ms", "0.001"]) == 1
    shown = capsys.readouterr()
    assert "wanted 0.001 ms" in shown.err
    assert max(map(len, shown.out.splitlines())) <= 80
    assert main([f"127.0.0.1:{cluster.ports[0] + 1}", *SMALL]) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.redis
def test_its_processes_end_with_who_asked_for_it(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(1)
    command = [sys.executable, "-m", "loadgen", cluster.endpoint, *SMALL, "--rate", "20", "--duration", "60"]
    asked = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 30
        while "name=loadgen" not in cluster.text(0, "CLIENT", "LIST") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "name=loadgen" in cluster.text(0, "CLIENT", "LIST")
    finally:
        asked.kill()
        asked.wait()
    deadline = time.monotonic() + 30
    while "name=loadgen" in cluster.text(0, "CLIENT", "LIST") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "name=loadgen" not in cluster.text(0, "CLIENT", "LIST")


def test_a_read_goes_to_a_copy_in_the_own_zone_where_there_is_one_and_else_to_the_master() -> None:
    copies = tuple(Node(f"pod-{number}", f"10.0.{number}.7", 6379) for number in range(3))
    target = target_of(arguments().parse_args(["r:1", "--reads-from", "zone", "--zone", "10.0.2.0/24,10.9.0.0/16"]))
    assert readers_of(copies, target) == (copies[2],)
    assert readers_of(copies[:2], target) == (copies[0],)
    assert readers_of(copies, Target("r", 1, None, reads_from="any")) == copies
    assert readers_of(copies, Target("r", 1, None)) == (copies[0],)


def test_zones_have_address_ranges_of_either_family() -> None:
    copies = (Node("pod-0", "10.0.0.7", 6379), Node("pod-1", "fd00:0:0:1::7", 6379))
    target = target_of(arguments().parse_args(["r:1", "--reads-from", "zone", "--zone", "fd00:0:0:1::/64,10.9.0.0/16"]))
    assert readers_of(copies, target) == (copies[1],)


def test_copies_that_are_none_are_refused() -> None:
    with pytest.raises(WrongWorkload, match="allowed are master, any, zone"):
        Target("r", 1, None, reads_from="slave")


def test_a_report_of_nothing_can_be_read() -> None:
    from loadgen.report import merged

    assert "0 of 0 requests failed" in text(merged([]))
    assert missed(merged([]), 500, 10) == ["p95 is unknown, wanted 500 ms", "0.0 images/s were answered, wanted 10/s"]


def test_it_travels_in_a_config_map() -> None:
    from components.manifests.bundle import package_zip_base64

    assert len(package_zip_base64("loadgen")) < 100_000
    assert Path("loadgen/__main__.py").exists()
