"""From a call to its caller."""

from __future__ import annotations

from etcdpy.api.v3.identity import Identity, token_of
from etcdpy.base.log import silent_logger
from etcdpy.state.apply.caller import IMPOSTOR, NOBODY
from etcdpy.state.auth.tokens import SimpleTokens
from tests.unit.api.v3.unary_call import UnaryCall


class CallWith(UnaryCall):
    def __init__(self, **metadata: bytes) -> None:
        super().__init__(b"")
        self._metadata = {name.replace("_", "-").encode(): value for name, value in metadata.items()}

    def metadata(self, name: bytes) -> bytes | None:
        return self._metadata.get(name)


class Store:
    """As much of AuthStore as is asked."""

    def __init__(self) -> None:
        self.revision = 4
        self.tokens = SimpleTokens(clock=lambda: 0.0, choose=lambda letters: letters[0])
        self.token = self.tokens.assign(b"u", 1, b"letters", 9)


def make(store: Store, common_name: bytes | None = None) -> Identity:
    return Identity(store, silent_logger(), lambda call: common_name)  # type: ignore[arg-type]


def test_where_a_token_may_stand() -> None:
    assert token_of(CallWith(token=b"a", authorization=b"b")) == b"a"
    assert token_of(CallWith(authorization=b"b")) == b"b"
    assert token_of(CallWith(authorization=b"Bearer b")) == b"b"
    assert token_of(CallWith()) is None


def test_a_token_is_its_user_at_the_revision_of_now() -> None:
    store = Store()
    caller = make(store).identify(CallWith(token=store.token))

    assert (caller.username, caller.revision, caller.is_valid) == (b"u", 4, True)


def test_a_wrong_token_is_worse_than_none() -> None:
    store = Store()
    identity = make(store, b"cn")

    assert identity.identify(CallWith(token=b"other.1")) is IMPOSTOR
    assert make(store).identify(CallWith()) is NOBODY
    assert identity.pending_index(CallWith(token=b"other.12")) == 12
    assert identity.pending_index(CallWith(token=store.token)) == identity.pending_index(CallWith()) == 0


def test_a_certificate_counts_without_a_token_and_outside_of_the_gateway() -> None:
    """CVE-2018-16886."""
    store = Store()
    identity = make(store, b"cn")
    caller = identity.identify(CallWith())

    assert (caller.username, caller.revision) == (b"cn", 4)
    assert identity.identify(CallWith(token=store.token)).username == b"u"
    assert identity.identify(CallWith(grpcgateway_accept=b"*/*")) is NOBODY
