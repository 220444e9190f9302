"""What one run of etcdutl works with: flags, the printer, the two outputs. There is no server and no environment."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from etcdpy.cli.etcdctl.exits import BAD_FEATURE, Exit
from etcdpy.cli.etcdctl.flags import ParsedFlags
from etcdpy.cli.etcdctl.printer.choice import FORMATS, make_printer

if TYPE_CHECKING:
    from etcdpy.cli.etcdctl.printer.base import Printer


class Session:
    """One command's run."""

    def __init__(self, flags: ParsedFlags) -> None:
        self.flags = flags

    @property
    def words(self) -> list[str]:
        return self.flags.arguments

    def printer(self) -> Printer:
        """Return the printer of the wanted format."""
        name = self.flags.string("write-out")
        if name not in FORMATS:
            raise Exit(BAD_FEATURE, "unsupported output format")
        return make_printer(name, sys.stdout.buffer, hex_wanted=False)


def print_error(text: str) -> None:
    """Write to standard error, after what standard output holds."""
    sys.stdout.flush()
    sys.stderr.buffer.write(os.fsencode(text))
    sys.stderr.flush()
