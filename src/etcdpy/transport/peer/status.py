"""Whether a peer is reachable, and since when. What any of its connections found out changes it; changes are logged."""

from __future__ import annotations

import asyncio
import logging

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_debug, log_info, log_warn
from etcdpy.transport.peer.counters import Counters


class PeerStatus:
    """Invariant: `since` is a loop time while the peer is reachable, None otherwise."""

    def __init__(
        self, member_id: int, *, loop: asyncio.AbstractEventLoop, logger: logging.Logger, counters: Counters
    ) -> None:
        self._member_id = member_id
        self._loop = loop
        self._log = logger
        self._counters = counters
        self.since: float | None = None

    @property
    def is_active(self) -> bool:
        return self.since is not None

    def activate(self) -> None:
        """Something reached the peer."""
        if self.since is not None:
            return
        self.since = self._loop.time()
        self._counters.active[self._member_id] += 1
        log_info(self._log, "peer became active", peer_id=format_id(self._member_id))

    def deactivate(self, action: str, source: str, reason: object) -> None:
        """`action` (dial, write, read, ...) on `source` (pipeline, stream Message, ...) failed."""
        error = f"failed to {action} {format_id(self._member_id)} on {source} ({reason})"
        if self.since is None:
            log_debug(self._log, "peer deactivated again", peer_id=format_id(self._member_id), error=error)
            return
        self._forget()
        log_warn(
            self._log,
            "peer became inactive (message send to peer failed)",
            peer_id=format_id(self._member_id),
            error=error,
        )

    def close(self) -> None:
        """The peer was removed: it is not counted any more, and nothing failed."""
        if self.since is not None:
            self._forget()

    def _forget(self) -> None:
        self.since = None
        self._counters.active[self._member_id] -= 1
        self._counters.disconnected[self._member_id] += 1
