"""What calls bring."""

from __future__ import annotations

from benchmarks.access import OPEN, Access


def test_without_anything_members_are_open() -> None:
    assert (OPEN.flags, OPEN.scheme, OPEN.ssl_context(), OPEN.token) == ((), "http", None, b"")


def test_a_token_belongs_to_its_channel() -> None:
    with Access(token=b"t").channel("127.0.0.1:1") as with_token, OPEN.channel("127.0.0.1:1") as without:
        assert vars(with_token)["token"] == ((b"token", b"t"),)
        assert "token" not in vars(without)
