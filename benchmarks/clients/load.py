"""Unary calls with prepared messages, each with other keys: what h2load cannot send.

Every slot (a stream's place on a connection) has one call under way; its end starts the next. No coroutine, future or
timer per call: a callback, one comparison of the status, and the next message.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator

import uvloop

from benchmarks import messages
from benchmarks.clients.connections import check_answered, close, connect, wait_or_lost
from benchmarks.clients.protocol import LoadJob, Outcome, Stopwatch, say_outcome, say_ready
from etcdpy.transport.http2._nghttp2 import Session, Stream

STATUS_OK = b"0"


class Slot:
    """One call at a time."""

    __slots__ = ("_session", "_path", "_messages", "_load", "_call")

    def __init__(self, session: Session, path: bytes, load: Load) -> None:
        self._session = session
        self._path = path
        self._load = load
        self._messages = load.messages
        self._call: Stream | None = None

    def start_next(self) -> None:
        """Send the next message, or leave: the last to leave ends the load."""
        for message in self._messages:
            self._call = self._session.request(self._path, (), self, message)
            return
        self._load.slot_left()

    def on_close(self, error: int, /) -> None:
        call = self._call
        assert call is not None
        if error or call.grpc_status != STATUS_OK:
            check_answered(call)
        self.start_next()

    def on_message(self, message: bytes, /) -> None:
        pass

    def on_end(self) -> None:
        pass

    def on_drain(self) -> None:
        pass


class Load:
    """All slots, and the messages they share."""

    def __init__(self, all_messages: Iterator[bytes], over: asyncio.Future[None]) -> None:
        self.messages = all_messages
        self._over = over
        self._slots_active = 0

    def start(self, sessions: list[Session], streams: int, path: bytes) -> None:
        slots = [Slot(session, path, self) for session in sessions for _ in range(streams)]
        self._slots_active = len(slots)
        for slot in slots:
            slot.start_next()

    def slot_left(self) -> None:
        self._slots_active -= 1
        if self._slots_active == 0 and not self._over.done():
            self._over.set_result(None)


def prepared(job: LoadJob, *, first: int, count: int) -> Iterator[bytes]:
    """Return the messages of a part: puts are built before, transactions (27 KiB each) while they go out."""
    if job.puts_per_request == 1:
        return iter(messages.distinct_puts(first, count))
    size = job.puts_per_request
    return (messages.put_many((first + number) * size, size) for number in range(count))


async def run(job: LoadJob) -> Outcome:
    loop = asyncio.get_running_loop()
    path = job.path.encode()
    lost: asyncio.Future[None] = loop.create_future()
    sessions = await connect(job.address, job.connections, lost)
    if job.warm_up:
        await wait_load(prepared(job, first=job.requests, count=job.warm_up), sessions, job.streams, path, lost)
    measured = prepared(job, first=0, count=job.requests)
    say_ready()
    stopwatch = Stopwatch()
    await wait_load(measured, sessions, job.streams, path, lost)
    outcome = stopwatch.outcome()
    lost.cancel()
    close(sessions)
    return outcome


async def wait_load(
    all_messages: Iterator[bytes], sessions: list[Session], streams: int, path: bytes, lost: asyncio.Future[None]
) -> None:
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    Load(all_messages, over).start(sessions, streams, path)
    await wait_or_lost(over, lost)


if __name__ == "__main__":
    say_outcome(uvloop.run(run(LoadJob(**json.loads(sys.argv[1])))))
