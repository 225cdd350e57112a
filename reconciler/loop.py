"""Observe, decide, act, until nothing is left to do or the deadline ends."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reconciler.act.executor import Executor
from reconciler.act.run_lock import RunLock
from reconciler.act.slot_mover import SlotMover
from reconciler.connection import Connections, Network
from reconciler.decide.actions import Action, Move, RuleResult
from reconciler.decide.phases import next_step
from reconciler.decide.state import ClusterState
from reconciler.decide.strangers import suspects
from reconciler.exit_status import ExitStatus
from reconciler.observe.node import RUN_NAME
from reconciler.observe.observation import Observation
from reconciler.observe.observer import observe
from reconciler.run_report import RunReport
from reconciler.shown_certificate import OfAnother, Validity
from reconciler.slots import count
from reconciler.topology import Topology

PAUSE_S = 0.25
LONG_PAUSE_S = 2.0
PAUSE_AFTER_MOVES_S = 0.1
"""A target tells every node at once what it owns, so a run that has moved slots is mostly done."""
REPEAT_LOG_S = 10.0
"""How often the same line is logged again while nothing changes."""

MAX_REASONS = 10
"""Lines that one wait is given. A cluster that was cut off while it moved slots may have a reason for each of them."""

Log = Callable[[str], None]


class Run:
    """One run of a phase.

    `network` is for asking and for single commands. `network_named` gives one whose connections carry a name, by which
    other runs see that this one is changing the cluster. `tell` is called after each look at the cluster, and once the
    run has ended. `certificate` says of a node's address how long the certificate holds that it shows, if any; each
    node is asked once.
    """

    def __init__(
        self,
        phase: str,
        desired: Topology,
        network: Network,
        network_named: Callable[[str], Network],
        log: Log,
        deadline_s: float,
        in_threads: bool = True,
        tell: Callable[[RunReport], None] = lambda report: None,
        certificate: Callable[[str, int], Validity | OfAnother | None] | None = None,
    ) -> None:
        self._phase = phase
        self._desired = desired
        self._network = network
        self._connections = Connections(network, in_threads)
        self._name = f"{RUN_NAME}:{phase}:{secrets.token_hex(4)}"
        self._named_network = network_named(self._name)
        self._lock = RunLock(self._named_network, self._name)
        # A repair must not cost a cluster of thousands of clients their list every minute, and looks only when needed.
        self._look_for_runs = phase != "repair"
        self._log = log
        self._deadline = network.now() + deadline_s
        self._deadline_s = deadline_s
        self._began = network.now()
        self._tell = tell
        self._certificate = certificate
        self._report = RunReport(phase, desired.pool)
        self._actions: Counter[str] = Counter()
        self._in_threads = in_threads
        self._certificates_of: dict[str, Validity | OfAnother | None] = {}
        self._logged_at: dict[str, float] = {}
        self._suspected_at: dict[str, float] = {}

    def run(self) -> ExitStatus:
        try:
            status = self._loop()
            self._report_now(status=status)
            return status
        finally:
            self._lock.release()
            self._connections.close()

    def _loop(self) -> ExitStatus:
        pause = PAUSE_S
        errors: list[str] = []
        acted = 0
        while True:
            observation = self._with_suspicions(
                observe(self._connections, self._desired, self._name, self._look_for_runs)
            )
            observation = self._with_certificates(observation)
            step = next_step(self._phase, observation, self._desired)
            self._report_now(
                pending=len(step.actions), waiting=Counter(step.waiting_rules), slots=_slots_of_masters(observation)
            )
            for note in step.notes:
                self._log_now_and_then(note)
            if step.refused is not None:
                self._log(f"{self._phase}: refused: {step.refused}")
                return ExitStatus.REFUSED
            if step.done:
                actions = f"{acted} action{'' if acted == 1 else 's'}"
                self._log(f"{self._phase}: done, {actions}; {_summary(observation)}")
                return ExitStatus.DONE
            if self._network.now() >= self._deadline:
                return self._give_up(step, errors)
            if step.actions and not self._lock.is_held:
                # What was observed before the lock was held may be another run's work, half done. Look again.
                if self._lock.acquire(observation.reports):
                    continue
                self._look_for_runs = True
            elif step.actions:
                errors = self._act(step.actions, observation)
                acted += len(step.actions) - len(errors)
                self._count(step.actions, errors)
                for error in errors:
                    self._log(f"{self._phase}: not done: {error}")
                pause = min(pause * 2, LONG_PAUSE_S) if errors else PAUSE_S
                if not errors and any(isinstance(action, Move) for action in step.actions):
                    self._network.sleep(PAUSE_AFTER_MOVES_S)
                    continue
            else:
                # Whatever is waited for, another run (a repair, say) may have to bring about.
                self._lock.release()
                for reason in step.waiting[:MAX_REASONS]:
                    self._log_now_and_then(f"waiting: {reason}")
                if len(step.waiting) > MAX_REASONS:
                    self._log_now_and_then(f"waiting: and for {len(step.waiting) - MAX_REASONS} more things")
                pause = min(pause * 1.3, LONG_PAUSE_S)
            self._network.sleep(min(pause, max(0.0, self._deadline - self._network.now())))

    def _report_now(self, **known: Any) -> None:
        self._report = replace(self._report, seconds=self._network.now() - self._began, **known)
        self._tell(self._report)

    def _with_certificates(self, observation: Observation) -> Observation:
        """With the nodes whose certificate is not to be trusted. The report of the run has how long the others hold."""
        if self._certificate is None:
            return observation
        look = self._certificate
        new = [report for report in observation.reports if report.name not in self._certificates_of]
        found = self._connections.map(lambda report: look(report.ip, report.port), new)
        self._certificates_of |= {report.name: validity for report, validity in zip(new, found, strict=True)}
        shown = self._certificates_of.items()
        ours = {name: validity for name, validity in shown if isinstance(validity, Validity)}
        self._report = replace(self._report, certificates=ours)
        others = {name: another.says for name, another in shown if isinstance(another, OfAnother)}
        return replace(observation, not_trusted=others)

    def _count(self, actions: tuple[Action, ...], errors: list[str]) -> None:
        self._actions.update(type(action).__name__ for action in actions)
        self._report = replace(self._report, actions=dict(self._actions), failed=self._report.failed + len(errors))

    def _with_suspicions(self, observation: Observation) -> Observation:
        """With how long each member that seems to be a stranger has seemed so to this run."""
        now = self._network.now()
        suspected = suspects(ClusterState(observation, self._desired))
        self._suspected_at = {node_id: self._suspected_at.get(node_id, now) for node_id in suspected}
        return replace(observation, suspected_s={node_id: now - since for node_id, since in self._suspected_at.items()})

    def _act(self, actions: tuple[Action, ...], observation: Observation) -> list[str]:
        """Carry out actions. Returns what went wrong."""
        for action in actions:
            self._log(f"{self._phase}: {type(action).__name__}: {action.why}")
        moves = [action for action in actions if isinstance(action, Move)]
        others = [action for action in actions if not isinstance(action, Move)]
        errors = Executor(self._connections, observation, self._desired.tls).carry_out(others)
        if moves:
            mover = SlotMover(
                self._named_network,
                observation,
                self._desired,
                self._log,
                self._deadline,
                self._in_threads,
            )
            errors += mover.move(moves)
        return errors

    def _log_now_and_then(self, line: str) -> None:
        """Log what is so; the same line again only every few seconds."""
        now = self._network.now()
        if now - self._logged_at.get(line, -REPEAT_LOG_S) >= REPEAT_LOG_S:
            self._log(f"{self._phase}: {line}")
            self._logged_at[line] = now

    def _give_up(self, step: RuleResult, errors: list[str]) -> ExitStatus:
        self._log(f"{self._phase}: not finished within {self._deadline_s:g} s. Left to do:")
        for text in [*step.waiting, *(action.why for action in step.actions), *errors]:
            self._log(f"{self._phase}:   {text}")
        self._log(f"{self._phase}: the cluster is consistent as it is; run this again to go on")
        return ExitStatus.NOT_IN_TIME


def _slots_of_masters(observation: Observation) -> dict[str, int]:
    masters = [report for report in observation.reports if report.is_master]
    return {report.name: count(report.myself.slots) for report in masters}


def _summary(observation: Observation) -> str:
    masters = [report for report in observation.reports if report.is_master]
    owners = sum(1 for report in masters if report.myself.slots)
    slots = sum(count(report.myself.slots) for report in masters)
    return f"{owners} masters, {len(observation.reports) - len(masters)} replicas, {slots} slots"
