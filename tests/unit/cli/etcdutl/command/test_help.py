"""etcdutl help."""

from __future__ import annotations

import pytest

from etcdpy.cli.etcdutl.main import run


def test_help_of_a_command_is_its_page(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "snapshot", "status"]) == 0
    asked = capfd.readouterr().out
    assert run(["snapshot", "status", "--help"]) == 0
    assert asked == capfd.readouterr().out


def test_an_unknown_topic_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "bogus"]) == 0
    assert capfd.readouterr().err.startswith("Unknown help topic [`bogus`]\nUsage:\n  etcdutl [command]\n")
