"""How a member ends when it is asked to, and how it refuses to begin where another one is."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.base.errors import UNAVAILABLE, EtcdError
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingStream
from tests.compat.both import Client, Starter, path_of, run_restarting
from tests.e2e.writers import Ledger, Writers
from tests.ours import ours_binary
from tests.reference import START_SECONDS_MAX, RunningEtcd, free_port, start_reference_etcd

pytestmark = pytest.mark.slow

END_SECONDS_MAX: Final = 30.0
WAIT_SECONDS: Final = 20.0


def start_ours(folder: Path, *flags: str, ports: tuple[int, int] | None = None, wait: bool = True) -> RunningEtcd:
    client, peer = ports or (free_port(), free_port())
    return start_reference_etcd(
        folder, client_port=client, peer_port=peer, binary=ours_binary("etcd"), flags=flags, wait=wait
    )


def terminate(server: RunningEtcd) -> int:
    server.process.send_signal(signal.SIGTERM)
    return server.process.wait(END_SECONDS_MAX)


def log_entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "default.log").read_text().splitlines()]


def end_of(stream: BlockingStream) -> int:
    """Read a stream to its end; return the status it ends with."""
    try:
        while stream.read(WAIT_SECONDS) is not None:
            pass
    except EtcdError as error:
        return error.code
    return 0


def test_open_streams_are_told(tmp_path: Path) -> None:
    """Status 14 lets clients reconnect elsewhere; a cut connection or another status would make some give up."""

    def script(start: Starter) -> list[int]:
        with start() as server, Client(server.endpoint) as client, Client(server.endpoint) as renewing:
            watch = client.channel.stream(path_of("Watch/Watch"))
            create = pb.WatchCreateRequest(key=b"k")
            watch.write(pb.WatchRequest(create_request=create).SerializeToString())
            assert watch.read(WAIT_SECONDS) is not None
            idle = client.channel.stream(path_of("Watch/Watch"))
            client.call("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=1, TTL=600), pb.LeaseGrantResponse)
            keep_alive = renewing.channel.stream(path_of("Lease/LeaseKeepAlive"))
            keep_alive.write(pb.LeaseKeepAliveRequest(ID=1).SerializeToString())
            assert keep_alive.read(WAIT_SECONDS) is not None
            server.process.send_signal(signal.SIGTERM)
            ends = [end_of(watch), end_of(idle), end_of(keep_alive)]
            assert server.process.wait(END_SECONDS_MAX) == -signal.SIGTERM
            return ends

    both = run_restarting(tmp_path, script)

    assert both.ours == [UNAVAILABLE] * 3
    assert both.theirs == both.ours


@pytest.mark.parametrize("signals", [1, 3])
def test_under_load_nothing_acknowledged_is_lost(tmp_path: Path, signals: int) -> None:
    """Nor does it matter how often one asks."""
    ledger = Ledger()
    ports = free_port(), free_port()
    with start_ours(tmp_path, ports=ports) as server:
        with Writers(server.endpoint, ledger, 8, lambda number: b"%d" % number * 200):
            ledger.wait_for(300)
            for _ in range(signals):
                server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(END_SECONDS_MAX) == -signal.SIGTERM
    last = log_entries(tmp_path)[-1]
    assert last["msg"] == "closed etcd server"
    assert {entry["level"] for entry in log_entries(tmp_path)} <= {"info", "warn"}
    with start_ours(tmp_path, ports=ports) as server:
        ledger.check(server.endpoint)


def wait_logged(folder: Path, server: RunningEtcd, message: str, skip: int) -> None:
    """Wait until `message` is in the log behind its first `skip` lines."""
    deadline = time.monotonic() + START_SECONDS_MAX
    log = folder / "default.log"
    while f'"msg":"{message}"' not in "\n".join(log.read_text().splitlines()[skip:]):
        assert time.monotonic() < deadline and server.process.poll() is None, f"{message!r} was not logged"
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(0.002)  # the pause between two looks


STAGES: Final = [
    "starting an etcd server",
    "opened backend db",
    "restarting local member",
    "published local member to cluster through raft",
]


@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_while_it_starts(tmp_path: Path, stage: str) -> None:
    """The start is given up, whatever it has come to; the next one finds everything."""
    ledger = Ledger()
    ports = free_port(), free_port()
    with start_ours(tmp_path, ports=ports) as server:
        with Writers(server.endpoint, ledger, 4, lambda number: b"%d" % number):
            ledger.wait_for(200)
            terminate(server)
    lines = len(log_entries(tmp_path))
    with start_ours(tmp_path, ports=ports, wait=False) as server:
        wait_logged(tmp_path, server, stage, lines)
        assert terminate(server) == -signal.SIGTERM
    with start_ours(tmp_path, ports=ports) as server:
        ledger.check(server.endpoint)


def refused(folder: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    """Start a member that cannot; return its exit code and its last words."""
    folder.mkdir()
    server = start_ours(folder, *flags, wait=False)
    try:
        code = server.process.wait(END_SECONDS_MAX)
    finally:
        server.stop()
    return code, log_entries(folder)[-1]


def test_a_port_of_another_member(tmp_path: Path) -> None:
    with start_ours(tmp_path) as server, Client(server.endpoint) as client:
        for name, flags in {
            "client": [f"--listen-client-urls={server.client_url}", f"--advertise-client-urls={server.client_url}"],
            "peer": [f"--listen-peer-urls={server.peer_url}"],
        }.items():
            code, words = refused(tmp_path / name, *flags)
            assert (code, words["level"], words["msg"]) == (1, "fatal", "discovery failed")
            assert "in use" in words["error"]
        assert client.status("KV/Put", pb.PutRequest(key=b"k").SerializeToString()) == (0, "")


def test_a_data_directory_of_another_member(tmp_path: Path) -> None:
    with start_ours(tmp_path) as server, Client(server.endpoint) as client:
        code, words = refused(tmp_path / "second", f"--data-dir={server.data_dir}")
        assert (code, words["level"]) == (1, "fatal")
        assert "locked by another process" in words["error"]
        assert client.status("KV/Put", pb.PutRequest(key=b"k").SerializeToString()) == (0, "")
        assert terminate(server) == -signal.SIGTERM
    with start_ours(tmp_path) as server, Client(server.endpoint) as client:
        found = client.call("KV/Range", pb.RangeRequest(key=b"k"), pb.RangeResponse)
        assert found.count == 1
