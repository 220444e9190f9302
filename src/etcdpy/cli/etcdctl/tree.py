"""The tree of commands, and how words find their way through it as in Go's cobra.

Rules
  * A name may be shortened as long as it stays unique among its siblings (`vers`, `lease gran`).
  * Flags may stand before the name. A flag without `=` that is not known to be boolean takes the next word with it,
    also when the flag is not known at all here.
  * An unknown first word is an error with suggestions; behind a group (`lease bogus`) it is left to the group, which
    prints its help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from etcdpy.cli.etcdctl.flags import BOOL, Flag, FlagSet

# How many letters may be wrong in a name that is suggested.
SUGGESTION_DISTANCE_MAX: Final = 2

HELP_FLAG_NAME: Final = "help"


class Command:
    """A command, or a group of them. `module` names the file in `command` that runs it."""

    __slots__ = (
        "name",
        "arguments",
        "summary",
        "details",
        "flags",
        "module",
        "function",
        "children",
        "deprecated",
        "required",
        "shows_flags",
    )

    def __init__(
        self,
        name: str,
        arguments: str,
        summary: str,
        *,
        details: str = "",
        flags: Sequence[Flag] = (),
        module: str = "",
        function: str = "run",
        children: Sequence[Command] = (),
        deprecated: str = "",
        required: Sequence[str] = (),
        shows_flags: bool = True,
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.summary = summary
        self.details = details
        self.flags = flags
        self.module = module
        self.function = function
        self.children = children
        self.deprecated = deprecated
        self.required = required  # flags that must be given
        self.shows_flags = shows_flags  # whether its usage line ends in [flags]

    def find_child(self, word: str) -> Command | None:
        """Return the child called `word`, or the only one whose name begins so."""
        matches = [child for child in self.children if child.name.startswith(word)]
        exact = next((child for child in matches if child.name == word), None)
        return exact or (matches[0] if len(matches) == 1 else None)


class Found:
    """Where a command line led: the path from the root (its last item is the command) and the words left."""

    __slots__ = ("path", "words")

    def __init__(self, path: list[Command], words: list[str]) -> None:
        self.path = path
        self.words = words

    @property
    def command(self) -> Command:
        return self.path[-1]


class UnknownCommand(Exception):
    """The first word is no command; the text is cobra's, suggestions included."""


def find(root: Command, global_flags: FlagSet, words: Sequence[str]) -> Found:
    """Follow the words from the root; raises UnknownCommand."""
    path = [root]
    left = list(words)
    known = global_flags
    while (at := _first_argument(left, known)) is not None:
        child = path[-1].find_child(left[at]) if left[at] else None
        if child is None:
            if len(path) == 1:
                raise UnknownCommand(_unknown_text(root, left[at]))
            break
        path.append(child)
        del left[at]
        if not child.children:
            break
        if child.flags:
            known = FlagSet([*child.flags, *known.by_name.values()])
    return Found(path, left)


def _first_argument(words: Sequence[str], flags: FlagSet) -> int | None:
    """Return the place of the first word that is neither a flag nor a flag's value."""
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return None
        if not word.startswith("-") or word == "-":
            return at
        at += 2 if _takes_next_word(word, flags) else 1
    return None


def _takes_next_word(word: str, flags: FlagSet) -> bool:
    if "=" in word:
        return False
    if word.startswith("--"):
        flag = flags.by_name.get(word[2:])
    elif len(word) == 2:
        flag = flags.by_shorthand.get(word[1:])
    else:
        return False
    return flag is None or flag.kind != BOOL


def _unknown_text(root: Command, word: str) -> str:
    lines = [f'unknown command "{word}" for "{root.name}"']
    suggested = [child.name for child in root.children if _is_similar(word, child.name)]
    if suggested:
        lines += ["", "Did you mean this?", *(f"\t{name}" for name in suggested), ""]
    return "\n".join(lines)


def _is_similar(word: str, name: str) -> bool:
    word, name = word.lower(), name.lower()
    return name.startswith(word) or _distance(word, name) <= SUGGESTION_DISTANCE_MAX


def _distance(left: str, right: str) -> int:
    """Return how many letters must be added, dropped or changed to get from one to the other."""
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (letter != other))
    return row[-1]
