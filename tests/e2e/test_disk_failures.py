"""A disk that refuses writes under load: the member ends, has acknowledged nothing that is not durable, and recovers.

The kernel refuses for us: RLIMIT_FSIZE, set on the running member, makes every write beyond an offset fail (EFBIG).
"""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client
from tests.e2e.writers import Ledger, Writers
from tests.ours import ours_binary
from tests.reference import RunningEtcd, free_port, start_reference_etcd

pytestmark = pytest.mark.slow

MIB: Final = 1 << 20
# The store then writes nothing while a test lasts: what fails is the log.
STORE_AT_REST: Final = ("--backend-batch-interval=1h", "--backend-batch-limit=1000000")
WAL_SEGMENT_BYTES: Final = 64_000_000
END_SECONDS_MAX: Final = 60.0


class Home:
    """A member that is started again on the same data and ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = free_port(), free_port()

    def start(self, *flags: str) -> RunningEtcd:
        client, peer = self._ports
        return start_reference_etcd(
            self._folder, client_port=client, peer_port=peer, binary=ours_binary("etcd"), flags=flags
        )

    def last_words(self) -> dict[str, Any]:
        """The last line of the log."""
        words: dict[str, Any] = json.loads((self._folder / "default.log").read_text().splitlines()[-1])
        return words


def refuse_writes_beyond(server: RunningEtcd, offset: int) -> None:
    """From now on no file of this member grows beyond `offset` bytes, nor is one changed there."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (offset, offset))


def store_bytes(server: RunningEtcd) -> int:
    return max(path.stat().st_size for path in server.data_dir.rglob("data.mdb"))


def check_end_and_recovery(home: Home, server: RunningEtcd, ledger: Ledger, reason: str) -> None:
    """The member has ended by itself, saying why; a new one has all that was acknowledged, and serves."""
    assert server.process.wait(END_SECONDS_MAX) == 1
    assert home.last_words()["level"] == "fatal"
    assert home.last_words()["error"].startswith(reason)
    with home.start() as again:
        ledger.check(again.endpoint)
        with Client(again.endpoint) as client:
            assert client.status("KV/Put", pb.PutRequest(key=b"after").SerializeToString()) == (0, "")


@pytest.mark.parametrize("writers", [1, 8])
def test_the_log_cannot_be_written(tmp_path: Path, writers: int) -> None:
    """One writer: the sync happens on the event loop. Eight: on the disk thread, batch after batch."""
    home = Home(tmp_path)
    ledger = Ledger()
    with home.start(*STORE_AT_REST) as server:
        with Writers(server.endpoint, ledger, writers, lambda number: b"%d" % number * 100):
            ledger.wait_for(20)
            refuse_writes_beyond(server, 400_000)
        check_end_and_recovery(home, server, ledger, "wal: cannot write")


def test_a_record_is_cut_off_in_the_middle(tmp_path: Path) -> None:
    """A large record ends where the disk does: the restart drops what is left of it, and nothing else."""
    home = Home(tmp_path)
    ledger = Ledger()
    with home.start(*STORE_AT_REST) as server:
        with Writers(server.endpoint, ledger, 2, lambda number: b"%d" % (number % 10) * MIB):
            ledger.wait_for(3)
            refuse_writes_beyond(server, 10 * MIB + 12_345)
        check_end_and_recovery(home, server, ledger, "wal: cannot write")


def test_the_store_cannot_be_written(tmp_path: Path) -> None:
    """The log goes on in its second segment, far below the limit; the store, with all the data, cannot grow."""
    home = Home(tmp_path)
    ledger = Ledger()
    with home.start() as server:
        with Writers(server.endpoint, ledger, 2, lambda number: b"%d" % (number % 10) * MIB):
            while store_bytes(server) <= WAL_SEGMENT_BYTES + 4 * MIB:
                ledger.wait_for(len(ledger.acknowledged) + 1)
            assert len(list(server.data_dir.rglob("*.wal"))) == 2
            refuse_writes_beyond(server, WAL_SEGMENT_BYTES + 4 * MIB)
        check_end_and_recovery(home, server, ledger, "backend: ")


def test_the_next_segment_cannot_be_made(tmp_path: Path) -> None:
    """The log reaches its end while there is no room for the 64 MB of the next segment."""
    home = Home(tmp_path)
    ledger = Ledger()
    with home.start() as server:
        with Writers(server.endpoint, ledger, 1, lambda number: b"%d" % (number % 10) * MIB):
            ledger.wait_for(3)
            refuse_writes_beyond(server, WAL_SEGMENT_BYTES - 1)
        check_end_and_recovery(home, server, ledger, "wal: cannot ")
