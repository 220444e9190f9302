"""Snapshots cross over: what one program saves, another restores, and both kinds of members start from it.

saved by     restored by   served by
real etcd    ours          three real etcds
real etcd    ours          ours, alone
ours         real etcdutl  a real etcd
ours         ours          ours, and a real etcd
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from etcdpy.pb import etcdserver_pb2
from etcdpy.pb.raft_values import Entry, HardState, Snapshot
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.snap import Snapshotter
from etcdpy.storage.wal import WalSnapshot, read_contents, valid_snapshot_entries
from tests.ours import ours_binary
from tests.reference import RunningEtcd, clean_environment, free_port, reference_binary, start_reference_etcd
from tests.reference_cluster import start_reference_cluster

OURS: Final = (sys.executable, "-m", "etcdpy.cli.etcdutl.main")
KEYS: Final = 2_000
TOKEN: Final = "restored"


def real() -> list[str]:
    return [str(reference_binary("etcdutl"))]


def ctl(server: RunningEtcd, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [str(reference_binary("etcdctl")), f"--endpoints={server.endpoint}", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    return done.stdout


def fill(server: RunningEtcd) -> str:
    """Write keys of several pages, deletes, a lease, a user; return the hash of the keys."""
    for start in range(0, KEYS, 100):
        puts = "".join(f"put key-{number:05} {'v' * (1 + number % 500)}\n" for number in range(start, start + 100))
        ctl(server, "txn", stdin=f"\n{puts}\n\n")
    ctl(server, "del", "key-00003", "key-00100")
    lease = ctl(server, "lease", "grant", "100000").split()[1]
    ctl(server, "put", "leased", "v", f"--lease={lease}")
    ctl(server, "compaction", "12")
    return hash_of(server)


def hash_of(server: RunningEtcd) -> str:
    return ctl(server, "endpoint", "hashkv").split(", ")[1].strip()


def save(folder: Path, *, binary: Path | None) -> tuple[Path, str]:
    """Return a snapshot of a filled member, and the hash of its keys."""
    snapshot = folder / "saved.db"
    source = folder / "source"
    source.mkdir()
    with start_reference_etcd(source, binary=binary) as server:
        digest = fill(server)
        ctl(server, "snapshot", "save", str(snapshot))
    return snapshot, digest


def restore(
    command: Sequence[str],
    snapshot: Path,
    data_dir: Path,
    *,
    name: str,
    urls: str,
    cluster: str,
    wal_dir: Path | None = None,
) -> None:
    subprocess.run(
        [
            *command,
            *("snapshot", "restore", str(snapshot), f"--data-dir={data_dir}", f"--name={name}"),
            *(f"--initial-cluster={cluster}", f"--initial-advertise-peer-urls={urls}"),
            *(f"--initial-cluster-token={TOKEN}", *([f"--wal-dir={wal_dir}"] if wal_dir else [])),
        ],
        check=True,
        capture_output=True,
        env=clean_environment(),
    )


@pytest.mark.slow
def test_three_real_members_start_from_what_ours_restored(tmp_path: Path) -> None:
    snapshot, digest = save(tmp_path, binary=None)
    ports = [(free_port(), free_port()) for _ in range(3)]
    cluster = ",".join(f"m{at}=http://127.0.0.1:{peer}" for at, (_, peer) in enumerate(ports))
    for at, (_, peer) in enumerate(ports):
        url = f"http://127.0.0.1:{peer}"
        restore(OURS, snapshot, tmp_path / f"m{at}.etcd", name=f"m{at}", urls=url, cluster=cluster)

    with start_reference_cluster(tmp_path, 3, ports=ports, cluster_token=TOKEN) as running:
        running.ctl("put", "after", "restore")
        hashes = {line.split(", ")[1] for line in running.ctl("endpoint", "hashkv").splitlines()}
        for member in running.members:
            assert running.ctl("get", "after", "--print-value-only") == "restore\n"
            assert len(running.ctl("get", "key-", "--prefix", "--keys-only").split()) == KEYS - 97
            # The members of before are forgotten, those of now have been started.
            assert sorted(running.member_ids()) == ["m0", "m1", "m2"]
            member.restart()
        assert len(hashes) == 1 and digest not in hashes


@pytest.mark.slow
@pytest.mark.parametrize("saved_by", ["real", "ours"])
@pytest.mark.parametrize("restored_by", ["real", "ours"])
@pytest.mark.parametrize("served_by", ["real", "ours"])
def test_one_member_serves_what_was_saved(saved_by: str, restored_by: str, served_by: str, tmp_path: Path) -> None:
    binary = {"real": None, "ours": ours_binary("etcd")}
    snapshot, digest = save(tmp_path, binary=binary[saved_by])
    ports = free_port(), free_port()
    url = f"http://127.0.0.1:{ports[1]}"
    tool = real() if restored_by == "real" else OURS
    data_dir, wal_dir = tmp_path / "m.etcd", tmp_path / "wal"
    restore(tool, snapshot, data_dir, name="m", urls=url, cluster=f"m={url}", wal_dir=wal_dir)

    def start() -> RunningEtcd:
        return start_reference_etcd(
            tmp_path,
            name="m",
            client_port=ports[0],
            peer_port=ports[1],
            data_dir=data_dir,
            binary=binary[served_by],
            flags=[f"--wal-dir={wal_dir}"],
        )

    with start() as server:
        assert hash_of(server) == digest
        assert [row.split(", ")[2] for row in ctl(server, "member", "list").splitlines()] == ["m"]
        lease = ctl(server, "lease", "list").split()[-1]
        assert "attached keys([leased])" in ctl(server, "lease", "timetolive", lease, "--keys")
        ctl(server, "put", "after", "restore")
    with start() as server:
        assert ctl(server, "get", "after", "--print-value-only") == "restore\n"


class Made(NamedTuple):
    """A restored directory, read."""

    metadata: tuple[int, int]
    entries: list[Entry]
    hard_state: HardState
    noted: list[WalSnapshot]
    snap: Snapshot
    snap_data: bytes
    buckets: dict[bytes, list[tuple[bytes, bytes]]]


def read(data_dir: Path) -> Made:
    wal_dir = str(data_dir / "member/wal")
    contents = read_contents(wal_dir, WalSnapshot())
    metadata = etcdserver_pb2.Metadata.FromString(contents.metadata)
    snap = Snapshotter(str(data_dir / "member/snap")).load_newest()
    assert snap is not None
    with BoltReader(data_dir / "member/snap/db") as reader:
        buckets = {name: [item for items in reader.iterate(name) for item in items] for name in reader.bucket_names()}
    ids = metadata.NodeID, metadata.ClusterID
    noted = valid_snapshot_entries(wal_dir)
    return Made(ids, contents.entries, contents.hard_state, noted, snap, snap.data, buckets)


@pytest.mark.slow
def test_ours_makes_what_the_real_one_makes(tmp_path: Path) -> None:
    snapshot, _ = save(tmp_path, binary=None)
    cluster = "a=http://127.0.0.1:1,b=http://127.0.0.1:3,b=http://127.0.0.1:2,c=http://127.0.0.1:4"
    for command, name in ((real(), "real"), (OURS, "ours")):
        restore(command, snapshot, tmp_path / name, name="c", urls="http://127.0.0.1:4", cluster=cluster)

    theirs, ours = read(tmp_path / "real"), read(tmp_path / "ours")

    # 3.5.1 leaves the old cluster's confState in the database, newer ones and ours do not.
    voters = ",".join(map(str, ours.snap.conf_state.voters))
    state = b'{"voters":[%s],"auto_leave":false}' % voters.encode()
    theirs.buckets[b"meta"] = [(key, state if key == b"confState" else value) for key, value in theirs.buckets[b"meta"]]
    assert len(ours.snap.conf_state.voters) == 3
    assert theirs._replace(snap=ours.snap) == ours
    assert repr(theirs.snap) == repr(ours.snap)
    files = [
        sorted(str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*"))
        for name in ("real", "ours")
    ]
    assert files[0] == files[1]
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "ours").rglob("*")} == {0}
