"""A client: asks one thing after the other, of whatever member it is at, and writes down what it was told.

    idle -> asks -> answered | refused | no answer in time: outcome unknown -> idle, perhaps at another member

Values are unique, so that no two writes look alike. Compares are made of what this client saw last: some hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.sim.clock import Event, Schedule
from etcdpy.sim.requests import (
    ALL_KEYS,
    MOD_REVISION,
    OK,
    REFUSED,
    UNKNOWN,
    VALUE,
    VERSION,
    Compact,
    Compare,
    Delete,
    Item,
    Operation,
    Put,
    Range,
    Request,
    Txn,
    read_answer,
)
from etcdpy.sim.settings import Settings
from etcdpy.sim.trace import Trace
from etcdpy.state.apply.applier import Result

# From a client to a member and back, at most.
CLIENT_SECONDS_MAX: Final = 0.005
# Longer than the server's own patience, so that both ways of giving up happen.
PATIENCE_SECONDS: Final = 3.5
# What a state machine says when a request cannot be done: part of the answer, the same on every member.
APPLIED_ERRORS: Final = ("Compacted", "FutureRev")
# Errors after which nobody knows.
UNSURE_ERRORS: Final = ("Timeout", "TimeoutDueToLeaderFail", "TimeoutDueToConnectionLost", "Stopped")


class Client:
    """See the top of the file. `ask(operation)` brings it to the client's member; False: nobody is there."""

    def __init__(
        self,
        number: int,
        schedule: Schedule,
        trace: Trace,
        rng: random.Random,
        settings: Settings,
        operations: list[Operation],
        *,
        ask: Callable[[int, Operation], bool],
        choose_member: Callable[[random.Random], int],
    ) -> None:
        self.number = number
        self._schedule = schedule
        self._trace = trace
        self._rng = rng
        self._settings = settings
        self._operations = operations  # of all clients; the index is the operation's number
        self._ask = ask
        self._choose_member = choose_member
        self.member = choose_member(rng)
        self._seen: dict[bytes, Item | None] = {}  # what this client saw of keys last
        self._revision = 1  # the newest that it was told of
        self.waiting: Operation | None = None  # what it has no answer to
        self._patience: Event | None = None
        self.is_stopped = False

    @property
    def is_idle(self) -> bool:
        return self.waiting is None

    def start(self) -> None:
        self._think()

    # -- asking

    def _think(self) -> None:
        self._schedule.call_later(self._rng.expovariate(1 / self._settings.think_seconds), self._begin)

    def _begin(self) -> None:
        if not self.is_stopped:
            self.request(self._choose_request())

    def request(self, request: Request) -> Operation:
        """Ask for something now."""
        if self._rng.random() < 0.05:
            self.member = self._choose_member(self._rng)
        operation = Operation(len(self._operations) + 1, self.number, request, self._schedule.number, self.member)
        self._operations.append(operation)
        self.waiting = operation
        self._trace.add(self.member, "ask", f"#{operation.number} c{self.number} {request}")
        self._schedule.call_later(self._latency(), self._send, operation)
        self._patience = self._schedule.call_later(PATIENCE_SECONDS, self.give_up, operation)
        return operation

    def _latency(self) -> float:
        return self._rng.random() * CLIENT_SECONDS_MAX

    def _send(self, operation: Operation) -> None:
        if operation is self.waiting and not self._ask(self.member, operation):
            self._finish(operation, REFUSED)
            self.member = self._choose_member(self._rng)

    # -- being told

    def take_result(self, operation: Operation, result: Result) -> None:
        """The member answers; it takes a moment to get here."""
        self._schedule.call_later(self._latency(), self._take_result, operation, result)

    def give_up(self, operation: Operation) -> None:
        """There is no answer, nor will there be one."""
        if operation is self.waiting:
            self._finish(operation, UNKNOWN)
            self.member = self._choose_member(self._rng)

    def _take_result(self, operation: Operation, result: Result) -> None:
        if operation is not self.waiting:
            return
        if isinstance(result, EtcdError):
            name = type(result).__name__
            if name in APPLIED_ERRORS:
                self._finish(operation, OK, 0, ("error", name))
            else:
                self._finish(operation, UNKNOWN if name in UNSURE_ERRORS else REFUSED)
            return
        operation.response = read_answer(operation.request, result)
        self._finish(operation, OK, result.revision, operation.response)
        self._learn(operation)

    def _finish(self, operation: Operation, outcome: str, revision: int = 0, response: tuple[object, ...] = ()) -> None:
        operation.finish(self._schedule.number, outcome, revision, response)
        self._trace.add(
            operation.member, "told", f"#{operation.number} c{self.number} {outcome} r{revision} {response}"
        )
        self.waiting = None
        if self._patience is not None:
            self._patience.cancel()
        if not self.is_stopped:
            self._think()

    def _learn(self, operation: Operation) -> None:
        self._revision = max(self._revision, operation.revision)
        request = operation.request
        if isinstance(request, Range) and not request.revision:
            if not request.end:
                self._seen[request.key] = None
            for item in operation.response[1]:
                self._seen[item[0]] = item
        elif isinstance(request, Put):
            self._seen[request.key] = (request.key, request.value, 0, operation.revision, 0)

    # -- what to ask for

    def _choose_request(self) -> Request:
        rng = self._rng
        if rng.random() < self._settings.compaction_share:
            return Compact(max(1, self._revision - rng.randrange(10)))
        return self._read() if rng.random() < self._settings.read_share else self._write()

    def _read(self) -> Range:
        dice = self._rng.random()
        if dice < 0.6:
            return Range(self._key())
        if dice < 0.8:
            return Range(ALL_KEYS, ALL_KEYS)
        if dice < 0.9:
            return Range(self._key(), is_serializable=True)
        return Range(self._key(), revision=max(1, self._revision - self._rng.randrange(8)))

    def _write(self) -> Put | Delete | Txn:
        dice = self._rng.random()
        if dice < 0.6:
            return Put(self._key(), b"v%d" % len(self._operations))
        if dice < 0.72:
            return Delete(self._key())
        return Delete(ALL_KEYS, ALL_KEYS) if dice < 0.73 else self._txn()

    def _key(self) -> bytes:
        return b"k%d" % self._rng.randrange(self._settings.keys)

    def _txn(self) -> Txn:
        """Compare and swap, on what this client believes; at least one branch writes, so it goes through the log."""
        key, other = self._key(), b"other%d" % self._rng.randrange(2)
        value = b"v%d" % len(self._operations)
        return Txn(
            (self._compare(key),),
            (Put(key, value), Range(key), Put(other, value)),
            self._rng.choice(((), (Range(key),), (Delete(key), Put(other, value)))),
        )

    def _compare(self, key: bytes) -> Compare:
        item = self._seen.get(key)
        kind = self._rng.randrange(3)
        if item is None:
            return Compare(key, VERSION, 0)
        if kind == 0:
            return Compare(key, VALUE, item[1])
        if kind == 1 and item[4]:
            return Compare(key, VERSION, item[4])
        return Compare(key, MOD_REVISION, item[3])
