"""Three members of one contender, each a process of its own, and the one of them that leads.

with running_cluster(contender, folder) as cluster:
    cluster.address             the leader's
    cluster.check_agreement()   all three hold the same, and the same one leads as at the beginning
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import messages
from benchmarks.access import Access
from benchmarks.member import Contender, Member, free_ports, member_command, wait_until_healthy
from benchmarks.process import BenchError, end_process, start_process
from benchmarks.requests import H2loadReads, H2loadWrites
from benchmarks.scenario import CHECK_SECONDS_MAX, Row, Sample, Workbench, asking, check_equal
from etcdpy.pb import rpc_pb2

NAMES: Final = ("a", "b", "c")
# How often they are asked for what they have not come to yet.
ASK_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCluster:
    """The same calls as elsewhere, to the leader of three members, who agree afterwards."""

    calls: H2loadWrites | H2loadReads
    rounds_max: None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.calls.rows

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        with bench.fresh_folder() as folder, running_cluster(contender, folder) as cluster:
            samples = self.calls.measure_on(bench, cluster)
            cluster.check_agreement()
        return samples


class Cluster:
    """Invariant: every member answered /health with true once, and all of them named the same leader."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.leader = wait_for_leader(members)

    @property
    def address(self) -> str:
        return self.leader.address

    @property
    def access(self) -> Access:
        return self.leader.access

    def cpu_seconds(self) -> float:
        """Return what all three have spent so far."""
        return sum(member.cpu_seconds() for member in self.members)

    def check_agreement(self) -> None:
        """All three come to hold what the leader holds; a lead that changed under the load was not measured."""
        if wait_for_leader(self.members) is not self.leader:
            raise BenchError("the lead changed")
        revision = status_of(self.leader).header.revision
        for member in self.members:
            wait_for_revision(member, revision)
        hashes = [hash_of(member, revision) for member in self.members]
        for found in hashes[1:]:
            check_equal("hash of the keys", expected=hashes[0], found=found)


@contextmanager
def running_cluster(contender: Contender, folder: Path) -> Iterator[Cluster]:
    """Start three members without data, and stop them cleanly afterwards."""
    ports = free_ports(2 * len(NAMES))
    peer_ports = dict(zip(NAMES, ports[len(NAMES) :], strict=True))
    with ExitStack() as running:
        started = []
        begin = time.monotonic()
        for name, port in zip(NAMES, ports, strict=False):
            home = folder / name
            home.mkdir()
            command = member_command(contender, home, name=name, port=port, peer_ports=peer_ports)
            log = running.enter_context((home / "log").open("ab"))
            process = start_process(command, log=log)
            running.callback(end_process, process)
            started.append((process, port, home / "log"))
        members = []
        for process, port, log_path in started:
            wait_until_healthy(process, port, log_path)
            members.append(Member(process, port, time.monotonic() - begin))
        yield Cluster(members)
        for member in members:
            member.check_alive()


def wait_for_leader(members: Sequence[Member]) -> Member:
    """Return the one that all of them name."""
    deadline = time.monotonic() + CHECK_SECONDS_MAX
    while time.monotonic() < deadline:
        answers = [status_of(member) for member in members]
        named = {answer.leader for answer in answers}
        for member, answer in zip(members, answers, strict=True):
            if named == {answer.header.member_id}:
                return member
        time.sleep(ASK_PAUSE_SECONDS)
    raise BenchError(f"the members do not name one leader after {CHECK_SECONDS_MAX:.0f} s")


def wait_for_revision(member: Member, revision: int) -> None:
    deadline = time.monotonic() + CHECK_SECONDS_MAX
    while (found := status_of(member).header.revision) < revision:
        if time.monotonic() > deadline:
            raise BenchError(f"a member is at revision {found}, the leader at {revision}")
        time.sleep(ASK_PAUSE_SECONDS)


def status_of(member: Member) -> rpc_pb2.StatusResponse:
    with asking(member) as channel:
        answer = channel.unary(messages.STATUS_PATH, b"", CHECK_SECONDS_MAX)
    return rpc_pb2.StatusResponse.FromString(answer)


def hash_of(member: Member, revision: int) -> int:
    request = rpc_pb2.HashKVRequest(revision=revision).SerializeToString()
    with asking(member) as channel:
        answer = channel.unary(messages.HASH_KV_PATH, request, CHECK_SECONDS_MAX)
    return int(rpc_pb2.HashKVResponse.FromString(answer).hash)
