"""A thousand watchers of one key, and the one who puts.

Events are counted by counting a mark that stands once in every value: nothing is decoded, and a server that answers a
late watcher with several events at once is not credited too little. The puts go over a connection of their own; as many
are under way as IN_FLIGHT_MAX, a put counting as under way until every watcher's share of events has come. So the
server never builds up a backlog that it could skip through, and is never idle either.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

import uvloop

from benchmarks import messages
from benchmarks.clients.connections import check_answered, close, connect, wait_or_lost
from benchmarks.clients.protocol import Outcome, Stopwatch, WatchJob, say_outcome, say_ready
from etcdpy.pb import rpc_pb2
from etcdpy.transport.http2._nghttp2 import Session, Stream

IN_FLIGHT_MAX: Final = 8


class Crowd:
    """What all watchers have seen together, and when the next put is due."""

    def __init__(self, watchers: int) -> None:
        self.watchers = watchers
        self.created = 0
        self.all_created: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.events = 0
        # When `events` reaches it, the writer may send again; never while nobody writes.
        self.events_next = sys.maxsize
        self.writer: Writer | None = None

    def note_created(self, answer: bytes) -> None:
        response = rpc_pb2.WatchResponse.FromString(answer)
        if not response.created or response.canceled:
            raise ValueError(f"a watch was refused: {response.cancel_reason}")
        self.created += 1
        if self.created == self.watchers:
            self.all_created.set_result(None)


class WatchStream:
    """One watch stream. Invariant: answers count as creations until all watchers of all streams exist."""

    __slots__ = ("_crowd",)

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def on_message(self, message: bytes, /) -> None:
        crowd = self._crowd
        crowd.events += message.count(messages.EVENT_MARK)
        if crowd.events >= crowd.events_next:
            assert crowd.writer is not None
            crowd.writer.send_due()
        elif crowd.created != crowd.watchers:
            crowd.note_created(message)

    def on_close(self, error: int, /) -> None:
        if error:
            raise ConnectionError(f"a watch stream ended with {error}")

    def on_end(self) -> None:
        pass

    def on_drain(self) -> None:
        pass


class PutCall:
    """One put under way."""

    __slots__ = ("call",)

    def __init__(self) -> None:
        self.call: Stream | None = None

    def on_close(self, error: int, /) -> None:
        assert self.call is not None
        check_answered(self.call)

    def on_message(self, message: bytes, /) -> None:
        pass

    def on_end(self) -> None:
        pass

    def on_drain(self) -> None:
        pass


class Writer:
    """So many puts, bounded by what the watchers have seen of them."""

    def __init__(self, crowd: Crowd, session: Session, puts: int, over: asyncio.Future[None]) -> None:
        self._crowd = crowd
        self._session = session
        self._puts = puts
        self._over = over
        self._sent = 0
        self._message = messages.put()
        crowd.events = 0
        crowd.writer = self
        self.send_due()

    def send_due(self) -> None:
        """Send what may be sent now, and say when to look again."""
        crowd = self._crowd
        complete = crowd.events // crowd.watchers
        while self._sent < self._puts and self._sent < complete + IN_FLIGHT_MAX:
            put = PutCall()
            put.call = self._session.request(messages.PUT_PATH, (), put, self._message)
            self._sent += 1
        crowd.events_next = (complete + 1) * crowd.watchers
        if complete == self._puts and not self._over.done():
            self._over.set_result(None)


async def open_watches(job: WatchJob, sessions: list[Session], crowd: Crowd, lost: asyncio.Future[None]) -> None:
    create = messages.watch()
    for session in sessions:
        for _ in range(job.streams_per_connection):
            call = session.request(messages.WATCH_PATH, (), WatchStream(crowd))
            for _ in range(job.watchers_per_stream):
                call.write(create)
    await wait_or_lost(crowd.all_created, lost)


async def wait_written(crowd: Crowd, session: Session, puts: int, lost: asyncio.Future[None]) -> None:
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    Writer(crowd, session, puts, over)
    await wait_or_lost(over, lost)


async def run(job: WatchJob) -> Outcome:
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    *watching, writing = await connect(job.address, job.connections + 1, lost)
    crowd = Crowd(job.watchers)
    await open_watches(job, watching, crowd, lost)
    await wait_written(crowd, writing, job.warm_up, lost)
    say_ready()
    stopwatch = Stopwatch()
    await wait_written(crowd, writing, job.puts, lost)
    outcome = stopwatch.outcome()
    lost.cancel()
    close([*watching, writing])
    return outcome


if __name__ == "__main__":
    say_outcome(uvloop.run(run(WatchJob(**json.loads(sys.argv[1])))))
