"""What members ask each other over the peer port, between the real etcd 3.5.1 and ours.

the same requests to a member of each kind     answers are the same
our questions to a real cluster                leases, promotions, versions, hashes
a real follower's questions to its leader      recorded on the way, replayed against ours
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import pytest

from etcdpy.base.errors import (
    Compacted,
    FutureRev,
    LearnerNotReady,
    LeaseNotFound,
    MemberNotFound,
    MemberNotLearner,
    Timeout,
)
from etcdpy.base.log import silent_logger
from etcdpy.pb import lease_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.server.lease_forwarding import LeaseForwarding
from etcdpy.server.peer_questions import PeerHashes, PeerVersions, PromotionForwarding
from etcdpy.state.members import Member
from etcdpy.transport.peer_http import fetch
from tests.compat.both import Client, run_on_both
from tests.ours import ours_binary
from tests.reference import RunningEtcd, free_port, start_reference_etcd, wait_until_healthy
from tests.reference_cluster import ClusterMember, RunningCluster, start_reference_cluster

pytestmark = pytest.mark.slow

SECONDS_MAX: Final = 30.0
Seen = TypeVar("Seen")

LEASE: Final = 7
COMPARED_HEADERS: Final = ("content-type", "allow", "x-etcd-cluster-id", "x-content-type-options", "location")


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def ask(url: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
    connection = http.client.HTTPConnection(url.partition("://")[2], timeout=SECONDS_MAX)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        found = {name: answer.headers[name] for name in COMPARED_HEADERS if answer.headers[name] is not None}
        return Reply(answer.status, found, answer.read())
    finally:
        connection.close()


def write_history(client: Client) -> None:
    """Revisions 2 to 9, one of them compacted, and a lease with a key."""
    client.call("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=LEASE, TTL=1000), pb.LeaseGrantResponse)
    for number in range(6):
        client.call("KV/Put", pb.PutRequest(key=b"%d" % (number % 4), value=b"v"), pb.PutResponse)
    client.call("KV/DeleteRange", pb.DeleteRangeRequest(key=b"1"), pb.DeleteRangeResponse)
    client.call("KV/Put", pb.PutRequest(key=b"leased", value=b"v", lease=LEASE), pb.PutResponse)
    client.call("KV/Compact", pb.CompactionRequest(revision=5, physical=True), pb.CompactionResponse)


RENEW: Final = pb.LeaseKeepAliveRequest(ID=LEASE).SerializeToString()
RENEW_MISSING: Final = pb.LeaseKeepAliveRequest(ID=77).SerializeToString()
DESCRIBE: Final = lease_pb2.LeaseInternalRequest(
    LeaseTimeToLiveRequest=pb.LeaseTimeToLiveRequest(ID=LEASE, keys=True)
).SerializeToString()
DESCRIBE_MISSING: Final = lease_pb2.LeaseInternalRequest(
    LeaseTimeToLiveRequest=pb.LeaseTimeToLiveRequest(ID=77)
).SerializeToString()

REQUESTS: Final = (
    ("POST", "/leases", RENEW),
    ("POST", "/leases", RENEW_MISSING),
    ("POST", "/leases", b""),
    ("POST", "/leases", b"xyz"),
    ("GET", "/leases", b""),
    ("PUT", "/leases/internal", DESCRIBE),
    ("POST", "/leases/internal", DESCRIBE_MISSING),
    ("POST", "/leases/internal", b"xyz"),
    ("POST", "/leases/other", RENEW),
    ("POST", "/leases/", RENEW),
    *(("GET", "/members/hashkv", b'{"revision":%d}' % revision) for revision in (4, 10, 1 << 40)),
    *(("GET", "/members/hashkv", body) for body in (b"", b"x", b"[]", b'{"revision":"4"}', b'{"revision":4.5}')),
    ("POST", "/members/hashkv", b"{}"),
    ("POST", "/members/promote/abc", b""),
    ("POST", "/members/promote/123", b""),
    ("POST", "/members/promote/", b""),
    ("POST", "/members/promote/18446744073709551616", b""),
    *((method, "/members/promote", b"") for method in ("POST", "GET", "HEAD")),
    ("GET", "/members/promote/123", b""),
    ("GET", "/members", b""),
    ("POST", "/members", b""),
    ("GET", "/members/", b""),
    ("GET", "/downgrade/enabled", b""),
    ("PUT", "/downgrade/enabled", b""),
    ("POST", "/version", b""),
    ("GET", "/nope", b""),
)
# Answers of hashkv, whose header tells more here: which member it is, as later 3.5 members do.
HASHES: Final = (b'{"revision":7}', b'{"revision":-4}', b"{}", b"null", b'{"Revision":8,"x":1}')


def test_the_same_requests_get_the_same_answers(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[tuple[str, str, bytes, Reply]]:
        with Client(server.endpoint) as client:
            write_history(client)
        return [(*request, ask(server.peer_url, *request)) for request in REQUESTS]

    both = run_on_both(tmp_path, script)

    for theirs, ours in zip(both.theirs, both.ours, strict=True):
        assert ours == theirs
    assert {reply.status for *_, reply in both.theirs} == {200, 301, 400, 404, 405}


def test_the_same_histories_have_the_same_hashes(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[tuple[int, int, int]]:
        with Client(server.endpoint) as client:
            write_history(client)
        seen = []
        for body in HASHES:
            reply = ask(server.peer_url, "GET", "/members/hashkv", body)
            record = json.loads(reply.body)
            seen.append((record["hash"], record["compact_revision"], record["header"]["revision"]))
        return seen

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert len(set(both.theirs)) > 2


def test_a_promotion_of_a_member_with_a_vote(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> Reply:
        (member,) = json.loads(ask(server.peer_url, "GET", "/members").body)
        return ask(server.peer_url, "POST", f"/members/promote/{member['id']}")

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert both.theirs.status == 412


def test_what_a_lease_has_left(tmp_path: Path) -> None:
    """But for the time that passed."""

    def script(server: RunningEtcd) -> tuple[Reply, pb.LeaseTimeToLiveResponse]:
        with Client(server.endpoint) as client:
            write_history(client)
        reply = ask(server.peer_url, "POST", "/leases/internal", DESCRIBE)
        response = lease_pb2.LeaseInternalResponse.FromString(reply.body).LeaseTimeToLiveResponse
        assert 900 < response.TTL <= response.grantedTTL
        response.TTL = 0
        return reply._replace(body=b""), response

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert list(both.theirs[1].keys) == [b"leased"]


# -- our questions to a real cluster


class View:
    """The leader is where the test says."""

    def __init__(self, *urls: str) -> None:
        self.is_leader = False
        self.leader_id = 1
        self._urls = urls

    def leader_peer_urls(self) -> Sequence[str]:
        return self._urls


class Roster:
    def __init__(self, cluster: RunningCluster) -> None:
        ids = cluster.member_ids()
        self._members = [
            Member(id=ids[member.name], peer_urls=(member.peer_url,))
            for member in cluster.members
            if member.name in ids
        ]

    def get_members(self) -> list[Member]:
        return self._members


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """Three members that hold the history of `write_history`."""
    with start_reference_cluster(tmp_path_factory.mktemp("cluster"), 3) as running:
        with Client(running.members[0].endpoint) as client:
            write_history(client)
        yield running


def wait_for(question: Callable[[], Coroutine[Any, Any, Seen]]) -> Seen:
    return asyncio.run(asyncio.wait_for(question(), SECONDS_MAX))


def forwarding(*urls: str, timeout_seconds: float = SECONDS_MAX) -> LeaseForwarding:
    clock = asyncio.get_running_loop().time
    return LeaseForwarding(View(*urls), fetch, clock=clock, timeout_seconds=timeout_seconds)


def other_than(cluster: RunningCluster, leader: ClusterMember) -> ClusterMember:
    return next(member for member in cluster.members if member is not leader)


def test_a_real_leader_renews_leases_for_us(cluster: RunningCluster) -> None:
    leader = cluster.leader()

    async def question() -> None:
        asked = forwarding(leader.peer_url)
        assert await asked.renew(LEASE) == 1000
        assert await asyncio.gather(*(asked.renew(LEASE) for _ in range(100))) == [1000] * 100
        with pytest.raises(LeaseNotFound):
            await asked.renew(77)

    wait_for(question)


def test_a_real_leader_describes_leases_to_us(cluster: RunningCluster) -> None:
    leader = cluster.leader()

    async def question() -> None:
        asked = forwarding(leader.peer_url)
        response = await asked.time_to_live(pb.LeaseTimeToLiveRequest(ID=LEASE, keys=True))
        assert (response.ID, response.grantedTTL, list(response.keys)) == (LEASE, 1000, [b"leased"])
        assert 0 < response.TTL <= 1000
        with pytest.raises(LeaseNotFound):
            await asked.time_to_live(pb.LeaseTimeToLiveRequest(ID=77))

    wait_for(question)


def test_a_real_follower_renews_nothing(cluster: RunningCluster) -> None:
    follower = other_than(cluster, cluster.leader())

    async def question() -> None:
        with pytest.raises(Timeout):
            await forwarding(follower.peer_url, timeout_seconds=0.3).renew(LEASE)

    wait_for(question)


def test_versions_of_a_real_cluster(cluster: RunningCluster) -> None:
    roster = Roster(cluster)
    ask_versions = PeerVersions(fetch, timeout_seconds=SECONDS_MAX)
    versions = wait_for(partial(ask_versions, roster.get_members()))

    assert versions == {member.id: "3.5.1" for member in roster.get_members()}


def test_real_members_and_ours_hash_the_same_history_alike(cluster: RunningCluster, tmp_path: Path) -> None:
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd")) as ours, Client(ours.endpoint) as client:
        write_history(client)
        record = json.loads(ask(ours.peer_url, "GET", "/members/hashkv", b"{}").body)
    cluster_id = json.loads(cluster.ctl("member", "list", "-w", "json"))["header"]["cluster_id"]
    hashes = PeerHashes(
        Roster(cluster), fetch, own_id=0, cluster_id=cluster_id, timeout_seconds=SECONDS_MAX, log=silent_logger()
    )

    for revision, error in ((4, Compacted), (0, None), (1 << 40, FutureRev)):
        for peer in wait_for(partial(hashes.ask, revision)):
            if error is not None:
                assert type(peer.error) is error
                continue
            assert peer.answer is not None
            found = (peer.answer.hash, peer.answer.compact_revision, peer.answer.revision)
            assert found == (record["hash"], record["compact_revision"], record["header"]["revision"])


def test_a_real_leader_refuses_promotions(tmp_path: Path) -> None:
    with start_reference_cluster(tmp_path, 3) as cluster:
        ids, leader = cluster.member_ids(), cluster.leader()
        cluster.add_member(learner=True, start=False)
        listed = [line.split(", ") for line in cluster.ctl("member", "list").splitlines()]
        learner = next(int(row[0], 16) for row in listed if row[5] == "true")

        async def question(member_id: int) -> None:
            clock = asyncio.get_running_loop().time
            await PromotionForwarding(View(leader.peer_url), fetch, clock=clock, timeout_seconds=SECONDS_MAX)(member_id)

        with pytest.raises(LearnerNotReady):
            wait_for(lambda: question(learner))
        with pytest.raises(MemberNotLearner):
            wait_for(lambda: question(ids[leader.name]))
        with pytest.raises(MemberNotFound):
            wait_for(lambda: question(123))


# -- a real follower's questions


class Recorder:
    """A TCP proxy that keeps what goes from those who connect to whom it stands for."""

    def __init__(self, target_port: int) -> None:
        self._target = "127.0.0.1", target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._streams: list[bytearray] = []
        self._start(self._accept)

    def requests(self, path: bytes) -> list[bytes]:
        """Return the requests for a path, each with head and body."""
        found = []
        for stream in self._streams:
            for start in re.finditer(rb"(?:GET|POST) " + re.escape(path) + rb" HTTP/1.1\r\n", stream):
                head, _, rest = bytes(stream[start.start() :]).partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                assert length is not None
                found.append(head + b"\r\n\r\n" + rest[: int(length[1])])
        return found

    def close(self) -> None:
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is not connected any more
            connection.close()
        for thread in self._threads:
            thread.join(SECONDS_MAX)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # not started yet
                client.close()
                continue
            self._sockets += [client, server]
            stream = bytearray()
            self._streams.append(stream)
            self._start(self._pump, client, server, stream)
            self._start(self._pump, server, client, None)

    def _pump(self, source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of them has gone: so does this direction


@contextmanager
def recorded_cluster(folder: Path) -> Iterator[tuple[list[RunningEtcd], list[Recorder]]]:
    """Three real members that know each other by the addresses of recorders."""
    with ExitStack() as stack:
        ports = [free_port() for _ in range(3)]
        recorders = [Recorder(port) for port in ports]
        for recorder in recorders:
            stack.callback(recorder.close)
        names = ",".join(f"m{at}=http://127.0.0.1:{recorder.port}" for at, recorder in enumerate(recorders))
        members = [
            stack.enter_context(
                start_reference_etcd(
                    folder,
                    name=f"m{at}",
                    peer_port=recorder.port,
                    initial_cluster=names,
                    flags=(f"--listen-peer-urls=http://127.0.0.1:{port}",),
                    wait=False,
                )
            )
            for at, (recorder, port) in enumerate(zip(recorders, ports, strict=True))
        ]
        for member in members:
            wait_until_healthy(member)
        yield members, recorders


def keep_alive_once(client: Client, lease_id: int) -> int:
    stream = client.channel.stream(b"/etcdserverpb.Lease/LeaseKeepAlive")
    try:
        stream.write(pb.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
        answer = stream.read(timeout=SECONDS_MAX)
        assert answer is not None
        return pb.LeaseKeepAliveResponse.FromString(answer).TTL
    finally:
        stream.cancel()


def replay(peer_url: str, request: bytes) -> Reply:
    """Send the bytes of a request as they are."""
    host, port = peer_url.partition("://")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS_MAX) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return Reply(answer.status, {"content-type": answer.headers["content-type"]}, answer.read())


def test_what_a_real_follower_asks_ours_understands(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    with recorded_cluster(tmp_path) as (members, recorders), ExitStack() as stack:
        clients = [stack.enter_context(Client(member.endpoint)) for member in members]
        write_history(clients[0])
        for client in clients:
            assert keep_alive_once(client, LEASE) == 1000
            assert keep_alive_once(client, 77) == 0
            request = pb.LeaseTimeToLiveRequest(ID=LEASE, keys=True)
            response = client.call("Lease/LeaseTimeToLive", request, pb.LeaseTimeToLiveResponse)
            assert response.grantedTTL == 1000
        renewals = [one for recorder in recorders for one in recorder.requests(b"/leases")]
        questions = [one for recorder in recorders for one in recorder.requests(b"/leases/internal")]
    assert (len(renewals), len(questions)) == (4, 2), "two followers asked for each"

    with start_reference_etcd(tmp_path / "ours", binary=ours_binary("etcd")) as ours, Client(ours.endpoint) as client:
        write_history(client)
        renewed = [replay(ours.peer_url, request) for request in renewals]
        described = [replay(ours.peer_url, request) for request in questions]

    answer = pb.LeaseKeepAliveResponse(ID=LEASE, TTL=1000).SerializeToString()
    assert sorted((reply.status, reply.body) for reply in renewed) == [
        *[(200, answer)] * 2,
        *[(404, b"lease not found\n")] * 2,
    ]
    for reply in described:
        assert (reply.status, reply.headers["content-type"]) == (200, "application/protobuf")
        found = lease_pb2.LeaseInternalResponse.FromString(reply.body).LeaseTimeToLiveResponse
        assert (found.ID, found.grantedTTL, list(found.keys)) == (LEASE, 1000, [b"leased"])


# -- members of both kinds in one cluster


KINDS: Final = {"ours": (1, 1, 1), "mixed": (0, 1, 0), "mostly ours": (1, 0, 1)}


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_leases_are_kept_alive_through_every_member_whoever_leads(tmp_path: Path, kinds: tuple[int, ...]) -> None:
    binaries = [ours_binary("etcd") if is_ours else None for is_ours in kinds]
    with start_reference_cluster(tmp_path, 3, binaries=binaries) as cluster, ExitStack() as stack:
        clients = [stack.enter_context(Client(member.endpoint)) for member in cluster.members]
        write_history(clients[0])
        ids = cluster.member_ids()
        for next_leader in cluster.members:
            for client in clients:
                assert keep_alive_once(client, LEASE) == 1000
                assert keep_alive_once(client, 77) == 0
                request = pb.LeaseTimeToLiveRequest(ID=LEASE, keys=True)
                response = client.call("Lease/LeaseTimeToLive", request, pb.LeaseTimeToLiveResponse)
                assert (response.grantedTTL, list(response.keys)) == (1000, [b"leased"])
            leader = cluster.leader()
            if next_leader is not leader:
                with Client(leader.endpoint) as client:
                    move = pb.MoveLeaderRequest(targetID=ids[next_leader.name])
                    client.call("Maintenance/MoveLeader", move, pb.MoveLeaderResponse)
