"""Which request is taken and from whom; compat/test_peer_real.py compares the answers with a real etcd's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.transport.peer.members import Member, ask, request, run


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "text"),
    [
        ("GET", "/raft", {}, 405, b"Method Not Allowed\n"),
        ("POST", "/raft/stream/msgapp/2", {}, 405, b"Method Not Allowed\n"),
        ("POST", "/raft", {"X_Server_Version": None}, 412, b"incompatible version\n"),
        ("POST", "/raft", {"X_Server_Version": "garbage"}, 412, b"incompatible version\n"),
        ("POST", "/raft", {"X_Etcd_Cluster_ID": "c2"}, 412, b"cluster ID mismatch\n"),
        ("GET", "/raft/stream/other/2", {}, 404, b"invalid path\n"),
        ("GET", "/raft/stream/msgapp/2/3", {}, 404, b"invalid path\n"),
        ("GET", "/raft/stream/msgapp/xyz", {}, 404, b"invalid from\n"),
        ("GET", "/raft/stream/msgapp/2", {}, 404, b"error sender not found\n"),
        ("GET", "/raft/stream/msgapp/3", {}, 412, b"to field mismatch\n"),
        ("GET", "/raft/stream/msgapp/3", {"X_Raft_To": "2"}, 412, b"to field mismatch\n"),
        ("GET", "/raft/stream/msgapp/9", {}, 410, b""),
    ],
)
def test_refusals(
    tmp_path: Path, method: str, path: str, headers: dict[str, str | None], status: int, text: bytes
) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        one.recorder.removed.add(9)
        one.network.add_peer(3, ["http://127.0.0.1:1"])
        got = await ask(one.port, request(method, path, b"", **headers))
        assert (got[0], got[2]) == (status, text)
        await one.stop()

    run(body())


def test_a_stranger_that_tells_its_urls_becomes_a_remote(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        await ask(one.port, request("GET", "/raft/stream/msgapp/2", X_PeerURLs="http://127.0.0.1:1,http://127.0.0.1:2"))
        assert one.network.knows(2) and one.network.find_peer(2) is None
        await one.stop()

    run(body())


def test_strangers_are_counted_together(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        for sender in range(100, 150):
            await ask(one.port, request("POST", "/raft", b"\xff", X_Server_From=f"{sender:x}"))
        assert dict(one.network.metrics().received_failures) == {0: 50}
        await one.stop()

    run(body())
