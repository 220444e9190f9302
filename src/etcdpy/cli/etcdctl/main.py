"""etcdctl: find the command, parse its flags, run it, exit with its code.

    words > tree.find > flags.parse > command/<module>.run(session) > exit code

Start-up time is a feature: nothing is imported here that the command at hand does not need. The command's module
brings in what it stands on.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Final, Protocol, cast

from etcdpy.cli.etcdctl.exits import ERROR, OK, Exit
from etcdpy.cli.etcdctl.flags import FlagError, FlagSet
from etcdpy.cli.etcdctl.output import die_of_closed_output
from etcdpy.cli.etcdctl.session import Session
from etcdpy.cli.etcdctl.table import ROOT, ROOT_FLAGS, flags_of
from etcdpy.cli.etcdctl.tree import Command, UnknownCommand, find

API_VARIABLE: Final = "ETCDCTL_API"


class _Runner(Protocol):
    def __call__(self, session: Session) -> None: ...


def main() -> int:
    """Run etcdctl with the process's arguments; return the exit code."""
    _die_of_an_interrupt()
    die_of_closed_output()
    api = os.environ.pop(API_VARIABLE, "")
    if api not in ("", "3"):
        _print_error(f"unsupported API version: {api}\n")
        return ERROR
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except Exit as exit_:
        sys.stdout.flush()
        if exit_.text is not None:
            _print_error(f"Error: {exit_.text}\n")
        code = exit_.code
    # Nothing is left to tidy up; what the interpreter would do now costs more than the command did.
    sys.stderr.flush()
    os._exit(code)


def run(words: list[str]) -> int:
    """Run one command line. Raises Exit for everything that does not go well."""
    try:
        found = find(ROOT, ROOT_FLAGS, words)
    except UnknownCommand as error:
        _print_error(f"Error: {error}\nRun 'etcdctl --help' for usage.\n")
        raise Exit(ERROR, str(error)) from None
    try:
        flags = FlagSet(flags_of(found.path)).parse(found.words)
    except FlagError as error:
        _print_error(f"Error: {error}\n")
        _print_usage(found.path)
        _print_error("\n")
        raise Exit(ERROR, str(error)) from None
    command = found.command
    if flags.boolean("help") or not command.module:
        _print_usage(found.path)
        return OK
    if command.deprecated:
        _print_error(f"Deprecated: {command.deprecated}\n\n")
    module = import_module(f"etcdpy.cli.etcdctl.command.{command.module}")
    runner = cast(_Runner, getattr(module, command.function))
    runner(Session(flags, os.environ))
    return OK


def _print_usage(path: list[Command]) -> None:
    from etcdpy.cli.etcdctl.help import usage_text

    sys.stdout.write(usage_text(path))
    sys.stdout.flush()


def _print_error(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.buffer.write(os.fsencode(text))
    sys.stderr.flush()


def _die_of_an_interrupt() -> None:
    """Die of it at once and silently, as compiled tools do."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
