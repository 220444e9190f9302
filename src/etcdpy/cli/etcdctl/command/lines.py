"""Words of a line that was typed into an interactive command (txn, watch -i).

    put key "a value\\n" 'another one'

Blanks separate words. A word that begins with a quotation mark goes to the closing one: Go's escapes hold within "...",
nothing within '...'. A mark that is never closed is left out.
"""

from __future__ import annotations

import re
from typing import Final

from etcdpy.cli.etcdctl.exits import INVALID_INPUT, Exit
from etcdpy.cli.etcdctl.go_text import GoError, unquote

_WORD: Final = re.compile(
    r"""
      "(?P<escaped>(?:[^"\\]|\\.)*)"      # read as a Go string literal
    | '(?P<literal>[^']*)'                # as it is
    | (?P<bare>[^\s"']\S*)
    """,
    re.VERBOSE,
)


def split_line(line: str) -> list[str]:
    """Return the words of a line; a bad escape ends the program, as in etcdctl."""
    words = []
    for match in _WORD.finditer(line):
        if match["escaped"] is not None:
            try:
                words.append(unquote(match[0]).decode("utf-8", "surrogateescape"))
            except GoError as error:
                raise Exit(INVALID_INPUT, str(error)) from None
        else:
            words.append(match["bare"] if match["bare"] is not None else match["literal"])
    return words
