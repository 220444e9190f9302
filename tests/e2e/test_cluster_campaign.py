"""Members of ours in real trouble: killed, stopped, cut off, again and again, under load from clients on all of them.

No acknowledged write is lost, the history is linearizable, watches are complete, all members hold the same in the end.

ETCDPY_CLUSTER_ROUNDS sets the rounds (30 in `make test`); a failure names the seed.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.client.aio import AsyncClient
from etcdpy.sim.linearizability import check_history
from tests.e2e.clusters.board import PATIENCE_SECONDS, Board, running_board
from tests.e2e.clusters.crew import Crew

ROUNDS = int(os.environ.get("ETCDPY_CLUSTER_ROUNDS", "30"))
CLIENTS_PER_MEMBER = 2
# Frequent snapshots and a short log: whoever was away comes back by a snapshot as often as by the log.
FLAGS = ("--snapshot-count=200", "--experimental-snapshot-catchup-entries=100")
# Election timeouts are a second; writes are to be accepted again within two of them and a second.
RECOVERY_SECONDS = 3.0
ATTEMPT_SECONDS = 0.3

Nemesis = Callable[[Board, Crew, random.Random], Awaitable[None]]


async def _kill_one(board: Board, crew: Crew, rng: random.Random) -> None:
    victim = rng.randrange(board.size)
    board.kill(victim)
    await crew.wait_done(rng.randrange(200))
    board.start(victim)


async def _kill_the_leader(board: Board, crew: Crew, rng: random.Random) -> None:
    victim = await board.find_leader()
    board.kill(victim)
    await crew.wait_done(rng.randrange(200))
    board.start(victim)


async def _kill_all(board: Board, crew: Crew, rng: random.Random) -> None:
    for number in range(board.size):
        board.kill(number)
    for number in rng.sample(range(board.size), board.size):
        board.start(number)


async def _pause_one(board: Board, crew: Crew, rng: random.Random) -> None:
    victim = await board.find_leader() if rng.random() < 0.5 else rng.randrange(board.size)
    board.pause(victim)
    await crew.wait_done(rng.randrange(400))
    board.resume(victim)


async def _cut_one_way(board: Board, crew: Crew, rng: random.Random) -> None:
    """One member is not heard any more, or hears nothing any more; or only one direction of one link is down."""
    victim = await board.find_leader() if rng.random() < 0.5 else rng.randrange(board.size)
    others = [number for number in range(board.size) if number != victim]
    directions = rng.choice(
        [
            [(victim, other) for other in others],
            [(other, victim) for other in others],
            [(victim, rng.choice(others))],
        ]
    )
    await board.links.cut(directions)
    await crew.wait_done(rng.randrange(400))
    await board.links.heal()


async def _cut_off(board: Board, crew: Crew, rng: random.Random) -> None:
    """A minority, with the leader or without, is alone."""
    minority = set(rng.sample(range(board.size), rng.randint(1, (board.size - 1) // 2)))
    majority = set(range(board.size)) - minority
    await board.links.cut([pair for a in minority for b in majority for pair in ((a, b), (b, a))])
    await crew.wait_done(rng.randrange(400))
    await board.links.heal()


TROUBLES: tuple[Nemesis, ...] = (_kill_one, _kill_the_leader, _kill_all, _pause_one, _cut_one_way, _cut_off)


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.timeout(60 + ROUNDS * 30)
def test_a_cluster_keeps_its_promises_in_trouble(tmp_path: Path, size: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # pytest shows it where the test fails
    asyncio.run(_campaign(tmp_path, size, random.Random(seed)))


async def _campaign(folder: Path, size: int, rng: random.Random) -> None:
    async with running_board(folder, size, *FLAGS) as board:
        crew = Crew(board.endpoints, rng)
        watching = asyncio.ensure_future(crew.watch())
        asking = asyncio.ensure_future(crew.run(CLIENTS_PER_MEMBER))
        try:
            for _ in range(ROUNDS):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await rng.choice(TROUBLES)(board, crew, rng)
                    await crew.wait_done(rng.randrange(50, 150))
                board.check_alive()
            await board.wait_serving()
        finally:
            crew.stop()
            await asking
        await _judge(board, crew)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _judge(board: Board, crew: Crew) -> None:
    hashes = await board.hashes()
    assert len(set(hashes)) == 1, f"members differ: {hashes}"
    last_revision = hashes[0][0]
    histories = [await board.history(number, last_revision) for number in range(board.size)]
    assert all(history == histories[0] for history in histories), "members tell different histories"
    faults = check_history(crew.operations, [int(value) for _, _, value in histories[0]])
    assert not faults, "\n".join(faults[:20])
    for watcher in crew.watchers:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (watcher.faults or (watcher.events and watcher.events[-1][0] >= last_revision)):
                await asyncio.sleep(0.02)
        assert not watcher.faults, watcher.faults
        assert watcher.events == histories[0], f"{watcher.endpoint} did not tell everything, once, in order"


@pytest.mark.slow
def test_writes_are_accepted_again_soon_after_the_leader_s_death(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_board(tmp_path, 3) as board:
            leader = await board.find_leader()
            survivors = [endpoint for number, endpoint in enumerate(board.endpoints) if number != leader]
            async with AsyncClient(survivors) as client:
                await client.kv.put(b"c/before", b"0")
                board.kill(leader)
                async with asyncio.timeout(RECOVERY_SECONDS):
                    await _put_until_taken(client)

    asyncio.run(scenario())


async def _put_until_taken(client: AsyncClient) -> None:
    while True:
        try:
            # What was forwarded to the dead leader is lost: nobody but its asker can ask again.
            await client.kv.put(b"c/after", b"1", timeout=ATTEMPT_SECONDS)
            return
        except EtcdError:
            await asyncio.sleep(0.02)
