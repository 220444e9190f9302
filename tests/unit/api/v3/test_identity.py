"""From a call to its caller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdpy.api.v3.identity import Identity, token_of
from etcdpy.base.log import silent_logger
from etcdpy.state.apply.caller import IMPOSTOR, NOBODY
from etcdpy.state.auth import AuthStore
from etcdpy.state.auth.tokens import SimpleTokens
from etcdpy.storage.backend import Backend
from tests.unit.api.v3.unary_call import UnaryCall


class CallWith(UnaryCall):
    connection: object = None
    is_crowded = False

    def __init__(self, **metadata: bytes) -> None:
        super().__init__(b"")
        self._metadata = {name.replace("_", "-").encode(): value for name, value in metadata.items()}

    def metadata(self, name: bytes) -> bytes | None:
        return self._metadata.get(name)


class World:
    """A store of users at revision 4, and the token of one of them."""

    def __init__(self, backend: Backend) -> None:
        self.store = AuthStore(backend, SimpleTokens(clock=lambda: 0.0, choose=lambda letters: letters[0]))
        self.store.revision = 4
        self.token = self.store.tokens.assign(b"u", 1, b"letters", 9)

    def identity(self, common_name: bytes | None = None) -> Identity:
        return Identity(self.store, silent_logger(), lambda call: common_name)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    backend = Backend.open(tmp_path)
    yield World(backend)
    backend.close()


def test_where_a_token_may_stand() -> None:
    assert token_of(CallWith(token=b"a", authorization=b"b")) == b"a"
    assert token_of(CallWith(authorization=b"b")) == b"b"
    assert token_of(CallWith(authorization=b"Bearer b")) == b"b"
    assert token_of(CallWith()) is None


def test_a_token_is_its_user_at_the_revision_of_now(world: World) -> None:
    caller = world.identity().identify(CallWith(token=world.token))

    assert (caller.username, caller.revision, caller.is_valid) == (b"u", 4, True)
    world.store.revision = 5
    assert world.identity().identify(CallWith(token=world.token)).revision == 5


def test_a_wrong_token_is_worse_than_none(world: World) -> None:
    identity = world.identity(b"cn")

    assert identity.identify(CallWith(token=b"other.1")) is IMPOSTOR
    assert identity.find(CallWith(token=b"other.1")) is None, "it may be one that is to come"
    assert world.identity().identify(CallWith()) is NOBODY
    assert identity.pending_index(CallWith(token=b"other.12")) == 12
    assert identity.pending_index(CallWith(token=world.token)) == identity.pending_index(CallWith()) == 0


def test_a_certificate_counts_without_a_token_and_outside_of_the_gateway(world: World) -> None:
    """CVE-2018-16886."""
    identity = world.identity(b"cn")
    caller = identity.identify(CallWith())

    assert (caller.username, caller.revision) == (b"cn", 4)
    assert identity.identify(CallWith(token=world.token)).username == b"u"
    assert identity.identify(CallWith(grpcgateway_accept=b"*/*")) is NOBODY
