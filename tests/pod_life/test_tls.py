"""TLS in the pods: who is let in, who is not, and a certificate that changes while Redis runs."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import trustme

from components.config.choices import NodeEndpoint
from components.config.settings import Tls
from components.manifests.redis_conf import redis_conf
from tests.pod_life.clusters import SLOTS, Cluster
from tests.pod_life.conftest import small_tuning
from tests.pod_life.network import Network
from tests.pod_life.pods import AUTH, BUS_PORT, PORT, Pod, wait_until
from tests.pod_life.tls_pods import NAME, TLS_PORT, TlsPod, certificate, trusting, write
from tests.tested_server import has_tls

pytestmark = [
    pytest.mark.redis,
    pytest.mark.sandbox,
    pytest.mark.skipif(not has_tls(), reason="this server was built without TLS"),
]

STOLEN_WITHIN_SECONDS = 20
"""A stranger's claim has reached every node after about six seconds."""


@pytest.fixture
def tls_conf() -> str:
    tls = Tls.model_validate({"mode": "required", "issuer": "redis-ca"})
    return redis_conf(small_tuning(), NodeEndpoint.HOSTNAME, tls)


def shown(pod: Pod, name: str = NAME, authority: trustme.CA = TlsPod.authority) -> str | None:
    """Whether a client that trusts an authority, and asks for a name, accepts what the pod shows: None, or why not."""
    with socket.create_connection((pod.ip or "", TLS_PORT), 2) as plain:
        try:
            with trusting(authority).wrap_socket(plain, server_hostname=name):
                return None
        except ssl.SSLCertVerificationError as error:
            return error.verify_message


def let_in(pod: Pod, port: int, files: Path | None) -> bool:
    """Whether a node or client that shows these files, or nothing, is let in. It is told so only after the handshake,
    by a closed connection."""
    context = trusting(TlsPod.authority)
    context.check_hostname = False
    if files is not None:
        context.load_cert_chain(files / "tls.crt", files / "tls.key")
    with socket.create_connection((pod.ip or "", port), 2) as plain:
        try:
            with context.wrap_socket(plain) as connection:
                connection.settimeout(1)
                # On the bus half of a header, which is waited for; on the clients' port half of a command.
                connection.sendall(b"RC")
                return connection.recv(1) != b""
        except TimeoutError:
            return True
        except (ssl.SSLError, ConnectionError):
            return False


def test_a_certificate_is_taken_up_without_a_restart_and_a_wrong_one_is_refused(
    network: Network, tls_conf: str
) -> None:
    pod = TlsPod(network, "redis-master-0", tls_conf, AUTH)
    pod.create()
    pod.wait_for_answer()
    process = pod.process_id()
    assert shown(pod) is None
    assert "self-signed certificate" in (shown(pod, authority=trustme.CA()) or "")
    with pod.plain_client() as client, pytest.raises(redis.ConnectionError):
        client.ping()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((pod.ip or "", PORT), 2)

    def renewed(files: dict[str, bytes], name: str = NAME, says: str = "in use") -> str | None:
        seen = len(pod.lines("a renewed certificate"))
        write(files, pod.certificates)
        wait_until("the pod has looked at its files", lambda: len(pod.lines("a renewed certificate")) > seen)
        assert says in pod.lines("a renewed certificate")[-1]
        return shown(pod, name)

    ours = TlsPod.authority
    assert renewed(certificate(ours, NAME, "second.test"), "second.test") is None
    assert "Hostname mismatch" in (renewed(certificate(ours, "another.test")) or "")
    assert shown(pod, "another.test") is None
    assert "expired" in (renewed(certificate(ours, days=-1), says="a connection with it fails") or "")
    # Clients are kept out by a certificate whose time is over. Nobody restarts a Redis that is full of keys for it.
    assert [pod.script(name).returncode for name in ("alive.sh", "ready.sh")] == [0, 0]
    assert "self-signed certificate" in (renewed(certificate(trustme.CA())) or "")
    mixed = certificate(ours, key_of=ours.issue_cert(NAME))
    assert "self-signed certificate" in (renewed(mixed, says="is refused") or ""), "the one before it stays"
    assert renewed(certificate(ours)) is None
    assert pod.process_id() == process
    assert pod.script("alive.sh").returncode == 0


def test_a_stranger_takes_every_slot_over_the_bus_without_tls_and_none_with_it(
    make_cluster: Callable[..., Cluster], network: Network, conf: str, tls_conf: str, tmp_path: Path
) -> None:
    protected = make_cluster(replicas_per_master=0, conf=tls_conf, pod_class=TlsPod)
    first = protected.masters[0]
    theirs = trustme.CA()
    held = {
        "ours": certificate(TlsPod.authority),
        "any name": certificate(TlsPod.authority, "shop.test"),
        "expired": certificate(TlsPod.authority, days=-1),
        "theirs": certificate(theirs),
    }
    files = {what: write(content, tmp_path / what.replace(" ", "-")) for what, content in held.items()}
    on_the_bus = {what: let_in(first, BUS_PORT, folder) for what, folder in {**files, "none": None}.items()}
    # Redis compares no name. That is why the authority must sign for this cache alone.
    assert on_the_bus == {"ours": True, "any name": True, "expired": False, "theirs": False, "none": False}
    assert let_in(first, TLS_PORT, None), "clients need none"

    for claim in (_claim_all_slots(network, conf, first), _claim_all_slots(network, tls_conf, first, files["theirs"])):
        time.sleep(8)
        with first.client() as client:
            assert int(client.execute_command("CLUSTER INFO")["cluster_known_nodes"]) == len(protected.pods)
        claim.destroy()
    protected.wait_until_whole()
    for pod in protected.pods:
        pod.destroy()

    # The same attack where there is no TLS: it succeeds, so the above is no accident.
    open_cluster = Cluster(network, [Pod(network, f"open-master-{i}", conf, AUTH) for i in range(3)], [])
    for pod in open_cluster.pods:
        pod.create()
    open_cluster.form()
    claim = _claim_all_slots(network, conf, open_cluster.masters[0])
    with claim.client() as client:
        stranger = client.execute_command("CLUSTER MYID").decode()

    def stolen() -> bool:
        with open_cluster.masters[1].client() as client:
            nodes = client.execute_command("CLUSTER NODES")
        return any(node["node_id"] == stranger and node["slots"] == [["0", "16383"]] for node in nodes.values())

    wait_until("the stranger owns every slot", stolen, STOLEN_WITHIN_SECONDS)


def _claim_all_slots(network: Network, conf: str, victim: Pod, certificates: Path | None = None) -> Pod:
    """A Redis of somebody else's, without our password. It claims all slots with the highest epoch, and meets a pod."""
    pod_class = Pod if certificates is None else TlsPod
    stranger = pod_class(network, f"stranger-{len(network.pods)}", conf, None)
    if isinstance(stranger, TlsPod) and certificates is not None:
        stranger.certificates = certificates
    stranger.create()
    stranger.wait_for_answer()
    with stranger.client() as client:
        client.execute_command("CLUSTER SET-CONFIG-EPOCH", 1_000_000)
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, SLOTS - 1)
        client.execute_command("CLUSTER MEET", victim.ip, PORT, BUS_PORT)
    return stranger
