"""Snapshot files in etcd's format."""

from etcdpy.storage.snap.snapshotter import Snapshotter, snap_db_file_name, snap_file_name

__all__ = ["Snapshotter", "snap_db_file_name", "snap_file_name"]
