"""The node's view of all other members: who they are, and a way to give them messages."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from etcdpy.pb.raft_values import Message
from etcdpy.transport.peer.counters import Counters
from etcdpy.transport.peer.receiver import Receiver
from etcdpy.transport.peer.settings import Identity, Timeouts


class PeerNetwork:
    """See the top of the file. Every call is made on the loop; none but `close` waits."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        identity: Identity,
        receiver: Receiver,
        snap_directory: str,
        logger: logging.Logger,
        rng: random.Random,
        timeouts: Timeouts | None = None,
    ) -> None: ...

    def add_peer(self, member_id: int, urls: Sequence[str]) -> None:
        """Know a member of the cluster: streams to and from it are kept up. Known already: nothing happens."""

    def update_peer(self, member_id: int, urls: Sequence[str]) -> None:
        """Reach a peer at other URLs from now on."""

    def remove_peer(self, member_id: int) -> None:
        """Forget a peer, close its connections."""

    def remove_all_peers(self) -> None: ...

    def add_remote(self, member_id: int, urls: Sequence[str]) -> None:
        """Know a member that may not be in our configuration yet: it is only posted to, to catch us up."""

    def send(self, messages: Sequence[Message]) -> None:
        """Send what can be sent. Never waits, never raises for the network: what is lost is reported unreachable."""

    def send_snapshot(
        self, message: Message, path: str, size_bytes: int, on_done: Callable[[bool], None] | None = None
    ) -> None:
        """Post a MsgSnap and the database file behind it. `on_done(ok)`: the file is not needed any more."""

    def active_since(self, member_id: int) -> float | None:
        """Return the loop time since when the peer is reachable, None while it is not."""
        return None

    def is_active(self, member_id: int) -> bool:
        return False

    def metrics(self) -> Counters:
        """Return the live counters; see their class."""
        return Counters()

    async def close(self) -> None:
        """Close every connection and wait until nothing of the transport runs."""
