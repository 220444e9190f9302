"""What a client is told whose write was lost between two members, and who leads is reachable again: same code and text.

    client --put--> follower --x-- leader        the network is down: what is forwarded to the leader is lost
    client          follower ----- leader        it is up again before anybody misses the leader: no election

The follower waits for an entry that never comes. It cannot know that, only that the connection was lost meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from etcdpy.base.errors import UNAVAILABLE
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client
from tests.compat.test_timeouts_real import PUT
from tests.ours import ours_binary
from tests.reference import free_port
from tests.reference_cluster import ClusterMember, RunningCluster

pytestmark = pytest.mark.slow

CONNECTION_LOST: Final = (UNAVAILABLE, "etcdserver: request timed out, possibly due to connection lost")
PIECE_BYTES: Final = 65536
# Longer than the network is down, and a part of what a write waits: 5 s and twice as much.
ELECTION_FLAGS: Final = ("--heartbeat-interval=100", "--election-timeout=3000")
WAIT_SECONDS_MAX: Final = 30.0


class Network:
    """Stands between the members. While it is down nobody is connected, and nothing is kept for later."""

    def __init__(self) -> None:
        self.is_up = True
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, target_port: int) -> int:
        """Return the port where a member is reached through it."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(reader, writer, target_port))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def go_down(self) -> None:
        self.is_up = False
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self.go_down()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports tell of their end in the next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target_port: int) -> None:
        ends = [writer]
        try:
            if not self.is_up:
                return
            self._writers.add(writer)
            target_reader, target = await asyncio.open_connection("127.0.0.1", target_port)
            ends.append(target)
            self._writers.add(target)
            if self.is_up:
                await asyncio.gather(_copy(reader, target), _copy(target_reader, writer))
        except OSError:
            return  # one of the two ends is gone, and now the other
        finally:
            for end in ends:
                self._writers.discard(end)
                end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(PIECE_BYTES):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()


async def start_cluster(folder: Path, network: Network, binary: Path | None) -> RunningCluster:
    """Start three members that know each other by their ports in the network."""
    listen_ports = [free_port() for _ in range(3)]
    ports = [await network.open(port) for port in listen_ports]
    initial = ",".join(f"m{at}=http://127.0.0.1:{port}" for at, port in enumerate(ports))
    members = [
        ClusterMember(
            folder,
            f"m{at}",
            client_port=free_port(),
            peer_port=ports[at],
            initial_cluster=initial,
            cluster_token="token",
            binary=binary,
            flags=(f"--listen-peer-urls=http://127.0.0.1:{listen_ports[at]}", *ELECTION_FLAGS),
        )
        for at in range(3)
    ]
    cluster = RunningCluster(folder, members, cluster_token="token")
    try:
        for member in members:
            member.start(wait=False)
        await asyncio.to_thread(cluster.wait_until_healthy)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def measure(member: ClusterMember, name: str) -> float:
    """Return the sum of a metric's samples."""
    with urllib.request.urlopen(f"{member.client_url}/metrics", timeout=WAIT_SECONDS_MAX) as answer:
        text = answer.read().decode()
    samples = re.findall(rf"(?m)^{name}(?:{{[^}}]*}})? (\S+)$", text)
    return sum(map(float, samples))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def count_losses(member: ClusterMember, peer_id: int) -> int:
    """Return how often a member has lost another one."""
    lines = member.log_path.read_text().splitlines()
    return sum("peer became inactive" in line and f"{peer_id:x}" in line for line in lines)


def status(member: ClusterMember) -> pb.StatusResponse:
    with Client(member.endpoint) as client:
        answer: pb.StatusResponse = client.call("Maintenance/Status", pb.StatusRequest(), pb.StatusResponse)
    return answer


def put(member: ClusterMember) -> tuple[int, str]:
    with Client(member.endpoint) as client:
        return client.status(*PUT)


async def lose_a_write(cluster: RunningCluster, network: Network) -> tuple[int, str]:
    leader = await asyncio.to_thread(cluster.leader)
    follower = next(member for member in cluster.members if member is not leader)
    before = await asyncio.to_thread(status, follower)
    assert await asyncio.to_thread(put, follower) == (0, "")
    known = count_losses(follower, before.leader)
    network.go_down()
    await asyncio.to_thread(wait_until, lambda: count_losses(follower, before.leader) > known)
    failures = await asyncio.to_thread(measure, follower, "etcd_network_peer_sent_failures_total")
    answer = asyncio.ensure_future(asyncio.to_thread(put, follower))

    def is_lost() -> bool:
        is_waiting = measure(follower, "etcd_server_proposals_pending") > 0
        return is_waiting and measure(follower, "etcd_network_peer_sent_failures_total") > failures

    await asyncio.to_thread(wait_until, is_lost)
    network.is_up = True
    seen = await answer
    after = await asyncio.to_thread(status, follower)
    assert (after.leader, after.raftTerm) == (before.leader, before.raftTerm), "somebody missed the leader"
    assert await asyncio.to_thread(put, follower) == (0, "")
    return seen


async def run(folder: Path, binary: Path | None) -> tuple[int, str]:
    folder.mkdir()
    network = Network()
    try:
        cluster = await start_cluster(folder, network, binary)
        try:
            return await lose_a_write(cluster, network)
        finally:
            await asyncio.to_thread(cluster.stop)
    finally:
        await network.close()


def test_a_write_that_was_lost_on_its_way_to_the_leader(tmp_path: Path) -> None:
    async def both() -> tuple[tuple[int, str], tuple[int, str]]:
        return await asyncio.gather(run(tmp_path / "real", None), run(tmp_path / "ours", ours_binary("etcd")))

    theirs, ours = asyncio.run(both())
    assert (theirs, ours) == (CONNECTION_LOST, CONNECTION_LOST)
