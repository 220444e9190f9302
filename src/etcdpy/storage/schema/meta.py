"""Keys and values of the bucket `meta`: how far the store has come.

consistent_index       raft index of the last entry whose effects are in the store; u64 big-endian
term                   that entry's term; u64 big-endian
confState              the raft configuration, as the JSON that Go prints for it
storageVersion         3.6 and newer only; absent in ours
scheduledCompactRev    revision key: a compaction was asked for
finishedCompactRev     revision key: and carried out
"""

from __future__ import annotations

import json
from typing import Any, Final

from etcdpy.base.invariant import StorageError
from etcdpy.pb.raft_values import ConfState

CONSISTENT_INDEX: Final = b"consistent_index"
TERM: Final = b"term"
CONF_STATE: Final = b"confState"
STORAGE_VERSION: Final = b"storageVersion"
SCHEDULED_COMPACT_REVISION: Final = b"scheduledCompactRev"
FINISHED_COMPACT_REVISION: Final = b"finishedCompactRev"

# What Hash leaves out: these differ between members that hold the same data.
NOT_HASHED: Final = frozenset({CONSISTENT_INDEX, TERM, STORAGE_VERSION})


def encode_u64(value: int) -> bytes:
    """Return a number as `consistent_index` and `term` are stored."""
    return value.to_bytes(8, "big")


def decode_u64(value: bytes | None) -> int:
    """Return a stored number; an absent one is 0, as in a store that never applied anything."""
    if value is None:
        return 0
    if len(value) != 8:
        raise StorageError(f"a number in the bucket meta has {len(value)} bytes instead of 8")
    return int.from_bytes(value, "big")


def encode_conf_state(state: ConfState) -> bytes:
    """Return the configuration as Go's encoding/json prints raftpb.ConfState: empty lists are left out."""
    fields: dict[str, Any] = {}
    for name in ("voters", "learners", "voters_outgoing", "learners_next"):
        members = getattr(state, name)
        if members:
            fields[name] = list(members)
    fields["auto_leave"] = bool(state.auto_leave)
    return json.dumps(fields, separators=(",", ":")).encode()


def decode_conf_state(value: bytes) -> ConfState:
    """Return a stored configuration. Raise StorageError where it cannot be one."""
    try:
        fields = json.loads(value)
        return ConfState(
            voters=_ids(fields, "voters"),
            learners=_ids(fields, "learners"),
            voters_outgoing=_ids(fields, "voters_outgoing"),
            learners_next=_ids(fields, "learners_next"),
            auto_leave=bool(fields.get("auto_leave", False)),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageError(f"confState in the bucket meta is not readable: {error}") from error


def _ids(fields: dict[str, Any], name: str) -> list[int]:
    return [int(member) for member in fields.get(name) or ()]
