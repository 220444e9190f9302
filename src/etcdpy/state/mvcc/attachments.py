"""What the store needs of leases: does one exist, and to be told which keys hang on it."""

from __future__ import annotations

from typing import Protocol

NO_LEASE = 0


class LeaseBook(Protocol):
    """The lessor, as the store sees it."""

    def exists(self, lease_id: int) -> bool:
        """Return whether a key may be attached to the lease."""

    def attach(self, lease_id: int, key: bytes) -> None:
        """`key` now hangs on the lease."""

    def detach(self, lease_id: int, key: bytes) -> None:
        """`key` no longer hangs on the lease."""


class NoLeases:
    """A lessor that never granted a lease."""

    def exists(self, lease_id: int) -> bool:
        return False

    def attach(self, lease_id: int, key: bytes) -> None:
        pass

    def detach(self, lease_id: int, key: bytes) -> None:
        pass
