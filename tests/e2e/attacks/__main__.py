"""The campaign: every attack for a while against the leader of three members, and a table of what came of it.

    make attacks SECONDS=30 ARGS='--only "rapid reset,ping"'          --part 2/8 is the second eighth of them

An honest client writes at a steady pace to the attacked member, before and during each attack. An attack is missed when

    memory    of the member grew by more than MEMORY_BYTES_MAX
    p99       of the honest client's writes became more than P99_RATIO_MAX times that of before
    failures  one of its writes failed, or a new connection was kept out
    leader    the member was voted out, or any term changed

It measures time, so nothing else should run meanwhile; it is no part of `make test`. Exits with 1 when one is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etcdpy.pb import rpc_pb2
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.certificates import Authority
from tests.e2e.attacks.attacker import attacks
from tests.e2e.attacks.honest import PUT, HonestClient
from tests.ours import ours_binary
from tests.reference import REPOSITORY, free_port
from tests.reference_cluster import RunningCluster, start_reference_cluster

MEMORY_BYTES_MAX: Final = 64 << 20
P99_RATIO_MAX: Final = 10.0
# How long the honest client is watched before each attack, as a part of the attack's own time.
CALM_PART: Final = 1 / 6
STATUS: Final = b"/etcdserverpb.Maintenance/Status"
LARGE_VALUES: Final = 8


@dataclass(frozen=True)
class Result:
    name: str
    growth_bytes: int
    p99_before_ms: float
    p99_during_ms: float
    failures: list[str]
    has_led: bool

    @property
    def ratio(self) -> float:
        return self.p99_during_ms / self.p99_before_ms

    def faults(self) -> list[str]:
        found = []
        if self.growth_bytes > MEMORY_BYTES_MAX:
            found.append("memory")
        if self.ratio > P99_RATIO_MAX:
            found.append("p99")
        if self.failures:
            found.append(f"failures: {self.failures[0]}")
        if not self.has_led:
            found.append("leader")
        return found

    def row(self) -> str:
        verdict = ", ".join(self.faults()) or "kept"
        return (
            f"| {self.name} | {self.growth_bytes / (1 << 20):.1f} MiB | {self.p99_before_ms:.1f} ms "
            f"| {self.p99_during_ms:.1f} ms | {self.ratio:.1f} | {verdict} |"
        )


HEADER: Final = "| attack | memory | p99 before | p99 during | ratio | verdict |\n| --- | --- | --- | --- | --- | --- |"


class Scene:
    """Three members; m0 leads, serves TLS as well, and is attacked."""

    def __init__(self, cluster: RunningCluster, tls_port: int) -> None:
        self._cluster = cluster
        self.tls_port = tls_port
        victim = cluster.members[0]
        assert victim.running is not None
        self.port = int(victim.endpoint.rpartition(":")[2])
        self._proc = Path(f"/proc/{victim.running.pid}")

    def memory_bytes(self, field: str = "VmRSS") -> int:
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the member has ended")

    def forget_peak(self) -> None:
        (self._proc / "clear_refs").write_text("5")

    def standing(self) -> list[tuple[int, int]]:
        """Return (leader, term) as each member tells them."""
        found = []
        for member in self._cluster.members:
            with BlockingChannel(member.endpoint) as channel:
                status = rpc_pb2.StatusResponse.FromString(channel.unary(STATUS, b"", 10.0))
            found.append((status.leader, status.raftTerm))
        return found


@contextmanager
def opened_scene(folder: Path) -> Iterator[Scene]:
    tls_port = free_port()
    pair = Authority(folder, "ca").issue("server")
    with start_reference_cluster(folder, 3, binaries=[ours_binary("etcd")] * 3) as cluster:
        victim = cluster.members[0]
        urls = f"{victim.client_url},https://127.0.0.1:{tls_port}"
        victim.restart(flags=[*pair.flags(), f"--listen-client-urls={urls}"])
        if cluster.leader() is not victim:
            leader = cluster.leader()
            with BlockingChannel(leader.endpoint) as channel:
                request = rpc_pb2.MoveLeaderRequest(targetID=cluster.member_ids()[victim.name])
                channel.unary(b"/etcdserverpb.Maintenance/MoveLeader", request.SerializeToString(), 10.0)
        with BlockingChannel(victim.endpoint) as channel:
            for number in range(LARGE_VALUES):
                put = rpc_pb2.PutRequest(key=b"large/%d" % number, value=bytes([65 + number]) * (1 << 20))
                channel.unary(PUT, put.SerializeToString(), 10.0)
        yield Scene(cluster, tls_port)


def play(scene: Scene, name: str, seconds: float) -> Result:
    client = HonestClient(scene.port)
    try:
        before = client.work(seconds * CALM_PART)
        standing, memory = scene.standing(), scene.memory_bytes()
        scene.forget_peak()
        command = [sys.executable, "-m", "tests.e2e.attacks.attacker", name, str(scene.port), str(scene.tls_port)]
        attacker = subprocess.Popen(command, cwd=REPOSITORY)
        try:
            during = client.work(seconds)
            if attacker.poll() is not None:
                raise RuntimeError(f"the attacker gave up: {name}")
        finally:
            attacker.kill()
            attacker.wait()
        growth = scene.memory_bytes("VmHWM") - memory
        has_led = scene.standing() == standing
    finally:
        client.close()
    return Result(name, growth, before.p99_ms(), during.p99_ms(), before.failures + during.failures, has_led)


def chosen(only: str, part: str) -> list[str]:
    names = list(attacks())
    if only:
        wanted = [name.strip() for name in only.split(",")]
        unknown = set(wanted) - set(names)
        if unknown:
            raise SystemExit(f"no such attacks: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
        return wanted
    number, count = (int(text) for text in part.split("/"))
    size = -(-len(names) // count)
    return names[(number - 1) * size : number * size]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.attacks", description="attacks on a live member")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each attack lasts")
    parser.add_argument("--only", default="", help="these attacks, with commas between them")
    parser.add_argument("--part", default="1/1", help="n/m: the nth of m parts of all attacks")
    arguments = parser.parse_args()
    names = chosen(arguments.only, arguments.part)
    missed = 0
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as folder, opened_scene(Path(folder)) as scene:
        for name in names:
            result = play(scene, name, arguments.seconds)
            missed += bool(result.faults())
            print(result.row(), flush=True)
    print(f"{len(names) - missed} of {len(names)} kept", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
