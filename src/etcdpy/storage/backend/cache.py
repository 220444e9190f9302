"""Values that were read lately, for those who list the same keys again.

A record of the bucket `key` never changes: its revision is its name. So what was read once stays right for as long as
somebody asks for it, and nothing has to be taken back when the store changes. (Compaction removes records; nobody asks
for those any more.)

    young   takes what is read; full, it becomes the old one
    old     is only looked into; what is found there moves to the young one

Two dicts instead of a list of uses: a hit costs one look-up, and what nobody asked for during a whole generation goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

# Two generations of this much: enough for the lists that clients page through, little beside a large store's index.
GENERATION_BYTES_MAX: Final = 8 * 1024 * 1024
# What an item costs beside its value: the key, and its place in the dict.
ITEM_BYTES: Final = 150

Fetch = Callable[[Sequence[bytes]], list[bytes | None]]


class ValueCache:
    """Immutable values by key, bounded."""

    def __init__(self, generation_bytes_max: int = GENERATION_BYTES_MAX) -> None:
        self._limit = generation_bytes_max
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_bytes = 0

    def get_many(self, keys: Sequence[bytes], fetch: Fetch) -> list[bytes | None]:
        """Return the values of `keys`; `fetch` gets those that are not here.

        `fetch` may return fewer than it was asked for, the first ones: then the values end before what is missing.
        """
        young = self._young
        try:
            return [young[key] for key in keys]
        except KeyError:
            return self._get_mixed(keys, fetch)

    def clear(self) -> None:
        self._young = {}
        self._old = {}
        self._young_bytes = 0

    def _get_mixed(self, keys: Sequence[bytes], fetch: Fetch) -> list[bytes | None]:
        young, old = self._young, self._old
        known = {key: young[key] if key in young else old[key] for key in keys if key in young or key in old}
        missing = [key for key in keys if key not in known]
        fetched = fetch(missing)
        if len(fetched) < len(missing):
            keys = keys[: keys.index(missing[len(fetched)])]
        found = dict(zip(missing, fetched, strict=False))
        for key in keys:
            if key not in young:
                value = known[key] if key in known else found[key]
                if value is not None:
                    self._add(key, value)
        return [known[key] if key in known else found[key] for key in keys]

    def _add(self, key: bytes, value: bytes) -> None:
        if self._young_bytes >= self._limit:
            self._old, self._young = self._young, {}
            self._young_bytes = 0
        self._young[key] = value
        self._young_bytes += len(value) + ITEM_BYTES
