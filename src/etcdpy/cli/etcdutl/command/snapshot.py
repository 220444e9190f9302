"""etcdutl snapshot restore | status; `etcdctl snapshot` has the same two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.flags import ParsedFlags
from etcdpy.cli.etcdutl.session import Session, print_error

if TYPE_CHECKING:
    from etcdpy.cli.etcdctl.printer.base import Printer


def run_save(session: Session) -> None:
    raise Exit(BAD_ARGS, "In order to download snapshot use: `etcdctl snapshot save ...`")


def run_status(session: Session) -> None:
    check_status_words(session.words)
    print_status(session.words[0], session.printer())


def run_restore(session: Session) -> None:
    restore(session.flags)


def check_status_words(words: list[str]) -> None:
    if len(words) != 1:
        raise Exit(BAD_ARGS, "snapshot status requires exactly one argument")


def print_status(path: str, printer: Printer) -> None:
    """Print what a snapshot file holds."""
    from etcdpy.cli.etcdctl.snapshot_file import SnapshotFileError, snapshot_status

    try:
        status = snapshot_status(path)
    except SnapshotFileError as error:
        raise Exit(ERROR, str(error)) from None
    printer.snapshot_status(status)
    printer.flush()


def restore(flags: ParsedFlags) -> None:
    """Make a data directory from a snapshot, as the flags say."""
    if len(flags.arguments) != 1:
        raise Exit(BAD_ARGS, "snapshot restore requires exactly one argument")
    from etcdpy.cli.etcdutl.restore import Restoration

    Restoration(flags, print_error).run()
