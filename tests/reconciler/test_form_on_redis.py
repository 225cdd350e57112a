"""*form* against real redis-servers."""

from __future__ import annotations

import json
import random
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from tests.reconciler.servers import Fleet, assert_formed, eventually
from tests.tested_server import has_tls

pytestmark = pytest.mark.redis

Reconcile = Callable[..., tuple[int, str]]


def test_a_fresh_cluster_is_formed_and_forming_it_again_does_nothing(
    fleet: Fleet, reconcile: Reconcile, tmp_path: Path
) -> None:
    fleet.shards(3)
    status, output = reconcile("form", fleet.topology(3))
    assert status == 0, output
    assert_formed(fleet, 3)
    epochs = [entry.config_epoch for entry in fleet.servers["redis-master-0"].entries().values() if entry.is_master]
    assert len(set(epochs)) == 3
    # Again, and as the Jobs run it: from two archives, with nothing else installed.
    for name in ("reconciler", "redis"):
        spec = find_spec(name)
        assert spec is not None
        package = Path(str(spec.origin)).parent
        shutil.make_archive(str(tmp_path / name), "zip", package.parent, package.name)
    file = tmp_path / "topology.json"
    file.write_text(json.dumps(fleet.topology(3)))
    again = subprocess.run(
        [sys.executable, "-S", "-m", "reconciler", "form", "--topology", str(file)],
        env={"PYTHONPATH": f"{tmp_path}/reconciler.zip:{tmp_path}/redis.zip"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert "0 actions" in again.stdout


def test_forming_survives_being_killed_at_any_moment(fleet: Fleet, tmp_path: Path, reconcile: Reconcile) -> None:
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    fleet.shards(3)
    file = tmp_path / "topology.json"
    file.write_text(json.dumps(fleet.topology(3)))
    for _ in range(5):
        child = fleet.spawn("form", file)
        time.sleep(moments.uniform(0.2, 1.2))
        child.kill()
        child.wait()
    status, output = reconcile("form", fleet.topology(3))
    assert status == 0, f"seed {seed}\n{output}"
    assert_formed(fleet, 3)


def test_a_wrong_password_is_named_as_the_cause_and_not_shown(fleet: Fleet, reconcile: Reconcile) -> None:
    wrong = secrets.token_urlsafe()
    for shard in range(3):
        fleet.add(f"redis-master-{shard}", password=secrets.token_urlsafe())
    # It does not wait for its deadline.
    status, output = reconcile("form", fleet.topology(3), password=wrong)
    assert status == 2
    assert "refuses the password in REDISCLI_AUTH" in output
    assert wrong not in output


def test_keys_on_a_node_that_should_be_empty_are_left_and_explained(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.shards(3)
    server = fleet.servers["redis-master-1"]
    server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    eventually(lambda: b"cluster_state:ok" in server.call("CLUSTER", "INFO"))
    server.call("SET", "somebody", "s")
    server.call("CLUSTER", "DELSLOTSRANGE", 0, 16383)
    status, output = reconcile("form", fleet.topology(3))
    assert status == 2
    assert "redis-master-1 holds 1 keys" in output
    assert server.call("DBSIZE") == 1
    assert not any(server.myself.slots for server in fleet.servers.values())


def test_two_clusters_with_slots_are_never_joined(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.shards(3)
    for pod, first, last in (("redis-master-0", 0, 100), ("redis-master-1", 200, 300)):
        fleet.servers[pod].call("CLUSTER", "ADDSLOTSRANGE", first, last)
    status, output = reconcile("form", fleet.topology(3))
    assert status == 2
    assert "2 different clusters" in output
    assert len(fleet.servers["redis-master-0"].entries()) == 1


def test_a_pod_that_never_answers_is_named_when_the_deadline_ends(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.shards(3)
    fleet.servers["redis-replica-2"].kill()
    status, output = reconcile("form", fleet.topology(3), "--deadline", "1")
    assert status == 1
    assert "redis-replica-2" in output
    assert "refused" in output.lower()
    assert len(fleet.servers["redis-master-0"].entries()) == 1


NEW_KEY = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def authority(folder: Path, name: str) -> str:
    """A certificate authority of its own; returns its certificate's file."""
    key, certificate = str(folder / f"{name}.key"), str(folder / f"{name}.crt")
    made = [*NEW_KEY, "-x509", "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, capture_output=True)
    return certificate


def tls_options(folder: Path, ca: str) -> list[str]:
    """Server options with a certificate of no name in particular, signed by the authority."""
    key, request, certificate = (str(folder / name) for name in ("redis.key", "redis.csr", "redis.crt"))
    signing = ["-CA", ca, "-CAkey", ca.replace(".crt", ".key"), "-CAcreateserial"]
    for command in (
        [*NEW_KEY, "-subj", "/CN=redis", "-keyout", key, "-out", request],
        ["openssl", "x509", "-req", "-days", "2", "-in", request, *signing, "-out", certificate],
    ):
        subprocess.run(command, check=True, capture_output=True)
    files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", ca]
    ports = ["--port", "0", "--tls-port", "6379", "--tls-cluster", "yes", "--tls-replication", "yes"]
    return [*ports, "--tls-auth-clients", "no", *files]


@pytest.mark.skipif(not has_tls(), reason="this server was built without TLS")
def test_with_tls_a_cluster_is_formed_and_grown_with_its_keys(
    fleet: Fleet, reconcile: Reconcile, tmp_path: Path
) -> None:
    ca_file = Path(authority(tmp_path, "ours"))
    options = tls_options(tmp_path, str(ca_file))
    password = secrets.token_urlsafe()
    tls: dict[str, Any] = {"tls": "required", "tlsCaFile": str(ca_file)}
    for shard in range(3):
        fleet.add(f"redis-master-{shard}", *options, password=password, ca_file=ca_file)
    status, output = reconcile("form", fleet.topology(3, **tls), password=password)
    assert status == 0, output
    for server in fleet.servers.values():
        slots = server.myself.slots
        with server.client as client:
            for key in (f"key:{index}" for index in range(200)):
                if slots >> key_slot(key.encode()) & 1:
                    client.set(key, "x")
    fleet.add("redis-master-3", *options, password=password, ca_file=ca_file)
    status, output = reconcile("form", fleet.topology(4, **tls), password=password)
    assert status == 0, output
    assert_formed(fleet, 4)
    counts = [int(server.call("DBSIZE")) for server in fleet.servers.values()]
    assert sum(counts) == 200
    assert counts[3] > 0
    wrong = {**tls, "tlsCaFile": authority(tmp_path, "theirs")}
    status, output = reconcile("repair", fleet.topology(4, **wrong), "--deadline", "1", password=password)
    assert status == 1
    assert "certificate verify failed" in output
    # Before anything is changed, and at once: no node would ever be trusted.
    for phase in ("release", "form"):
        status, output = reconcile(phase, fleet.topology(4, **wrong), password=password)
        assert status == 2
        assert f"{phase}: refused: " in output
        assert 'docs/runbook.md, "Another authority"' in output
