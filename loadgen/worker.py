"""One process of the load: requests on time, whoever answers, and what became of each."""

from __future__ import annotations

import os
import select
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import Any

from redis.crc import key_slot

from loadgen.connection import HEAD_BYTES, Answer, Connection, Lost, buffer, command
from loadgen.request import GET, SET, Request, Share, get_parts, set_parts
from loadgen.tally import Tally
from loadgen.topology import Node, Target, Topology, resolved
from loadgen.workload import Images

ATTEMPT_S = 1.0
"""An attempt without an answer ends, as the settings of docs/clients.md have it; so does connecting."""
CONNECT_S = 0.5
ATTEMPTS_MAX = 2
REDIRECTS_MAX = 5
RETRY_AFTER_S = 0.1
_TICK_S = 0.05
_LATE_S = 5.0
"""A request that nobody could be sent within this time fails: an application's queue is full then."""


class Worker:
    """The loop. After `run`, `report` has what it saw."""

    def __init__(self, target: Target, share: Share) -> None:
        self._share = share
        self._topology = Topology(target)
        self._tls = target.tls()
        self._images = Images(share.prefix, share.images, share.hit_rate, share.popularity, share.number)
        self._payload = memoryview(os.urandom(share.sizes.largest))
        self._shared = buffer()
        self._turn = 0
        user = [target.user.encode()] if target.user else []
        hello = [] if target.password is None else [command(b"AUTH", *user, target.password.encode())]
        # A replica answers reads only on a connection that asked for it.
        self._hello = [*hello, command(b"READONLY"), command(b"CLIENT", b"SETNAME", b"loadgen")]
        self._poll = select.epoll()
        self._by_file: dict[int, Connection] = {}
        self._opened: dict[int, float] = {}
        self._running: dict[int, Request] = {}
        self._idle: dict[Node, list[Connection]] = defaultdict(list)
        self._open: Counter[Node] = Counter()
        self._waiting: dict[Node, deque[Request]] = defaultdict(deque)
        self._later: list[Request] = []
        self._parent = os.getppid()
        self._next_look = 0.0
        self._is_stopped = False
        self._tally = Tally()

    def run(self) -> None:
        """Fills the cache, warms up, measures, and lets what is under way end."""
        share = self._share
        self._fill()
        began = time.monotonic()
        self._loop(began, began + share.warm_up_s)
        self._tally.measures = True
        measured = time.monotonic()
        self._loop(measured, measured + share.duration_s)
        self._tally.measured_s = time.monotonic() - measured
        self._drain(time.monotonic() + _LATE_S)
        self._topology.end()

    def report(self) -> dict[str, Any]:
        return self._tally.report()

    def _fill(self) -> None:
        """Each image is written once, as fast as the connections take it, and read by nobody meanwhile."""
        until = time.monotonic() + self._share.fill_s
        for _ in range(self._share.images):
            if time.monotonic() > until:
                raise OSError(f"the images were not written within {self._share.fill_s:.0f} s")
            self._submit(self._request(SET, self._images.new(), False, time.monotonic()))
            while sum(map(len, self._waiting.values())) > self._share.connections:
                self._turn_once(0.01)
        self._drain(until)

    def _drain(self, until: float) -> None:
        while time.monotonic() < until and (self._running or self._later or any(self._waiting.values())):
            self._turn_once(0.01)

    def _loop(self, began: float, until: float) -> None:
        share, due, number = self._share, began, 0
        while (now := time.monotonic()) < until and not self._is_stopped:
            if share.rate:
                while due <= now:
                    self._submit(self._next(due))
                    number += 1
                    due = began + number / share.rate
                self._turn_once(min(due - now, _TICK_S))
            else:
                # As many requests as connections: each asks again as soon as it is answered.
                wanted = share.connections * max(1, len(self._topology.nodes()))
                for _ in range(wanted - len(self._running) - len(self._later) - sum(map(len, self._waiting.values()))):
                    self._submit(self._next(now))
                self._turn_once(_TICK_S)

    def _next(self, due: float) -> Request:
        image, should_hit = self._images.next()
        return self._request(GET, image, should_hit, due)

    def _request(self, operation: str, image: int, should_hit: bool, due: float) -> Request:
        return Request(operation, image, key_slot(self._images.key(image)), due, should_hit)

    def _submit(self, request: Request) -> None:
        """Sends it, or puts it where it waits for a connection of the node that it is for."""
        if request.node is None:
            self._turn += 1
            reads = request.operation == GET
            request.node = (
                self._topology.reader(request.slot, self._turn) if reads else self._topology.master(request.slot)
            )
        if request.node is None:
            self._failed_attempt(request, "nobody serves the slot")
            return
        if self._idle[request.node]:
            self._send(self._idle[request.node].pop(), request)
            return
        self._waiting[request.node].append(request)
        if self._open[request.node] < self._share.connections:
            self._connect(request.node)

    def _connect(self, node: Node) -> None:
        try:
            connection = Connection(node, self._hello, self._tls, self._shared)
        except Lost as error:
            self._give_up_waiting(node, str(error))
            return
        self._open[node] += 1
        self._by_file[connection.fileno()] = connection
        self._opened[connection.fileno()] = time.monotonic()
        self._poll.register(connection.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _send(self, connection: Connection, request: Request) -> None:
        request.sent_at = time.monotonic()
        request.attempts += 1
        self._running[connection.fileno()] = request
        key, share = self._images.key(request.image), self._share
        if request.asking:
            parts: Sequence[bytes | memoryview] = [command(b"ASKING")]
        elif request.operation == GET:
            parts = get_parts(key)
        else:
            parts = set_parts(key, self._payload, share.sizes.of(request.image), share.ttl_s)
        try:
            connection.send(*parts)
        except Lost as error:
            self._lost(connection, str(error))
            return
        if connection.wants_to_write:
            self._poll.modify(connection.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _turn_once(self, wait_s: float) -> None:
        for file, event in self._poll.poll(max(0.0, wait_s)):
            connection = self._by_file.get(file)
            if connection is None:
                continue
            try:
                if event & select.EPOLLOUT:
                    connection.write()
                    if not connection.wants_to_write:
                        self._poll.modify(file, select.EPOLLIN)
                answer = connection.read() if event & ~select.EPOLLOUT else None
            except Lost as error:
                self._lost(connection, str(error))
                continue
            if answer is not None:
                self._answered(connection, answer)
            elif connection.is_up and file in self._opened:
                del self._opened[file]
                self._is_free(connection)
        self._look_at_the_clock()

    def _is_free(self, connection: Connection) -> None:
        waiting = self._waiting[connection.node]
        if waiting:
            self._send(connection, waiting.popleft())
        else:
            self._idle[connection.node].append(connection)

    def _answered(self, connection: Connection, answer: Answer) -> None:
        request = self._running.get(connection.fileno())
        if request is None:
            self._lost(connection, "an answer that nobody asked for")
            return
        if request.asking:
            # That was the answer to ASKING itself. What was asked for follows on the same connection.
            request.asking = False
            request.attempts -= 1
            self._send(connection, request)
            return
        del self._running[connection.fileno()]
        self._account(connection)
        self._is_free(connection)
        if answer.error is None:
            self._done(request, answer)
        else:
            self._refused(request, answer.error)

    def _refused(self, request: Request, error: str) -> None:
        word = error.split()[0] if error.split() else "empty"
        if word in ("MOVED", "ASK") and request.redirects < REDIRECTS_MAX:
            self._topology.renew()
            request.redirects += 1
            request.attempts -= 1
            host, _, port = error.split()[2].rpartition(":")
            request.node = resolved(host or (request.node.address if request.node else ""), int(port))
            request.asking = word == "ASK"
            self._tally.count("redirected")
            self._submit(request)
        else:
            self._failed_attempt(request, word)

    def _done(self, request: Request, answer: Answer) -> None:
        self._tally.answered(request, answer.value_bytes)
        if request.operation == GET:
            self._judge_value(request, answer)

    def _judge_value(self, request: Request, answer: Answer) -> None:
        key = self._images.key(request.image)
        if answer.head is None:
            self._tally.count("hits_missed" if request.should_hit else "misses")
            self._submit(self._request(SET, request.image, False, time.monotonic()))
        elif answer.head.startswith((key + b" ")[:HEAD_BYTES]):
            self._tally.count("hits")
        else:
            self._tally.count("wrong_values")

    def _failed_attempt(self, request: Request, why: str) -> None:
        """Once more after the nodes were learned anew, or the end."""
        self._topology.renew()
        request.node = None
        if request.attempts < ATTEMPTS_MAX and time.monotonic() - request.due < _LATE_S:
            request.attempts = max(1, request.attempts)
            request.not_before = time.monotonic() + RETRY_AFTER_S
            self._later.append(request)
            self._tally.count("retried")
            return
        self._tally.failed(request, why)

    def _lost(self, connection: Connection, why: str) -> None:
        self._account(connection)
        file = connection.fileno()
        self._poll.unregister(file)
        connection.close()
        self._by_file.pop(file, None)
        was_opening = self._opened.pop(file, None) is not None
        self._open[connection.node] -= 1
        if connection in self._idle[connection.node]:
            self._idle[connection.node].remove(connection)
        request = self._running.pop(file, None)
        if request is not None:
            request.asking = False
            self._failed_attempt(request, why)
        if was_opening or self._topology.version == 0:
            self._give_up_waiting(connection.node, why)
        elif self._waiting[connection.node] and self._open[connection.node] < self._share.connections:
            self._connect(connection.node)

    def _give_up_waiting(self, node: Node, why: str) -> None:
        """Nobody can be sent to a node without a connection; who waits for one tries again elsewhere."""
        if self._open[node]:
            return
        waiting, self._waiting[node] = self._waiting[node], deque()
        for request in waiting:
            request.attempts += 1
            self._failed_attempt(request, why)

    def _account(self, connection: Connection) -> None:
        self._tally.passed(connection.node.host, connection.bytes_in + connection.bytes_out)
        connection.bytes_in = connection.bytes_out = 0

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if now >= self._next_look and os.getppid() != self._parent:
            # Who asked for the load is gone, and nobody would ever end it.
            os._exit(1)
        if self._later:
            due = [request for request in self._later if request.not_before <= now]
            self._later = [request for request in self._later if request.not_before > now]
            for request in due:
                self._submit(request)
        if now < self._next_look:
            return
        self._next_look = now + _TICK_S
        self._is_stopped = self._share.stop_file is not None and os.path.exists(self._share.stop_file)
        for file in [file for file, request in self._running.items() if now - request.sent_at > ATTEMPT_S]:
            self._lost(self._by_file[file], "no answer in time")
        for file in [file for file, opened in self._opened.items() if now - opened > CONNECT_S]:
            self._lost(self._by_file[file], "no connection in time")
        for waiting in self._waiting.values():
            while waiting and now - waiting[0].due > _LATE_S:
                late = waiting.popleft()
                late.attempts = ATTEMPTS_MAX
                self._failed_attempt(late, "no connection was free in time")
