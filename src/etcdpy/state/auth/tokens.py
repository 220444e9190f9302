"""Tokens: what a client shows instead of its password. Here the simple ones, sixteen random letters and an index.

    made by     the proposer: letters that nobody can guess; the index is that of the entry which says so
    kept by     every member, in memory: a restart voids them
    valid for   300 s (--auth-token-ttl) since they were last used

The index tells a member that has not applied so much yet that the token may be good all the same. It is no secret and
no part of the token's name here: 3.5.1 writes the index of the entry, later versions the one before.

Upstream: server/auth/simple_token.go.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Final, Protocol

from etcdpy.base.errors import AuthFailed
from etcdpy.state.apply.caller import Caller

LETTERS: Final = string.ascii_letters
PREFIX_LETTERS: Final = 16
TTL_SECONDS_DEFAULT: Final = 300.0
# A u64 has no more digits.
INDEX_DIGITS_MAX: Final = 20


class Tokens(Protocol):
    """All tokens of one kind."""

    def make_prefix(self) -> bytes:
        """Return what the proposer of an authentication adds to it. Raise AuthFailed where there are no tokens."""

    def assign(self, username: bytes, revision: int, prefix: bytes, index: int) -> bytes:
        """Return a new token. Raise EtcdError."""

    def find(self, token: bytes, revision: int) -> Caller | None:
        """Return whose token it is, or None: it is none."""

    def pending_index(self, token: bytes) -> int:
        """Return what must be applied before `find` says no for good; 0: nothing."""

    def forget_user(self, username: bytes) -> None:
        """Void the tokens of a user."""

    def clear(self) -> None:
        """Void all."""


class NoTokens:
    """--auth-token= without a kind: nobody can log in."""

    def make_prefix(self) -> bytes:
        raise AuthFailed

    def assign(self, username: bytes, revision: int, prefix: bytes, index: int) -> bytes:
        raise AuthFailed

    def find(self, token: bytes, revision: int) -> Caller | None:
        return None

    def pending_index(self, token: bytes) -> int:
        return 0

    def forget_user(self, username: bytes) -> None:
        """There are none."""

    def clear(self) -> None:
        """There are none."""


class _Simple:
    __slots__ = ("caller", "expires_at")

    def __init__(self, caller: Caller, expires_at: float) -> None:
        self.caller = caller
        self.expires_at = expires_at


class SimpleTokens:
    """Tokens that mean something in memory only."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        choose: Callable[[str], str],
        ttl_seconds: float = TTL_SECONDS_DEFAULT,
    ) -> None:
        """`choose` returns one letter of a text, so that nobody can foretell it."""
        self._clock = clock
        self._choose = choose
        self._ttl_seconds = ttl_seconds if ttl_seconds > 0 else TTL_SECONDS_DEFAULT
        self._by_prefix: dict[bytes, _Simple] = {}
        self._sweep_at = 0.0

    def __len__(self) -> int:
        return len(self._by_prefix)

    def make_prefix(self) -> bytes:
        return "".join(self._choose(LETTERS) for _ in range(PREFIX_LETTERS)).encode()

    def assign(self, username: bytes, revision: int, prefix: bytes, index: int) -> bytes:
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep(now)
        self._by_prefix[prefix] = _Simple(Caller(username, revision), now + self._ttl_seconds)
        return b"%s.%d" % (prefix, index)

    def _sweep(self, now: float) -> None:
        """Now and then: what nobody uses any more must not gather."""
        self._sweep_at = now + self._ttl_seconds
        self._by_prefix = {prefix: kept for prefix, kept in self._by_prefix.items() if kept.expires_at > now}

    def find(self, token: bytes, revision: int) -> Caller | None:
        prefix, dot, index = token.partition(b".")
        found = self._by_prefix.get(prefix)
        if found is None or not dot or not index.isdigit():
            return None
        now = self._clock()
        if now >= found.expires_at:
            del self._by_prefix[prefix]
            return None
        found.expires_at = now + self._ttl_seconds
        caller = found.caller
        if caller.revision != revision:
            caller = found.caller = Caller(caller.username, revision)
        return caller

    def pending_index(self, token: bytes) -> int:
        prefix, _, index = token.partition(b".")
        if prefix in self._by_prefix or not index.isdigit() or len(index) > INDEX_DIGITS_MAX:
            return 0
        return int(index)

    def forget_user(self, username: bytes) -> None:
        kept = self._by_prefix
        self._by_prefix = {prefix: known for prefix, known in kept.items() if known.caller.username != username}

    def clear(self) -> None:
        self._by_prefix.clear()
