"""glibc's allocator, told that this process makes large answers all the time.

By default memory above 128 KiB goes back to the kernel as soon as it is free, and every large answer then pays for
fresh pages: a tenth of the time of a range of 1,000 keys. These are settings of the whole process, so the command
makes them, never the library that somebody embeds.
"""

from __future__ import annotations

import ctypes
from typing import Final

# From malloc.h.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
# What may stay unused at the top of the heap, and from which size on a block gets pages of its own.
TRIM_BYTES: Final = 16 * 1024 * 1024
MMAP_BYTES: Final = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """Set both thresholds; a C library without mallopt keeps its own ways."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
