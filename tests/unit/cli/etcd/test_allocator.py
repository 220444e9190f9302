"""The allocator's thresholds."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
from etcdpy.cli.etcd.allocator import keep_freed_memory
keep_freed_memory()
bytearray(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    bytearray(1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES_OF_200_MIB = 200 * (1 << 20) // 4096


def test_freed_memory_is_used_again_without_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)

    assert int(done.stdout) < PAGES_OF_200_MIB // 10
