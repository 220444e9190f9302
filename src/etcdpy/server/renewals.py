"""Renewing leases where the leader is this very member: its lessor answers at once."""

from __future__ import annotations

from collections.abc import Callable

from etcdpy.base.errors import EtcdError
from etcdpy.state.lease.lessor import Lessor


class LocalRenewer:
    """Renews with the own lessor."""

    def __init__(self, lessor: Lessor, clock: Callable[[], float]) -> None:
        self._lessor = lessor
        self._clock = clock

    def renew(self, lease_id: int, answer: Callable[[int | EtcdError], None]) -> None:
        """Renew a lease and call `answer` with its TTL, or with what speaks against it."""
        try:
            answer(self._lessor.renew(lease_id, self._clock()))
        except EtcdError as error:
            answer(error)
