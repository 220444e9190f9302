"""What the metrics show of the store."""

from __future__ import annotations


class Counters:
    """Plain numbers that only grow."""

    __slots__ = ("puts", "deletes", "ranges", "txns", "put_bytes", "compacted_keys")

    def __init__(self) -> None:
        self.puts = 0  # etcd_mvcc_put_total
        self.deletes = 0  # etcd_mvcc_delete_total: delete operations, not keys
        self.ranges = 0  # etcd_mvcc_range_total
        self.txns = 0  # etcd_mvcc_txn_total: transactions of more than one operation
        self.put_bytes = 0  # etcd_mvcc_total_put_size_in_bytes
        self.compacted_keys = 0  # etcd_debugging_mvcc_db_compaction_keys_total
