"""The table of commands: everything it names is there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from etcdpy.cli.etcdctl.tree import Command
from etcdpy.cli.etcdutl.table import ROOT, flags_of


def paths(path: list[Command]) -> Iterator[list[Command]]:
    yield path
    for child in path[-1].children:
        yield from paths([*path, child])


def test_every_command_has_its_function() -> None:
    for path in paths([ROOT]):
        command = path[-1]
        if command.children:
            continue
        module = import_module(f"etcdpy.cli.etcdutl.command.{command.module}")
        assert callable(getattr(module, command.function)), command.name


def test_required_flags_exist_and_no_flag_is_there_twice() -> None:
    for path in paths([ROOT]):
        names = [flag.name for flag in flags_of(path)]
        assert len(set(names)) == len(names)
        assert set(path[-1].required) <= set(names)
