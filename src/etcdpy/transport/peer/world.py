"""What all parts of the peer transport share: who we are, our clock, our log, and how to open a connection."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol, TypeVar

from etcdpy.base.ids import format_id
from etcdpy.transport.peer.counters import Counters
from etcdpy.transport.peer.receiver import Receiver
from etcdpy.transport.peer.settings import Identity, Timeouts
from etcdpy.transport.peer.tasks import Tasks
from etcdpy.transport.peer.urls import PeerUrl

ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)


class Connector(Protocol):
    """How connections to peers are opened. Where TLS comes in: another connector wraps what this one gives."""

    async def connect(self, url: PeerUrl, factory: Callable[[], ProtocolT]) -> ProtocolT:
        """Return the protocol that `factory` made, connected. Raise OSError."""


class PlainConnector:
    """TCP and unix sockets, without TLS."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def connect(self, url: PeerUrl, factory: Callable[[], ProtocolT]) -> ProtocolT:
        if url.is_secure:
            raise ConnectionError(f"{url}: TLS between peers is not set up")
        if url.is_unix:
            _, protocol = await self._loop.create_unix_connection(factory, url.host)
        else:
            _, protocol = await self._loop.create_connection(factory, url.host, url.port)
        return protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Handed to every part."""

    loop: asyncio.AbstractEventLoop
    identity: Identity
    timeouts: Timeouts
    receiver: Receiver
    connector: Connector
    counters: Counters
    log: logging.Logger
    rng: random.Random
    tasks: Tasks
    snap_directory: str

    @property
    def own_id(self) -> str:
        return format_id(self.identity.member_id)

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return self.tasks.start(work)
