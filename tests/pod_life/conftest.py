import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from components.config.choices import NodeEndpoint
from components.config.settings import Tls
from components.config.units import MIB
from components.manifests.redis_conf import redis_conf
from components.plan.tuning import Tuning, derive_tuning
from sandbox.host.servers import ServerProgram
from tests.pod_life.clusters import Cluster
from tests.pod_life.network import Network
from tests.pod_life.pods import AUTH, Pod
from tests.tested_server import program_in_pod, tested_server

ROOT = Path(os.environ.get("POD_LIFE_ROOT", "/"))
"""File system to take the programs from: this machine's, or an unpacked one with another version of Redis."""


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has on its PATH: busybox under its applets' names, redis-server and redis-cli."""
    return make_image(tmp_path_factory.mktemp("image"), tested_server())


def make_image(directory: Path, server: ServerProgram | None) -> Path:
    """With a server of this machine, or that of ROOT."""
    for program in ("busybox", "redis-server", "redis-cli"):
        found = ROOT / "usr" / "bin" / program
        assert found.exists(), f"{found} is missing: apt-get install busybox redis-server redis-tools"
        shutil.copy(found, directory / program)
    if server is not None:
        (directory / "redis-server").write_bytes(program_in_pod(server))
    applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout
    for applet in set(applets.split()) - {"busybox"}:
        (directory / applet).symlink_to("busybox")
    return directory


@pytest.fixture
def network(tmp_path: Path, image: Path) -> Iterator[Network]:
    network = Network(tmp_path, image, ROOT / "usr")
    yield network
    denied = {pod.name: pod.denied() for pod in network.pods if pod.ip is not None and _serves(pod)}
    network.close()
    assert {name: found for name, found in denied.items() if found} == {}, "a script lacks a right"


def _serves(pod: Pod) -> bool:
    """Asked once: one that a test has stopped answers nobody, however often it is asked."""
    try:
        with pod.client(timeout_seconds=1) as client:
            client.set_retry(Retry(NoBackoff(), 0))
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False


def small_tuning(replicas_per_master: int = 1) -> Tuning:
    return derive_tuning(
        maxmemory_bytes=256 * MIB,
        limit_bytes=368 * MIB,
        write_bytes_per_second_per_master=MIB,
        object_bytes=MIB,
        ttl_seconds=300,
        replicas_per_master=replicas_per_master,
    )


@pytest.fixture
def conf() -> str:
    """The derived redis.conf of a sandbox-size pod."""
    return redis_conf(small_tuning(), NodeEndpoint.HOSTNAME, Tls.defaults())


@pytest.fixture
def pod(network: Network, conf: str) -> Pod:
    """One whose Redis answers, and is in no cluster yet."""
    pod = Pod(network, "redis-master-0", conf, AUTH)
    pod.create()
    pod.wait_for_answer()
    return pod


@pytest.fixture
def make_cluster(network: Network, conf: str) -> Callable[..., Cluster]:
    def make(
        masters: int = 3,
        replicas_per_master: int = 1,
        conf: str = conf,
        pod_class: type[Pod] = Pod,
        password: str | None = AUTH,
    ) -> Cluster:
        cluster = Cluster(
            network,
            [pod_class(network, f"redis-master-{i}", conf, password) for i in range(masters)],
            [pod_class(network, f"redis-replica-{i}", conf, password) for i in range(masters * replicas_per_master)],
        )
        for pod in cluster.pods:
            pod.create()
        cluster.form()
        return cluster

    return make


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()
