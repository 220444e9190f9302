"""Usage texts in etcdctl's layout. Written to standard output, also when they follow an error.

Columns are set by tab stops of eight, each column as wide as its longest entry needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from etcdpy.base.version import CLUSTER_VERSION, VERSION
from etcdpy.cli.etcdctl.flags import BOOL, STRING, STRINGS, Flag
from etcdpy.cli.etcdctl.table import ROOT, flags_of, inherited_flags, own_flags
from etcdpy.cli.etcdctl.tree import Command

API_VERSION: Final = CLUSTER_VERSION.rpartition(".")[0]
TAB_COLUMNS: Final = 8


def usage_text(path: list[Command]) -> str:
    """Return the help page of the last command of `path`."""
    command = path[-1]
    name = " ".join(part.name for part in path[1:]) or command.name
    lines = ["NAME:", f"\t{name} - {command.summary}", "", "USAGE:", f"\t{_usage_line(path)}"]
    if command is ROOT:
        lines += ["", "VERSION:", f"\t{VERSION}"]
    if command.children:
        lines += ["", "API VERSION:", f"\t{API_VERSION}", "", ""]
        lines += ["COMMANDS:", *_align([(name, text) for name, text in _commands(command)], first_tabs=1)]
    if command.details:
        lines += ["", "DESCRIPTION:", *("\t" + line for line in command.details.split("\n"))]
    if command is ROOT:
        lines += ["", "OPTIONS:", *_flag_lines(flags_of(path))]
    else:
        lines += ["", "OPTIONS:", *_flag_lines(own_flags(path))]
        lines += ["", "GLOBAL OPTIONS:", *_flag_lines(inherited_flags(path))]
    return "\n".join([*lines, "", ""])


def _usage_line(path: list[Command]) -> str:
    names = " ".join(part.name for part in path)
    return " ".join(part for part in (names, path[-1].arguments, "[flags]") if part)


def _commands(command: Command) -> Iterable[tuple[str, str]]:
    """Return every runnable command below with its path, sorted."""
    for child in sorted(command.children, key=lambda child: child.name):
        if child.children:
            yield from ((f"{child.name} {name}", text) for name, text in _commands(child))
        else:
            yield child.name, child.summary


def _flag_lines(flags: Iterable[Flag]) -> list[str]:
    by_name = sorted(flags, key=lambda flag: flag.name)
    return _align([(_flag_head(flag), flag.usage) for flag in by_name], first_tabs=0)


def _flag_head(flag: Flag) -> str:
    short = f"-{flag.shorthand}, " if flag.shorthand else "    "
    if flag.kind == BOOL:
        return f"  {short}--{flag.name}[={flag.default}]"
    if flag.kind == STRING:
        return f'  {short}--{flag.name}="{flag.default}"'
    if flag.kind == STRINGS:
        return f"  {short}--{flag.name}=[{flag.default}]"
    return f"  {short}--{flag.name}={flag.default}"


def _align(rows: list[tuple[str, str]], *, first_tabs: int) -> list[str]:
    """Set the second column at a common tab stop."""
    widest = max(len(head) for head, _ in rows)
    stop = (widest // TAB_COLUMNS + 1) * TAB_COLUMNS
    return ["\t" * first_tabs + head + "\t" * -((len(head) - stop) // TAB_COLUMNS) + text for head, text in rows]
