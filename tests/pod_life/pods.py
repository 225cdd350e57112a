"""Pods small enough for a test: the scripts as they are, real Redis, one network namespace each, no Kubernetes.

A `Pod` is a `bubblewrap` process tree with its own address, process ids and file system: busybox,
redis-server, redis-cli, and the mounts that the rendered Pod has. All of it ends with the test process.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import redis

from components.config.settings import Access
from components.manifests import users
from components.manifests.containers import USERS_PATH
from sandbox.host.images import PARTS_DIR
from sandbox.host.servers import PARTS
from tests.pod_life.namespaces import CLONE_NEWNET, call, new_namespace, run
from tests.pod_life.network import DNS_IP, Network

SCRIPTS = Path(__file__).parents[2] / "components" / "scripts"
PORT = 6379
BUS_PORT = 16379
NAMESPACE = "redis-test"
AUTH = "quo\"te back\\slash $HOME `id` ' ü"
SCRIPT_ENV = {
    "NODE_TIMEOUT_MS": "5000",
    "FENCE_AFTER_MS": "3000",
    "START_TAKEOVER_SECONDS": "8",
    "STOP_DEADLINE_SECONDS": "10",
    "ALIVE_TIMEOUT_SECONDS": "5",
    "LONGEST_SCRIPT_SECONDS": "60",
}

SERVICE_SECRET = "the service secret of a test"  # noqa: S105
ADMIN = "test"
"""A user of the tests' own, who may do everything. A rendered pod has none like it."""

T = TypeVar("T")


def wait_until(what: str, probe: Callable[[], T], seconds: float = 20.0, step_seconds: float = 0.05) -> T:
    """The first true result of `probe`; an error of Redis counts as not yet. AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < end:
        try:
            result = probe()
        except redis.RedisError as error:
            last = error
        else:
            if result:
                return result
            last = result
        time.sleep(step_seconds)
    raise AssertionError(f"not within {seconds} s: {what}; last seen: {last!r}")


def enter_network(pod: "Pod") -> None:
    """The calling thread is in the pod's network from now on."""
    assert pod._namespace is not None
    call("setns", pod._namespace, CLONE_NEWNET)


class Pod:
    """One Redis pod. Its volume and its name stay; address and processes come and go."""

    def __init__(
        self,
        network: Network,
        name: str,
        conf: str,
        password: str | None,
        access: Access | None = None,
    ) -> None:
        self.network = network
        self.name = name
        self.service = name.rpartition("-")[0]
        self.domain = f"{self.service}.{NAMESPACE}.svc.cluster.local"
        self.host = f"{name}.{self.domain}"
        self.password = password
        self.env = dict(SCRIPT_ENV)
        self.ip: str | None = None
        self.base = network.directory / name
        self.data = self.base / "data"
        for part in ("data", "run", "etc", "users"):
            (self.base / part).mkdir(parents=True)
        (self.base / "etc" / "redis.conf").write_text(conf)
        (self.base / "resolv.conf").write_text(f"nameserver {DNS_IP}\noptions ndots:5 timeout:1 attempts:1\n")
        if password is not None:
            self._give_users(access or Access.defaults(), password)
        self.log = self.base / "log"
        self.log.touch()
        self._namespace: int | None = None
        self._link = ""
        self._process: subprocess.Popen[bytes] | None = None
        network.pods.append(self)

    def _give_users(self, access: Access, password: str) -> None:
        """Files and variables as the rendered pod has them, and the tests' own user besides."""
        values = users.secret_values(access, password, SERVICE_SECRET)
        folder = self.base / "users"
        digest = hashlib.sha256(password.encode()).hexdigest()
        everything = f"user {ADMIN} on #{digest} ~* &* +@all\n"
        (folder / users.USERS_CONF_KEY).write_text(values[users.USERS_CONF_KEY] + everything)
        self.env |= {
            "USERS_CONF": f"{USERS_PATH}/{users.USERS_CONF_KEY}",
            "REDISCLI_USER": users.OPERATOR,
            "REDISCLI_AUTH": values[users.OPERATOR_KEY],
        }
        if users.has_fallback(access):
            (folder / users.MASTER_LINKS_KEY).write_text(values[users.MASTER_LINKS_KEY])
            self.env |= {
                "FALLBACK_USER": users.fallback_user(access),
                "FALLBACK_AUTH": values[users.FALLBACK_KEY],
                "MASTER_LINKS": f"{USERS_PATH}/{users.MASTER_LINKS_KEY}",
            }

    def create(self, ip: str | None = None) -> None:
        """Gives the pod an address, as the scheduling of a new incarnation does, and starts its container."""
        self.ip = ip or self.network.unused_ip()
        self._namespace = new_namespace()
        self._link = self.network.link(self._namespace, self.ip)
        for file in (self.base / "run").glob("*"):
            # Not the other way round: to look into a named pipe as into a directory waits for a writer, for ever.
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        self.network.publish()
        self.start()

    def start(self, *command: str) -> None:
        """Starts the container, as the kubelet does after it ended."""
        namespace = self._namespace
        if namespace is None or self.ip is None:
            raise RuntimeError(f"{self.name} has no address yet")

        def enter() -> None:
            call("setns", namespace, CLONE_NEWNET)

        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._bubblewrap() + list(command or ("sh", "/scripts/start.sh")),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=enter,
            )

    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/scripts/bin:/bin",
            "POD_NAME": self.name,
            "POD_NAMESPACE": NAMESPACE,
            "POD_IP": self.ip or "",
            "SERVICE_NAME": self.service,
            "CLUSTER_DOMAIN": "cluster.local",
            "PORT": str(PORT),
            **self.env,
        }

    def everything_allowed(self) -> dict[str, str]:
        """The environment by which redis-cli is the tests' own user."""
        login = {} if self.password is None else {"REDISCLI_USER": ADMIN, "REDISCLI_AUTH": self.password}
        return self.environment() | login

    def denied(self) -> list[str]:
        """What Redis has refused since its start to the users that a rendered pod has, for want of a right."""
        if self.password is None:
            return []
        with self.client() as client:
            return [f"{one['username']}: {one['object']}" for one in client.acl_log() if one["reason"] != "auth"]

    def _bubblewrap(self) -> list[str]:
        base = str(self.base)
        return (
            "bwrap --die-with-parent --unshare-user --uid 999 --gid 1000 --unshare-pid --as-pid-1 --unshare-ipc"
            " --cap-drop ALL --symlink usr/lib /lib --symlink usr/lib64 /lib64"
            f" --ro-bind {self.network.usr}/lib /usr/lib --ro-bind-try {self.network.usr}/lib64 /usr/lib64"
            f" --ro-bind {self.network.image} /bin --proc /proc --dev /dev --ro-bind-try {PARTS} {PARTS_DIR}"
            f" --ro-bind {SCRIPTS} /scripts --ro-bind {base}/etc /etc/redis --bind {base}/run /run/redis"
            f" --ro-bind {base}/users {USERS_PATH}"
            f" --ro-bind {base}/resolv.conf /etc/resolv.conf --bind {base}/data /data --remount-ro / --chdir /data"
        ).split()

    def process_id(self) -> int:
        """Id of the container's process 1, seen from outside."""
        process = self._process
        if process is None:
            raise RuntimeError(f"{self.name} was not started")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

        def inner() -> int | None:
            assert process.poll() is None, f"{self.name} ended with {process.returncode}:\n{self.log.read_text()}"
            found = children.read_text().split()
            return int(found[0]) if found else None

        return wait_until(f"process 1 of {self.name}", inner, step_seconds=0.005) or 0

    def inside(self, *command: str) -> list[str]:
        """The command line that runs `command` in the container; it needs `environment()`."""
        return ["nsenter", "-t", str(self.process_id()), "-a", "--preserve-credentials", *command]

    def execute(self, *command: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """What `kubectl exec` does. redis-cli may do everything, other than in a rendered pod."""
        return subprocess.run(
            self.inside(*command),
            env=self.everything_allowed() if command[0] == "redis-cli" else self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def script(self, name: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return self.execute("sh", f"/scripts/{name}", seconds=seconds)

    def signal(self, number: signal.Signals) -> None:
        """A signal to the container's process 1."""
        os.kill(self.process_id(), number)

    def wait_for_end(self, seconds: float = 20) -> None:
        """Returns when the container has ended by itself."""
        if self._process is not None:
            self._process.wait(timeout=seconds)

    def kill(self) -> None:
        """SIGKILL to the container's process 1: what the memory limit does."""
        if self._process is not None:
            if self._process.poll() is None:
                self.signal(signal.SIGKILL)
            self._process.wait(timeout=20)

    def terminate(self, seconds: float = 30) -> None:
        """preStop, then TERM: how the kubelet stops a pod. Its address goes with it."""
        hook = self.script("stop.sh")
        assert hook.returncode == 0, hook.stderr
        os.kill(self.process_id(), signal.SIGTERM)
        if self._process is not None:
            self._process.wait(timeout=seconds)
        self.destroy()

    def destroy(self) -> None:
        """The pod is gone: processes, namespace, address and DNS record. The volume stays."""
        self.kill()
        self._process = None
        if self._namespace is not None:
            run(*f"ip link delete {self._link}".split())
            os.close(self._namespace)
            self._namespace = None
        self.ip = None
        self.network.publish()

    def cut(self, *, connected: bool = False) -> None:
        """Takes the pod off the network, or puts it back."""
        run(*f"ip link set {self._link} {'up' if connected else 'down'}".split())

    def client(self, timeout_seconds: float = 3) -> redis.Redis:
        return redis.Redis(
            host=self.ip or "",
            port=PORT,
            username=None if self.password is None else ADMIN,
            password=self.password,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=1,
        )

    def wait_for_answer(self, seconds: float = 20) -> None:
        with self.client() as client:
            wait_until(f"{self.name} answers", client.ping, seconds)

    def lines(self, word: str) -> list[str]:
        """Lines of the pod's log that hold `word`."""
        return [line for line in self.log.read_text().splitlines() if word in line]
