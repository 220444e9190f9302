"""The write-ahead log in etcd's format. Start reading at `wal.py`."""

from etcdpy.storage.wal.encoder import WalBatch
from etcdpy.storage.wal.reader import read_contents, valid_snapshot_entries
from etcdpy.storage.wal.record import WalSnapshot
from etcdpy.storage.wal.replay import WalContents
from etcdpy.storage.wal.wal import SEGMENT_BYTES, Wal

__all__ = [
    "SEGMENT_BYTES",
    "Wal",
    "WalBatch",
    "WalContents",
    "WalSnapshot",
    "read_contents",
    "valid_snapshot_entries",
]
