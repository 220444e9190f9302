"""Members that come and go, as whole processes, told to by the real etcdctl."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client
from tests.ours import ours_binary
from tests.reference import free_port, start_reference_etcd
from tests.reference_cluster import RunningCluster, start_reference_cluster

pytestmark = pytest.mark.slow

END_SECONDS_MAX: Final = 30.0
# Where a stop waits for something in vain it gives up only after this (embed.etcd).
WAITING_IN_VAIN: Final = "the disk did not finish in time"
LEARNER_REFUSED: Final = (14, "etcdserver: rpc not supported for learner")


def start_ours(folder: Path, size: int) -> RunningCluster:
    return start_reference_cluster(folder, size, binaries=[ours_binary("etcd")] * size)


def log_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_removed_member_ends_well_and_says_why(tmp_path: Path) -> None:
    with start_ours(tmp_path, 3) as cluster:
        cluster.ctl("put", "a", "1")
        leader = cluster.leader()
        leaving = next(member for member in cluster.members if member is not leader)
        assert leaving.running is not None
        cluster.ctl_when_settled("member", "remove", f"{cluster.member_ids()[leaving.name]:x}")

        assert leaving.running.process.wait(END_SECONDS_MAX) == 0
        warnings = [(line["msg"], line.get("error")) for line in log_of(leaving.log_path) if line["level"] == "warn"]
        assert ("server error", "the member has been permanently removed from the cluster") in warnings
        assert warnings[-1] == ("data-dir used by this member must be removed", None)
        assert leaving.name not in cluster.ctl("member", "list")
        staying = [member for member in cluster.members if member is not leaving]
        with Client(staying[0].endpoint) as client:
            client.call("KV/Put", pb.PutRequest(key=b"b"), pb.PutResponse)


def test_a_learner_reads_for_itself_and_writes_once_it_votes(tmp_path: Path) -> None:
    with start_ours(tmp_path, 1) as cluster:
        cluster.ctl("put", "a", "1")
        learner = cluster.add_member(learner=True, binary=ours_binary("etcd"))
        put = pb.PutRequest(key=b"b").SerializeToString()
        local = pb.RangeRequest(key=b"a", serializable=True)
        with Client(learner.endpoint) as client:
            cluster.wait_until(
                lambda: (
                    client.status("KV/Range", local.SerializeToString())[0] == 0
                    and client.call("KV/Range", local, pb.RangeResponse).count == 1
                )
            )
            assert client.status("KV/Put", put) == LEARNER_REFUSED
            assert client.status("KV/Range", pb.RangeRequest(key=b"a").SerializeToString()) == LEARNER_REFUSED

            learner_id = next(
                line.split(", ")[0] for line in cluster.ctl("member", "list").splitlines() if line.endswith("true")
            )
            cluster.ctl_when_settled("member", "promote", learner_id)
            cluster.wait_until(lambda: client.status("KV/Put", put)[0] == 0)


def test_a_start_without_a_quorum_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    """It waits for the others, and a signal is answered all the same."""
    client, peer = free_port(), free_port()
    absent = f"default=http://127.0.0.1:{peer},m1=http://127.0.0.1:1,m2=http://127.0.0.1:2"
    with start_reference_etcd(
        tmp_path,
        client_port=client,
        peer_port=peer,
        initial_cluster=absent,
        binary=ours_binary("etcd"),
        wait=False,
    ) as server:
        log = tmp_path / "default.log"
        while '"msg":"serving peer traffic"' not in log.read_text():
            assert server.process.poll() is None
            try:
                server.process.wait(0.01)  # the pause between two looks
            except subprocess.TimeoutExpired:
                continue
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(END_SECONDS_MAX) == -signal.SIGTERM
        messages = [line["msg"] for line in log_of(log)]
        assert not [message for message in messages if WAITING_IN_VAIN in message]
        assert messages[-1] == "closed etcd server"
