"""The command line of the sandbox."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from preview import command as plan_command
from preview.errors import EvaluationError
from sandbox.control import fault_command, kubectl_command
from sandbox.errors import ApplyError, InvalidError, NotFoundError, SandboxError

if TYPE_CHECKING:
    from sandbox.control.client import Sandbox


def main(arguments: Sequence[str]) -> int:
    """Exit status: the command's own for `exec` and `run`, else 0, 1 for an error, 2 for a wrong call, 130 for ^C."""
    parsed = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except (SandboxError, EvaluationError, TimeoutError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output (`| head`) has seen enough.
        sys.stderr.close()
        return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Runs the Kubernetes objects a stack renders as real processes on this machine, in a network "
        "without an uplink.",
    )
    parser.add_argument("--name", help="which sandbox (default: the one of this checkout)")
    parser.add_argument("-n", "--namespace", help="only in this namespace, for verbs that take -n")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        child = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        child.set_defaults(command=run)
        return child

    up = verb("up", _up, "start the sandbox if needed and bring it to what the stack renders, as `pulumi up` would")
    up.add_argument("--stack", default="local", help="stack whose Pulumi.<stack>.yaml is read (default: local)")
    up.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one config value (repeatable)"
    )
    up.add_argument(
        "--hurry",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="with exporters: alerts wait, and queries look back, so many times less long (default 1: as rendered)",
    )
    up.add_argument(
        "--ip-family",
        choices=("ipv4", "ipv6"),
        help="addresses of the pods of a sandbox that is started (default ipv4); one that runs keeps what it has",
    )
    verb("down", _down, "stop the sandbox and check that nothing of it is left")
    status = verb("status", _status, "show pods, roles, slots, memory, Services, Jobs and claims")
    status.add_argument("--json", action="store_true", help="everything as one JSON object")
    plan = verb("plan", plan_command.run, "show a stack's derived plan and its resources, asking nobody")
    plan_command.add_arguments(plan)

    kubectl_command.add_verbs(verb)
    execute = verb("exec", _exec, "run a command in a container, as `kubectl exec` does")
    _add_pod(execute)
    _add_exec_options(execute)
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD", help="command and arguments")
    run = verb("run", _run, "run a command of this machine inside the sandbox's network, where pods can be reached")
    _add_namespace(run, "stand in the network as a pod of this namespace (default: default); policies hold for it")
    run.add_argument("-l", "--labels", default="", metavar="LABEL=VALUE", help="labels of that pod (a=b,c=d)")
    run.add_argument("--on-node", action="store_true", help="stand on a node instead, where no policy holds")
    run.add_argument("--pod", help="stand in this pod's own place, as if the command ran beside it")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD", help="command and arguments")
    trigger = verb("trigger", _trigger, "start a Job of a CronJob now, and wait for it")
    trigger.add_argument("cronjob")
    _add_namespace(trigger)
    events = verb("events", _events, "show what happened to pods and Jobs, oldest first")
    events.add_argument("--pod", help="only of this pod")
    dashboard = verb("dashboard", _dashboard, "write the dashboard as a page, drawn from what its Prometheus knows")
    dashboard.add_argument("file", nargs="?", default="dashboard.html", help="default: dashboard.html")
    dashboard.add_argument("--minutes", type=float, default=15.0, help="how far the graphs look back (default 15)")
    fault_command.add_verbs(verb("fault", fault_command.run, "break something, the way it breaks in a data centre"))
    return parser


def _add_pod(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pod", help="pod name, or namespace/name")


def _add_exec_options(parser: argparse.ArgumentParser) -> None:
    _add_place(parser)
    parser.add_argument("-i", "--stdin", action="store_true", help="accepted: stdin is always passed on")
    parser.add_argument("-t", "--tty", action="store_true", help="accepted: the terminal itself is passed on")


def _add_place(parser: argparse.ArgumentParser) -> None:
    _add_namespace(parser)
    parser.add_argument("-c", "--container", help="default: the pod's first")


def _add_namespace(parser: argparse.ArgumentParser, text: str = "needed only when the name is used in several") -> None:
    # A default here would undo what was given before the verb, as kubectl takes it too.
    parser.add_argument("-n", "--namespace", default=argparse.SUPPRESS, help=text)


def _sandbox(arguments: argparse.Namespace) -> Sandbox:
    # `plan` needs no sandbox, and should not wait for what one needs.
    from sandbox.control.client import Sandbox

    return Sandbox(arguments.name, die_with_parent=False)


def _say(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def _command_of(arguments: argparse.Namespace) -> list[str]:
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not argv:
        raise SandboxError("no command was given; write it after --")
    return list(argv)


def _up(arguments: argparse.Namespace) -> int:
    # Evaluating imports Pulumi and the program: only this command pays for it.
    from sandbox.control.up import up

    if not 1 <= arguments.hurry <= 60:
        raise SandboxError(f"--hurry {arguments.hurry:g}: give a factor from 1 to 60")
    return up(
        _sandbox(arguments), arguments.stack, arguments.set, _say, hurry=arguments.hurry, ip_family=arguments.ip_family
    )


def _down(arguments: argparse.Namespace) -> int:
    sandbox = _sandbox(arguments)
    began = time.monotonic()
    try:
        held = sandbox.hello()
    except NotFoundError:
        _say("no sandbox is running here; nothing to do")
        return 0
    sandbox.stop()
    _say(
        f"stopped {held['pods']} pods in {time.monotonic() - began:.1f}s; no process, namespace, mount or file is left"
    )
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from sandbox.control.redis_facts import redis_facts
    from sandbox.control.report import status_text

    sandbox = _sandbox(arguments)
    report = sandbox.status()
    report["redis"] = redis_facts(sandbox, report)
    _say(json.dumps(report, indent=2) if arguments.json else status_text(report))
    return 0


def _dashboard(arguments: argparse.Namespace) -> int:
    from sandbox.control.dashboard import write_dashboard

    if not 1 <= arguments.minutes <= 24 * 60:
        raise SandboxError(f"--minutes {arguments.minutes:g}: give minutes from 1 to {24 * 60}")
    for path in write_dashboard(_sandbox(arguments), Path(arguments.file), 60 * arguments.minutes):
        _say(f"written to {path}: open it in a browser")
    return 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _exec(arguments: argparse.Namespace) -> int:
    if arguments.argv[0:1] != ["--"] and "--" in arguments.argv and arguments.argv[0].startswith("-"):
        # kubectl takes its options also between the pod and `--`. argparse would take them for the command.
        at = arguments.argv.index("--")
        options = argparse.ArgumentParser(prog="python -m sandbox exec POD", add_help=False)
        _add_exec_options(options)
        options.parse_args(arguments.argv[:at], arguments)
        arguments.argv = arguments.argv[at:]
    return _sandbox(arguments).exec_here(
        arguments.pod, _command_of(arguments), container=arguments.container, namespace=arguments.namespace
    )


def _run(arguments: argparse.Namespace) -> int:
    from sandbox.control.place import ON_A_NODE, Place, beside

    asked = arguments.namespace or arguments.labels
    if arguments.on_node and (asked or arguments.pod):
        raise InvalidError("--on-node: a node has neither namespace nor labels nor pods' places; leave out the others")
    if arguments.pod:
        if arguments.labels:
            raise InvalidError("--pod: that pod has its own labels; leave out -l")
        place = beside(arguments.pod, arguments.namespace or None)
    else:
        place = Place(arguments.namespace or "default", kubectl_command.pairs(arguments.labels, "-l"))
    return _sandbox(arguments).run_here(_command_of(arguments), ON_A_NODE if arguments.on_node else place)


def _trigger(arguments: argparse.Namespace) -> int:
    result = _sandbox(arguments).trigger(arguments.cronjob, arguments.namespace, wait=True)
    _write(result["log"] + "\n" if result["log"] else "")
    _say(f"Job {result['job']}: {result['condition'] or 'still running'}")
    if result["condition"] != "Complete":
        raise ApplyError(f"Job {result['job']} did not complete")
    return 0


def _events(arguments: argparse.Namespace) -> int:
    now = time.time()
    for at, subject, reason, message in _sandbox(arguments).events():
        if arguments.pod is None or subject.endswith(f"/{arguments.pod}"):
            _say(f"{now - at:8.1f}s ago  {subject}  {reason}: {message}")
    return 0
