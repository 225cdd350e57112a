"""The scripts as files, and the probes on a real server."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.pod_life.network import Network
from tests.pod_life.pods import AUTH, NAMESPACE, PORT, SCRIPTS, Pod, wait_until

FILES = sorted(SCRIPTS.glob("*.sh"))
PROGRAMS = [path for path in FILES if path.read_text().startswith("#!")]
"""The others are sourced by them."""


@pytest.mark.parametrize("script", FILES, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "--external-sources", script.name],
        cwd=SCRIPTS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("script", PROGRAMS, ids=lambda path: path.name)
def test_a_script_without_its_settings_names_the_missing_one_and_does_nothing(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["busybox", "sh", str(script)],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode != 0
    first_setting = re.search(r': "\$\{(\w+):\?\}"', script.read_text())
    assert first_setting is not None
    assert f"{first_setting[1]}: parameter not set" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_script_reads_its_settings_before_it_does_anything() -> None:
    assert len(PROGRAMS) >= 4
    for script in PROGRAMS:
        code = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
        assert code[0] == "set -eu"
        assert next(line for line in code[1:] if not line.startswith("umask")).startswith(': "${')


@pytest.mark.redis
@pytest.mark.sandbox
class TestOnAServer:
    def test_a_node_that_is_in_no_cluster_yet_is_alive_and_ready(self, pod: Pod) -> None:
        assert pod.script("alive.sh").returncode == 0
        assert pod.script("ready.sh").returncode == 0

    def test_a_node_has_its_name_in_the_domain_of_its_cluster(self, network: Network, conf: str) -> None:
        pod = Pod(network, "redis-master-0", conf, None)
        pod.env["CLUSTER_DOMAIN"] = "k8s.example.com"
        pod.create()
        pod.wait_for_answer()

        announced = pod.execute("redis-cli", "CONFIG", "GET", "cluster-announce-hostname").stdout.split()[-1]
        assert announced == f"redis-master-0.redis-master.{NAMESPACE}.svc.k8s.example.com"

    def test_kubectl_exec_redis_cli_is_the_operator_and_no_password_is_shown(self, pod: Pod) -> None:
        assert pod.execute("sh", "-c", "redis-cli ACL WHOAMI; redis-cli GET x").stdout.split()[:2] == [
            "operator",
            "NOPERM",
        ]
        with pod.client() as client:
            client.acl_log_reset()
        assert pod.script("stop.sh").returncode == 0
        shown = pod.log.read_text() + pod.execute("sh", "-c", "cat /proc/[0-9]*/cmdline").stdout
        secret = (pod.base / "users" / "users.conf").read_text().split()[-1]
        for text in (AUTH, pod.env["REDISCLI_AUTH"], secret):
            assert text not in shown
        assert (pod.base / "run" / "redis.conf").stat().st_mode & 0o077 == 0

    def test_a_pod_whose_users_are_missing_lets_nobody_in(self, network: Network, conf: str) -> None:
        pod = Pod(network, "redis-master-0", conf, AUTH)
        (pod.base / "users" / "users.conf").unlink()
        pod.create()
        pod.wait_for_end()
        assert pod.lines("users.conf")

    def test_a_pod_without_a_password_asks_for_none(self, network: Network, conf: str) -> None:
        pod = Pod(network, "redis-master-0", conf, None)
        pod.create()
        pod.wait_for_answer()
        assert pod.script("ready.sh").returncode == 0

    def test_a_stalled_server_is_not_ready_and_not_alive_within_bounded_time(self, pod: Pod) -> None:
        pod.env["ALIVE_TIMEOUT_SECONDS"] = "1"
        pod.signal(signal.SIGSTOP)
        begin = time.monotonic()
        for script in ("alive.sh", "ready.sh"):
            done = pod.script(script)
            assert done.returncode == 1
            assert "no answer" in done.stderr
        assert time.monotonic() - begin < 20
        pod.signal(signal.SIGCONT)
        assert pod.script("alive.sh").returncode == 0

    def test_probes_leave_no_process_behind(self, pod: Pod) -> None:
        pod.execute("sleep", "1.2")  # what the start left of timeout(1) has ended by then
        before = pod.execute("ps").stdout
        for _ in range(3):
            assert pod.script("alive.sh").returncode == 0
            assert pod.script("ready.sh").returncode == 0
        pod.execute("sleep", "1.2")
        after = pod.execute("ps").stdout
        assert after.count("\n") == before.count("\n"), after

    def test_a_server_that_runs_a_script_for_long_is_alive(self, pod: Pod) -> None:
        with pod.client() as client:
            client.config_set("busy-reply-threshold", 50)
        busy = subprocess.Popen(
            pod.inside("redis-cli", "EVAL", "while true do end", "0"),
            env=pod.everything_allowed(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until("BUSY", lambda: "BUSY" in pod.execute("redis-cli", "PING").stdout)
            assert pod.script("alive.sh").returncode == 0
            assert pod.script("ready.sh").returncode == 1
            pod.execute("redis-cli", "SCRIPT", "KILL")
        finally:
            busy.kill()
            busy.wait(timeout=20)

    def test_a_pod_told_to_stop_before_its_server_runs_stops_at_once(self, network: Network, conf: str) -> None:
        pod = Pod(network, "redis-master-0", conf, AUTH)
        pod.create()
        pod.wait_for_answer()
        pod.kill()
        (pod.data / "nodes.conf").unlink()
        network.stop_dns()
        pod.start()
        wait_until("start.sh waits", lambda: "sh" in pod.execute("cat", "/proc/1/cmdline").stdout)
        time.sleep(0.3)
        pod.signal(signal.SIGTERM)
        begin = time.monotonic()
        pod.wait_for_end()
        assert time.monotonic() - begin < 5
        assert pod.lines("told to stop")

    @pytest.mark.parametrize("damage", ["", "half", "garbage"])
    def test_a_broken_nodes_conf_is_kept_aside_and_the_pod_starts(self, pod: Pod, damage: str) -> None:
        pod.kill()
        file = pod.data / "nodes.conf"
        whole = file.read_text()
        file.write_text({"": "", "half": whole[: len(whole) // 2], "garbage": "\x00\xff" * 300}[damage])
        pod.start()
        pod.wait_for_answer()
        assert pod.script("ready.sh").returncode == 0
        if damage:
            assert pod.lines("nodes.conf is broken")
            assert (pod.data / "nodes.conf.broken").exists()

    def test_nothing_but_nodes_conf_and_a_spare_file_is_written_to_the_volume(self, pod: Pod) -> None:
        pod.kill()
        (pod.data / "temp-1.1.rdb").write_bytes(b"half a snapshot")
        pod.start()
        pod.wait_for_answer()
        assert sorted(path.name for path in pod.data.iterdir()) == ["nodes.conf", "spare"]
        with pod.client() as client:
            assert client.info("server")["tcp_port"] == PORT
