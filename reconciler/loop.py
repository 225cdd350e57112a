"""Observe, decide, act, until nothing is left to do or the deadline ends."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import IntEnum

from reconciler.act import Actor
from reconciler.actions import Action, Decision, Move
from reconciler.decide import decide
from reconciler.link import Links, Network
from reconciler.mover import MAX_SOURCES_AT_ONCE, Mover
from reconciler.observe import MOVER_NAME, observe
from reconciler.topology import Desired
from reconciler.views import Observed

PAUSE_S = 0.25
LONG_PAUSE_S = 2.0
REPEAT_LOG_S = 10.0
"""How often the same state is said again while nothing changes."""

Log = Callable[[str], None]


class Outcome(IntEnum):
    """What the process ends with."""

    DONE = 0
    NOT_IN_TIME = 1
    REFUSED = 2


class Run:
    """One run of a phase. `network` for looking and commanding, `mover_network` for connections that move slots."""

    def __init__(
        self,
        phase: str,
        desired: Desired,
        network: Network,
        mover_network: Callable[[str], Network],
        log: Log,
        deadline_s: float,
        password: str | None = None,
        sources_at_once: int = MAX_SOURCES_AT_ONCE,
    ) -> None:
        self._phase = phase
        self._desired = desired
        self._network = network
        self._links = Links(network)
        self._mover_network = mover_network
        self._mover_name = f"{MOVER_NAME}:{secrets.token_hex(4)}"
        self._log = log
        self._deadline = network.now() + deadline_s
        self._deadline_s = deadline_s
        self._password = password
        self._sources_at_once = sources_at_once
        self._said: dict[str, float] = {}

    def run(self) -> Outcome:
        try:
            return self._loop()
        finally:
            self._links.close()

    def _loop(self) -> Outcome:
        pause = PAUSE_S
        failures: list[str] = []
        acted = 0
        while True:
            observed = self._observe()
            decision = decide(self._phase, observed, self._desired)
            for note in decision.notes:
                self._say(note)
            if decision.refused is not None:
                self._log(f"{self._phase}: refused: {decision.refused}")
                return Outcome.REFUSED
            if decision.done:
                self._log(f"{self._phase}: done, {acted} action{'' if acted == 1 else 's'}; {self._summary(observed)}")
                return Outcome.DONE
            if self._network.now() >= self._deadline:
                return self._too_late(decision, failures)
            if decision.actions:
                failures = self._act(decision.actions, observed)
                acted += len(decision.actions) - len(failures)
                for failure in failures:
                    self._log(f"{self._phase}: not done: {failure}")
                pause = min(pause * 2, LONG_PAUSE_S) if failures else PAUSE_S
            else:
                self._say("waiting: " + "; ".join(decision.waiting))
                pause = min(pause * 1.3, LONG_PAUSE_S)
            self._network.sleep(min(pause, max(0.0, self._deadline - self._network.now())))

    def _observe(self) -> Observed:
        # A repair must not cost a cluster of thousands of clients their list every minute.
        return observe(self._links, self._desired, self._mover_name, look_for_movers=self._phase != "repair")

    def _act(self, actions: tuple[Action, ...], observed: Observed) -> list[str]:
        for action in actions:
            self._log(f"{self._phase}: {type(action).__name__}: {action.why}")
        moves = [action for action in actions if isinstance(action, Move)]
        others = [action for action in actions if not isinstance(action, Move)]
        failures = Actor(self._links, observed).perform(others)
        if moves:
            mover = Mover(
                self._mover_network(self._mover_name),
                observed,
                self._desired,
                self._log,
                self._deadline,
                self._mover_name,
                self._password,
                self._sources_at_once,
            )
            failures += mover.move(moves)
        return failures

    def _say(self, what: str) -> None:
        """Log what is so; the same text again only every few seconds."""
        now = self._network.now()
        if now - self._said.get(what, -REPEAT_LOG_S) >= REPEAT_LOG_S:
            self._log(f"{self._phase}: {what}")
            self._said[what] = now

    def _too_late(self, decision: Decision, failures: list[str]) -> Outcome:
        self._log(f"{self._phase}: not finished within {self._deadline_s:g} s. Left to do:")
        for text in [*decision.waiting, *(action.why for action in decision.actions), *failures]:
            self._log(f"{self._phase}:   {text}")
        self._log(f"{self._phase}: the cluster is consistent as it is; run this again to go on")
        return Outcome.NOT_IN_TIME

    def _summary(self, observed: Observed) -> str:
        masters = sum(1 for view in observed.views if view.is_master and view.me.slots)
        replicas = sum(1 for view in observed.views if not view.is_master)
        slots = sum(view.me.slots.bit_count() for view in observed.views if view.is_master)
        return f"{masters} masters, {replicas} replicas, {slots} slots"
