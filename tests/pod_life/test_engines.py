"""What a pod tells a server about itself that not every server takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.host.servers import VALKEY, ServerProgram, servers
from tests.pod_life.conftest import ROOT, make_image
from tests.pod_life.network import Network
from tests.pod_life.pods import AUTH, NAMESPACE, Pod

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]


@pytest.fixture(params=servers(), ids=lambda server: server.title)
def server(request: pytest.FixtureRequest) -> ServerProgram:
    found: ServerProgram = request.param
    return found


@pytest.fixture
def own_network(tmp_path: Path, server: ServerProgram) -> Iterator[Network]:
    image = tmp_path / "image"
    image.mkdir()
    network = Network(tmp_path, make_image(image, server), ROOT / "usr")
    yield network
    network.close()


def test_a_server_is_told_the_names_and_the_zone_of_its_pod_as_far_as_it_knows_them(
    own_network: Network, server: ServerProgram, conf: str
) -> None:
    pod = Pod(own_network, "redis-master-0", conf, AUTH)
    if server.engine == VALKEY:
        pod.env["AVAILABILITY_ZONE"] = "us-east-1a"
    pod.create()
    pod.wait_for_answer()
    name, zone = "cluster-announce-human-nodename", "availability-zone"
    knows_names = server.version >= (7, 2)
    with pod.client() as client:
        assert client.config_get(name) == ({name: f"redis-master-0.{NAMESPACE}"} if knows_names else {})
        assert client.config_get(zone) == ({zone: "us-east-1a"} if server.engine == VALKEY else {})
        if server.engine == VALKEY:
            # What GLIDE compares with the client's own.
            assert client.info("server")["availability_zone"] == "us-east-1a"
    pod.kill()
    pod.start()
    pod.wait_for_answer()


def test_a_valkey_whose_kubernetes_knows_no_zone_starts_without(conf: str, network: Network) -> None:
    pod = Pod(network, "redis-master-0", conf, AUTH)
    pod.env["AVAILABILITY_ZONE"] = ""
    pod.create()
    pod.wait_for_answer()
