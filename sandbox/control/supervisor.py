"""Process 1 of the sandbox's namespaces. When it ends, in whatever way, the kernel removes everything below it."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from sandbox.control.operations import OPERATIONS, Client, Operations
from sandbox.control.protocol import Message, MessageSocket
from sandbox.errors import SandboxError
from sandbox.host import dns, network
from sandbox.host.addresses import FAMILIES, ClusterNetwork
from sandbox.host.border import Border
from sandbox.host.firewall import Firewall
from sandbox.host.images import ImageStore
from sandbox.host.network import AddressPool
from sandbox.host.partitions import Partitions
from sandbox.host.process import reap_orphans, run_tool
from sandbox.kubernetes.accounts import Accounts
from sandbox.kubernetes.api_server import ApiServer
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers.services import cluster_names
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.kubelet.memory import watch_memory
from sandbox.kubernetes.kubelet.volumes import VolumeStore
from sandbox.kubernetes.kubelet.worker import Kubelet
from sandbox.kubernetes.nodes import Node, nodes_from_json, pretend_nodes
from sandbox.monitoring.pushgateway import with_pushgateway

STATE_DIR = Path("/run/sandbox")


async def _main(
    listener: socket.socket, ready_fd: int, parent_fd: int | None, name: str, nodes: list[Node], chosen: ClusterNetwork
) -> None:
    # A private /run: named network namespaces and all state live in it and vanish with the mount namespace.
    run_tool(["mount", "-t", "tmpfs", "-o", "mode=0755", "sandbox", "/run"])
    STATE_DIR.mkdir()
    network.set_up(chosen.family)
    firewall = Firewall(chosen.family)
    firewall.set_up()
    cluster = Cluster(nodes, chosen)
    partitions = Partitions(chosen.family)
    border = Border(chosen.family, lambda message: cluster.event("the zones", "LinkRestored", message))
    accounts = Accounts()

    def on_network_change() -> None:
        partitions.refresh(cluster.networks())
        border.refresh(cluster.networks_by_zone())
        workloads.network_policies.enforce()

    kubelet = Kubelet(
        cluster=cluster,
        images=ImageStore(STATE_DIR / "images"),
        volumes=VolumeStore(STATE_DIR / "volumes"),
        addresses=AddressPool(chosen.family.pod_range),
        accounts=accounts,
        directory=STATE_DIR / "pods",
        on_network_change=on_network_change,
    )
    workloads = Workloads(cluster, kubelet, firewall)
    operations = Operations(name, cluster, kubelet, workloads, partitions, border, STATE_DIR)
    dns_server = await dns.serve(chosen.family.dns_ip, lambda: with_pushgateway(cluster_names(cluster), cluster.guests))
    api_server = await ApiServer(cluster, workloads, accounts).serve(chosen.family.api_ip)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, os._exit, 0)
    if parent_fd is not None:
        # The other end is held by the starting process alone: end of file means it is gone.
        loop.add_reader(parent_fd, lambda: os._exit(0))
    tasks = [
        asyncio.create_task(workloads.run()),
        asyncio.create_task(reap_orphans()),
        asyncio.create_task(watch_memory(cluster)),
        asyncio.create_task(_serve(listener, operations)),
    ]
    os.write(ready_fd, b"ready\n")
    os.close(ready_fd)
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    del dns_server, api_server
    for task in done:
        task.result()


async def _serve(listener: socket.socket, operations: Operations) -> None:
    listener.setblocking(False)
    handlers = set()
    while True:
        sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        handler = asyncio.create_task(_handle(MessageSocket(sock), operations))
        handlers.add(handler)
        handler.add_done_callback(handlers.discard)


async def _handle(connection: MessageSocket, operations: Operations) -> None:
    try:
        if connection.peer_uid() != os.getuid():
            await connection.send({"error": "this sandbox belongs to another user"})
            return
        received = await connection.receive()
        if received is not None:
            await _answer(connection, operations, received)
    except (ConnectionError, asyncio.CancelledError):
        return
    finally:
        connection.close()


async def _answer(connection: MessageSocket, operations: Operations, request: Message) -> None:
    call = OPERATIONS.get(request.get("operation", ""))
    if call is None:
        await connection.send({"error": f"unknown operation {request.get('operation')!r}"})
        return
    client = Client(connection)
    listening = asyncio.create_task(_listen(client))
    try:
        operation: asyncio.Task[Any] = asyncio.create_task(call(operations, client, **request.get("arguments", {})))
        await asyncio.wait({operation, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not operation.done():
            # The client is gone: nobody wants the answer.
            operation.cancel()
            await asyncio.gather(operation, return_exceptions=True)
            return
        result = operation.result()
    except SandboxError as error:
        await connection.send({"error": str(error), "kind": type(error).__name__})
        return
    except Exception:
        # One operation's fault is its client's to see, whole; the sandbox and all other clients go on.
        await connection.send({"error": f"fault in the sandbox itself:\n{traceback.format_exc()}"})
        return
    finally:
        # Its reader must leave the event loop before the socket's number can be used again.
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    await connection.send({"result": result})


async def _listen(client: Client) -> None:
    """Returns when the client is gone."""
    while (message := await client.socket.receive()) is not None:
        client.inbox.put_nowait(message)


def main() -> int:
    parser = argparse.ArgumentParser(prog="sandbox.control.supervisor")
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--parent-fd", type=int)
    parser.add_argument("--name", required=True)
    parser.add_argument("--nodes", type=nodes_from_json, default=pretend_nodes(), help="JSON; default: six of them")
    parser.add_argument("--ip-family", choices=tuple(FAMILIES), required=True)
    parser.add_argument("--cluster-domain", required=True)
    arguments = parser.parse_args()
    if os.getpid() != 1:
        sys.stderr.write("the supervisor must be process 1 of its own pid namespace; use `python -m sandbox up`\n")
        return 2
    os.umask(0o022)
    listener = socket.socket(fileno=arguments.listen_fd)
    chosen = ClusterNetwork(FAMILIES[arguments.ip_family], arguments.cluster_domain)
    try:
        asyncio.run(_main(listener, arguments.ready_fd, arguments.parent_fd, arguments.name, arguments.nodes, chosen))
    except SandboxError as error:
        os.write(arguments.ready_fd, str(error).encode())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
