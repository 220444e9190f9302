"""The JSON gateway: the gRPC API for those who have HTTP and JSON only. An ASGI application.

    POST /v3/kv/put {"key":"Zm9v"}  >  bytes of a PutRequest  >  the member's own handler  >  JSON of its answer

etcd's gateway is a client of its own server over a socket. Ours calls the handlers in process (`api.v3.local`); what
the world sees is the same, to the byte.

Streams: an answer's messages are lines {"result":{...}}, each written when the one before it was taken; where requests
are a stream too, they are JSON values one after the other. Who hangs up ends the call.

Rules
  * A unary request is read to its end, then its first value counts; so over a WebSocket it is never answered.
  * A bad first request of a stream is answered 500 and code Unknown, of any other call 400 and InvalidArgument; a bad
    later one ends the requests, silently. All as in etcd.
  * What a handler raises that is not an EtcdError is our bug: 500, and the loop's exception handler gets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from starlette.types import Receive, Scope, Send

from etcdpy.api.gateway.decode import encode_message
from etcdpy.api.gateway.encode import write_message
from etcdpy.api.gateway.exchange import Exchange, Gone, HttpExchange, WebSocketExchange
from etcdpy.api.gateway.go_json import JsonError
from etcdpy.api.gateway.origin import HttpOrigin
from etcdpy.api.gateway.paths import Rpc, find_rpc
from etcdpy.api.gateway.requests import RequestReader
from etcdpy.api.gateway.status import error_body, http_status, stream_error_body
from etcdpy.api.v3.local import LocalMethods, LocalStream
from etcdpy.base.errors import DEADLINE_EXCEEDED, INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNKNOWN, EtcdError
from etcdpy.transport.grpc.refusals import too_large

JSON_HEADER: Final = (b"content-type", b"application/json")
# The answer of a gRPC server has a content type too: the gateway hands it on under this name.
GRPC_HEADER: Final = (b"grpc-metadata-content-type", b"application/grpc")
TEXT_HEADERS: Final = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]

Result = TypeVar("Result")


class Gateway:
    """ASGI application below /v3/ and /v3beta/, for HTTP and WebSocket."""

    def __init__(self, methods: LocalMethods, *, message_bytes_max: int) -> None:
        self._methods = methods
        self._message_bytes_max = message_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange
        if scope["type"] == "websocket":
            exchange = WebSocketExchange(scope, receive, send)
            await exchange.accept()
            method = "POST"
        else:
            exchange = HttpExchange(scope, receive, send)
            method = scope["method"]
        try:
            await self._serve(exchange, find_rpc(scope["path"]), method)
        except Gone:
            return
        except Exception as error:
            what = {"message": f"the gateway failed at {scope['path']}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)
            await _refuse(exchange, EtcdError(f"{type(error).__name__}: {error}", INTERNAL))

    async def _serve(self, exchange: Exchange, rpc: Rpc | None, method: str) -> None:
        if rpc is None:
            await _respond(exchange, 404, TEXT_HEADERS, b"Not Found\n")
        elif method != "POST":
            await _respond(exchange, 405, TEXT_HEADERS, b"Method Not Allowed\n")
        else:
            origin = HttpOrigin(exchange.headers, exchange.peer)
            try:
                await self._call(exchange, rpc, origin, origin.timeout_seconds())
            except EtcdError as error:
                await _refuse(exchange, error)

    async def _call(self, exchange: Exchange, rpc: Rpc, origin: HttpOrigin, timeout: float | None) -> None:
        """Answer the request, or raise EtcdError while nothing has been sent."""
        reader = RequestReader(exchange)
        if rpc.takes_stream:
            await self._call_with_stream(exchange, rpc, origin, timeout, reader)
            return
        try:
            message = self._checked(encode_message(rpc.request, await reader.read_only()))
        except JsonError as error:
            raise EtcdError(str(error), INVALID_ARGUMENT) from None
        if rpc.gives_stream:
            with self._methods.open(rpc.path, origin) as stream:
                await stream.send(message)
                stream.end()
                await _race(_forward(exchange, rpc, stream, timeout), exchange.wait_gone())
            return
        answer = await _race(_within(timeout, self._methods.unary(rpc.path, message, origin)), exchange.wait_gone())
        body = write_message(rpc.response, answer).encode()
        await _respond(exchange, 200, [JSON_HEADER, GRPC_HEADER], body)

    async def _call_with_stream(
        self, exchange: Exchange, rpc: Rpc, origin: HttpOrigin, timeout: float | None, reader: RequestReader
    ) -> None:
        try:
            first: bytes | None = encode_message(rpc.request, await reader.next())
        except EOFError:
            first = None
        except JsonError as error:
            raise EtcdError(str(error), UNKNOWN) from None
        with self._methods.open(rpc.path, origin) as stream:
            if first is not None:
                await self._send(stream, first)
            feeding = self._feed(exchange, rpc, stream, reader)
            await _race(_forward(exchange, rpc, stream, timeout), feeding)

    async def _feed(self, exchange: Exchange, rpc: Rpc, stream: LocalStream, reader: RequestReader) -> None:
        """Hand the requests on as they come; returns when the client has hung up."""
        try:
            while True:
                await self._send(stream, encode_message(rpc.request, await reader.next()))
        except (EOFError, JsonError):
            stream.end()
        except Gone:
            return
        await exchange.wait_gone()

    async def _send(self, stream: LocalStream, message: bytes) -> None:
        try:
            await stream.send(self._checked(message))
        except EtcdError as error:
            stream.fail(error.code, error.text)

    def _checked(self, message: bytes) -> bytes:
        if len(message) > self._message_bytes_max:
            raise EtcdError(too_large(len(message), self._message_bytes_max), RESOURCE_EXHAUSTED)
        return message


async def _forward(exchange: Exchange, rpc: Rpc, stream: LocalStream, timeout: float | None) -> None:
    """Write what the handler sends. Raise EtcdError while nothing was written, not even the handler's headers."""
    is_started = False
    try:
        async with asyncio.timeout(timeout):
            while (message := await stream.receive()) is not None:
                if not is_started:
                    is_started = True
                    await exchange.start(200, [JSON_HEADER, GRPC_HEADER])
                await exchange.write(b'{"result":' + write_message(rpc.response, message).encode() + b"}\n")
        if not is_started:  # the handler's headers came with its end, if at all
            await exchange.start(200, [JSON_HEADER, GRPC_HEADER] if stream.is_started else [JSON_HEADER])
    except TimeoutError:
        if not (is_started or stream.is_started):
            raise _too_late() from None
        await _end_with(exchange, _too_late(), is_started=is_started)
    except EtcdError as error:
        await _end_with(exchange, error, is_started=is_started)
    await exchange.finish()


async def _end_with(exchange: Exchange, error: EtcdError, *, is_started: bool) -> None:
    if not is_started:
        await exchange.start(http_status(error.code), [JSON_HEADER])
    await exchange.write(stream_error_body(error))


async def _within(timeout: float | None, work: Awaitable[Result]) -> Result:
    try:
        async with asyncio.timeout(timeout):
            return await work
    except TimeoutError:
        raise _too_late() from None


def _too_late() -> EtcdError:
    return EtcdError("context deadline exceeded", DEADLINE_EXCEEDED)


async def _race(work: Awaitable[Result], gone: Awaitable[None]) -> Result:
    """Return what `work` returns, or raise what it raises; Gone, when `gone` is through before."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(_settle(work))
        waiting = group.create_task(_settle(gone))
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        waiting.cancel()
    if working.cancelled():
        raise Gone
    value, error = working.result()
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


async def _settle(work: Awaitable[Result]) -> tuple[Result | None, Exception | None]:
    try:
        return await work, None
    except Exception as error:  # handed to whoever waits for the race's end
        return None, error


async def _refuse(exchange: Exchange, error: EtcdError) -> None:
    await _respond(exchange, http_status(error.code), [JSON_HEADER], error_body(error))


async def _respond(exchange: Exchange, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await exchange.start(status, [*headers, (b"content-length", str(len(body)).encode())])
    await exchange.write(body)
    await exchange.finish()
