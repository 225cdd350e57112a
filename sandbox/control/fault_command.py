"""`python -m sandbox fault …`: one subcommand per fault."""

from __future__ import annotations

import argparse
from typing import Any


def add_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="FAULT", dest="fault")

    def verb(name: str, text: str, *targets: str) -> argparse.ArgumentParser:
        child = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        for target in targets:
            child.add_argument(target)
        return child

    process = verb("kill-process", "kill a container's program; the kubelet restarts it in place, same IP", "pod")
    process.add_argument("-c", "--container", help="default: the pod's first")
    process.add_argument(
        "--signal", default="KILL", dest="signal_name", help="KILL (default), TERM, STOP (hangs it), CONT, …"
    )
    memory = verb("out-of-memory", "the kernel ends the process of a container that it scores highest", "pod")
    memory.add_argument("-c", "--container", help="default: the pod's first")
    memory.add_argument(
        "--together", action="store_true", help="all its processes, as a kubelet without singleProcessOOMKill"
    )
    verb("kill-pod", "delete a pod; its controller makes a new one with a new IP", "pod").add_argument(
        "--now", action="store_true", help="without preStop and grace period"
    )
    verb("lose-pod", "a pod's machine vanishes without a goodbye and stays away until `restore`", "pod")
    verb("restore", "the lost machine of a pod is back", "pod")
    verb("lose-volume", "kill a pod and empty its volumes", "pod")
    verb("lose-zone", "all machines of a zone vanish", "zone")
    verb("restore-zone", "a lost zone is back", "zone")
    restart = verb("restart-all", "kill all StatefulSet pods at once")
    restart.add_argument("--ips", choices=("new", "same", "rotated"), default="new", help="what they come back with")
    restart.add_argument("-n", "--namespace", default=argparse.SUPPRESS, help="only this namespace")
    verb("partition", "cut zones or pods off from all other pods (they still reach each other)").add_argument(
        "members", nargs="+", metavar="ZONE|POD"
    )
    verb("heal", "undo all partitions")
    slow = verb("slow-link", "limit a pod's network; without options, undo it", "pod")
    slow.add_argument("--rate", help="bits per second in each direction, such as 50mbit")
    slow.add_argument("--delay-ms", type=float, default=0.0, help="added in each direction")
    slow.add_argument("--loss-percent", type=float, default=0.0, help="in each direction")
    distance = verb("zone-distance", "delay and count what goes from zone to zone; without options, undo it")
    distance.add_argument("--delay-ms", type=float, help="added in each direction; `status` has the bytes")
    drain = verb("drain", "evict a node's pods one by one as the disruption budgets allow", "node")
    drain.add_argument("--timeout", type=float, default=300.0, dest="timeout_s", help="seconds (default 300)")
    verb("cordon", "let no new pods onto a node", "node")
    verb("uncordon", "let pods onto a node again", "node")
    for name, text in (("fill-disk", "write a pod's volume full"), ("free-disk", "undo fill-disk")):
        verb(name, text, "pod").add_argument("--volume", help="default: the pod's first claim")


def run(arguments: argparse.Namespace) -> int:
    from sandbox.control.client import Sandbox

    given: dict[str, Any] = {
        key: value for key, value in vars(arguments).items() if key not in ("command", "fault", "name", "namespace")
    }
    # The other verbs take `namespace/name` where a name is used twice.
    if arguments.namespace is not None:
        given["namespace"] = arguments.namespace
    print(Sandbox(arguments.name, die_with_parent=False).fault(arguments.fault, **given))
    return 0
