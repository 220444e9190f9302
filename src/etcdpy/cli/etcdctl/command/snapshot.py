"""etcdctl snapshot save | restore | status. The last two are etcdutl's, and live there.

A snapshot is received into `<file>.part`, which becomes `<file>` only when all of it is on the disk: an interrupted
download never looks like a snapshot.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, INTERRUPTED, Exit
from etcdpy.cli.etcdctl.go_text import human_bytes
from etcdpy.cli.etcdctl.session import Session

if TYPE_CHECKING:
    from etcdpy.pb import rpc_pb2 as rpc

PART_SUFFIX: Final = ".part"
# The file holds every key and all users' password hashes.
FILE_MODE: Final = 0o600
# bbolt writes whole pages, so a size says whether the SHA-256 of the rest stands at the end.
SECTOR_BYTES: Final = 512
DIGEST_BYTES: Final = 32


def run_save(session: Session) -> None:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, "snapshot save expects one argument")
    path = session.words[0]
    session.settle()
    session.printer()
    endpoints = session.endpoints
    if len(endpoints) != 1:
        text = f"snapshot must be requested to one selected node, not multiple [{' '.join(endpoints)}]"
        raise Exit(INTERRUPTED, text)
    part = path + PART_SUFFIX
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    except OSError as error:
        reason = f"open {part}: {(error.strerror or '').lower()}"
        raise Exit(INTERRUPTED, f"could not open {part} ({reason})") from None
    _log(session, "created temporary db file", 68, {"path": part})
    with open(descriptor, "wb") as file:
        _receive(session, endpoints[0], file, part)
    os.rename(part, path)
    _sync_directory(os.path.dirname(path) or ".")
    _log(session, "saved", 100, {"path": path})
    print(f"Snapshot saved at {path}")


def _receive(session: Session, endpoint: str, file: BinaryIO, part: str) -> None:
    client = session.new_client([endpoint])
    started = time.monotonic()
    size = 0
    try:
        stream = client.maintenance.snapshot()
        blob: bytes | None = _next_blob(stream)
        _log_opened(session, endpoint)
        while blob is not None:
            size += file.write(blob)
            blob = _next_blob(stream)
    except (EtcdError, OSError) as error:
        if size == 0:
            _log_opened(session, endpoint)
        text = "failed to receive from snapshot stream; closing"
        _log(session, text, 221, {"error": str(error)}, maintenance=True, level="warn")
        os.unlink(part)
        raise Exit(INTERRUPTED, str(error)) from None
    _log(session, "completed snapshot read; closing", 219, {}, maintenance=True)
    file.flush()
    os.fsync(file.fileno())
    if size % SECTOR_BYTES != DIGEST_BYTES:
        raise Exit(INTERRUPTED, f"sha256 checksum not found [bytes: {size}]")
    took = _human_time(time.monotonic() - started)
    _log(session, "fetched snapshot", 91, {"endpoint": endpoint, "size": human_bytes(size), "took": took})


def _next_blob(stream: Iterator[rpc.SnapshotResponse]) -> bytes | None:
    response = next(stream, None)
    return None if response is None else response.blob


def _log_opened(session: Session, endpoint: str) -> None:
    _log(session, "opened snapshot stream; downloading", 211, {}, maintenance=True)
    _log(session, "fetching snapshot", 76, {"endpoint": endpoint})


def run_restore(session: Session) -> None:
    from etcdpy.cli.etcdutl.command.snapshot import restore

    restore(session.flags)


def run_status(session: Session) -> None:
    from etcdpy.cli.etcdutl.command.snapshot import check_status_words, print_status

    check_status_words(session.words)
    print_status(session.words[0], session.printer())


def _sync_directory(path: str) -> None:
    """Make the new name durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _human_time(seconds: float) -> str:
    """Return how long something took, in go-humanize's words."""
    whole = int(seconds)
    if whole < 1:
        return "now"
    for unit_seconds, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        if whole >= unit_seconds:
            amount = whole // unit_seconds
            return f"{amount} {unit}{'s' if amount > 1 else ''} ago"
    return "now"


def _log(
    session: Session,
    message: str,
    line: int,
    fields: dict[str, object],
    *,
    maintenance: bool = False,
    level: str = "info",
) -> None:
    from etcdpy.cli.etcdctl.zap import log_line

    source = "v3/maintenance.go" if maintenance else "snapshot/v3_snapshot.go"
    logger = "client" if maintenance else ""
    session.print_error(log_line(level, message, caller=f"{source}:{line}", logger=logger, fields=fields))
