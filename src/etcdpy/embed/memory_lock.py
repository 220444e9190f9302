"""`--experimental-memory-mlock`: what the member has in memory stays there, neither swapped out nor dropped.

The store is a file that LMDB maps into memory, with room to grow: 1 TiB of addresses, of which only what exists of the
file costs anything. So all of the process is locked, and each page in the moment in which it is first used
(MCL_ONFAULT): the store as it is read at the start, what it grows by, and what replaces it later. etcd locks its
database file only.

The kernel counts addresses, not pages, against RLIMIT_MEMLOCK: the limit must be infinite, or the process privileged
(CAP_IPC_LOCK). etcd, too, does not start when it may not lock. The lock lasts as long as the process.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
from typing import Final

from etcdpy.base.log import log_info
from etcdpy.embed.errors import StartError

# Of Linux's <sys/mman.h>.
MCL_CURRENT: Final = 1
MCL_FUTURE: Final = 2
MCL_ONFAULT: Final = 4


def lock_memory(log: logging.Logger) -> None:
    """Lock this process's memory. Raise StartError when the system does not allow it."""
    # Of the C library that is loaded anyway: no name of a file that differs from system to system.
    mlockall = getattr(ctypes.CDLL(None, use_errno=True), "mlockall", None)
    if mlockall is None:
        raise StartError("--experimental-memory-mlock: this system cannot lock memory")
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    limit = "infinite" if soft == resource.RLIM_INFINITY else f"{soft} bytes"
    if mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0:
        reason = os.strerror(ctypes.get_errno()).lower()
        raise StartError(
            f"--experimental-memory-mlock: mlockall: {reason} (RLIMIT_MEMLOCK is {limit}; it must be infinite, "
            "or the process must have CAP_IPC_LOCK)"
        )
    log_info(log, "locked the memory of this process, the store included", memlock_limit=limit)
