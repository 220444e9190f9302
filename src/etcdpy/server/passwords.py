"""Passwords: bcrypt hashes of them, made and compared beside the event loop.

A hash takes a tenth of a second of a processor, which is what it is for. So a few threads make them, and only so many
requests may wait for one: who asks for tokens without end delays others who do, and nobody else.

Go's library has the same hashes: `$2a$`, at most 72 bytes. A longer password gets none; when one is compared, what is
beyond is not looked at.

Source: facts 1.10.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from etcdpy.base.errors import EtcdError, RequestTooManyRequests
from etcdpy.base.log import log_warn

COST_MIN: Final = 4
COST_MAX: Final = 31
COST_DEFAULT: Final = 10
PASSWORD_BYTES_MAX: Final = 72
THREADS: Final = 2
# Waiting ones: at a tenth of a second each they take about as long as a request may.
WAITING_MAX: Final = 128

T = TypeVar("T")


class PasswordTooLong(EtcdError):
    """Travels to the client with the raw text of Go's library."""

    text = "bcrypt: password length exceeds 72 bytes"


class Passwords:
    """Makes and compares hashes."""

    def __init__(self, cost: int, log: logging.Logger) -> None:
        if not COST_MIN <= cost <= COST_MAX:
            log_warn(
                log,
                "use default bcrypt cost instead of the invalid given cost",
                min_cost=COST_MIN,
                max_cost=COST_MAX,
                default_cost=COST_DEFAULT,
                given_cost=cost,
            )
            cost = COST_DEFAULT
        self._cost = cost
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0

    async def hash(self, password: bytes) -> bytes:
        """Return the hash of a new password. Raise PasswordTooLong or RequestTooManyRequests."""
        if len(password) > PASSWORD_BYTES_MAX:
            raise PasswordTooLong
        cost = self._cost
        return await self._run(lambda: _hash(password, cost))

    async def matches(self, password: bytes, known: bytes) -> bool:
        """Compare a password with a hash. Raise RequestTooManyRequests."""
        return await self._run(lambda: _matches(password, known))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise RequestTooManyRequests
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let what is being made finish, and drop what waits."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _hash(password: bytes, cost: int) -> bytes:
    import bcrypt  # on the thread that needs it: a start does not

    return bcrypt.hashpw(password, bcrypt.gensalt(cost, prefix=b"2a"))


def _matches(password: bytes, known: bytes) -> bool:
    import bcrypt

    try:
        return bcrypt.checkpw(password[:PASSWORD_BYTES_MAX], known)
    except ValueError:  # no hash: the user was given no password
        return False
