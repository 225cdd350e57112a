"""Reads that stay in the own zone: from the copy of a shard that answers a PING first, where there is one nearby.

No pod has to be told its zone for that. The shortest of the last answers counts: a longer one tells how busy a node
was, and not how far away it is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Any

from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError, RedisError, TimeoutError

EVERY_SECONDS = 1
ANSWERS = 10
AT_ONCE = 8
"""So many nodes are asked at a time: one that is lost lets the others wait for its time-out."""
TURN_WITHIN_S = 1
"""As long as an answer may take."""


class LimitedCluster(RedisCluster):
    """A cluster client whose commands wait for their turn at their node, where its pool of connections would raise an
    error. Who waits for a lost node keeps nobody from the others."""

    def __init__(self, *, commands_per_node: int, **options: Any) -> None:
        self._commands_per_node = commands_per_node
        self._turns: dict[str, threading.Semaphore] = {}
        super().__init__(**options)

    def _execute_command(self, target_node: ClusterNode, *args: Any, **kwargs: Any) -> Any:
        turns = self._turns.setdefault(target_node.name, threading.Semaphore(self._commands_per_node))
        if not turns.acquire(timeout=TURN_WITHIN_S):
            raise TimeoutError(f"{target_node.name} is busy")
        try:
            return super()._execute_command(target_node, *args, **kwargs)
        finally:
            turns.release()


class NearestCluster(LimitedCluster):
    """One whose GETs go to the nearest copy. A copy that does not answer comes last."""

    def __init__(self, **options: Any) -> None:
        self._answers: dict[str, deque[float]] = {}
        self._seconds: dict[str, float] = {}
        super().__init__(**options)
        threading.Thread(target=self._measure, daemon=True).start()

    def get_nodes_from_slot(self, command: str, *args: Any) -> list[ClusterNode]:
        copies = self.nodes_manager.slots_cache.get(self.determine_slot(*args))
        if command != "GET" or not copies:
            return super().get_nodes_from_slot(command, *args)
        # Of those that are alike, min() takes the first, which is the master.
        return [min(copies, key=lambda node: self._seconds.get(node.name, inf))]

    def _execute_command(self, target_node: ClusterNode, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._execute_command(target_node, *args, **kwargs)
        except (ConnectionError, TimeoutError):
            # The next attempt goes to another copy. This one counts again once it has answered a PING.
            self._seconds.pop(target_node.name, None)
            raise

    def _measure(self) -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            while True:
                list(threads.map(self._ask, self.get_nodes()))
                time.sleep(EVERY_SECONDS)

    def _ask(self, node: ClusterNode) -> None:
        began = time.monotonic()
        try:
            self.get_redis_connection(node).ping()
        except (RedisError, OSError):
            self._answers.pop(node.name, None)
            self._seconds.pop(node.name, None)
            return
        answers = self._answers.setdefault(node.name, deque(maxlen=ANSWERS))
        answers.append(time.monotonic() - began)
        self._seconds[node.name] = min(answers)
