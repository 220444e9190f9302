"""The layout of help pages; that it is cobra's: tests/compat/test_etcdutl_real.py."""

from __future__ import annotations

from etcdpy.cli.etcdctl.flags import BOOL, STRING, Flag
from etcdpy.cli.etcdctl.tree import Command
from etcdpy.cli.etcdutl.help import usage_text

LEAF = Command(
    "leaf",
    "<file>",
    "does it",
    flags=(Flag("quick", BOOL, "true", "be quick"), Flag("path", STRING, "/x", "where"), Flag("y", STRING, "", "why")),
)
GROUP = Command("tool", "", "a tool", children=(LEAF, Command("old", "", "moved", deprecated="elsewhere")))


def test_a_command_shows_its_flags_aligned_with_their_defaults() -> None:
    assert usage_text([GROUP, LEAF]).splitlines()[:7] == [
        "Usage:",
        "  tool leaf <file> [flags]",
        "",
        "Flags:",
        "  -h, --help          help for leaf",
        '      --path string   where (default "/x")',
        "      --quick         be quick (default true)",
    ]


def test_a_group_shows_its_commands_but_not_those_that_moved() -> None:
    text = usage_text([GROUP])
    assert "  leaf        does it\n" in text
    assert "moved" not in text
