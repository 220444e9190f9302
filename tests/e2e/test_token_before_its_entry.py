"""A token that one member gave, shown to another that has not heard of it yet: it waits, as etcd does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.auth_matrix import CHEAP, get, put, set_up
from tests.compat.auth_operations import Player, Step
from tests.compat.both import path_of
from tests.e2e.clusters.board import PATIENCE_SECONDS, Board, running_board

pytestmark = pytest.mark.slow

READ_SECONDS = 30.0


class Streams:
    """Calls on a member that is cut off; each has been read by it when this is made."""

    def __init__(self, player: Player) -> None:
        metadata = player.metadata(b"root")
        self._player = player
        self.watch = player.channel.stream(path_of("Watch/Watch"), metadata)
        self.watch.write(pb.WatchRequest(create_request=pb.WatchCreateRequest(key=b"x")).SerializeToString())
        self.renewal = player.channel.stream(path_of("Lease/LeaseKeepAlive"), metadata)
        self.renewal.write(pb.LeaseKeepAliveRequest(ID=1).SerializeToString())
        self.snapshot = player.channel.stream(path_of("Maintenance/Snapshot"), metadata)
        self.snapshot.write(b"")
        self.snapshot.finish_writing()
        # Requests of one connection are read in order, and this one is answered at once.
        refused = player.play(Step(b"", "KV/Range", get(b"x", serializable=True)))
        assert refused.text == "etcdserver: user name is empty"

    def check(self) -> None:
        """All of them are served. An EtcdError would be raised by `read`."""
        created = self.watch.read(READ_SECONDS)
        assert created is not None
        response = pb.WatchResponse.FromString(created)
        assert response.created and not response.canceled, response.cancel_reason
        renewed = self.renewal.read(READ_SECONDS)
        assert renewed is not None and pb.LeaseKeepAliveResponse.FromString(renewed).TTL == 6000
        assert self.snapshot.read(READ_SECONDS) is not None
        written = self._player.play(Step(b"root", "KV/Put", put(b"x")))
        assert written.code == 0, written
        event = self.watch.read(READ_SECONDS)
        assert event is not None and len(pb.WatchResponse.FromString(event).events) == 1
        for stream in (self.watch, self.renewal, self.snapshot):
            stream.cancel()


def test_a_member_that_is_behind_waits_for_the_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_board(tmp_path, 3, *CHEAP) as board:
            leader = await board.find_leader()
            behind = (leader + 1) % 3
            there, here = Player(board.endpoints[leader]), Player(board.endpoints[behind])
            try:
                await show_a_new_token(board, behind, there, here)
            finally:
                there.close()
                here.close()

    asyncio.run(scenario())


async def show_a_new_token(board: Board, behind: int, there: Player, here: Player) -> None:
    """The links are part of this loop: whatever blocks runs beside it."""
    await asyncio.to_thread(set_up, there)
    here.tokens[b"root"] = there.tokens[b"root"]
    async with asyncio.timeout(PATIENCE_SECONDS):
        # Who asks a member that is still applying changes of users is told to ask again.
        while (await asyncio.to_thread(here.play, Step(b"root", "KV/Range", get(b"x")))).code:
            pass
    others = [number for number in range(board.size) if number != behind]
    await board.links.cut([pair for other in others for pair in ((behind, other), (other, behind))])
    await asyncio.to_thread(there.log_in, b"root")
    here.tokens[b"root"] = there.tokens[b"root"]
    streams = await asyncio.to_thread(Streams, here)
    await board.links.heal()
    await asyncio.to_thread(streams.check)
