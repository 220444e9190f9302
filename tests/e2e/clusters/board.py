"""The cluster that a campaign plays with: real processes of ours, and links between them that can be cut."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.base.ids import compute_member_id
from etcdpy.client.aio import AsyncClient
from etcdpy.client.request import watch_request
from tests.e2e.clusters.links import Links
from tests.ours import ours_binary
from tests.reference import RunningEtcd, free_port, start_reference_etcd

# A loaded machine with two cores: what does not come about in this time never will.
PATIENCE_SECONDS: Final = 60.0
TOKEN: Final = "etcd-cluster"


class Board:
    """Members are numbered from 0."""

    def __init__(self, folder: Path, size: int, flags: tuple[str, ...]) -> None:
        self._folder = folder
        self._flags = flags
        self.size = size
        self.client_ports = [free_port() for _ in range(size)]
        self._listen_ports = [free_port() for _ in range(size)]
        self._proxy_ports = [free_port() for _ in range(size)]
        self.links = Links(self._listen_ports, self._proxy_ports)
        urls = [f"http://127.0.0.1:{port}" for port in self._proxy_ports]
        self._initial_cluster = ",".join(f"m{number}={url}" for number, url in enumerate(urls))
        self.ids = [compute_member_id((url,), TOKEN) for url in urls]
        self.links.member_ids = {member_id: number for number, member_id in enumerate(self.ids)}
        self._running: dict[int, RunningEtcd] = {}
        self._paused: set[int] = set()

    @property
    def endpoints(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self.client_ports]

    # -- what can be done to it

    def start(self, number: int) -> None:
        """Start a member, on the data that it left behind."""
        self._running[number] = start_reference_etcd(
            self._folder,
            name=f"m{number}",
            client_port=self.client_ports[number],
            peer_port=self._proxy_ports[number],
            initial_cluster=self._initial_cluster,
            cluster_token=TOKEN,
            binary=ours_binary("etcd"),
            flags=(f"--listen-peer-urls=http://127.0.0.1:{self._listen_ports[number]}", *self._flags),
            wait=False,
        )

    def kill(self, number: int) -> None:
        """End it as a crash does."""
        self._running[number].kill()

    def pause(self, number: int) -> None:
        os.kill(self._running[number].pid, signal.SIGSTOP)
        self._paused.add(number)

    def resume(self, number: int) -> None:
        os.kill(self._running[number].pid, signal.SIGCONT)
        self._paused.discard(number)

    def stop(self) -> None:
        for number in sorted(self._paused):
            self.resume(number)
        for running in self._running.values():
            if running.process.poll() is None:
                running.process.terminate()
        for running in self._running.values():
            running.stop()

    def check_alive(self) -> None:
        """No member may have ended by itself: only a test ends one."""
        for number, running in self._running.items():
            code = running.process.poll()
            assert code is None, f"m{number} ended with {code}: {self._tail(number)}"

    def _tail(self, number: int) -> str:
        return "\n".join((self._folder / f"m{number}.log").read_text(errors="replace").splitlines()[-20:])

    # -- what it looks like

    async def find_leader(self, among: set[int] | None = None) -> int:
        """Return who leads, as he says himself; wait for one."""
        members = sorted(among) if among is not None else list(range(self.size))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for number in members:
                    if await self._says_it_leads(number):
                        return number
                await asyncio.sleep(0.02)

    async def _says_it_leads(self, number: int) -> bool:
        try:
            async with AsyncClient([self.endpoints[number]], dial_timeout=1.0) as client:
                status = await client.maintenance.status(timeout=1.0)
        except EtcdError:
            return False
        return bool(status.leader == self.ids[number])

    async def wait_serving(self) -> None:
        """Wait until every member answers a linearizable read, one after the other."""
        for number in range(self.size):
            self.check_alive()
            async with asyncio.timeout(PATIENCE_SECONDS), AsyncClient([self.endpoints[number]]) as client:
                while not await _reads(client):
                    await asyncio.sleep(0.05)

    async def hashes(self) -> list[tuple[int, int]]:
        """Return each member's (revision, HashKV) once all have applied the same."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = []
                for endpoint in self.endpoints:
                    async with AsyncClient([endpoint]) as client:
                        await client.kv.get(b"c/")  # linearizable: it has applied what the others have
                        answer = await client.maintenance.hash_kv(0)
                        found.append((answer.header.revision, answer.hash))
                if len({revision for revision, _ in found}) == 1:
                    return found

    async def history(self, number: int, last_revision: int) -> list[tuple[int, bytes, bytes]]:
        """Return all events (revision, key, value) up to a revision as a member tells them."""
        events: list[tuple[int, bytes, bytes]] = []
        async with asyncio.timeout(PATIENCE_SECONDS), AsyncClient([self.endpoints[number]]) as client:
            watcher = client.watch(watch_request(b"c/", prefix=True, start_revision=1))
            while not events or events[-1][0] < last_revision:
                response = await watcher.read()
                assert response is not None, f"m{number} canceled the watch of its history"
                events += [(event.kv.mod_revision, event.kv.key, event.kv.value) for event in response.events]
            watcher.close()
        return events


async def _reads(client: AsyncClient) -> bool:
    try:
        await client.kv.get(b"c/", timeout=5.0)
    except EtcdError:
        return False
    return True


@asynccontextmanager
async def running_board(folder: Path, size: int, *flags: str) -> AsyncIterator[Board]:
    """A new cluster of ours in which every member serves."""
    board = Board(folder, size, flags)
    await board.links.start()
    try:
        for number in range(size):
            board.start(number)
        await board.wait_serving()
        yield board
    finally:
        board.stop()
        await board.links.close()
