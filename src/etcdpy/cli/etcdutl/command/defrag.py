"""etcdutl defrag --data-dir: give unused space back while no member works there. So does `etcdctl defrag --data-dir`.

A directory of ours has a store (LMDB), one of a Go member or a fresh restore has `member/snap/db` alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from etcdpy.base.invariant import StorageError
from etcdpy.cli.etcdctl.exits import ERROR, Exit
from etcdpy.cli.etcdctl.go_text import human_bytes
from etcdpy.cli.etcdctl.zap import console_line
from etcdpy.cli.etcdutl.session import Session, print_error
from etcdpy.storage.backend.offline import StoreSize, defragment_store
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.bolt.rewrite import defragment_bolt

# What etcd's own tool ends with when it cannot open a database: it panics.
PANICKED: Final = 2
# Only a wait that the user notices is spoken of.
PATIENCE_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.05


def run(session: Session) -> None:
    defragment(session.flags.string("data-dir"))


def defragment(data_dir: str) -> None:
    """Defragment the database of a data directory; wait while a member has it open."""
    member = os.path.join(data_dir, "member")
    store = os.path.join(member, "store")
    is_ours = os.path.exists(os.path.join(store, "current"))
    path = store if is_ours else os.path.normpath(os.path.join(member, "snap", "db"))
    try:
        _wait_unlocked(os.path.join(store, "lock") if is_ours else path, path)
    except OSError as error:
        text = f"failed to open database: open {error.filename}: {(error.strerror or '').lower()}"
        raise Exit(PANICKED, text) from None
    try:
        _run(path, _defragment_store if is_ours else _defragment_bolt)
    except StorageError as error:
        raise Exit(ERROR, str(error)) from None


def _defragment_store(path: Path, on_begin: Callable[[StoreSize], None]) -> StoreSize:
    return defragment_store(path, on_begin)


def _defragment_bolt(path: Path, on_begin: Callable[[StoreSize], None]) -> StoreSize:
    with BoltReader(path) as reader:
        on_begin(StoreSize(reader.size_bytes(), reader.used_bytes()))
        size = defragment_bolt(reader, path)
    return StoreSize(size, size)


def _run(path: str, work: Callable[[Path, Callable[[StoreSize], None]], StoreSize]) -> None:
    began = time.monotonic()
    before: list[StoreSize] = []

    def on_begin(size: StoreSize) -> None:
        before.append(size)
        _log("defragmenting", 481, {"path": path, **_size_fields(size)})

    after = work(Path(path), on_begin)
    fields = {
        "path": path,
        "current-db-size-bytes-diff": after.total - before[0].total,
        "current-db-size-bytes": after.total,
        "current-db-size": human_bytes(after.total),
        "current-db-size-in-use-bytes-diff": after.used - before[0].used,
        "current-db-size-in-use-bytes": after.used,
        "current-db-size-in-use": human_bytes(after.used),
        "took": round(time.monotonic() - began, 9),
    }
    _log("finished defragmenting directory", 539, fields)


def _size_fields(size: StoreSize) -> dict[str, object]:
    return {
        "current-db-size-bytes": size.total,
        "current-db-size": human_bytes(size.total),
        "current-db-size-in-use-bytes": size.used,
        "current-db-size-in-use": human_bytes(size.used),
    }


def _wait_unlocked(lock: str, shown: str) -> None:
    """Wait until no process holds the lock; after a while, say what for. Raise OSError."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(POLL_SECONDS)
        print_error(
            f'waiting for etcd to close and release its lock on "{shown}". '
            "To defrag a running etcd instance, omit --data-dir.\n"
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _log(message: str, line: int, fields: dict[str, object]) -> None:
    print_error(console_line("info", message, caller=f"backend/backend.go:{line}", fields=fields))
