"""New passwords from a standard input that is no terminal. tests/compat/test_etcdctl_auth_real.py shows the rest."""

from __future__ import annotations

import io

import pytest

from etcdpy.cli.etcdctl.exits import BAD_ARGS, Exit
from etcdpy.cli.etcdctl.password import ask, read_password


def give(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.mark.parametrize(
    ("text", "password"), [(b"", b""), (b"\n", b""), (b"pw", b"pw"), (b"  pw more\n", b"pw"), (b"\xff\n", b"\xff")]
)
def test_one_word_is_read(text: bytes, password: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, text)
    assert read_password("a", interactive=False) == password


def test_two_lines_must_agree(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    give(monkeypatch, b"p w\np w\n")
    assert read_password("a", interactive=True) == b"p w"
    assert capsys.readouterr().out == "Password of a: \nType password of a again for confirmation: \n"


@pytest.mark.parametrize(
    ("text", "error"),
    [(b"", "empty password"), (b"a\nb\n", "given passwords are different"), (b"\na\n", "empty password")],
)
def test_what_is_no_password_ends_the_command(text: bytes, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, text)
    with pytest.raises(Exit, match=error) as caught:
        read_password("a", interactive=True)
    assert caught.value.code == BAD_ARGS


def test_a_line_is_kept_but_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, b" x \r\n")
    assert ask("?") == b" x "
