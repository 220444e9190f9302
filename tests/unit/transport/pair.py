"""A client session and a server session joined in memory: bytes go over when `exchange` says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etcdpy.transport.grpc import Call, StreamMethod, UnaryMethod
from etcdpy.transport.grpc.client_call import ClientHooks
from etcdpy.transport.grpc.refusals import refusal
from etcdpy.transport.http2._nghttp2 import Endpoint, Session, Stream

BASE = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"), (b"content-type", b"application/grpc")]
MESSAGE_BYTES_MAX = 1_572_864 + 524_288


class Wire:
    """One direction's transport: keeps what is written, until the other side is to have it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write_count = 0
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.write_count += 1

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 4321) if name == "peername" else None


class ServerHooks(ClientHooks):
    """Refusals as the real server words them; handlers' exceptions are raised."""

    def refused(self, call: Stream) -> None:
        call.fail(*refusal(call, {"s"}, MESSAGE_BYTES_MAX))


class Recorder:
    """A stream handler that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.messages: list[bytes] = []
        self.call: Call | None = None

    def opened(self, call: Call) -> Recorder:
        self.call = call
        self.told.append("open")
        return self

    def on_message(self, message: bytes, /) -> None:
        self.messages.append(message)
        self.told.append(f"message {len(message)}")

    def on_end(self) -> None:
        self.told.append("end")

    def on_close(self, error: int, /) -> None:
        self.told.append(f"close {error}")

    def on_drain(self) -> None:
        self.told.append("drain")


class Pair:
    """The two ends."""

    def __init__(
        self,
        *,
        unary: Callable[[Call], None] | None = None,
        stream: Callable[[Call], Any] | None = None,
        client_limits: dict[str, Any] | None = None,
        **limits: Any,
    ) -> None:
        self.methods: dict[bytes, UnaryMethod | StreamMethod] = {}
        if unary is not None:
            self.methods[b"/s/Unary"] = UnaryMethod(unary)
        if stream is not None:
            self.methods[b"/s/Stream"] = StreamMethod(stream)
        methods: Any = dict(self.methods)
        self.server_endpoint = Endpoint(None, server=True, methods=methods, hooks=ServerHooks(), **limits)
        self.client_endpoint = Endpoint(
            None,
            server=False,
            base_headers=BASE,
            hooks=ClientHooks(),
            **{"message_bytes_max": 1 << 30, **(client_limits or {})},
        )
        self.server, self.client = Session(self.server_endpoint), Session(self.client_endpoint)
        self.to_client, self.to_server = Wire(), Wire()
        self.server.connection_made(self.to_client)
        self.client.connection_made(self.to_server)
        self.exchange()

    def exchange(self) -> None:
        """Let bytes go to and fro until both are silent."""
        while True:
            self.client_endpoint.flush()
            self.server_endpoint.flush()
            if not self.give(self.to_server, self.server) and not self.give(self.to_client, self.client):
                return

    @staticmethod
    def give(wire: Wire, session: Session) -> bool:
        """Deliver what one side wrote."""
        written, wire.written = wire.written, []
        if written:
            session.data_received(b"".join(written))
        return bool(written)

    def unary(self, message: bytes, **more: Any) -> Stream:
        """A finished unary call."""
        call = self.start(message, **more)
        self.exchange()
        return call

    def start(
        self,
        message: bytes | None,
        path: bytes = b"/s/Unary",
        metadata: Any = (),
        handler: Any = None,
        deadline: float = 0.0,
    ) -> Stream:
        """A call that is under way."""
        return self.client.request(path, metadata, handler or Recorder(), message, deadline)
