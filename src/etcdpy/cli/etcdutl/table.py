"""Every command and flag of etcdutl, as data.

Names, defaults and argument notations are etcdutl 3.5's; the descriptions are ours.
"""

from __future__ import annotations

from typing import Final

from etcdpy.cli.etcdctl.flags import BOOL, STRING, Flag, FlagSet
from etcdpy.cli.etcdctl.tree import Command
from etcdpy.cli.etcdutl.restore_flags import RESTORE_FLAGS

WRITE_OUT: Final = Flag(
    "write-out", STRING, "simple", "output format: fields, json, protobuf, simple or table", shorthand="w"
)

SNAPSHOT: Final = Command(
    "snapshot",
    "",
    "Inspect snapshots, and begin with one",
    children=(
        Command(
            "save",
            "<filename>",
            "Is a command of etcdctl",
            module="snapshot",
            function="run_save",
            deprecated="Use `etcdctl snapshot save` to download snapshot",
            shows_flags=False,
        ),
        Command(
            "restore",
            "<filename> --data-dir {output dir} [options]",
            "Makes a member's data directory from a snapshot",
            flags=RESTORE_FLAGS,
            module="snapshot",
            function="run_restore",
            required=("data-dir",),
        ),
        Command(
            "status",
            "<filename>",
            "Shows hash, revision, number of keys and size of a snapshot file",
            module="snapshot",
            function="run_status",
        ),
    ),
)

ROOT: Final = Command(
    "etcdutl",
    "",
    "Works on the files of etcd, without a server",
    children=(
        Command(
            "defrag",
            "",
            "Gives unused space of a stopped member back",
            flags=(Flag("data-dir", STRING, "", "Required. Data directory of the stopped member"),),
            module="defrag",
            required=("data-dir",),
        ),
        SNAPSHOT,
        Command("version", "", "Prints the version", module="version"),
        Command("completion", "bash", "Prints a script that completes command lines", module="completion"),
        Command("help", "[command]", "Explains a command", module="help"),
    ),
)


def own_flags(path: list[Command]) -> list[Flag]:
    """Return the flags of the last command alone, `--help` included; the root's are all it has."""
    command = path[-1]
    flags = [*command.flags, Flag("help", BOOL, "false", f"help for {command.name}", shorthand="h")]
    return [*flags, WRITE_OUT] if len(path) == 1 else flags


def flags_of(path: list[Command]) -> list[Flag]:
    """Return all flags a command knows."""
    return own_flags(path) if len(path) == 1 else [*own_flags(path), WRITE_OUT]


# What is known before the command is: enough to tell flags from commands.
ROOT_FLAGS: Final = FlagSet(flags_of([ROOT]))
