"""`get`, `describe`, `delete`, `top` and `logs` in kubectl's own words, as far as the runbook uses them.

What the runbook shows for kubectl runs here with `python -m sandbox` in its place.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sandbox.control.durations import seconds_of
from sandbox.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from sandbox.control.client import Sandbox

Item = dict[str, Any]

_WIDTH_MIN = 80
_PIPE_WIDTH = 200
"""Where nobody says how wide the output may be: nothing is folded that a `grep` should find in one line."""
_TOP_SAMPLE_S = 1.0
_TAIL_OF_MANY = 10
"""As kubectl: of pods that are named by a label, so many lines each unless `--tail` says otherwise."""


def add_verbs(verb: Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]) -> None:
    """Adds the verbs to the command line."""
    get = verb("get", _get, "list objects of a kind, as `kubectl get`")
    _add_choice(get, name_count="?")
    get.add_argument("-o", "--output", choices=("wide", "json"), help="wide: with more columns")
    get.add_argument("-L", "--label-columns", default="", metavar="LABEL", help="show labels as columns (a,b)")
    get.add_argument("--field-selector", default="", metavar="FIELD=VALUE", help="status.phase, metadata.name, reason")
    describe = verb("describe", _describe, "everything about an object, and its events, as `kubectl describe`")
    _add_choice(describe, name_count="?")
    delete = verb("delete", _delete, "delete pods or Jobs, as `kubectl delete`")
    _add_choice(delete, name_count="*")
    delete.add_argument("--now", action="store_true", help="pods: without preStop and grace period")
    top = verb("top", _top, "processor and memory that pods use, as `kubectl top`")
    _add_choice(top, name_count="?")
    logs = verb("logs", _logs, "show what a container wrote, as `kubectl logs`")
    logs.add_argument("pod", nargs="?", help="pod name, or namespace/name")
    _add_place(logs)
    logs.add_argument("-l", "--selector", metavar="LABEL=VALUE", help="of all pods with these labels (a=b,c=d)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the container ends")
    logs.add_argument("--previous", "-p", action="store_true", help="the run before the last restart")
    logs.add_argument("--tail", type=int, metavar="LINES", help="only the last lines of each pod; -1: all")
    logs.add_argument("--since", type=seconds_of, metavar="TIME", help="only what is not older (30s, 5m, 1h)")
    logs.add_argument("-c", "--container", help="default: the pod's first")


def _add_choice(parser: argparse.ArgumentParser, name_count: str) -> None:
    parser.add_argument(
        "kind", help="pods, jobs, cronjobs, statefulsets, services, pvc, networkpolicies, nodes or events"
    )
    parser.add_argument("object_name", nargs=name_count, metavar="NAME")
    parser.add_argument("-l", "--selector", default="", metavar="LABEL=VALUE", help="only with these labels (a=b,c=d)")
    _add_place(parser)


def _add_place(parser: argparse.ArgumentParser) -> None:
    # The command itself takes it too (`python -m sandbox -n NAMESPACE get pods`), and a default here would undo that.
    parser.add_argument("-n", "--namespace", default=argparse.SUPPRESS, help="only in this namespace")


def _sandbox(arguments: argparse.Namespace) -> Sandbox:
    from sandbox.control.client import Sandbox

    return Sandbox(arguments.name, die_with_parent=False)


def _get(arguments: argparse.Namespace) -> int:
    from sandbox.control.listings import field_of, kind_of, rows_of
    from sandbox.control.tables import plain_console, plain_table, written

    kind = kind_of(arguments.kind)
    fields = pairs(arguments.field_selector, "--field-selector")
    found = [
        item
        for item in _found(_sandbox(arguments), kind, arguments)
        if all(field_of(kind, item, field) == value for field, value in fields.items())
    ]
    if arguments.output == "json":
        sys.stdout.write(json.dumps({"items": found}, indent=2) + "\n")
        return 0
    if not found:
        sys.stderr.write("No resources found\n")
        return 0
    labels = [label for label in arguments.label_columns.split(",") if label]
    head, rows = rows_of(kind, found, wide=arguments.output == "wide", labels=labels)
    width = shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns if sys.stdout.isatty() else _PIPE_WIDTH
    console, out = plain_console(max(_WIDTH_MIN, width))
    console.print(plain_table(head, rows))
    sys.stdout.write(written(out))
    return 0


def _describe(arguments: argparse.Namespace) -> int:
    import yaml

    from sandbox.control.listings import kind_of

    kind = kind_of(arguments.kind)
    sandbox = _sandbox(arguments)
    texts = []
    for item in _found(sandbox, kind, arguments):
        text = yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=1000)
        lines = [
            f"  {time.time() - at:.0f}s ago  {reason}: {message}"
            for at, subject, reason, message in sandbox.events()
            if subject.endswith(f" {item['namespace']}/{item['name']}" if item.get("namespace") else item["name"])
        ]
        texts.append(text + "events:\n" + ("\n".join(lines) or "  none") + "\n")
    if not texts:
        sys.stderr.write("No resources found\n")
    sys.stdout.write("\n".join(texts))
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from sandbox.control.listings import JOBS, PODS, kind_of

    kind = kind_of(arguments.kind)
    if kind not in (PODS, JOBS):
        raise InvalidError(
            f"delete {arguments.kind}: the sandbox deletes pods and Jobs; everything else goes with the config"
        )
    if bool(arguments.object_name) == bool(arguments.selector):
        raise InvalidError("delete needs either names or -l LABEL=VALUE")
    sandbox = _sandbox(arguments)
    found = _found(sandbox, kind, arguments)
    if not found:
        sys.stderr.write("No resources found\n")
    for item in found:
        sandbox.delete(kind, item["name"], item["namespace"], now=arguments.now)
        sys.stdout.write(f'{"pod" if kind == PODS else "job.batch"} "{item["name"]}" deleted\n')
    return 0


def _top(arguments: argparse.Namespace) -> int:
    from sandbox.control.listings import PODS, kind_of
    from sandbox.control.tables import plain_console, plain_table, written
    from sandbox.kubernetes.quantity import show_bytes

    if kind_of(arguments.kind) != PODS:
        raise InvalidError(f"top {arguments.kind}: the sandbox measures pods")
    sandbox = _sandbox(arguments)
    before = {item["uid"]: (time.monotonic(), item["cpuSeconds"]) for item in _found(sandbox, PODS, arguments)}
    time.sleep(_TOP_SAMPLE_S)
    rows = []
    for item in _found(sandbox, PODS, arguments):
        if item["uid"] in before and item["memoryBytes"]:
            at, used = before[item["uid"]]
            millicores = 1000 * max(0.0, item["cpuSeconds"] - used) / (time.monotonic() - at)
            rows.append((item["name"], f"{millicores:.0f}m", show_bytes(item["memoryBytes"])))
    if not rows:
        sys.stderr.write("No resources found\n")
        return 0
    console, out = plain_console(_PIPE_WIDTH)
    console.print(plain_table(("NAME", "CPU(cores)", "MEMORY(bytes)"), rows))
    sys.stdout.write(written(out))
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    if (arguments.pod is None) == (arguments.selector is None):
        raise InvalidError("logs needs either a pod or -l LABEL=VALUE")
    tail = arguments.tail
    if tail is None and arguments.selector is not None:
        tail = _TAIL_OF_MANY
    found = _sandbox(arguments).read_logs(
        _write,
        pod=arguments.pod,
        selector=None if arguments.selector is None else pairs(arguments.selector, "-l"),
        container=arguments.container,
        namespace=arguments.namespace,
        previous=arguments.previous,
        follow=arguments.follow,
        tail=None if tail is None or tail < 0 else tail,
        since_s=arguments.since,
    )
    if not found:
        sys.stderr.write("No resources found\n")
    return 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _found(sandbox: Sandbox, kind: str, arguments: argparse.Namespace) -> Sequence[Item]:
    """Raises NotFoundError for a name that no object of the kind has."""
    from sandbox.control.listings import items_of

    given = arguments.object_name
    names = [given] if isinstance(given, str) else list(given or ())
    wanted = pairs(arguments.selector, "-l")
    found = [
        item
        for item in items_of(kind, sandbox)
        if arguments.namespace in (None, item.get("namespace"))
        and wanted.items() <= item.get("labels", {}).items()
        and (not names or item["name"] in names)
    ]
    missing = [name for name in names if name not in [item["name"] for item in found]]
    if missing:
        known = ", ".join(sorted(item["name"] for item in items_of(kind, sandbox))) or "none"
        raise NotFoundError(f"there is no {kind} {', '.join(missing)}; {kind}: {known}")
    return found


def pairs(text: str, option: str) -> Mapping[str, str]:
    """Raises InvalidError unless it is `a=b,c=d`, or empty."""
    pairs = [part.replace("==", "=").partition("=") for part in text.split(",") if part]
    if not all(name and equals and "!" not in name for name, equals, _ in pairs):
        raise InvalidError(f"{option} {text}: give LABEL=VALUE, several with commas; the sandbox knows no other form")
    return {name: value for name, _, value in pairs}
