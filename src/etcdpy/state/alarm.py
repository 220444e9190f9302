"""The alarms that the cluster has agreed on: which member is out of space, which is corrupt.

An alarm is a pair (member id, type). It lives in the `alarm` bucket, the marshalled AlarmMember as the key and nothing
as the value (facts 6.5), and is raised and disarmed only through the log.

Upstream: server/etcdserver/api/v3alarm.
"""

from __future__ import annotations

from etcdpy.pb import rpc_pb2
from etcdpy.storage.backend.bucket_store import BucketStore
from etcdpy.storage.schema import buckets

NONE = rpc_pb2.NONE
NOSPACE = rpc_pb2.NOSPACE
CORRUPT = rpc_pb2.CORRUPT


def name_alarm(alarm: int) -> str:
    """Return the name of an alarm's type; of one that we do not know, its number, as Go prints it."""
    return rpc_pb2.AlarmType.Name(alarm) if alarm in rpc_pb2.AlarmType.values() else str(alarm)  # type: ignore[arg-type]


class AlarmStore:
    """Alarms in memory, mirrored in the backend."""

    def __init__(self, backend: BucketStore) -> None:
        self._raised: dict[int, set[int]] = {}  # type -> member ids; Invariant: equals the bucket.
        self.recover(backend)

    def recover(self, backend: BucketStore) -> None:
        """Read what `backend` holds."""
        self._backend = backend
        self._raised.clear()
        for key, _ in backend.scan(buckets.ALARM, b"", None):
            alarm = rpc_pb2.AlarmMember.FromString(key)
            self._raised.setdefault(alarm.alarm, set()).add(alarm.memberID)

    def activate(self, member_id: int, alarm: int) -> bool:
        """Raise an alarm; return whether it is new."""
        members = self._raised.setdefault(alarm, set())
        if member_id in members:
            return False
        members.add(member_id)
        self._backend.put(buckets.ALARM, _encode(member_id, alarm), b"")
        return True

    def deactivate(self, member_id: int, alarm: int) -> bool:
        """Disarm an alarm; return whether it was raised."""
        members = self._raised.get(alarm, set())
        if member_id not in members:
            return False
        members.remove(member_id)
        self._backend.delete(buckets.ALARM, _encode(member_id, alarm))
        return True

    def list_alarms(self, alarm: int = NONE) -> list[rpc_pb2.AlarmMember]:
        """Return the raised alarms of one type, or of all for NONE, in a fixed order."""
        return [
            _message(member_id, raised)
            for raised in sorted(self._raised)
            if alarm in (NONE, raised)
            for member_id in sorted(self._raised[raised])
        ]

    def is_raised(self, alarm: int) -> bool:
        return bool(self._raised.get(alarm))


def _message(member_id: int, alarm: int) -> rpc_pb2.AlarmMember:
    return rpc_pb2.AlarmMember(memberID=member_id, alarm=alarm)  # type: ignore[arg-type]


def _encode(member_id: int, alarm: int) -> bytes:
    return _message(member_id, alarm).SerializeToString()
