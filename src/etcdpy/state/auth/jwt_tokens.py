"""JSON Web Tokens: signed, so that each member can tell by itself whose they are; nothing is kept of them.

    claims     username, revision, exp
    families   HS (a shared secret), RS, PS and ES (key pairs; with the public key alone a member can only verify)

The algorithm is the configured one, whatever a token says of itself. A token is good until it expires or until users,
roles or permissions change: its revision is then an old one.

Upstream: server/auth/jwt.go.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, Final

from etcdpy.base.errors import EtcdError
from etcdpy.base.log import log_warn
from etcdpy.state.apply.caller import Caller

# A signature takes a tenth of a millisecond to check: those looked at last are remembered. Each is some 500 bytes.
VERIFIED_MAX: Final = 1024


class VerifyOnly(EtcdError):
    """This member has no private key. Travels to the client with etcd's raw text."""

    text = "auth: token signing attempted with verify-only key"


class JwtTokens:
    """Tokens that prove themselves."""

    def __init__(
        self,
        *,
        algorithm: str,
        signing_key: Any,
        verifying_key: Any,
        ttl_seconds: float,
        wall_seconds: Callable[[], float],
        log: logging.Logger,
    ) -> None:
        """`signing_key` is None where there is but a public one."""
        import jwt  # takes as long as a quarter of a start, and few need it

        self._jwt = jwt
        self._algorithm = algorithm
        self._signing_key = signing_key
        self._verifying_key = verifying_key
        self._ttl_seconds = ttl_seconds
        self._wall_seconds = wall_seconds
        self._log = log
        self._verified: dict[bytes, tuple[Caller, float]] = {}  # token -> (caller, when it expires)

    def make_prefix(self) -> bytes:
        return b""

    def assign(self, username: bytes, revision: int, prefix: bytes, index: int) -> bytes:
        if self._signing_key is None:
            raise VerifyOnly
        claims = {
            "username": username.decode(errors="replace"),
            "revision": revision,
            "exp": int(self._wall_seconds() + self._ttl_seconds),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # short secrets: it is the operator's choice, as in etcd
            token: str = self._jwt.encode(claims, self._signing_key, algorithm=self._algorithm)
        return token.encode()

    def find(self, token: bytes, revision: int) -> Caller | None:
        """The revision is the one in the token."""
        found = self._verified.get(token) or self._verify(token)
        if found is None:
            return None
        caller, expires_at = found
        return caller if self._wall_seconds() < expires_at else None

    def _verify(self, token: bytes) -> tuple[Caller, float] | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                claims = self._jwt.decode(
                    token,
                    self._verifying_key,
                    algorithms=[self._algorithm],
                    options={"verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False},
                )
        except (self._jwt.PyJWTError, ValueError) as error:  # never the token itself: it is as good as a password
            log_warn(self._log, "failed to parse a JWT token", error=str(error))
            return None
        username, revision = claims.get("username"), claims.get("revision")
        if not isinstance(username, str):
            log_warn(self._log, "failed to obtain user claims from jwt token")
            return None
        if isinstance(revision, bool) or not isinstance(revision, int | float):
            log_warn(self._log, "failed to obtain revision claims from jwt token")
            return None
        return self._remember(token, username, revision, claims.get("exp"))

    def _remember(self, token: bytes, username: str, revision: float, expires: object) -> tuple[Caller, float] | None:
        try:
            caller = Caller(username.encode(), max(0, int(revision)))
        except (ValueError, OverflowError):  # half a surrogate; a revision without end
            return None
        if len(self._verified) >= VERIFIED_MAX:
            self._verified.clear()
        expires_at = float(expires) if isinstance(expires, int | float) else float("inf")
        self._verified[token] = caller, expires_at
        return caller, expires_at

    def pending_index(self, token: bytes) -> int:
        return 0

    def forget_user(self, username: bytes) -> None:
        """The auth revision does that."""

    def clear(self) -> None:
        """They prove themselves; a change of the auth revision voids them."""
