"""What both clients share: addresses, header fields, timeouts, and how a finished call becomes a result or an
EtcdError.

Light on purpose: command line tools import it at every start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from etcdpy.base.errors import (
    CANCELED,
    DEADLINE_EXCEEDED,
    INTERNAL,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
    EtcdError,
)
from etcdpy.base.socket_name import certificate_name
from etcdpy.transport.http2 import _nghttp2 as h2

Metadata = Sequence[tuple[bytes, bytes]]

# etcd's own clients take answers of any size; HTTP/2's largest window is also the largest message.
ANSWER_BYTES_MAX: Final = 2**31 - 1
# Enough for a large range to come at full speed over a network with some latency.
STREAM_WINDOW_BYTES: Final = 1 << 20
CONNECTION_WINDOW_BYTES: Final = 16 << 20
USER_AGENT: Final = b"etcdpy/0.1"

# RFC 9113 error codes that say more than "broken" (gRPC's table for RST_STREAM).
CODE_OF_RESET: Final = {0x7: UNAVAILABLE, 0x8: CANCELED, 0xB: RESOURCE_EXHAUSTED, 0xC: PERMISSION_DENIED}
# gRPC's table for answers that are not gRPC.
CODE_OF_HTTP_STATUS: Final = {
    b"400": INTERNAL,
    b"401": UNAUTHENTICATED,
    b"403": PERMISSION_DENIED,
    b"404": UNIMPLEMENTED,
    b"429": UNAVAILABLE,
    b"502": UNAVAILABLE,
    b"503": UNAVAILABLE,
    b"504": UNAVAILABLE,
}
REFUSED_STREAM: Final = 0x7


class Address:
    """`host:port`, `[ip6]:port`, or a unix socket's path (`unix:path`, `unix:///path`)."""

    __slots__ = ("host", "port", "unix_path", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.host = ""
        self.port = 0
        self.unix_path = ""
        if text.startswith("unix:"):
            self.unix_path = text.removeprefix("unix:").removeprefix("//")
            return
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"address {text!r}: missing port in address")
        self.host = host.removeprefix("[").removesuffix("]")
        self.port = int(port)

    @property
    def server_name(self) -> str:
        """The name that the server's certificate must bear; of a socket its file's, up to a colon (as in Go)."""
        return certificate_name(self.unix_path) if self.unix_path else self.host

    @property
    def authority(self) -> bytes:
        """The :authority that Go's client sends."""
        return b"localhost" if self.unix_path else self.text.encode()


def base_headers(address: Address, *, tls: bool) -> list[tuple[bytes, bytes]]:
    """Return the fields that every call of a channel carries."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"https" if tls else b"http"),
        (b":authority", address.authority),
        (b"content-type", b"application/grpc"),
        (b"user-agent", USER_AGENT),
        (b"te", b"trailers"),
    ]


def with_timeout(metadata: Metadata, timeout_seconds: float | None) -> Metadata:
    """Return the call's fields: grpc-timeout before the caller's own."""
    if timeout_seconds is None:
        return metadata
    return [(b"grpc-timeout", encode_timeout(timeout_seconds)), *metadata]


def encode_timeout(seconds: float) -> bytes:
    """Return the finest grpc-timeout that fits eight digits; never less than was asked for."""
    if seconds <= 0:
        return b"0n"
    for unit, per_second in ((b"n", 10**9), (b"u", 10**6), (b"m", 10**3)):
        amount = -int(-seconds * per_second // 1)
        if amount < 10**8:
            return b"%d%s" % (amount, unit)
    return b"%dS" % min(int(seconds) + 1, 10**8 - 1)


def percent_decode(raw: bytes) -> str:
    """Return a grpc-message as text; broken escapes stay as they are."""
    if b"%" not in raw:
        return raw.decode("utf-8", "replace")
    out = bytearray()
    at = 0
    while at < len(raw):
        if raw[at] == 0x25:
            try:
                out.append(int(raw[at + 1 : at + 3].decode("ascii"), 16))
                at += 3
                continue
            except ValueError:
                pass
        out.append(raw[at])
        at += 1
    return out.decode("utf-8", "replace")


def failure(call: h2.Stream) -> EtcdError | None:
    """Return what went wrong with a call that is over, or None."""
    if call.expired:
        return EtcdError("context deadline exceeded", DEADLINE_EXCEEDED)
    if call.refusal == h2.TOO_LARGE:
        return EtcdError(f"grpc: received message larger than max ({call.refused_value})", RESOURCE_EXHAUSTED)
    if call.refusal:
        return EtcdError("the answer is not well-formed gRPC", INTERNAL)
    if call.grpc_status is not None:
        return failure_of_status(call.grpc_status, call.grpc_message)
    if call.error == h2.CONNECTION_LOST:
        return EtcdError("transport is closing", UNAVAILABLE)
    if call.error:
        code = CODE_OF_RESET.get(call.error, INTERNAL)
        return EtcdError(f"stream terminated by RST_STREAM with error code: {call.error}", code)
    if call.http_status is not None and call.http_status != b"200":
        code = CODE_OF_HTTP_STATUS.get(call.http_status, UNKNOWN)
        return EtcdError(f"unexpected HTTP status code received from server: {call.http_status.decode()}", code)
    return EtcdError("server closed the stream without sending trailers", INTERNAL)


def failure_of_status(status: bytes, message: bytes | None) -> EtcdError | None:
    """Return the error that the trailers tell of, or None for OK."""
    if status == b"0":
        return None
    text = percent_decode(message or b"")
    return EtcdError(text, int(status)) if status.isdigit() else EtcdError(f"malformed grpc-status: {text}", INTERNAL)


def unary_result(call: h2.Stream) -> bytes:
    """Return the answer of a unary call that is over, or raise its error."""
    error = failure(call)
    if error is not None:
        raise error
    if call.message is None:
        raise EtcdError("the server answered OK without a message", INTERNAL)
    return call.message


def never_processed(call: h2.Stream) -> bool:
    """Whether the server promises that it has not looked at the call: it may be sent again."""
    return call.error == REFUSED_STREAM and call.http_status is None


def unavailable(address: Address, error: BaseException) -> EtcdError:
    """Return the error for a connection that could not be made, in Go's words."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return EtcdError(
        f'connection error: desc = "transport: Error while dialing dial tcp {address.text}: {reason.lower()}"',
        UNAVAILABLE,
    )


def raise_unavailable(address: Address, error: BaseException) -> NoReturn:
    """Raise `unavailable(...)`."""
    raise unavailable(address, error) from error


class ClientHooks:
    """What the compiled session asks of a client."""

    def refused(self, call: h2.Stream) -> None:
        """The answer is not one we take: give the call up."""
        call.reset()

    def failed(self, call: h2.Stream, error: Exception) -> None:
        """A handler of ours raised: let it be seen."""
        raise error

    def inflate(self, call: h2.Stream, data: bytes) -> bytes | None:
        """Decompress an answer (we never ask for compression, but a server may)."""
        from etcdpy.transport.grpc.compression import inflate

        return inflate(data, ANSWER_BYTES_MAX - 1)

    def lost(self, session: h2.Session, error: BaseException | None) -> None:
        """A connection is gone; its calls have been told."""
