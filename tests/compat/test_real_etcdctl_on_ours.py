"""The real etcdctl 3.5.1 talks to ours: every command says what it says to the real server.

Levelled before comparing: durations and time stamps, the server's version, and sizes of the database, which is LMDB
here and bbolt there. Ids, revisions, terms and Raft indexes are equal, because names and ports are.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from tests.compat.both import run_on_both
from tests.compat.directories import look, write
from tests.compat.test_etcdctl_real import READS, WRITES, Line, Outcome, level_lease, real, run
from tests.ours import ours_binary
from tests.reference import (
    RunningEtcd,
    clean_environment,
    free_port,
    reference_binary,
    start_reference_etcd,
)

pytestmark = pytest.mark.slow

SECONDS_MAX: Final = 60


def level_server(output: bytes) -> bytes:
    """Take out what may differ between two servers with the same history."""
    output = re.sub(rb"\b3\.5\.(33|1)\b", b"VERSION", output)
    output = re.sub(rb'("dbSize(InUse)?":|"DBSize(InUse)?" : )\d+', rb"\1SIZE", output)
    output = re.sub(rb"\b[0-9.]+ [kM]?B\b", b"SIZE", output)
    if b"| ENDPOINT" in output or b"    ENDPOINT" in output:
        output = re.sub(rb"-{2,}", b"--", re.sub(rb" +", b" ", output))  # the width of a column follows its content
    return output


MORE: Final = [
    Line(text)
    for text in (
        "alarm list",
        "alarm list -w json",
        "alarm disarm",
        "member list",
        "member list -w json",
        "member list -w fields",
        "member list -w table",
        "member list --hex -w json",
        "endpoint health --cluster",
        "endpoint status",
        "endpoint status -w fields",
        "endpoint status -w table",
        "endpoint hashkv --rev 100000",
        "move-leader 1",
        "lease revoke 12345",
        "lease keep-alive --once 12345",
        "lease timetolive 12345 --keys",
        "compaction 100000",
        "get foo --rev 100000",
        "get foo --rev 2",
        "put '' x",
        "put foo --lease 12345 x",
        "del ''",
    )
]
# The lease ids that servers invent get into the hash: these come before the first.
HASHES: Final = [Line(f"endpoint hashkv {flags}") for flags in ("", "-w json", "-w fields", "-w table", "--rev 9")]
SCRIPT: Final = [*HASHES, *READS, *WRITES, *MORE]


def play(server: RunningEtcd, folder: Path) -> list[Outcome]:
    """Run the whole script. Lease ids, which servers invent, are named instead of shown."""
    snapshot = str(folder / "snapshot.db")
    lease = b"?"
    outcomes = []
    for line in SCRIPT:
        text = line.text.replace("LEASE", lease.decode()).replace("SNAPSHOT", snapshot)
        outcome = run(real(), line._replace(text=text), server.endpoint)
        granted = re.match(rb"lease ([0-9a-f]{16}) granted with TTL\(100s\)$", outcome.out)
        lease = granted[1] if granted else lease
        out, err = (
            level_server(level_lease(part, lease)).replace(snapshot.encode(), b"SNAPSHOT") for part in outcome[1:]
        )
        outcomes.append(Outcome(outcome.code, out, err))
    return outcomes


def test_every_command_says_the_same(tmp_path: Path) -> None:
    folders = iter([tmp_path / "1", tmp_path / "2"])

    def script(server: RunningEtcd) -> list[Outcome]:
        folder = next(folders)
        folder.mkdir()
        for number in range(20):
            assert run(real(), Line(f"put a{number % 7} v{number}"), server.endpoint).code == 0
        return play(server, folder)

    both = run_on_both(tmp_path, script)

    for line, theirs, ours in zip(SCRIPT, both.theirs, both.ours, strict=True):
        assert (str(line), ours) == (str(line), theirs)
    assert sum(outcome.code == 0 for outcome in both.ours) > len(SCRIPT) // 2


def watch_lines(server: RunningEtcd, line: str, count: int, then: list[str]) -> list[bytes]:
    """Start a watch; once it shows the event of a first put, run `then`; return its lines up to `count`."""
    watching = subprocess.Popen(
        [*real(), f"--endpoints={server.endpoint}", *line.split()], stdout=subprocess.PIPE, env=clean_environment()
    )
    too_late = threading.Timer(SECONDS_MAX, watching.kill)
    too_late.start()
    try:
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(3)]
        for command in then:
            assert run(real(), Line(command), server.endpoint).code == 0
        return lines + [watching.stdout.readline() for _ in range(count - 3)]
    finally:
        too_late.cancel()
        watching.kill()
        watching.communicate()


def test_a_watch_follows(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[bytes]:
        assert run(real(), Line("put w/0 first"), server.endpoint).code == 0
        commands = ["put w/1 one", "put w/1 two", "del w/1", "put other x", "put w/2 three", "del w/ --prefix"]
        return watch_lines(server, "watch w/ --prefix --rev=2", 3 + 3 + 3 + 2 + 3 + 2 + 2, commands)

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert both.ours[:3] == [b"PUT\n", b"w/0\n", b"first\n"]


def etcdutl(*arguments: str) -> bytes:
    done = subprocess.run(
        [str(reference_binary("etcdutl")), *arguments],
        capture_output=True,
        env=clean_environment(),
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_snapshot_of_ours_is_restored_and_served_by_the_real_one(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> dict[str, Any]:
        write(server, seed=5, count=200)
        path = tmp_path / f"{server.data_dir.parent.name}.db"
        assert run(real(), Line(f"snapshot save {path}"), server.endpoint).code == 0
        status: dict[str, Any] = json.loads(etcdutl("snapshot", "status", str(path), "-w", "json"))
        return {"state": look(server), "status": status}

    both = run_on_both(tmp_path, script)
    ours, theirs = both.ours["status"], both.theirs["status"]
    assert (ours["revision"], ours["totalKey"]) == (theirs["revision"], theirs["totalKey"])
    saved = both.ours["state"]
    assert ours["revision"] == saved.revision

    restored = _serve_restored(tmp_path, tmp_path / "ours.db")
    assert restored.kvs == saved.kvs
    assert (restored.revision, restored.hash_kv, restored.compact_revision) == (
        saved.revision,
        saved.hash_kv,
        saved.compact_revision,
    )
    assert restored.leases == saved.leases


def _serve_restored(tmp_path: Path, snapshot: Path) -> Any:
    """Restore by etcdutl, serve by the real etcd; then let ours take the restored directory over."""
    client, peer = free_port(), free_port()
    url = f"http://127.0.0.1:{peer}"
    data_dir = tmp_path / "restored"
    arguments = [f"--data-dir={data_dir}", "--name=default", f"--initial-cluster=default={url}"]
    etcdutl("snapshot", "restore", str(snapshot), *arguments, f"--initial-advertise-peer-urls={url}")
    with start_reference_etcd(tmp_path, client_port=client, peer_port=peer, data_dir=data_dir) as server:
        restored = look(server)
    with start_reference_etcd(
        tmp_path, client_port=client, peer_port=peer, data_dir=data_dir, binary=ours_binary("etcd")
    ) as server:
        assert look(server) == restored
    return restored


def test_ours_serves_what_etcdutl_restored(tmp_path: Path) -> None:
    """The restored directory goes to ours first: nobody has run on it yet."""
    with start_reference_etcd(tmp_path) as server:
        write(server, seed=6, count=200)
        saved = look(server)
        assert run(real(), Line(f"snapshot save {tmp_path}/real.db"), server.endpoint).code == 0
    peer = free_port()
    url = f"http://127.0.0.1:{peer}"
    data_dir = tmp_path / "restored"
    arguments = [f"--data-dir={data_dir}", "--name=default", f"--initial-cluster=default={url}"]
    etcdutl("snapshot", "restore", f"{tmp_path}/real.db", *arguments, f"--initial-advertise-peer-urls={url}")
    client = free_port()
    with start_reference_etcd(
        tmp_path, client_port=client, peer_port=peer, data_dir=data_dir, binary=ours_binary("etcd")
    ) as server:
        restored = look(server)
    assert (restored.kvs, restored.hash_kv, restored.leases) == (saved.kvs, saved.hash_kv, saved.leases)
    assert [list(member.peerURLs) for member in restored.members] == [[url]]
