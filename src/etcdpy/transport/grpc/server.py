"""The gRPC server: methods by path, limits, deadlines, and an orderly end.

    Listener > FirstBytes > Session (compiled) > method.handle(call) ... call.respond(bytes) > one write per turn

What is per call happens in the compiled session; here is what is per server: the texts of refusals, compression, the
sweep over connections once a second, and shutdown. There is no coroutine, future or timer per call.

Rules
  * A handler may raise EtcdError before it has answered: the call fails with it. Any other exception is our bug: the
    call fails with INTERNAL and the loop's exception handler gets it.
  * Shutdown first ends every call with status 14 and only then sends GOAWAY and closes: clients cut off after a GOAWAY
    report Unknown, and etcdctl's watch gives up; with the status they look for another member.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etcdpy.base.errors import INTERNAL, RESOURCE_EXHAUSTED, UNAVAILABLE, Stopped
from etcdpy.transport.grpc.compression import TooLarge, deflate, inflate
from etcdpy.transport.grpc.refusals import refusal, too_large
from etcdpy.transport.http2._nghttp2 import Endpoint, Session, Stream, StreamMethod, UnaryMethod, monotonic

if TYPE_CHECKING:
    import asyncio

# etcd's --max-request-bytes and the room gRPC needs around it.
REQUEST_BYTES_MAX: Final = 1_572_864
GRPC_OVERHEAD_BYTES: Final = 512 * 1024
# How often connections are looked over; also the precision of the limits below.
SWEEP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one connection may cost. The defaults are etcd's where etcd has them."""

    message_bytes_max: int = REQUEST_BYTES_MAX + GRPC_OVERHEAD_BYTES
    # --max-concurrent-streams: announced. Whatever it says, 16,384 calls per connection are served at once.
    streams_announced: int = 4_294_967_295
    # --grpc-keepalive-min-time, -interval and -timeout.
    ping_interval_seconds_min: float = 5.0
    ping_without_stream: bool = False
    keepalive_seconds: float = 7200.0
    keepalive_timeout_seconds: float = 20.0
    # grpc-go's connection timeout: preface and SETTINGS must have come.
    preface_seconds: float = 120.0
    headers_seconds: float = 10.0
    # A connection that has this much waiting and takes nothing for so long is dropped.
    stall_bytes: int = 16 << 20
    stall_seconds: float = 60.0


class GrpcServer:
    """All gRPC connections of one member."""

    def __init__(
        self,
        methods: dict[bytes, UnaryMethod | StreamMethod],
        *,
        loop: asyncio.AbstractEventLoop,
        limits: ServerLimits | None = None,
    ) -> None:
        self.methods = methods
        self.limits = limits or ServerLimits()
        self._loop = loop
        self._services = {path[1:].rpartition(b"/")[0].decode() for path in methods}
        self.endpoint = Endpoint(
            loop,
            server=True,
            methods=dict(methods),
            hooks=self,
            message_bytes_max=self.limits.message_bytes_max,
            streams_announced=self.limits.streams_announced,
            ping_interval_min=self.limits.ping_interval_seconds_min,
            ping_without_stream=self.limits.ping_without_stream,
        )
        self._closing = False
        self._sweep_timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def connection(self) -> Session:
        """Return the protocol for a connection that opened with HTTP/2's preface."""
        return Session(self.endpoint)

    def connection_count(self) -> int:
        """Return how many connections are open."""
        return self.endpoint.connections

    # ---- ends

    def end_calls(self, text: str) -> None:
        """End every call with status 14; the connections stay. May be called from anywhere."""
        for session in self.endpoint.sessions():
            session.end_calls(UNAVAILABLE, text)
        # Whoever corked the answers of this turn may not come to flush them.
        self._loop.call_soon(self.endpoint.flush)

    def close_gracefully(self, text: str = Stopped.text) -> None:
        """End every call with status 14, say GOAWAY, send that, close."""
        self._closing = True
        self._sweep_timer.cancel()
        sessions = self.endpoint.sessions()
        for session in sessions:
            session.end_calls(UNAVAILABLE, text)
        self.endpoint.flush()
        for session in sessions:
            session.goaway()
        self.endpoint.flush()
        for session in sessions:
            session.close()

    def abort(self) -> None:
        """Drop every connection now."""
        self._closing = True
        self._sweep_timer.cancel()
        for session in self.endpoint.sessions():
            session.abort("the server ends")

    def _sweep(self) -> None:
        limits = self.limits
        self.endpoint.sweep(
            monotonic(),
            preface_seconds=limits.preface_seconds,
            headers_seconds=limits.headers_seconds,
            stall_seconds=limits.stall_seconds,
            stall_bytes=limits.stall_bytes,
            keepalive_seconds=limits.keepalive_seconds,
            keepalive_timeout_seconds=limits.keepalive_timeout_seconds,
        )
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    # ---- hooks of the compiled session

    def refused(self, call: Stream) -> None:
        """A call will not reach its handler: say why."""
        call.fail(*refusal(call, self._services, self.limits.message_bytes_max))

    def failed(self, call: Stream, error: Exception) -> None:
        """A handler raised what it must not raise."""
        if not call.closed and not call.answered:
            call.fail(INTERNAL, f"{type(error).__name__}: {error}")
        self._loop.call_exception_handler(
            {"message": f"the handler of {call.path.decode('utf-8', 'replace')} failed", "exception": error}
        )

    def inflate(self, call: Stream, data: bytes) -> bytes | None:
        """Decompress a request message, or fail the call and return None."""
        limit = self.limits.message_bytes_max
        try:
            return inflate(data, limit)
        except TooLarge as error:
            call.fail(RESOURCE_EXHAUSTED, too_large(error.size, limit))
        except ValueError as error:
            call.fail(INTERNAL, f"grpc: failed to decompress the received message {error}")
        return None

    def deflate(self, message: bytes | list[bytes]) -> bytes:
        """Compress an answer for a client that compressed its request."""
        return deflate(message)

    def lost(self, session: Session, error: BaseException | None) -> None:
        """A connection is gone; its calls are told of it, in this turn and the next ones."""
