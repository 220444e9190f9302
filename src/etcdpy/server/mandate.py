"""Whether this member may still speak for the leader: what a member that was stopped for a while must not assume.

A leader whose disk hangs, or that is cut off, learns only later that another one leads. Until then it would renew
leases that the other one does not know to be renewed, and, awake again, propose to revoke leases that were renewed
over there (etcd issues 15247, 12528). So before it does either, a majority must have confirmed it a short while ago:

    confirmed at t0 (when the round was *begun*)  ...  now - t0 < fresh_seconds: certain; otherwise ask again

Why an election timeout is short enough: whoever is leader after us was elected at some t1 > t0 and gives every lease
its TTL and one election timeout more from t1 on (state.lease.Lessor.promote). What we renew at t < t0 + timeout is
promised until t + TTL < t1 + timeout + TTL. A promise that we make while certain is kept by whoever leads next.

The round is a linearizable read, so what was committed when it began is also applied when it ends: a lease granted by
the leader before us is known here. Certainty ends with the term. One round serves all who wait for one.

Upstream: EtcdServer.ensureLeadership, which asks every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from etcdpy.base.errors import EtcdError
from etcdpy.server.tasks import TaskOwner


class Standing(Protocol):
    """The member, as far as leading goes."""

    @property
    def is_leader(self) -> bool: ...

    @property
    def term(self) -> int: ...


class Mandate:
    """What this member knows of its own leading."""

    def __init__(
        self,
        standing: Standing,
        *,
        confirm: Callable[[], Awaitable[object]],
        clock: Callable[[], float],
        fresh_seconds: float,
        tasks: TaskOwner,
    ) -> None:
        """`confirm` is a ReadIndex round and raises EtcdError; `fresh_seconds` at most the election timeout."""
        self._standing = standing
        self._confirm = confirm
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._tasks = tasks
        # Invariant: a majority confirmed us in `_term` after `_confirmed_at`.
        self._term = 0
        self._confirmed_at = float("-inf")
        self._round: asyncio.Future[bool] | None = None

    def is_certain(self) -> bool:
        """Return whether we lead, as far as anybody is concerned whom our promises concern."""
        standing = self._standing
        return (
            standing.is_leader
            and standing.term == self._term
            and self._clock() - self._confirmed_at < self._fresh_seconds
        )

    @property
    def is_asking(self) -> bool:
        """Whether a round is on its way."""
        return self._round is not None

    async def wait_certain(self) -> bool:
        """Ask a majority, unless it is certain anyway. Return whether we lead."""
        if self.is_certain():
            return True
        if not self._standing.is_leader:
            return False
        # A round that runs may have begun before a pause of ours: what it confirms may be old already.
        if self._round is not None and await asyncio.shield(self._round) and self.is_certain():
            return True
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
            self._tasks.start(self._ask(self._round))
        return await asyncio.shield(self._round) and self.is_certain()

    async def _ask(self, answer: asyncio.Future[bool]) -> None:
        standing = self._standing
        term, began_at = standing.term, self._clock()
        is_confirmed = False
        try:
            await self._confirm()
            is_confirmed = standing.is_leader and standing.term == term
            if is_confirmed:
                self._term, self._confirmed_at = term, began_at
        except EtcdError:  # no majority in time, or the member stops: then it does not lead
            pass
        finally:
            self._round = None
            answer.set_result(is_confirmed)
