"""Locked memory, as the kernel counts it; and the refusal of a process that may not lock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.ours import ours_binary
from tests.reference import start_reference_etcd

LOCK = """
import os, resource, sys
from etcdpy.base.log import silent_logger
from etcdpy.embed.errors import StartError
from etcdpy.embed.memory_lock import lock_memory

if sys.argv[1] == "unprivileged":
    # Another user has no capabilities.
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.getuid() == 0:
        os.setuid(65534)
try:
    lock_memory(silent_logger())
except StartError as error:
    print(error)
else:
    print(open("/proc/self/status").read())
"""


def run(how: str) -> str:
    done = subprocess.run([sys.executable, "-c", LOCK, how], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_who_may_not_lock_is_told_what_it_takes() -> None:
    assert "mlockall: cannot allocate memory (RLIMIT_MEMLOCK is 65536 bytes; it must be infinite" in run("unprivileged")


def test_memory_is_locked() -> None:
    told = run("privileged")
    found = re.search(r"VmLck:\s+(\d+) kB", told)

    # Without the capability and with a limit it is refused, as above: nothing is done halfway.
    assert int(found[1]) > 0 if found else "--experimental-memory-mlock: mlockall: " in told


def test_the_flag_locks_the_memory_of_a_member(tmp_path: Path) -> None:
    try:
        running = start_reference_etcd(tmp_path, binary=ours_binary("etcd"), flags=["--experimental-memory-mlock"])
    except RuntimeError as error:
        assert "--experimental-memory-mlock: mlockall: " in str(error)
        return
    with running:
        found = re.search(r"VmLck:\s+(\d+) kB", Path(f"/proc/{running.pid}/status").read_text())
    assert found and int(found[1]) > 0
