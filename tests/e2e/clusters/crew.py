"""Clients of a cluster in trouble: they ask on and on, each of its own member, and write down what they were told.

Every write carries its own number as the value, so that the history of the store (a watch from the beginning) says in
which order the writes took effect. A transaction writes whichever way it goes, so that it is in that history, too.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any, Final

from etcdpy.base.errors import EtcdError
from etcdpy.client import method
from etcdpy.client.aio import AsyncClient
from etcdpy.client.request import watch_request
from etcdpy.pb import kv_pb2, rpc_pb2
from etcdpy.sim.requests import (
    MOD_REVISION,
    OK,
    UNKNOWN,
    Compare,
    Operation,
    Put,
    Range,
    Request,
    Txn,
    read_answer,
    to_proposal,
)
from etcdpy.state.mvcc.answer import Answer

CALL_SECONDS: Final = 10.0
# Between two requests of a client: the load is bounded, and the checks need not chew through millions.
PAUSE_SECONDS: Final = 0.004
KEYS: Final = 8
PREFIX: Final = b"c/"
PREFIX_END: Final = b"c0"


class Crew:
    """All clients and watchers of one campaign."""

    def __init__(self, endpoints: list[str], rng: random.Random, *, roams: bool = False) -> None:
        """`roams`: each client knows all endpoints, as an application does, and not one member only."""
        self.operations: list[Operation] = []
        self.watchers: list[Watcher] = []
        self.failed_reads: list[str] = []  # linearizable ones, after all that the client does to get an answer
        self._endpoints = endpoints
        self._roams = roams
        self._rng = rng
        self._moments = itertools.count(1)
        self._is_stopping = False
        self._progress = asyncio.Condition()
        self.done = 0  # operations that were answered

    async def wait_done(self, more: int) -> None:
        """Wait until `more` further operations have been answered."""
        target = self.done + more
        async with self._progress:
            await self._progress.wait_for(lambda: self.done >= target)

    def stop(self) -> None:
        self._is_stopping = True

    def move(self, endpoints: list[str]) -> None:
        """Ask these from now on; only for a crew that roams."""
        assert self._roams
        self._endpoints = endpoints

    async def run(self, clients_per_member: int) -> None:
        """Ask until `stop`."""
        async with asyncio.TaskGroup() as group:
            for member in range(len(self._endpoints)):
                for _ in range(clients_per_member):
                    group.create_task(self._ask_on(member, random.Random(self._rng.random())))

    async def watch(self) -> None:
        """One watcher at each member, from the beginning, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for endpoint in self._endpoints:
                watcher = Watcher(endpoint)
                self.watchers.append(watcher)
                group.create_task(watcher.run())

    async def _ask_on(self, member: int, rng: random.Random) -> None:
        seen: dict[bytes, int] = {}
        while not self._is_stopping:
            endpoints = self._endpoints
            async with AsyncClient(endpoints if self._roams else [endpoints[member]]) as client:
                while not self._is_stopping and endpoints is self._endpoints:
                    operation = self._new_operation(member, rng, seen)
                    await self._ask(client, operation, seen)
                    await asyncio.sleep(PAUSE_SECONDS)

    def _new_operation(self, member: int, rng: random.Random, seen: dict[bytes, int]) -> Operation:
        number = len(self.operations) + 1
        operation = Operation(number, member, _choose(rng, number, seen), next(self._moments), member)
        self.operations.append(operation)
        return operation

    async def _ask(self, client: AsyncClient, operation: Operation, seen: dict[bytes, int]) -> None:
        request = operation.request
        _, message = to_proposal(request)
        try:
            answer = await client.call(_verb(request), message, CALL_SECONDS)
        except EtcdError as error:
            operation.finish(next(self._moments), UNKNOWN)
            if isinstance(request, Range) and not request.is_serializable:
                self.failed_reads.append(f"{operation}: {error}")
            return
        revision = answer.header.revision
        response = read_answer(request, Answer(revision, answer.SerializeToString()))
        operation.finish(next(self._moments), OK, revision, response)
        if isinstance(request, Range):
            seen.update({item[0]: item[3] for item in response[1]})
        async with self._progress:
            self.done += 1
            self._progress.notify_all()


def _verb(request: Request) -> Any:
    if isinstance(request, Put):
        return method.KV_PUT
    return method.KV_TXN if isinstance(request, Txn) else method.KV_RANGE


def _choose(rng: random.Random, number: int, seen: dict[bytes, int]) -> Request:
    key, value = PREFIX + b"k%d" % rng.randrange(KEYS), b"%d" % number
    chance = rng.random()
    if chance < 0.4:
        return Put(key, value)
    if chance < 0.6:
        other = PREFIX + b"k%d" % rng.randrange(KEYS)
        return Txn((Compare(key, MOD_REVISION, seen.get(key, 0)),), (Put(key, value),), (Put(other, value),))
    end = PREFIX_END if rng.random() < 0.5 else b""
    return Range(PREFIX if end else key, end, is_serializable=chance > 0.9)


Event = tuple[int, bytes, bytes]  # revision, key, value


class Watcher:
    """Follows everything at one member, over all its deaths: the client goes on after the last event that it saw."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.events: list[Event] = []
        self.faults: list[str] = []

    async def run(self) -> None:
        async with AsyncClient([self.endpoint]) as client:
            request: rpc_pb2.WatchCreateRequest = watch_request(PREFIX, range_end=PREFIX_END, start_revision=1)
            async for response in client.watch(request):
                self._take(response)

    def _take(self, response: rpc_pb2.WatchResponse) -> None:
        if response.canceled:
            self.faults.append(f"{self.endpoint} canceled the watch: {response.cancel_reason}")
        for event in response.events:
            assert event.type == kv_pb2.Event.PUT
            revision = event.kv.mod_revision
            if self.events and revision < self.events[-1][0]:
                self.faults.append(f"{self.endpoint} told revision {revision} after {self.events[-1][0]}")
            self.events.append((revision, event.kv.key, event.kv.value))
