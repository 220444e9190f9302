"""Hashes of passwords, at the lowest cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from etcdpy.base.errors import RequestTooManyRequests
from etcdpy.base.log import silent_logger
from etcdpy.server import passwords as module
from etcdpy.server.passwords import Passwords, PasswordTooLong


def run(work: Callable[[Passwords], Awaitable[Any]], cost: int = 4) -> Any:
    async def scenario() -> Any:
        passwords = Passwords(cost, silent_logger())
        try:
            return await work(passwords)
        finally:
            passwords.close()

    return asyncio.run(scenario())


def test_a_hash_is_go_s_and_fits_its_password_only() -> None:
    async def work(passwords: Passwords) -> None:
        known = await passwords.hash(b"secret")
        assert known.startswith(b"$2a$04$") and len(known) == 60
        assert await passwords.matches(b"secret", known)
        assert not await passwords.matches(b"Secret", known)
        assert await passwords.hash(b"secret") != known, "each has its own salt"

    run(work)


def test_long_passwords() -> None:
    async def work(passwords: Passwords) -> None:
        known = await passwords.hash(b"x" * 72)
        assert await passwords.matches(b"x" * 72 + b"beyond", known)
        with pytest.raises(PasswordTooLong, match="exceeds 72 bytes"):
            await passwords.hash(b"x" * 73)

    run(work)


@pytest.mark.parametrize("known", [b"", b"noise", b"$2a$04$short"])
def test_what_is_no_hash_fits_nothing(known: bytes) -> None:
    assert run(lambda passwords: passwords.matches(b"", known)) is False


def test_bytes_of_any_kind() -> None:
    async def work(passwords: Passwords) -> None:
        for password in (b"", b"a\0b", b"\xff\xfe"):
            assert await passwords.matches(password, await passwords.hash(password))

    run(work)


def test_a_cost_that_is_none_is_the_default() -> None:
    async def work(passwords: Passwords) -> bytes:
        return await passwords.hash(b"secret")

    for cost in (3, 32):
        assert run(work, cost).startswith(b"$2a$10$")


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 3)

    async def work(passwords: Passwords) -> list[Any]:
        return await asyncio.gather(*(passwords.hash(b"x") for _ in range(5)), return_exceptions=True)

    results = run(work)
    assert [type(result) for result in results[3:]] == [RequestTooManyRequests] * 2
    assert all(isinstance(result, bytes) for result in results[:3])
