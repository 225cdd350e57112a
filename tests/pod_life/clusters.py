"""A small cluster of test pods, its data, and a constant load on it."""

import threading
import time
from dataclasses import dataclass, field
from functools import partial

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot

from tests.pod_life.network import Network
from tests.pod_life.pods import ADMIN, BUS_PORT, PORT, Pod, wait_until

SLOTS = 16384


@dataclass
class Cluster:
    """Master i and its replicas, in the order of `masters` and `replicas`."""

    network: Network
    masters: list[Pod]
    replicas: list[Pod]

    @property
    def pods(self) -> list[Pod]:
        return [*self.masters, *self.replicas]

    def slots_of(self, shard: int) -> tuple[int, int]:
        """First and last slot of a shard."""
        per_master = SLOTS / len(self.masters)
        return round(shard * per_master), round((shard + 1) * per_master) - 1

    def key_of(self, shard: int) -> str:
        """A key whose slot is in the shard."""
        first, last = self.slots_of(shard)
        return next(key for key in (f"probe:{n}" for n in range(100_000)) if first <= key_slot(key.encode()) <= last)

    def form(self) -> None:
        """Meets, assigns, attaches; returns when every replica is in sync and every node says that all is well."""
        for pod in self.pods:
            pod.wait_for_answer()
        for i, master in enumerate(self.masters):
            first, last = self.slots_of(i)
            with master.client() as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        wait_until("every node knows all others", self._meet, step_seconds=0.3)
        for i, replica in enumerate(self.replicas):
            with replica.client() as client, self.masters[i % len(self.masters)].client() as master:
                master_id = master.execute_command("CLUSTER MYID")
                attach = partial(client.execute_command, "CLUSTER REPLICATE", master_id)
                wait_until(f"{replica.name} knows its master", attach)
        # A handshake tells all others at once that this node is a replica now. Gossip takes seconds.
        for replica in self.replicas:
            self._introduce(replica)
        self.wait_until_whole()

    def _meet(self) -> bool:
        """Makes nodes meet that do not know each other yet; a handshake that got lost is not repeated by Redis."""
        strangers = [pod for pod in self.pods if self._known_nodes(pod) < len(self.pods)]
        for pod in strangers:
            self._introduce(pod)
        return not strangers

    def _introduce(self, pod: Pod) -> None:
        with pod.client() as client:
            for other in self.pods:
                if other is not pod:
                    client.execute_command("CLUSTER MEET", other.ip, PORT, BUS_PORT)

    def _known_nodes(self, pod: Pod) -> int:
        with pod.client() as client:
            return int(client.execute_command("CLUSTER INFO")["cluster_known_nodes"])

    def wait_until_whole(self, seconds: float = 30) -> None:
        """Every node sees every slot served, no failure and who is a replica; every replica is in sync."""

        def whole() -> bool:
            for pod in self.pods:
                with pod.client() as client:
                    info = client.execute_command("CLUSTER INFO")
                    if info["cluster_state"] != "ok" or int(info["cluster_slots_ok"]) != SLOTS:
                        return False
                    if int(info["cluster_known_nodes"]) != len(self.pods):
                        return False
                    replication = client.info("replication")
                    if replication["role"] == "slave" and replication["master_link_status"] != "up":
                        return False
                    nodes = client.execute_command("CLUSTER NODES")
                    if sum("slave" in node["flags"] for node in nodes.values()) != len(self.replicas):
                        return False
                    if any("fail" in node["flags"] or "noaddr" in node["flags"] for node in nodes.values()):
                        return False
                    if any(ip_of(address) == "" for address in nodes):
                        return False
            return True

        wait_until("the cluster is whole", whole, seconds, step_seconds=0.1)

    def client(self) -> RedisCluster:
        """An ordinary cluster client, as an application makes it."""
        pods = [pod for pod in self.pods if pod.ip is not None]
        return RedisCluster(
            startup_nodes=[ClusterNode(pod.ip, PORT) for pod in pods],
            username=None if pods[0].password is None else ADMIN,
            password=pods[0].password,
            socket_timeout=3,
            socket_connect_timeout=1,
            address_remap=self._look_up,
        )

    def _look_up(self, address: tuple[str, int]) -> tuple[str, int]:
        """Nodes are announced by name, and this process is outside the pods' DNS: it looks into the records itself."""
        host, port = address
        return self.network.names.get(host, [host])[0], port

    def fill(self, count: int, size_bytes: int = 10_000) -> dict[str, bytes]:
        """Writes `count` keys over all slots, waits until the replicas have them, and returns what was written."""
        written = {f"image:{i}": (b"%d " % i * size_bytes)[:size_bytes] for i in range(count)}
        with self.client() as client:
            for key, value in written.items():
                client.set(key, value)
            for primary in client.get_primaries():
                client.execute_command("WAIT", 1, 5000, target_nodes=primary)
        return written

    def lost(self, written: dict[str, bytes]) -> int:
        """How many of the keys are gone or wrong."""
        with self.client() as client:
            return sum(client.get(key) != value for key, value in written.items())

    def role(self, pod: Pod) -> str:
        with pod.client() as client:
            return str(client.info("replication")["role"])


def ip_of(address: str) -> str:
    return address.rpartition(":")[0]


def writable(pod: Pod, key: str) -> bool:
    """Whether the node at `pod` takes a write of `key` itself."""
    with pod.client(timeout_seconds=1) as client:
        try:
            return bool(client.set(key, b"x"))
        except redis.RedisError:
            return False


@dataclass
class Load:
    """Constant reads and writes by ordinary cluster clients, each failure noted."""

    cluster: Cluster
    workers: int = 2
    size_bytes: int = 10_000
    pause_seconds: float = 0.002
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    written: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(self.workers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _work(self, worker: int) -> None:
        with self.cluster.client() as client:
            turn = 0
            while not self._end.is_set():
                key = f"load:{worker}:{turn % 500}"
                value = b"%d:%d:" % (worker, turn) + bytes(self.size_bytes)
                begin = time.monotonic()
                try:
                    client.set(key, value)
                    self.written[key] = value
                    if client.get(key) != value:
                        self.wrong.append(key)
                except (redis.RedisError, OSError) as error:
                    self.failures.append(f"{key}: {error!r}")
                self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begin)
                self.requests += 2
                turn += 1
                time.sleep(self.pause_seconds)
