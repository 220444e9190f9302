"""Our peer transport in a cluster with the real etcd 3.5.1: it streams to us, believes our answers, sends its snapshot.

The member on our side is the transport alone, with a follower of a few lines behind it that takes every entry. It joins
as a learner, so that the real member keeps its quorum, until a test promotes it and every write needs our word.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.pb.raft_values import Entry, Message, Snapshot
from etcdpy.raft.constants import (
    MSG_APP,
    MSG_APP_RESP,
    MSG_HEARTBEAT,
    MSG_HEARTBEAT_RESP,
    MSG_SNAP,
)
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.transport.peer import Timeouts
from tests.reference import RunningEtcd, clean_environment, reference_binary, start_reference_etcd
from tests.unit.transport.peer.members import Member, Recorder, ask, is_attached, request, run, until

pytestmark = pytest.mark.slow

QUICK_ETCD: Final = ("--heartbeat-interval=50", "--election-timeout=500")


def etcdctl(real: RunningEtcd, *arguments: str) -> str:
    done = subprocess.run(
        [str(reference_binary("etcdctl")), f"--endpoints={real.endpoint}", *arguments],
        env=clean_environment({"ETCDCTL_API": "3"}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def etcdctl_beside(real: RunningEtcd, *arguments: str) -> str:
    """The same while our loop turns: the cluster needs us."""
    return await asyncio.to_thread(etcdctl, real, *arguments)


def real_log(tmp_path: Path) -> list[dict[str, Any]]:
    lines = (tmp_path / "default.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


class Follower(Recorder):
    """Believes whatever the leader says, as an empty follower would."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self._member = member
        self.last_index = 0
        self.entries: list[Entry] = []

    def receive(self, message: Message) -> None:
        super().receive(message)
        own, leader = self._member.member_id, message.from_
        if message.type == MSG_HEARTBEAT:
            answer = Message(MSG_HEARTBEAT_RESP, leader, own, message.term, context=message.context)
        elif message.type == MSG_APP and message.index > self.last_index:
            answer = Message(
                MSG_APP_RESP, leader, own, message.term, index=message.index, reject=True, reject_hint=self.last_index
            )
        elif message.type == MSG_APP:
            self.entries += [entry for entry in message.entries if entry.index > self.last_index]
            self.last_index = max(self.last_index, message.index + len(message.entries))
            answer = Message(MSG_APP_RESP, leader, own, message.term, index=self.last_index)
        else:
            return
        self._member.network.send([answer])

    async def receive_snapshot(self, message: Message, path: str) -> None:
        await super().receive_snapshot(message, path)
        assert message.snapshot is not None
        self.last_index = message.snapshot.index
        self._member.network.send(
            [Message(MSG_APP_RESP, message.from_, self._member.member_id, message.term, index=self.last_index)]
        )


async def join(real: RunningEtcd, tmp_path: Path) -> tuple[Member, Follower, int]:
    """Add a learner whose peer URL is ours; return it, what is behind it, and the real member's id."""
    probe = await Member(tmp_path / "ours", 1).start()
    port = probe.port
    await probe.stop()
    added = await etcdctl_beside(real, "member", "add", "ours", "--learner", f"--peer-urls=http://127.0.0.1:{port}")
    match = re.search(r"Member\s+(\w+) added to cluster\s+(\w+)", added)
    assert match is not None, added
    listed = json.loads(await etcdctl_beside(real, "member", "list", "-w", "json"))
    real_id = next(member["ID"] for member in listed["members"] if member.get("name"))
    ours = Member(tmp_path / "ours", int(match[1], 16), port=port, cluster_id=int(match[2], 16), timeouts=Timeouts())
    follower = ours.recorder = Follower(ours)
    await ours.start()
    ours.network.add_peer(real_id, [real.peer_url])
    await until(lambda: is_attached(ours, real_id))
    return ours, follower, real_id


def test_a_go_leader_streams_to_us_and_believes_our_answers(tmp_path: Path) -> None:
    """After the promotion the quorum is two: a put is answered only if our acknowledgement arrived."""

    async def body() -> None:
        with start_reference_etcd(tmp_path, flags=QUICK_ETCD) as real:
            ours, follower, real_id = await join(real, tmp_path)
            await until(lambda: follower.last_index > 0 and MSG_HEARTBEAT in follower.types())
            assert ours.network.is_active(real_id)
            await until(lambda: ours.network.metrics().round_trips.take())
            await etcdctl_beside(real, "member", "promote", f"{ours.member_id:x}")
            value = "v" * 5_000
            for number in range(20):
                await etcdctl_beside(real, "put", f"key{number}", value)
            assert sum(value.encode() in entry.data for entry in follower.entries) == 20
            assert [entry.index for entry in follower.entries] == list(range(1, len(follower.entries) + 1))
            # Etcd counts us as reachable by now, both ways.
            logged = real_log(tmp_path)
            for role in ("stream-writer-type", "stream-reader-type"):
                kinds = {
                    line[role]
                    for line in logged
                    if role in line and line["msg"] == "established TCP streaming connection with remote peer"
                }
                assert kinds == {"stream MsgApp v2", "stream Message"}, role
            await ours.stop()

    run(body())


def test_the_frames_of_a_go_leader_are_of_each_kind(tmp_path: Path) -> None:
    """Entries that follow each other come without a message around them: the metrics tell that both forms were read."""

    async def body() -> None:
        with start_reference_etcd(tmp_path, flags=QUICK_ETCD) as real:
            ours, follower, _ = await join(real, tmp_path)
            await until(lambda: follower.last_index > 0)
            before = follower.last_index
            await etcdctl_beside(real, "put", "a", "1")
            await etcdctl_beside(real, "put", "a", "2")
            await until(lambda: follower.last_index >= before + 2)
            appends = [message for message in follower.received if message.type == MSG_APP]
            assert all(message.to == ours.member_id and message.term == message.log_term for message in appends[-2:])
            assert appends[-1].commit >= before + 1
            await ours.stop()

    run(body())


def test_a_go_leader_that_lost_us_finds_us_again(tmp_path: Path) -> None:
    async def body() -> None:
        with start_reference_etcd(tmp_path, flags=QUICK_ETCD) as real:
            ours, follower, real_id = await join(real, tmp_path)
            await until(lambda: follower.last_index > 0)
            await ours.stop()
            await etcdctl_beside(real, "put", "while", "away")
            again = Member(
                tmp_path / "ours",
                ours.member_id,
                port=ours.port,
                cluster_id=ours.cluster_id,
                timeouts=Timeouts(),
            )
            follower = again.recorder = Follower(again)
            await again.start()
            again.network.add_peer(real_id, [real.peer_url])
            await until(lambda: any(b"away" in entry.data for entry in follower.entries))
            await again.stop()

    run(body())


def test_a_go_leaders_snapshot_arrives_as_a_database(tmp_path: Path) -> None:
    async def body() -> None:
        flags = (*QUICK_ETCD, "--snapshot-count=10")
        with start_reference_etcd(tmp_path, flags=flags) as real:
            for number in range(40):
                etcdctl(real, "put", f"key{number:02}", "x" * 40_000)
        # It keeps 5,000 entries in memory for those who are behind, but not over a restart.
        ports = [int(url.rpartition(":")[2]) for url in (real.client_url, real.peer_url)]
        again = start_reference_etcd(tmp_path, flags=flags, client_port=ports[0], peer_port=ports[1])
        with again as real:
            ours, follower, _ = await join(real, tmp_path)
            await until(lambda: follower.snapshots)
            message, path = follower.snapshots[0]
            assert message.type == MSG_SNAP and message.snapshot is not None
            assert Path(path).name == f"{message.snapshot.index:016x}.snap.db"
            assert json.loads(message.snapshot.data)["Root"]
            with BoltReader(path) as database:
                assert {b"key", b"meta", b"members"} <= set(database.bucket_names())
                values = [value for page in database.iterate(b"key") for _, value in page]
            assert sum(b"x" * 40_000 in value for value in values) == 40
            # Believed: what comes after the snapshot is sent as entries.
            await etcdctl_beside(real, "put", "after", "it")
            await until(lambda: any(b"after" in entry.data for entry in follower.entries))
            await ours.stop()
            assert "sent database snapshot" in [line["msg"] for line in real_log(tmp_path)]

    run(body())


def test_our_snapshot_is_kept_by_a_go_member(tmp_path: Path) -> None:
    """Of an old term, so that its raft leaves it alone: the transport alone is asked."""

    async def body() -> None:
        with start_reference_etcd(tmp_path, flags=QUICK_ETCD) as real:
            ours, _, real_id = await join(real, tmp_path)
            database = tmp_path / "db"
            database.write_bytes(b"database" * 500_000)
            done: list[bool] = []
            message = Message(MSG_SNAP, real_id, ours.member_id, 1, snapshot=Snapshot(b"{}", 0xABC, 1))
            ours.network.send_snapshot(message, str(database), database.stat().st_size, done.append)
            await until(lambda: done)
            assert done == [True]
            kept = real.data_dir / "member" / "snap" / "0000000000000abc.snap.db"
            assert kept.read_bytes() == database.read_bytes()
            await ours.stop()

    run(body())


def test_a_removed_member_is_told_by_a_go_member(tmp_path: Path) -> None:
    async def body() -> None:
        with start_reference_etcd(tmp_path, flags=QUICK_ETCD) as real:
            ours, follower, _ = await join(real, tmp_path)
            await etcdctl_beside(real, "member", "remove", f"{ours.member_id:x}")
            await until(lambda: follower.removed_here)
            await ours.stop()

    run(body())


CLUSTER_HEADER = "X_Etcd_Cluster_ID"
# Method, path, headers beside those of a good peer (None leaves one out), body.
REQUESTS: Final[list[tuple[str, str, dict[str, Any], bytes]]] = [
    ("GET", "/raft", {}, b""),
    ("HEAD", "/raft", {}, b""),
    ("POST", "/raft", {}, b"garbage"),
    ("POST", "/raft", {CLUSTER_HEADER: "12"}, b""),
    ("POST", "/raft", {CLUSTER_HEADER: None}, b""),
    ("POST", "/raft", {"X_Server_Version": None}, b""),
    ("POST", "/raft", {"X_Server_Version": "2.9.9"}, b""),
    ("POST", "/raft", {"X_Min_Cluster_Version": "3.9.0"}, b""),
    ("GET", "/raft/snapshot", {}, b""),
    ("POST", "/raft/snapshot", {}, Message(MSG_HEARTBEAT).encode()[:4]),
    ("POST", "/raft/snapshot", {}, bytes(8)),
    ("POST", "/raft/snapshot", {CLUSTER_HEADER: "12"}, b""),
    ("POST", "/raft/stream/msgapp/2", {}, b""),
    ("GET", "/raft/stream/msgapp/2", {}, b""),
    ("GET", "/raft/stream/message/2", {CLUSTER_HEADER: "12"}, b""),
    ("GET", "/raft/stream/message/nonsense", {}, b""),
    ("GET", "/raft/stream/other/2", {}, b""),
    ("GET", "/raft/stream/", {}, b""),
]


def test_requests_are_answered_as_etcd_answers_them(tmp_path: Path) -> None:
    async def body() -> None:
        with start_reference_etcd(tmp_path, flags=QUICK_ETCD) as real:
            status = json.loads(etcdctl(real, "endpoint", "status", "-w", "json"))[0]["Status"]["header"]
            ours = await Member(tmp_path / "ours", status["member_id"], cluster_id=status["cluster_id"]).start()
            own = {CLUSTER_HEADER: f"{status['cluster_id']:x}"}
            for method, path, headers, sent in REQUESTS:
                data = request(method, path, sent, **(own | headers))
                theirs = await ask(int(real.peer_url.rpartition(":")[2]), data, is_head=method == "HEAD")
                mine = await ask(ours.port, data, is_head=method == "HEAD")
                assert _comparable(mine) == _comparable(theirs), (method, path, headers)
            await ours.stop()

    run(body())


def _comparable(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    """Leave out what must differ: the time and the version. Go closes after some refusals, we after others."""
    status, headers, text = answer
    return status, {n: v for n, v in headers.items() if n not in ("date", "x-server-version", "connection")}, text
