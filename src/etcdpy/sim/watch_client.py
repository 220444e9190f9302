"""A client that watches, goes on where it stood after every break, and in the end knows what it was promised.

Promises (guarantees of etcd), each checked against the model's changes when the run is over
  * ordered, unique     revisions only grow; nothing comes twice, not even over a break
  * complete            of everything up to what it was told last, nothing that it asked for is missing
  * atomic              the events of a revision come in one response
  * bookmarkable        after a progress notification of revision r no event at or below r comes
  * resumable           from any revision that is not compacted; else it is told from where
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Protocol

from etcdpy.pb import kv_pb2, rpc_pb2
from etcdpy.sim.clock import Schedule
from etcdpy.sim.model import Change, Model
from etcdpy.sim.requests import ALL_KEYS
from etcdpy.sim.settings import Settings
from etcdpy.sim.trace import Trace

# How long a client stays with one member, on average, and how long it takes to notice that one is gone.
STAY_SECONDS: Final = 4.0
RECONNECT_SECONDS: Final = 0.3
# How long a client takes nothing, at most.
HOLD_SECONDS_MAX: Final = 1.0

Event = tuple[int, bytes, bytes | None]  # revision, key, new value


class Host(Protocol):
    """A member that serves watches."""

    def watch(self, stream: int, key: bytes, end: bytes, start_revision: int, /) -> None: ...

    def close_watch(self, stream: int, /) -> None: ...

    def hold_watch(self, stream: int, seconds: float, /) -> None: ...


class Told:
    """One response: events, or a revision to which nothing is left to tell, or a compaction that took some away."""

    __slots__ = ("revision", "events", "compacted")

    def __init__(self, revision: int, events: list[Event], compacted: int = 0) -> None:
        self.revision = revision
        self.events = events
        self.compacted = compacted


class WatchClient:
    """See the top of the file."""

    def __init__(
        self,
        number: int,
        schedule: Schedule,
        trace: Trace,
        rng: random.Random,
        settings: Settings,
        *,
        connect: Callable[[WatchClient, random.Random], Host | None],
    ) -> None:
        self.number = number
        self._schedule = schedule
        self._trace = trace
        self._rng = rng
        self._connect = connect
        self._host: Host | None = None
        self.stream = -1  # the present one; responses of others are too late
        whole = rng.random() < 0.5
        self.key = ALL_KEYS if whole else b"k%d" % rng.randrange(settings.keys)
        self.end = ALL_KEYS if whole else b""
        self.start = 0  # the first revision that it is to be told of; 0 until the first answer says
        self._next = 1 if rng.random() < 0.5 else 0
        self.told: list[Told] = []
        self.is_steady = False  # no more breaks of its own

    def start_watching(self) -> None:
        self._open()

    # -- life

    def _open(self) -> None:
        self._host = self._connect(self, self._rng)
        if self._host is None:
            self._schedule.call_later(RECONNECT_SECONDS, self._open)
            return
        self._trace.add(0, "watch", f"w{self.number} {self.key!r} from {self._next} by stream {self.stream}")
        self._host.watch(self.stream, self.key, self.end, self._next)
        self._schedule.call_later(self._rng.expovariate(1 / STAY_SECONDS), self._leave, self.stream)

    def _leave(self, stream: int) -> None:
        """Go elsewhere, or take nothing for a while."""
        if stream != self.stream or self.is_steady or self._host is None:
            return
        if self._rng.random() < 0.5:
            self._host.hold_watch(stream, self._rng.random() * HOLD_SECONDS_MAX)
            self._schedule.call_later(self._rng.expovariate(1 / STAY_SECONDS), self._leave, stream)
        else:
            self._host.close_watch(stream)
            self.lose(stream)

    def lose(self, stream: int) -> None:
        """The connection is gone."""
        if stream == self.stream:
            self.stream = -1
            self._host = None
            self._schedule.call_later(RECONNECT_SECONDS * self._rng.random(), self._open)

    # -- being told

    def take(self, stream: int, response: rpc_pb2.WatchResponse) -> None:
        if stream != self.stream:
            return
        revision = response.header.revision
        if response.compact_revision:
            self._note(Told(revision, [], response.compact_revision))
            self._next = response.compact_revision
            self.lose(stream)
        elif response.created:
            if not self._next:
                self._next = revision + 1
            self.start = self.start or self._next
        else:
            events = [_read_event(event) for event in response.events]
            self._note(Told(revision, events))
            self._next = (events[-1][0] if events else revision) + 1

    def _note(self, told: Told) -> None:
        self.told.append(told)
        self._trace.add(0, "event", f"w{self.number} r{told.revision} c{told.compacted} {told.events}")

    # -- the end

    def knows(self, revision: int) -> bool:
        """Return whether it was told of everything up to `revision`."""
        return self._next > revision

    def check(self, model: Model) -> list[str]:
        """Return what is wrong with what it was told."""
        faults: list[str] = []
        position = self.start
        for told in self.told:
            fault, position = self._check_told(model, told, position)
            if fault:
                faults.append(f"watch {self.number} of {self.key!r}: {fault}")
                break
        return faults

    def _check_told(self, model: Model, told: Told, position: int) -> tuple[str, int]:
        """`position` is the first revision that it was not told of."""
        if told.compacted:
            if told.compacted > model.compacted:
                return f"told that {told.compacted} is compacted, the log says {model.compacted}", position
            return "", max(position, told.compacted)
        last = told.events[-1][0] if told.events else told.revision
        if last > model.revision:
            return f"told of revision {last}, the log ends at {model.revision}", position
        expected = self.expected(model, position, last)
        if told.events != expected:
            return f"told {told.events}, but from {position} to {last} there is {expected}", position
        return "", max(position, last + 1)

    def expected(self, model: Model, first: int, last: int) -> list[Event]:
        return [
            (revision, key, value)
            for revision in range(max(first, 2), last + 1)
            for key, value in model.changes[revision]
            if self._wants((key, value))
        ]

    def _wants(self, change: Change) -> bool:
        return bool(self.end) or change[0] == self.key


def _read_event(event: kv_pb2.Event) -> Event:
    kv = event.kv
    return (kv.mod_revision, kv.key, None if event.type == kv_pb2.Event.DELETE else kv.value)
