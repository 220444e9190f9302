"""Simple tokens on a clock of the test's own."""

from __future__ import annotations

import pytest

from etcdpy.base.errors import AuthFailed
from etcdpy.state.auth.tokens import NoTokens, SimpleTokens


class World:
    def __init__(self, **settings: float) -> None:
        self.now = 100.0
        self.letters = iter("abcdefghijklmnopABCDEFGHIJKLMNOP" * 9)
        self.tokens = SimpleTokens(clock=lambda: self.now, choose=lambda text: next(self.letters), **settings)

    def log_in(self, user: bytes = b"u", index: int = 7) -> bytes:
        return self.tokens.assign(user, 3, self.tokens.make_prefix(), index)

    def user_of(self, token: bytes) -> bytes | None:
        caller = self.tokens.find(token, 3)
        return None if caller is None else caller.username


def test_a_token_is_letters_and_the_index() -> None:
    world = World()
    token = world.log_in()

    assert token == b"abcdefghijklmnop.7"
    assert world.user_of(token) == b"u"
    assert world.user_of(b"abcdefghijklmnop.6") == b"u", "3.5.33 writes another index than 3.5.1"
    for wrong in (b"", b".", b"abcdefghijklmnop", b"abcdefghijklmnop.", b"abcdefghijklmnop.x", b"abcdefghijklmnoP.7"):
        assert world.user_of(wrong) is None, wrong


def test_the_caller_has_the_revision_of_now() -> None:
    world = World()
    token = world.log_in()
    before, after = world.tokens.find(token, 3), world.tokens.find(token, 5)

    assert before is not None and after is not None
    assert (before.revision, after.revision) == (3, 5)
    assert world.tokens.find(token, 5) is after, "one object per revision"


def test_use_keeps_a_token_alive() -> None:
    world = World(ttl_seconds=10.0)
    token = world.log_in()
    world.now += 9
    assert world.user_of(token) == b"u"
    world.now += 9
    assert world.user_of(token) == b"u"
    world.now += 10
    assert world.user_of(token) is None


def test_a_ttl_of_zero_is_the_default() -> None:
    world = World(ttl_seconds=0)
    token = world.log_in()
    world.now += 299
    assert world.user_of(token) == b"u"
    world.now += 300
    assert world.user_of(token) is None


def test_forgotten_tokens_do_not_gather() -> None:
    world = World(ttl_seconds=10.0)
    world.log_in(b"old")
    world.now += 11
    world.log_in(b"new")

    assert len(world.tokens) == 1


def test_tokens_of_a_user_are_voided() -> None:
    world = World()
    first, second = world.log_in(b"u"), world.log_in(b"v")
    world.tokens.forget_user(b"u")
    assert (world.user_of(first), world.user_of(second)) == (None, b"v")
    world.tokens.clear()
    assert world.user_of(second) is None


def test_an_unknown_token_may_come_with_a_later_entry() -> None:
    world = World()
    token = world.log_in(index=7)

    assert world.tokens.pending_index(token) == 0
    assert world.tokens.pending_index(b"somebodyelsesone.9") == 9
    for wrong in (b"", b"x", b"x.", b"x.-1", b"x." + b"9" * 5000):
        assert world.tokens.pending_index(wrong) == 0


def test_no_tokens_at_all() -> None:
    tokens = NoTokens()
    tokens.forget_user(b"u")
    tokens.clear()

    assert tokens.find(b"abc.1", 1) is None and tokens.pending_index(b"abc.1") == 0
    with pytest.raises(AuthFailed):
        tokens.make_prefix()
    with pytest.raises(AuthFailed):
        tokens.assign(b"u", 1, b"", 1)
