"""Every command about authentication leads to a function that is there."""

from __future__ import annotations

from importlib import import_module

import pytest

from etcdpy.cli.etcdctl.table import ROOT
from etcdpy.cli.etcdctl.table_auth import AUTH, ROLE, USER
from etcdpy.cli.etcdctl.tree import Command


@pytest.mark.parametrize("group", [AUTH, USER, ROLE], ids=lambda group: group.name)
def test_commands_run(group: Command) -> None:
    assert ROOT.find_child(group.name) is group
    for child in group.children:
        assert callable(getattr(import_module(f"etcdpy.cli.etcdctl.command.{child.module}"), child.function))
