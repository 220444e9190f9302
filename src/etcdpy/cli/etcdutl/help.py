"""Usage texts in cobra's own layout, which etcdutl has (etcdctl's is another)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from etcdpy.cli.etcdctl.flags import BOOL, STRING, Flag
from etcdpy.cli.etcdctl.tree import Command
from etcdpy.cli.etcdutl.table import WRITE_OUT, own_flags

NAME_COLUMNS_MIN: Final = 11


def usage_text(path: list[Command]) -> str:
    """Return the help page of the last command of `path`."""
    command = path[-1]
    name = " ".join(part.name for part in path)
    lines = ["Usage:"]
    if command.children:
        lines += [f"  {name} [command]", "", "Available Commands:", *_command_lines(command)]
    else:
        parts = (name, command.arguments, "[flags]" if command.shows_flags else "")
        lines.append("  " + " ".join(part for part in parts if part))
    lines += ["", "Flags:", *_flag_lines(own_flags(path))]
    if len(path) > 1:
        lines += ["", "Global Flags:", *_flag_lines([WRITE_OUT])]
    if command.children:
        lines += ["", f'Use "{name} [command] --help" for more information about a command.']
    return "\n".join([*lines, ""])


def _command_lines(command: Command) -> Iterable[str]:
    shown = sorted((child for child in command.children if not child.deprecated), key=lambda child: child.name)
    columns = max(NAME_COLUMNS_MIN, *(len(child.name) for child in command.children))
    return (f"  {child.name:<{columns}} {child.summary}" for child in shown)


def _flag_lines(flags: list[Flag]) -> Iterable[str]:
    by_name = sorted(flags, key=lambda flag: flag.name)
    columns = max(len(_head(flag)) for flag in by_name)
    return (f"{_head(flag):<{columns}}   {flag.usage}{_default(flag)}" for flag in by_name)


def _head(flag: Flag) -> str:
    short = f"-{flag.shorthand}, " if flag.shorthand else "    "
    return f"  {short}--{flag.name}" + (" string" if flag.kind == STRING else "")


def _default(flag: Flag) -> str:
    if flag.kind == BOOL:
        return " (default true)" if flag.default == "true" else ""
    return f' (default "{flag.default}")' if flag.default else ""
