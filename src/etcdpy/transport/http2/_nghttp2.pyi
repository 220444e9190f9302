"""Types of the compiled binding: see `_nghttp2.pyx` for the theory."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from etcdpy.transport.grpc.call import Call, StreamHandler

NOT_REFUSED: Final = 0
UNKNOWN_METHOD: Final = 1
NO_MESSAGE: Final = 2
TRUNCATED: Final = 3
TOO_LARGE: Final = 4
BAD_FLAG: Final = 5
NO_ENCODING: Final = 6
BAD_ENCODING: Final = 7
EXPIRED: Final = 8
# Stream.error when the connection went away under the call.
CONNECTION_LOST: Final = 0xFF

class Method:
    """Counters common to unary and streaming methods. `handler` may be replaced between two calls."""

    handler: Callable[[Call], Any]
    started: int
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    observe: Callable[[float], None] | None
    @property
    def client_versions(self) -> dict[bytes | None, int]:
        """Calls begun, by the version that the client says it has."""

    @property
    def handled(self) -> dict[int, int]:
        """Calls ended, by gRPC code."""

    def count_begun(self, version: bytes | None) -> None:
        """Count a call that begins, by the version that its client says it has."""

    def count_ended(self, code: int) -> None:
        """Count a call that came another way than over a socket, and is over."""

class UnaryMethod(Method):
    def __init__(self, handle: Callable[[Call], None]) -> None: ...

class StreamMethod(Method):
    def __init__(self, open: Callable[[Call], StreamHandler]) -> None: ...

class Linger:
    """Looks for the next request for a moment after an answer."""

    tries: int
    hits: int
    def wait(self) -> None: ...

class Endpoint:
    """What all connections of one server, or of one client channel, share."""

    def __init__(
        self,
        loop: Any,
        *,
        server: bool,
        methods: dict[bytes, Method] | None = None,
        hooks: Any = None,
        base_headers: Sequence[tuple[bytes, bytes]] = (),
        message_bytes_max: int = ...,
        stream_window_bytes: int = ...,
        connection_window_bytes: int = ...,
        reserve_bytes_max: int = ...,
        held_bytes_max: int = ...,
        pending_bytes_max: int = ...,
        queued_bytes_max: int = ...,
        streams_max: int = ...,
        streams_announced: int = ...,
        header_list_bytes_max: int = ...,
        ping_interval_min: float = ...,
        ping_without_stream: bool = ...,
        glitch_burst: float = ...,
        glitch_rate: float = ...,
        high_mark_bytes: int = ...,
        low_mark_bytes: int = ...,
    ) -> None: ...
    glitches: int
    connections: int
    linger: Linger
    def cork(self) -> None:
        """Say that flush() follows in this turn for certain: nobody need schedule one meanwhile."""
    def flush(self) -> None:
        """Send what all connections have to send, now instead of at the end of the loop's turn."""
    def sessions(self) -> list[Session]: ...
    def expire(self, now: float) -> int:
        """End the calls whose deadline has passed (done by a timer when there is a loop)."""
    def sweep(
        self,
        now: float,
        *,
        preface_seconds: float,
        headers_seconds: float,
        stall_seconds: float,
        stall_bytes: float,
        keepalive_seconds: float,
        keepalive_timeout_seconds: float,
    ) -> int:
        """Drop connections that broke a deadline; return how many."""

class Stream:
    user: object
    def __init__(self) -> None: ...
    @property
    def id(self) -> int: ...
    @property
    def session(self) -> Session: ...
    @property
    def path(self) -> bytes: ...
    @property
    def message(self) -> bytes: ...
    @property
    def peer(self) -> str: ...
    @property
    def connection(self) -> object: ...
    @property
    def is_crowded(self) -> bool: ...
    @property
    def deadline(self) -> float | None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def answered(self) -> bool: ...
    @property
    def refusal(self) -> int: ...
    @property
    def refused_value(self) -> int: ...
    @property
    def streaming(self) -> bool: ...
    @property
    def encoding(self) -> bytes | None: ...
    @property
    def error(self) -> int: ...
    @property
    def expired(self) -> bool: ...
    @property
    def http_status(self) -> bytes | None: ...
    @property
    def grpc_status(self) -> bytes | None: ...
    @property
    def grpc_message(self) -> bytes | None: ...
    @property
    def queued_bytes(self) -> int: ...
    @property
    def plain(self) -> bool: ...
    def headers(self) -> list[tuple[bytes, bytes]]: ...
    def peer_common_name(self) -> bytes | None: ...
    def start_plain(self, status: bytes, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Answer a request that is no gRPC; `write` and `finish` follow."""
    def metadata(self, name: bytes) -> bytes | None: ...
    def put_off(self) -> bool: ...
    def respond(self, message: bytes | list[bytes]) -> None: ...
    def fail(self, code: int, text: str) -> None: ...
    def start(self) -> None: ...
    def has_room(self, size: int) -> bool: ...
    def write(self, message: bytes | list[bytes]) -> bool: ...
    def finish(self, code: int = 0, text: str = "") -> None: ...
    def reset(self, error: int = 8) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

class Session(asyncio.Protocol):
    """One HTTP/2 connection: an asyncio protocol, or driven by hand with anything that has write() and close()."""

    bridge: Callable[[Stream], StreamHandler] | None  # Opens requests that are no gRPC; None: they are refused.

    def __init__(self, endpoint: Endpoint) -> None: ...
    @property
    def transport(self) -> Any: ...
    @property
    def peer(self) -> str: ...
    @property
    def alive(self) -> bool: ...
    @property
    def draining(self) -> bool: ...
    @property
    def last_error(self) -> str | None: ...
    @property
    def open_streams(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def held_bytes(self) -> int: ...
    @property
    def queued_bytes(self) -> int: ...
    @property
    def pending_bytes(self) -> int: ...
    @property
    def reserved_bytes(self) -> int: ...
    @property
    def settings_received(self) -> bool: ...
    def connection_made(self, transport: Any) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def flush(self) -> None: ...
    def peer_common_name(self) -> bytes | None:
        """Return the common name in the other side's verified certificate; None where there is none."""
    def ping(self) -> None: ...
    def request(
        self,
        path: bytes,
        metadata: Sequence[tuple[bytes, bytes]],
        handler: StreamHandler,
        message: bytes | None = None,
        deadline: float = 0.0,
    ) -> Stream:
        """Client: start a call; with a message a unary one, without it a stream to be written to."""
    def end_calls(self, code: int, text: str) -> None:
        """End every open call with a status."""
    def goaway(self, error: int = 0, debug: bytes = b"") -> None: ...
    def close(self) -> None:
        """Flush and close the transport."""
    def abort(self, reason: str) -> None: ...
    def check_invariants(self) -> None: ...

def percent_encode(text: str) -> bytes: ...
def monotonic() -> float: ...
