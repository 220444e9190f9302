"""One TLS connection: a protocol towards the socket, a transport towards the application, OpenSSL in between.

    socket > data_received > BIO > handshake ......... then > read > application.data_received
    socket < raw.write     < BIO <                                   < application's transport.write

The application's protocol is made when the handshake is over and the other side's certificate is found good; it never
sees anything of a refused one.

Rules
  * The context is asked for when the first bytes come, so a handshake uses the files of that moment.
  * What OpenSSL wants to say of a refusal (the alert) is sent before the connection is closed.
  * From the accepted connection on there are 10 s for the handshake, checks included.
  * One read of the socket is decrypted and handed on at once; a paused reader is given nothing, and the socket is not
    read meanwhile. What waits is one such read at most, and is bounded by the loop's buffer (256 KiB).
  * An end of the stream without the other side's close_notify is a cut, told as a ConnectionResetError.

Not `loop.start_tls` (uvloop lost connections), nor the loops' own TLS (the context could not change, and a refused
client learns nothing).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

from etcdpy.transport.tls.names import common_name
from etcdpy.transport.tls.reasons import handshake_reason

_WantRead: Final = ssl.SSLWantReadError
# A TLS record holds no more, and OpenSSL hands out no more than one at a time.
READ_BYTES: Final = 16 * 1024
HANDSHAKE_SECONDS: Final = 10.0


class TlsRefused(Exception):
    """The certificate that was shown is good, but not for this. `str()` is for the log."""


class Party(Protocol):
    """Which side we are, and what is thought of the other one."""

    def begin(self, connection: TlsConnection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Return the new handshake. Raise TlsFilesError."""

    def may_shake(self, connection: TlsConnection) -> bool:
        """Return whether the handshake may go on now; if not, `go_on` is called later."""

    def check(self, connection: TlsConnection) -> Callable[[], None] | None:
        """Judge the other side's certificate. Raise TlsRefused; or return what is left to do, which blocks."""

    def opened(self, connection: TlsConnection) -> asyncio.Protocol:
        """Return the application's protocol: the handshake is over."""

    def failed(self, connection: TlsConnection, error: BaseException) -> None:
        """There will be no application: refused, cut or too late."""


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """See the top of the file."""

    def __init__(self, loop: asyncio.AbstractEventLoop, party: Party, *, is_server: bool) -> None:
        super().__init__()
        self._loop = loop
        self._party = party
        self._is_server = is_server
        self._raw: Any = None  # The asyncio transport below; None before and after.
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._app: Any = None  # Invariant: not None <=> the handshake is over and found good.
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False  # The handshake, whatever came of it.
        self._is_closing = self._is_paused = self._is_reading_later = self._has_ended = False
        self._is_writing_paused = False
        self._broken: ConnectionResetError | None = None  # Why we dropped the connection.

    # -- protocol, towards the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = transport
        self._timer = self._loop.call_later(HANDSHAKE_SECONDS, self._be_late)
        if not self._is_server and self._begin():
            self._shake()

    def data_received(self, data: bytes) -> None:
        if self._app is not None:
            self._incoming.write(data)
            self._deliver()
            return
        if self._is_over:
            return
        self._incoming.write(data)
        if self._tls is not None:
            self._shake()
        elif self._begin():
            if self._party.may_shake(self):
                self._shake()
            else:
                self._raw.pause_reading()

    def eof_received(self) -> bool:
        self._incoming.write_eof()
        if self._app is not None:
            self._deliver()
        return False

    def pause_writing(self) -> None:
        self._is_writing_paused = True
        if self._app is not None:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        if self._app is not None:
            self._app.resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._raw = None
        self._end_handshake(exc or EOFError("EOF"))
        app, self._app = self._app, None
        if app is not None:
            app.connection_lost(exc or self._broken)

    # -- handshake

    def go_on(self) -> None:
        """There is room for our handshake now."""
        if self._raw is None or self._is_over:
            return
        self._raw.resume_reading()
        self._shake()

    def evict(self) -> None:
        """Somebody else needs the place."""
        self._give_up(TimeoutError("handshake was too slow while others waited"))

    def _be_late(self) -> None:
        self._timer = None
        self._give_up(TimeoutError("i/o timeout"))

    def _give_up(self, error: Exception) -> None:
        raw = self._raw
        self._end_handshake(error)
        if raw is not None:
            raw.abort()

    def _begin(self) -> bool:
        try:
            self._tls = self._party.begin(self, self._incoming, self._outgoing)
        except Exception as error:
            self._give_up(error)
            return False
        return True

    def _shake(self) -> None:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
            self._send()
            later = self._party.check(self)
        except _WantRead:
            self._send()
        except (ssl.SSLError, TlsRefused) as error:
            self._refuse(error)
        else:
            if later is None:
                self._open()
            else:
                self._raw.pause_reading()
                self._loop.run_in_executor(None, later).add_done_callback(self._on_checked)

    def _on_checked(self, checked: asyncio.Future[None]) -> None:
        """The check that blocks is over."""
        error = None if checked.cancelled() else checked.exception()
        if self._is_over or self._raw is None:
            return
        if error is not None:
            self._refuse(error)
            return
        self._raw.resume_reading()
        self._open()

    def _refuse(self, error: BaseException) -> None:
        raw = self._raw
        self._end_handshake(error)
        if raw is not None:
            self._send()
            raw.close()

    def _end_handshake(self, error: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_over:
            self._is_over = True
            if error is not None:
                self._party.failed(self, error)

    def _open(self) -> None:
        self._end_handshake(None)
        self._app = self._party.opened(self)
        self._app.connection_made(self)
        if self._is_writing_paused and self._app is not None:
            self._app.pause_writing()
        self._deliver()

    # -- application data

    def _deliver(self) -> None:
        """Hand on what has come, as long as the application takes it."""
        tls, incoming = self._tls, self._incoming
        assert tls is not None
        try:
            while not (self._is_paused or self._is_closing) and self._app is not None:
                data = tls.read(READ_BYTES)
                if not data:
                    self._on_end()
                    break
                self._app.data_received(data)
                # That was the rest of a record, and nothing has come behind it: to be told so would be an exception.
                if len(data) < READ_BYTES and not incoming.pending and not incoming.eof:
                    break
        except _WantRead:
            pass
        except ssl.SSLZeroReturnError:
            self._on_end()
        except ssl.SSLError as error:
            # An end that was not announced, or a record that is none: nothing that follows can be trusted.
            self._broken = ConnectionResetError(handshake_reason(error))
            self._send()
            self.abort()
        self._send()

    def _on_end(self) -> None:
        """The other side will send no more."""
        if self._has_ended or self._app is None:
            return
        self._has_ended = True
        if not self._app.eof_received():
            self.close()

    def _send(self) -> None:
        if self._outgoing.pending and self._raw is not None:
            self._raw.write(self._outgoing.read())

    # -- transport, towards the application

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._app = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._app  # type: ignore[no-any-return]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._raw is None or self._is_closing or self._tls is None or not data:
            return
        self._tls.write(data)
        self._raw.write(self._outgoing.read())

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._is_closing or self._raw is None or bool(self._raw.is_closing())

    def close(self) -> None:
        """Say so to the other side, whose answer is not waited for, and close after what is still to be sent."""
        if self._is_closing or self._raw is None:
            return
        self._is_closing = True
        try:
            if self._tls is not None:
                self._tls.unwrap()
        except (ssl.SSLError, OSError):
            pass  # The answer that is not waited for.
        self._send()
        self._raw.close()

    def abort(self) -> None:
        self._is_closing = True
        if self._raw is not None:
            self._raw.abort()

    def pause_reading(self) -> None:
        self._is_paused = True
        if self._raw is not None:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._is_paused = False
        if self._raw is None:
            return
        self._raw.resume_reading()
        if not self._is_reading_later:
            self._is_reading_later = True
            self._loop.call_soon(self._deliver_rest)

    def _deliver_rest(self) -> None:
        self._is_reading_later = False
        if self._app is not None:
            self._deliver()

    def is_reading(self) -> bool:
        return not self._is_paused

    def get_write_buffer_size(self) -> int:
        return 0 if self._raw is None else int(self._raw.get_write_buffer_size())

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self._tls is not None:
            if name == "ssl_object":
                return self._tls
            if name == "sslcontext":
                return self._tls.context
            if name == "peercert":
                return self._tls.getpeercert()
            if name == "common_name":
                certificate = self._tls.getpeercert()
                return common_name(certificate) if certificate else default
        return default if self._raw is None else self._raw.get_extra_info(name, default)
