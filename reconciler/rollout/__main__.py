"""`python -m reconciler.rollout --stateful-set S …`: exit status 0 when done, 1 when not in time, 2 when stuck."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from reconciler.exit_status import ExitStatus
from reconciler.rollout.api import Api, ApiForbidden, ApiUnreachable
from reconciler.rollout.judge import Limits, Verdict, judge, trouble
from reconciler.rollout.state import Pod, StatefulSet

_PAUSE_S = 2.0
_REPEAT_LOG_S = 30.0
_FORBIDDEN_PATIENCE_S = 30.0
"""Rights that were granted a moment ago have arrived by then."""


class Cluster(Protocol):
    """What is asked: the API server, or a test's."""

    def stateful_set(self, name: str) -> tuple[StatefulSet, tuple[Pod, ...]]: ...


class Rollout:
    """Waits for one StatefulSet. `now` and `sleep` are in seconds."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        limits: Limits,
        deadline_s: float,
        log: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cluster, self._name, self._limits = cluster, name, limits
        self._log, self._now, self._sleep = log, now, sleep
        self._deadline_s = deadline_s
        self._began: dict[str, tuple[str, str, float]] = {}
        """Pod name -> its id, its trouble, and since when."""
        self._said, self._said_at = "", float("-inf")

    def run(self) -> int:
        """The exit status; the last line that is logged is what a person is to read."""
        started = self._now()
        last = "nothing was seen of it"
        while True:
            try:
                verdict = self._look()
                if verdict.is_done or verdict.is_stuck:
                    self._log(verdict.text)
                    return ExitStatus.DONE if verdict.is_done else ExitStatus.REFUSED
                last = verdict.text
            except ApiForbidden as error:
                last = str(error)
                if self._now() - started >= _FORBIDDEN_PATIENCE_S:
                    self._log(f"{last}. The Role of this Job is part of the stack: run `pulumi up` again")
                    return ExitStatus.REFUSED
            except ApiUnreachable as error:
                last = str(error)
            if self._now() - started >= self._deadline_s:
                self._log(f"not finished within {self._deadline_s:.0f} s. {last}. Run `pulumi up` again to wait on")
                return ExitStatus.NOT_IN_TIME
            self._say(last)
            self._sleep(_PAUSE_S)

    def _look(self) -> Verdict:
        found, pods = self._cluster.stateful_set(self._name)
        now = self._now()
        self._began = {pod.name: self._since(pod, trouble(found, pod), now) for pod in pods}
        since_s = {name: now - began for name, (_, _, began) in self._began.items()}
        return judge(found, pods, since_s, self._limits)

    def _since(self, pod: Pod, what: str, now: float) -> tuple[str, str, float]:
        uid, known, began = self._began.get(pod.name, ("", "", now))
        return (pod.uid, what, began if (uid, known) == (pod.uid, what) else now)

    def _say(self, text: str) -> None:
        """The same again only now and then; what changes by the second is not compared."""
        changed = text.partition(" since ")[0] != self._said.partition(" since ")[0]
        if changed or self._now() - self._said_at >= _REPEAT_LOG_S:
            self._log(text)
            self._said, self._said_at = text, self._now()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reconciler.rollout",
        description="Waits until an edit of a StatefulSet has reached its last pod.",
    )
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--stateful-set", required=True)
    parser.add_argument("--pod-seconds", type=float, required=True, help="what a pod may take to be ready")
    parser.add_argument("--grace-seconds", type=float, required=True, help="what a deleted pod may take to be gone")
    parser.add_argument("--deadline-seconds", type=float, required=True, help="what the whole rollout may take")
    options = parser.parse_args(arguments)
    try:
        api = Api.of_this_pod(options.namespace)
    except ApiUnreachable as error:
        _log(str(error))
        return ExitStatus.REFUSED
    limits = Limits(options.pod_seconds, options.grace_seconds)
    return Rollout(api, options.stateful_set, limits, options.deadline_seconds, _log).run()


def _log(line: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{stamp} rollout: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
