"""Restores: what is refused leaves nothing; what is made is what a member's start expects.

That real members start from it, and that it equals what etcd's own tool makes: tests/compat/test_restore_real.py.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.pb.raft_values import ConfState, HardState
from etcdpy.server.bootstrap import Folders, Identity, check_backend, recover
from etcdpy.server.founding import Founding, plan_founding
from etcdpy.server.restore import SnapshotRefused, check_digest, restore
from etcdpy.storage.bolt.takeover import open_or_take_over
from etcdpy.storage.bolt.writer import BoltWriter
from etcdpy.storage.schema import buckets, meta

URLS = {"b": ("http://b:1",), "a": ("http://a:1", "http://a:2"), "c": ("http://c:1",)}


def founding() -> Founding:
    return plan_founding(URLS, "a", "token")


def write_snapshot(path: Path, *, digest: bytes | None = None) -> None:
    old = [(b"1234", b'{"id":4660,"peerURLs":["http://old:1"],"name":"old"}')]
    content = {
        b"auth": [(b"authRevision", meta.encode_u64(1))],
        b"members": old,
        b"members_removed": [(b"99", b"removed")],
        b"meta": [(meta.CONSISTENT_INDEX, meta.encode_u64(500)), (b"finishedCompactRev", b"r")],
    }
    with open(path, "wb") as file:
        writer = BoltWriter(file)
        for name, items in content.items():
            writer.add_bucket(name, [items])
        writer.finish()
    data = path.read_bytes()
    path.write_bytes(data + (hashlib.sha256(data).digest() if digest is None else digest))


def run(tmp_path: Path, *, check_hash: bool = True) -> None:
    restore(
        tmp_path / "saved",
        founding(),
        data_dir=tmp_path / "data",
        wal_dir=tmp_path / "data/member/wal",
        check_hash=check_hash,
    )


def test_a_member_of_ours_starts_from_it(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "saved")
    run(tmp_path)

    folders = Folders(member=tmp_path / "data/member", wal=tmp_path / "data/member/wal")
    identity = Identity(name="a", initial_advertise_peer_urls=URLS["a"], initial_cluster_token="ignored")
    recovered = recover(folders, identity)
    backend = open_or_take_over(folders.member)
    plan = founding()
    try:
        check_backend(recovered, backend)
        assert (recovered.member_id, recovered.cluster_id) == (plan.member_id, plan.cluster_id)
        assert recovered.hard_state == HardState(term=1, vote=plan.members[0].id, commit=3)
        assert (recovered.snapshot.index, recovered.snapshot.term) == (3, 1)
        assert recovered.snapshot.conf_state == ConfState([member.id for member in plan.members])
        assert backend.consistent_index == 3
        assert backend.get(buckets.META, b"finishedCompactRev") == b"r"
        assert backend.get(buckets.MEMBERS, b"1234") is None
        assert backend.get(buckets.MEMBERS_REMOVED, b"99") is None
        assert backend.get(buckets.MEMBERS, b"%x" % plan.member_id) is not None
    finally:
        backend.close()
        recovered.wal.close()


@pytest.mark.parametrize(
    ("digest", "text"),
    [(bytes(32), r"expected sha256 \[0 0 .* 0\], got \["), (b"", "snapshot missing hash")],
)
def test_a_snapshot_that_is_not_whole_is_refused_and_leaves_nothing(digest: bytes, text: str, tmp_path: Path) -> None:
    write_snapshot(tmp_path / "saved", digest=digest)

    with pytest.raises(SnapshotRefused, match=text):
        run(tmp_path)
    assert not (tmp_path / "data").exists()

    run(tmp_path, check_hash=False)
    assert (tmp_path / "data/member/snap/db").exists()


def test_a_failure_in_the_middle_takes_back_what_was_made(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "saved")
    (tmp_path / "data").mkdir()

    def fail() -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        restore(
            tmp_path / "saved",
            founding(),
            data_dir=tmp_path / "data",
            wal_dir=tmp_path / "far/away/wal",
            check_hash=True,
            on_database=fail,
        )

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "saved"]


def test_an_existing_member_is_never_touched(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "saved")
    (tmp_path / "data/member").mkdir(parents=True)
    (tmp_path / "data/member/precious").write_bytes(b"x")

    with pytest.raises(StorageError, match="exists already"):
        run(tmp_path)

    assert [path.name for path in (tmp_path / "data/member").iterdir()] == ["precious"]


def test_a_file_that_ends_early_is_noticed_by_its_digest(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "saved")
    data = (tmp_path / "saved").read_bytes()
    (tmp_path / "saved").write_bytes(data[: 512 * 3 + 32])

    with pytest.raises(SnapshotRefused, match="expected sha256"):
        check_digest(tmp_path / "saved", check_hash=True)
