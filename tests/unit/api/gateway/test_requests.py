"""JSON values, one after the other, from a body in pieces."""

from __future__ import annotations

import pytest

from etcdpy.api.gateway.exchange import HttpExchange
from etcdpy.api.gateway.go_json import JsonError
from etcdpy.api.gateway.requests import WAITING_CHARACTERS_MAX, RequestReader
from tests.unit.api.gateway.asgi import FakeClient
from tests.unit.server.spine import run


def reader_of(client: FakeClient) -> RequestReader:
    return RequestReader(HttpExchange(client.scope, client.receive, client.send))


def test_values_come_as_soon_as_they_are_whole() -> None:
    async def scenario() -> None:
        client = FakeClient("/", b'{"a":', b'"\xc3', b'\xa9"}{"b', b'":{}} ')
        reader = reader_of(client)
        assert await reader.next() == {"a": "\u00e9"}
        assert await reader.next() == {"b": {}}
        client.end_body()
        with pytest.raises(EOFError):
            await reader.next()

    run(scenario())


def test_a_body_that_ends_within_a_value_is_no_value() -> None:
    async def scenario() -> None:
        client = FakeClient("/", b'{"a":1')
        client.end_body()
        with pytest.raises(JsonError, match="unexpected EOF"):
            await reader_of(client).next()

    run(scenario())


def test_a_defect_is_told_at_the_end_of_its_line() -> None:
    async def scenario() -> None:
        with pytest.raises(JsonError, match="invalid character 'x'"):
            await reader_of(FakeClient("/", b"x\n")).next()

    run(scenario())


def test_a_value_without_end_is_bounded() -> None:
    async def scenario() -> None:
        piece = b"e" * 1_000_000
        client = FakeClient("/", b'"', *[piece] * (WAITING_CHARACTERS_MAX // len(piece) + 1))
        with pytest.raises(JsonError, match="too large"):
            await reader_of(client).next()

    run(scenario())


def test_a_unary_body_is_read_to_its_end_and_its_first_value_counts() -> None:
    async def scenario() -> None:
        client, empty = FakeClient("/", b'{"a"', b":true} more"), FakeClient("/", b" ")
        client.end_body()
        empty.end_body()
        assert await reader_of(client).read_only() == {"a": True}
        assert await reader_of(empty).read_only() is None

    run(scenario())
