"""JSON Web Tokens: what is believed, and what is not."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from etcdpy.base.log import silent_logger
from etcdpy.state.auth.jwt_tokens import VERIFIED_MAX, JwtTokens

SECRET = b"a secret of some length, so that nobody can guess it and nobody complains about it"
NOW = 4_000_000_000.0


class World:
    def __init__(self) -> None:
        self.now = NOW
        self.tokens = JwtTokens(
            algorithm="HS256",
            signing_key=SECRET,
            verifying_key=SECRET,
            ttl_seconds=60,
            wall_seconds=lambda: self.now,
            log=silent_logger(),
        )

    def accepts(self, claims: dict[str, Any], *, key: Any = SECRET, algorithm: str = "HS256") -> bool:
        return self.tokens.find(jwt.encode(claims, key, algorithm=algorithm).encode(), 1) is not None


CLAIMS: dict[str, Any] = {"username": "u", "revision": 5, "exp": int(NOW) + 60}


def test_claims_are_those_of_etcd() -> None:
    world = World()
    token = world.tokens.assign(b"u", 5, b"", 1)

    assert jwt.decode(token, SECRET, algorithms=["HS256"]) == {"username": "u", "revision": 5, "exp": int(NOW) + 60}
    assert (world.tokens.make_prefix(), world.tokens.pending_index(token)) == (b"", 0)


def test_a_token_ends() -> None:
    world = World()
    token = world.tokens.assign(b"u", 5, b"", 1)
    assert world.tokens.find(token, 5) is not None
    world.now += 60
    assert world.tokens.find(token, 5) is None


@pytest.mark.parametrize("missing", ["username", "revision"])
def test_claims_that_are_missing_are_no_crash(missing: str) -> None:
    """etcd issue 15676."""
    world = World()
    assert world.accepts(CLAIMS)
    assert not world.accepts({name: value for name, value in CLAIMS.items() if name != missing})


def test_claims_of_the_wrong_kind() -> None:
    world = World()
    for claims in ({"username": 5}, {"revision": "5"}, {"revision": True}, {"revision": None}, {"revision": 1e999}):
        assert not world.accepts(CLAIMS | claims), claims
    assert world.accepts(CLAIMS | {"aud": "etcd", "sub": 7, "iss": "x", "jti": 1}), "others are nobody's business"


def test_the_algorithm_is_the_configured_one() -> None:
    world = World()
    assert not world.accepts(CLAIMS, algorithm="HS384")
    assert not world.accepts(CLAIMS, key=None, algorithm="none")
    assert not world.accepts(CLAIMS, key=SECRET + b"!")
    for noise in (b"", b"a.b.c", b"\xff.\xff.\xff", b"abcdefghijklmnop.1"):
        assert world.tokens.find(noise, 1) is None


def test_only_so_many_are_remembered() -> None:
    world = World()
    for revision in range(VERIFIED_MAX + 10):
        assert world.accepts(CLAIMS | {"revision": revision})
    assert len(world.tokens._verified) <= VERIFIED_MAX
    world.tokens.forget_user(b"u")
    world.tokens.clear()
