"""After an answer the server looks for the next request for a moment, as long as that pays."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from etcdpy.transport.grpc import Call, UnaryMethod
from etcdpy.transport.grpc.client_call import ClientHooks
from etcdpy.transport.http2._nghttp2 import Endpoint, Session
from tests.unit.transport.pair import BASE, Recorder, ServerHooks, Wire

Ends = tuple[socket.socket, socket.socket]

CREDIT_MAX = 8
TRY_EVERY = 64


class SocketWire(Wire):
    """A transport with a real socket behind it, for looking at."""

    def __init__(self, connection: socket.socket | None) -> None:
        super().__init__()
        self._connection = connection

    def get_extra_info(self, name: str) -> Any:
        return self._connection if name == "socket" else super().get_extra_info(name)


class Turn:
    """The part of an event loop that a session uses: what was asked for this turn, to be run by the test."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None], *arguments: object) -> None:
        self.asked.append(lambda: callback(*arguments))

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Deadlines have no part in this."""

    def run(self) -> None:
        while self.asked:
            self.asked.pop(0)()


class Scene:
    """A server with clients that send one request after the other."""

    def __init__(self, *connections: socket.socket | None) -> None:
        self.turn = Turn()
        self.waiting: list[Call] = []
        methods: Any = {b"/s/Unary": UnaryMethod(self.waiting.append)}
        self.endpoint = Endpoint(self.turn, server=True, methods=methods, hooks=ServerHooks())
        self.client_endpoint = Endpoint(None, server=False, base_headers=BASE, hooks=ClientHooks())
        self.links = [self._connect(connection) for connection in connections]

    def _connect(self, connection: socket.socket | None) -> tuple[Session, Wire, Session, Wire]:
        server, client = Session(self.endpoint), Session(self.client_endpoint)
        to_client, to_server = SocketWire(connection), Wire()
        server.connection_made(to_client)
        client.connection_made(to_server)
        return server, to_client, client, to_server

    def ask_and_answer(self) -> None:
        """Each client sends a request; all are answered in one turn, as a write to the log would have them."""
        for server, to_client, client, to_server in self.links:
            client.data_received(b"".join(to_client.written))
            to_client.written = []
            client.request(b"/s/Unary", (), Recorder(), b"x", 0.0)
            self.client_endpoint.flush()
            server.data_received(b"".join(to_server.written))
            to_server.written = []
        self.endpoint.cork()
        for call in self.waiting:
            call.respond(b"y")
        self.waiting.clear()
        self.endpoint.flush()
        self.turn.run()


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_client_whose_next_request_is_there_is_waited_for_each_time(ends: Ends) -> None:
    ours, theirs = ends
    scene = Scene(ours)
    theirs.send(b"the next request")

    for _ in range(100):
        scene.ask_and_answer()

    assert (scene.endpoint.linger.tries, scene.endpoint.linger.hits) == (100, 100)


def test_a_client_that_takes_its_time_is_soon_waited_for_no_more(ends: Ends) -> None:
    scene = Scene(ends[0])

    for _ in range(4 + 10 * TRY_EVERY):
        scene.ask_and_answer()

    assert (scene.endpoint.linger.tries, scene.endpoint.linger.hits) == (CREDIT_MAX // 2 + 10, 0)


def test_when_it_pays_again_it_is_done_again(ends: Ends) -> None:
    ours, theirs = ends
    scene = Scene(ours)
    for _ in range(CREDIT_MAX // 2):
        scene.ask_and_answer()
    theirs.send(b"the next request")

    for _ in range(TRY_EVERY + 50):
        scene.ask_and_answer()

    assert scene.endpoint.linger.hits == 51


def test_with_several_clients_at_once_nobody_is_waited_for(ends: Ends) -> None:
    scene = Scene(*ends)

    for _ in range(10):
        scene.ask_and_answer()

    assert scene.endpoint.linger.tries == 0


def test_without_a_socket_there_is_nothing_to_look_at() -> None:
    scene = Scene(None)

    for _ in range(10):
        scene.ask_and_answer()

    assert scene.endpoint.linger.tries == 0


def test_a_connection_that_was_lost_is_not_looked_at(ends: Ends) -> None:
    scene = Scene(ends[0])
    scene.ask_and_answer()
    tries = scene.endpoint.linger.tries
    server, _, client, to_server = scene.links[0]
    client.request(b"/s/Unary", (), Recorder(), b"x", 0.0)
    scene.client_endpoint.flush()
    server.data_received(b"".join(to_server.written))
    server.connection_lost(None)
    scene.waiting.pop().respond(b"y")
    scene.endpoint.flush()
    scene.turn.run()

    assert scene.endpoint.linger.tries == tries
