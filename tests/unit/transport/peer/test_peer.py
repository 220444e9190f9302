"""Which way a message takes; test_network.py has the ways themselves."""

from __future__ import annotations

from pathlib import Path

from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_APP, MSG_HEARTBEAT
from tests.unit.transport.peer.members import Both, Member, run, until


def test_streams_are_used_and_nothing_is_posted(tmp_path: Path) -> None:
    async def body() -> None:
        async with Both(tmp_path) as both:
            before = len(both.two.server.connections)
            both.one.network.send([Message(MSG_APP, 2, 1, 1), Message(MSG_HEARTBEAT, 2, 1, 1)])
            await until(lambda: len(both.two.recorder.received) == 2)
            # A probe may have come meanwhile; four posters have not.
            assert len(both.two.server.connections) <= before + 1

    run(body())


def test_starting_and_stopping_is_logged_as_etcd_logs_it(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        one.network.add_peer(2, ["http://127.0.0.1:1"])
        one.network.add_peer(2, ["http://127.0.0.1:2"])
        await one.stop()
        logged = one.logged()
        assert logged[:2] == ["starting remote peer", "started HTTP pipelining with remote peer"]
        assert logged.count("started stream writer with remote peer") == 2
        assert logged.count("started stream reader with remote peer") == 2
        assert logged.count("added remote peer") == 1
        assert logged.count("stopped stream reader with remote peer") == 2
        assert logged[-2:] == ["stopped remote peer", "removed remote peer"]

    run(body())
