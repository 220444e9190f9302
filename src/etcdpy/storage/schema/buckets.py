"""The ten buckets of the store, by number and by name.

A bucket is a small int, so that the write buffer can be a tuple of dicts. Numbers follow the order of the names as
bytes, which is the order in which bbolt lists them: counting up from 0 walks the buckets as Hash and export need it.
The numbers never reach the disk, names do.
"""

from __future__ import annotations

from typing import Final, NewType

Bucket = NewType("Bucket", int)

ALARM: Final = Bucket(0)
AUTH: Final = Bucket(1)
AUTH_ROLES: Final = Bucket(2)
AUTH_USERS: Final = Bucket(3)
CLUSTER: Final = Bucket(4)
KEY: Final = Bucket(5)
LEASE: Final = Bucket(6)
MEMBERS: Final = Bucket(7)
MEMBERS_REMOVED: Final = Bucket(8)
META: Final = Bucket(9)

NAMES: Final = (
    b"alarm",
    b"auth",
    b"authRoles",
    b"authUsers",
    b"cluster",
    b"key",
    b"lease",
    b"members",
    b"members_removed",
    b"meta",
)
COUNT: Final = len(NAMES)
ALL: Final = tuple(Bucket(number) for number in range(COUNT))
BY_NAME: Final = {name: Bucket(number) for number, name in enumerate(NAMES)}

# Buckets whose keys may be longer than LMDB takes: their names come from users. The others hold revisions, ids and
# fixed words, and grow large or are read on hot paths, so they do without the detour through digests.
WITH_LONG_KEYS: Final = frozenset({ALARM, AUTH_ROLES, AUTH_USERS, CLUSTER, MEMBERS, MEMBERS_REMOVED})

assert list(NAMES) == sorted(NAMES)
