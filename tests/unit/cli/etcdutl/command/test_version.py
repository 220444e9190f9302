"""etcdutl version."""

from __future__ import annotations

import pytest

from etcdpy.base.version import VERSION
from etcdpy.cli.etcdutl.main import run


def test_the_version_is_that_of_the_server(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert capfd.readouterr().out == f"etcdutl version: {VERSION}\nAPI version: 3.5\n"
