"""TLS is turned on and off while the stack serves, as `pulumi up` would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from components.manifests import names
from sandbox.control.up import certificate_files
from sandbox.errors import ApplyError
from tests.faults.deployment import Deployment
from tests.faults.measure import Measurement
from tests.resize.harness import LOAD, Stack, assert_nothing_lost, stack, wait_settled

pytestmark = pytest.mark.sandbox

SMALL = {"podMemory": "64MB", "totalMemory": "192MB"}


def redis_pods(living: Stack) -> dict[str, tuple[str, int]]:
    return {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()}


def client(living: Stack, folder: Path | None) -> Deployment:
    """What a load is to use: the port without TLS, or the other one with the authority's file from that folder."""
    if folder is None:
        port, authority = names.REDIS_PORT, ""
    else:
        port, authority = names.TLS_PORT, certificate_files(living.sandbox, folder)["REDIS_CA_FILE"]

    def at(address: str) -> str:
        return f"{address.rpartition(':')[0]}:{port}"

    deployment = living.deployment
    services = [at(service) for service in deployment.services]
    return replace(deployment, endpoint=at(deployment.endpoint), services=services, ca_file=authority)


@contextmanager
def served(living: Stack, folder: Path | None, found: list[Measurement]) -> Iterator[None]:
    """Load by a client with TLS, or without, while the block runs and for a moment after it."""
    with client(living, folder).load(replace(LOAD, prefix="tls-" if folder else "")) as load:
        yield
        wait_settled(2)
        found.append(load.end())
    assert_nothing_lost(found[-1], requests_at_least=100)


def assert_refused_and_unchanged(living: Stack, mode: str, *words: str, **edit: str) -> None:
    """An edit to `mode` in one step, which is then taken back."""
    before, overrides = redis_pods(living), dict(living.overrides)
    with pytest.raises(ApplyError) as refused:
        living.edit(tls__mode=mode, **edit)
    said = str(refused.value)
    assert all(word in said for word in ("release", "set tls.mode to both", "docs/runbook.md", *words)), said
    assert redis_pods(living) == before
    living.overrides = overrides


@pytest.mark.second_look
def test_to_tls_and_back_no_request_fails_and_no_step_can_be_left_out(tmp_path: Path) -> None:
    found: list[Measurement] = []
    with stack("tls-change", **SMALL, tls__mode="plain") as living:
        with served(living, None, found):
            assert_refused_and_unchanged(living, "required", "without TLS alone")
            living.edit(tls__mode="both")
        with served(living, None, found), served(living, tmp_path, found):
            assert len(living.masters()) == 3
        with served(living, tmp_path, found):
            living.edit(tls__mode="required")
        with served(living, tmp_path, found):
            assert_refused_and_unchanged(living, "plain", "with TLS alone")
            living.edit(tls__mode="both")
        with served(living, None, found):
            living.edit(tls__mode="plain")
        assert living.denied() == {}
    for measured in found:
        print(f"{measured.requests} requests, {measured.failed} failed, longest {measured.longest_seconds:.2f} s")
