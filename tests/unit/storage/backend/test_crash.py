"""SIGKILL at random moments: the consistent index on disk and the effects on disk are always those of one entry."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets
from etcdpy.storage.schema.revisions import encode_revision

pytestmark = pytest.mark.slow

KEPT = 500
ROUNDS = 6

# Each entry adds a revision, removes an old one and rewrites a counter. After each commit it says how far it is.
WRITER = f"""
import sys, time
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets
from etcdpy.storage.schema.revisions import encode_revision

backend = Backend.open(sys.argv[1], batch_interval_seconds=0.002, batch_limit=700)
index, said, commits = backend.consistent_index, -1, 0
while True:
    for _ in range(20):
        index += 1
        backend.put(buckets.KEY, encode_revision(index, 0), b"%d" % index * 30)
        if index > {KEPT}:
            backend.delete(buckets.KEY, encode_revision(index - {KEPT}, 0))
        backend.put(buckets.LEASE, b"counter", b"%d" % index)
        backend.end_entry(index, index // 1000 + 1)
    backend.poll(time.monotonic())
    if backend.committed_index != said:
        said = backend.committed_index
        commits += 1
        if commits % 6 == 1:
            backend.start_defragment()
        print(said, flush=True)
"""


def check_store(directory: Path) -> int:
    """Return the consistent index of a store that agrees with itself."""
    backend = Backend.open(directory)
    index = backend.consistent_index
    counter = backend.get(buckets.LEASE, b"counter")
    items = backend.scan(buckets.KEY, b"", None)
    backend.close()
    assert counter == (b"%d" % index if index else None)
    assert backend.term == (index // 1000 + 1 if index else 0)
    first = max(1, index - KEPT + 1)
    assert items == [(encode_revision(main, 0), b"%d" % main * 30) for main in range(first, index + 1)]
    return index


def test_index_and_effects_agree_after_every_kill(tmp_path: Path) -> None:
    random_ = random.Random(20)
    for _ in range(ROUNDS):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            reported = [process.stdout.readline() for _ in range(random_.randrange(1, 30))]
        finally:
            process.kill()
            rest = process.stdout.read()
            process.stdout.close()
            process.wait()
        lines = [*reported, *rest.splitlines(keepends=True)]
        promised = max(int(line) for line in lines if line.endswith(b"\n"))
        assert check_store(tmp_path) >= promised
    assert check_store(tmp_path) > 0


# A file size limit is the disk-full that needs no disk: writes beyond it fail.
FILLER = """
import resource, sys
from etcdpy.base.invariant import StorageError
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets
from etcdpy.storage.schema.revisions import encode_revision

backend = Backend.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
index = 0
try:
    while True:
        index += 1
        backend.put(buckets.KEY, encode_revision(index, 0), bytes(5000))
        backend.end_entry(index, 1)
        if index % 50 == 0:
            backend.flush()
            print(index, flush=True)
except StorageError as error:
    print(error)
    try:
        backend.put(buckets.KEY, b"later", b"")
    except StorageError:
        backend.close()
        print("refused")
"""


def test_a_full_disk_stops_the_backend_and_keeps_what_was_committed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILLER, str(tmp_path)]
    *promised, error, refused = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.splitlines()
    assert error.startswith("backend: mdb_txn_commit: ") and refused == "refused"
    backend = Backend.open(tmp_path)
    assert backend.consistent_index == int(promised[-1])
    assert len(backend.scan(buckets.KEY, b"", None)) == int(promised[-1])
    backend.close()
