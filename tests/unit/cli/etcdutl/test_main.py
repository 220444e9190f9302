"""etcdutl's way from words to an exit code, and what its start costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdutl.main import run


def test_a_required_flag_is_asked_for_with_the_usage(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as raised:
        run(["snapshot", "restore", "file"])

    assert (raised.value.code, raised.value.text) == (ERROR, 'required flag(s) "data-dir" not set')
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith('Error: required flag(s) "data-dir" not set\nUsage:\n  etcdutl snapshot restore ')


def test_help_comes_before_what_is_required(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "restore", "--help"]) == 0
    assert capfd.readouterr().out.startswith("Usage:\n")


def test_a_command_that_moved_says_where(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as raised:
        run(["snapshot", "save", "file"])

    assert raised.value.code == BAD_ARGS
    assert capfd.readouterr().err.startswith('Command "save" is deprecated, ')


def test_a_start_brings_in_only_what_it_needs() -> None:
    code = "import sys, etcdpy.cli.etcdutl.main, etcdpy.cli.etcdutl.command.version; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert not modules & {"asyncio", "uvloop", "ssl", "json", "lmdb", "google.protobuf", "dataclasses", "logging"}
