"""Certificates of running pods are renewed, and the authority is exchanged, while the stack serves."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from components.manifests import tls
from preview.evaluate import Evaluation
from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.errors import ApplyError
from tests.faults.deployment import Deployment
from tests.faults.stacks import attached, local_stack
from tests.resize.harness import LOAD, assert_nothing_lost, stack, wait_settled

pytestmark = [pytest.mark.sandbox, pytest.mark.second_look]

SMALL = {"podMemory": "64MB", "totalMemory": "192MB"}
GIVEN = {**SMALL, "tls.mode": "required", "tls.secret": "theirs"}
IN_USE = "a renewed certificate is in use"
TAKEN_UP_WITHIN_S = 60.0
SHOWN = """
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
for host in sys.argv[2:]:
    plain = socket.create_connection((host, 6380), 5)
    with context.wrap_socket(plain, server_hostname=host) as secured:
        print(secured.getpeercert()["serialNumber"])
"""
"""Prints what each host shows to a new client, which trusts the authorities of a file and compares the name."""


class Given:
    """The stack with a certificate in a Secret that somebody else makes, in a sandbox."""

    def __init__(self, sandbox: Sandbox, evaluation: Evaluation, folder: Path) -> None:
        self.sandbox, self._evaluation, self._folder = sandbox, evaluation, folder
        self.deployment: Deployment

    def certificate(self, authority: trustme.CA) -> dict[str, str]:
        names = tls.dns_names(self._evaluation.settings, self._evaluation.plan.pool)
        issued = authority.issue_cert(
            *names, "127.0.0.1", not_after=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=9)
        )
        return {
            "tls.crt": "".join(part.bytes().decode() for part in issued.cert_chain_pems),
            "tls.key": issued.private_key_pem.bytes().decode(),
        }

    def write(self, certificate: dict[str, str], *trusted: trustme.CA) -> None:
        """Into the Secret, in the midst of the stack's own objects: its namespace is one of them."""
        files = certificate | {"ca.crt": "".join(authority.cert_pem.bytes().decode() for authority in trusted)}
        pool = self._evaluation.plan.pool
        metadata = {"name": "theirs", "namespace": pool}
        inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files}
        kind = "kubernetes:core/v1:Secret"
        ours = list(self._evaluation.resources)
        at = next(n for n, item in enumerate(ours) if item.kind == "Namespace" and pool in str(item.inputs["metadata"]))
        ours.insert(
            at + 1,
            Resource(f"urn:pulumi:local::x::{kind}::theirs", kind, "theirs", provider=ours[at].provider, inputs=inputs),
        )
        self.sandbox.apply(ours)

    def trusting(self, *authorities: trustme.CA) -> Deployment:
        """As clients see it that trust these authorities."""
        file = self._folder / f"{'-'.join(str(id(authority)) for authority in authorities)}.crt"
        file.write_bytes(b"".join(authority.cert_pem.bytes() for authority in authorities))
        return replace(self.deployment, ca_file=str(file))

    def taken_up(self) -> dict[str, int]:
        """How often each pod has taken up new files."""
        namespace = self.deployment.namespace
        return {pod: self.sandbox.logs(pod, namespace=namespace).count(IN_USE) for pod in self.deployment.pods()}

    def exchange(self, certificate: dict[str, str], *trusted: trustme.CA) -> None:
        """Writes other files and waits until every pod uses them, as docs/runbook.md has it."""
        before = self.taken_up()
        self.write(certificate, *trusted)
        wanted = {pod: times + 1 for pod, times in before.items()}
        assert self.deployment.until(lambda: self.taken_up() == wanted, TAKEN_UP_WITHIN_S) is not None, self.taken_up()

    def shown(self, *trusted: trustme.CA) -> set[str]:
        """Serial numbers that new clients see."""
        client = self.trusting(*trusted)
        hosts = [service.partition(":")[0] for service in client.services]
        namespace = f"{client.namespace}.svc.cluster.local"
        hosts += [f"{pod}.{pod.rpartition('-')[0]}.{namespace}" for pod in client.pods()]
        done = client.run([sys.executable, "-c", SHOWN, client.ca_file, *hosts], timeout_s=60).check()
        return set(done.stdout.split())


@pytest.fixture(scope="module")
def old() -> trustme.CA:
    return trustme.CA(organization_name="old")


@contextmanager
def given_secret(name: str, folder: Path, authority: trustme.CA) -> Iterator[Given]:
    evaluation = local_stack(*sorted(GIVEN.items()))
    with Sandbox(name) as sandbox:
        living = Given(sandbox, evaluation, folder)
        living.write(living.certificate(authority), authority)
        living.deployment = attached(sandbox, evaluation)
        yield living


def test_certificates_are_renewed_and_the_authority_exchanged_and_no_request_fails_and_no_pod_restarts(
    old: trustme.CA, tmp_path: Path
) -> None:
    new = trustme.CA(organization_name="new")
    with given_secret("authority-exchange", tmp_path, old) as living:
        pods = {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()}
        first = living.shown(old)
        renewed, of_new = living.certificate(old), living.certificate(new)
        with living.trusting(old, new).load(LOAD) as load:
            living.exchange(renewed, old)
            second = living.shown(old)
            living.exchange(renewed, old, new)
            living.exchange(of_new, old, new)
            third = living.shown(old, new)
            assert third == living.shown(new)
            living.exchange(of_new, new)
            assert living.shown(new) == third
            measured = load.end()
        assert [len(shown) for shown in (first, second, third, first | second | third)] == [1, 1, 1, 3]
        assert_nothing_lost(measured, requests_at_least=100)
        with living.trusting(new).load(LOAD) as load:
            # The Jobs and the links between nodes, too: a replica copies anew from a master that it meets anew.
            assert "0 actions" in living.sandbox.trigger("redis-repair", wait=True)["log"]
            living.sandbox.delete("pods", "redis-replica-1", living.deployment.namespace, now=True)
            wait_settled(2)
            living.deployment.wait_whole()
            measured = load.end()
        assert_nothing_lost(measured, requests_at_least=20)
        now = {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()}
        assert {name for name in pods if pods[name] != now[name]} == {"redis-replica-1"}


@pytest.mark.parametrize("mode", ["both", "required"])
def test_another_authority_in_one_edit_is_refused_before_any_pod_is_rolled_and_going_back_works(mode: str) -> None:
    with stack(f"authority-refused-{mode}", podMemory="64MB", totalMemory="192MB", tls__mode=mode) as living:
        before = {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()}
        with pytest.raises(ApplyError) as refused:
            living.edit(tls__issuer="another")
        said = str(refused.value)
        assert "release" in said
        assert "its certificate is of an authority that this config does not trust" in said
        assert "Another authority" in said
        living.edit(tls__issuer=None)
        now = {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()}
        assert now == before
        assert len(living.masters()) == 3
