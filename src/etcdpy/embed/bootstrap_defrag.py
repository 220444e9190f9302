"""Defragmentation at the start, before anybody is served: `--experimental-bootstrap-defrag-threshold-megabytes`.

Done when it would give at least so much back to the file system; 0 means never.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from etcdpy.base.invariant import StorageError
from etcdpy.base.log import Duration, log_info
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.jobs import JobError

MEGABYTE: Final = 1024 * 1024
# Nobody is served meanwhile, and the copying is another thread's: look seldom.
POLL_SECONDS: Final = 0.01


def maybe_defragment(backend: Backend, threshold_megabytes: int, log: logging.Logger) -> bool:
    """Return whether the store was defragmented. Raise StorageError when that fails: etcd does not start then."""
    if threshold_megabytes == 0:
        return False
    threshold = threshold_megabytes * MEGABYTE
    size, used = backend.size_bytes(), backend.size_in_use_bytes()
    fields = {"current_db_size_bytes": size, "current_db_size_in_use_bytes": used}
    if size - used < threshold:
        text = "Skipping defragmentation"
        log_info(log, text, **fields, experimental_bootstrap_defrag_threshold_bytes=threshold)
        return False
    log_info(log, "defragmenting", **fields)
    started = time.perf_counter()
    _defragment(backend)
    log_info(
        log,
        "finished defragmenting directory",
        current_db_size_bytes_diff=backend.size_bytes() - size,
        current_db_size_bytes=backend.size_bytes(),
        current_db_size_in_use_bytes_diff=backend.size_in_use_bytes() - used,
        current_db_size_in_use_bytes=backend.size_in_use_bytes(),
        took=Duration(time.perf_counter() - started),
    )
    return True


def _defragment(backend: Backend) -> None:
    job = backend.start_defragment()
    try:
        while not job.poll():
            backend.poll(time.monotonic())
            if not backend.has_work():
                time.sleep(POLL_SECONDS)
    except JobError as error:
        raise StorageError(str(error)) from error
