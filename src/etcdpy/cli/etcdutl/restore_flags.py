"""The flags of `snapshot restore`, which etcdctl has as well as etcdutl."""

from __future__ import annotations

from typing import Final

from etcdpy.cli.etcdctl.flags import BOOL, STRING, Flag

RESTORE_FLAGS: Final = (
    Flag("data-dir", STRING, "", "data directory to make; it must be empty or absent"),
    Flag(
        "initial-advertise-peer-urls",
        STRING,
        "http://localhost:2380",
        "where the other members will reach this one (comma separated)",
    ),
    Flag(
        "initial-cluster",
        STRING,
        "default=http://localhost:2380",
        "all members that will found the cluster: name=URL (comma separated)",
    ),
    Flag("initial-cluster-token", STRING, "etcd-cluster", "the same text at all of them; another cluster has another"),
    Flag("name", STRING, "default", "which of --initial-cluster this member is"),
    Flag("skip-hash-check", BOOL, "false", "take a file without a hash, as the db of a data directory is"),
    Flag("wal-dir", STRING, "", "folder of the log to make, when not in --data-dir"),
)
