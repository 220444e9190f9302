"""etcdutl: find the command, parse its flags, run it, exit with its code.

The road is etcdctl's (`etcdpy.cli.etcdctl.main`); texts and layouts are cobra's own here. Nothing is imported that the
command at hand does not need.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Protocol, cast

from etcdpy.cli.etcdctl.exits import ERROR, OK, Exit
from etcdpy.cli.etcdctl.flags import FlagError, FlagSet, ParsedFlags
from etcdpy.cli.etcdctl.tree import Command, UnknownCommand, find
from etcdpy.cli.etcdutl.session import Session, print_error
from etcdpy.cli.etcdutl.table import ROOT, ROOT_FLAGS, flags_of


class _Runner(Protocol):
    def __call__(self, session: Session) -> None: ...


def main() -> int:
    """Run etcdutl with the process's arguments; return the exit code."""
    try:
        code = run(sys.argv[1:])
    except Exit as exit_:
        if exit_.text is not None:
            print_error(f"Error: {exit_.text}\n")
        code = exit_.code
    sys.stdout.flush()
    return code


def run(words: list[str]) -> int:
    """Run one command line. Raises Exit for everything that does not go well."""
    try:
        found = find(ROOT, ROOT_FLAGS, words)
    except UnknownCommand as error:
        print_error(f"Error: {error}\nRun 'etcdutl --help' for usage.\n")
        raise Exit(ERROR, str(error)) from None
    command = found.command
    if command.deprecated:
        print_error(f'Command "{command.name}" is deprecated, {command.deprecated}\n')
    try:
        flags = FlagSet(flags_of(found.path)).parse(found.words)
        if flags.boolean("help") or not command.module:
            print(_usage(found.path), end="")
            return OK
        _check_required(command, flags)
    except FlagError as error:
        print_error(f"Error: {error}\n{_usage(found.path)}\n")
        raise Exit(ERROR, str(error)) from None
    module = import_module(f"etcdpy.cli.etcdutl.command.{command.module}")
    runner = cast(_Runner, getattr(module, command.function))
    runner(Session(flags))
    return OK


def _check_required(command: Command, flags: ParsedFlags) -> None:
    missing = [name for name in sorted(command.required) if not flags.is_given(name)]
    if missing:
        raise FlagError("required flag(s) " + ", ".join(f'"{name}"' for name in missing) + " not set")


def _usage(path: list[Command]) -> str:
    from etcdpy.cli.etcdutl.help import usage_text

    return usage_text(path)


if __name__ == "__main__":
    # As etcdctl: nothing is left to tidy up.
    status = main()
    sys.stderr.flush()
    os._exit(status)
