"""What every printer can be asked to print. A format that has no form for something says so and exits.

Output is bytes: keys and values are printed as they are.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, BinaryIO, ClassVar, NoReturn

from etcdpy.cli.etcdctl.exits import BAD_FEATURE, Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from etcdpy.pb import rpc_pb2 as rpc


class EndpointHealth:
    """What a health check found out about one endpoint. `took` in nanoseconds."""

    __slots__ = ("endpoint", "healthy", "took", "error")

    def __init__(self, endpoint: str, healthy: bool, took: int, error: str) -> None:
        self.endpoint = endpoint
        self.healthy = healthy
        self.took = took
        self.error = error


class EndpointStatus:
    """One endpoint's answer to a status request."""

    __slots__ = ("endpoint", "status")

    def __init__(self, endpoint: str, status: rpc.StatusResponse) -> None:
        self.endpoint = endpoint
        self.status = status


class EndpointHash:
    """One endpoint's answer to a hash request."""

    __slots__ = ("endpoint", "hash")

    def __init__(self, endpoint: str, hash_: rpc.HashKVResponse) -> None:
        self.endpoint = endpoint
        self.hash = hash_


class SnapshotStatus:
    """What a snapshot file holds."""

    __slots__ = ("hash", "revision", "total_keys", "total_bytes")

    def __init__(self, *, hash_: int, revision: int, total_keys: int, total_bytes: int) -> None:
        self.hash = hash_
        self.revision = revision
        self.total_keys = total_keys
        self.total_bytes = total_bytes


class Printer:
    """A format; subclasses override what it has a form for."""

    name: ClassVar[str]

    def __init__(self, out: BinaryIO, *, hex_wanted: bool) -> None:
        self._out = out
        self._hex = hex_wanted
        self.value_only = False

    def line(self, text: str | bytes) -> None:
        self._out.write((os.fsencode(text) if isinstance(text, str) else text) + b"\n")

    def flush(self) -> None:
        self._out.flush()

    def get(self, response: rpc.RangeResponse) -> None:
        self._refuse()

    def put(self, response: rpc.PutResponse) -> None:
        self._refuse()

    def delete(self, response: rpc.DeleteRangeResponse) -> None:
        self._refuse()

    def txn(self, response: rpc.TxnResponse) -> None:
        self._refuse()

    def watch(self, response: rpc.WatchResponse) -> None:
        self._refuse()

    def lease_grant(self, response: rpc.LeaseGrantResponse) -> None:
        self._refuse()

    def lease_revoke(self, lease_id: int, response: rpc.LeaseRevokeResponse) -> None:
        self._refuse()

    def lease_keep_alive(self, response: rpc.LeaseKeepAliveResponse) -> None:
        self._refuse()

    def lease_time_to_live(self, response: rpc.LeaseTimeToLiveResponse, *, with_keys: bool) -> None:
        self._refuse()

    def lease_list(self, response: rpc.LeaseLeasesResponse) -> None:
        self._refuse()

    def member_list(self, response: rpc.MemberListResponse) -> None:
        self._refuse()

    def member_add(self, name: str, peer_urls: str, response: rpc.MemberAddResponse) -> None:
        self._refuse()

    def member_remove(self, member_id: int, response: rpc.MemberRemoveResponse) -> None:
        self._refuse()

    def member_update(self, member_id: int, response: rpc.MemberUpdateResponse) -> None:
        self._refuse()

    def member_promote(self, member_id: int, response: rpc.MemberPromoteResponse) -> None:
        self._refuse()

    def alarms(self, response: rpc.AlarmResponse) -> None:
        self._refuse()

    def endpoint_health(self, found: Sequence[EndpointHealth]) -> None:
        self._refuse()

    def endpoint_status(self, found: Sequence[EndpointStatus]) -> None:
        self._refuse()

    def endpoint_hash_kv(self, found: Sequence[EndpointHash]) -> None:
        self._refuse()

    def downgrade(self, verb: str, response: rpc.DowngradeResponse) -> None:
        self._refuse()

    def move_leader(self, leader: int, target: int, response: rpc.MoveLeaderResponse) -> None:
        self._refuse()

    def snapshot_status(self, status: SnapshotStatus) -> None:
        self._refuse()

    def auth_change(self, text: str, response: Message) -> None:
        """Say what was changed about users, roles or permissions."""
        self._refuse()

    def auth_status(self, response: rpc.AuthStatusResponse) -> None:
        self._refuse()

    def user_get(self, name: str, response: rpc.AuthUserGetResponse) -> None:
        self._refuse()

    def user_list(self, response: rpc.AuthUserListResponse) -> None:
        self._refuse()

    def role_get(self, name: str, response: rpc.AuthRoleGetResponse) -> None:
        self._refuse()

    def role_list(self, response: rpc.AuthRoleListResponse) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Exit(BAD_FEATURE, f"{self.name} not supported as output format")


def health_error_line(found: EndpointHealth) -> str:
    """Return what the simple format says about an endpoint that is not healthy."""
    return f"{found.endpoint} is unhealthy: failed to commit proposal: {found.error}\n"


class MessagePrinter(Printer, ABC):
    """A format that has one form for every message; what Go's client shows otherwise its subclasses override."""

    @abstractmethod
    def _message(self, response: Message) -> None:
        """Print a message."""

    def get(self, response: rpc.RangeResponse) -> None:
        self._message(response)

    def put(self, response: rpc.PutResponse) -> None:
        self._message(response)

    def delete(self, response: rpc.DeleteRangeResponse) -> None:
        self._message(response)

    def txn(self, response: rpc.TxnResponse) -> None:
        self._message(response)

    def member_add(self, name: str, peer_urls: str, response: rpc.MemberAddResponse) -> None:
        self._message(response)

    def member_remove(self, member_id: int, response: rpc.MemberRemoveResponse) -> None:
        self._message(response)

    def member_update(self, member_id: int, response: rpc.MemberUpdateResponse) -> None:
        self._message(response)

    def member_promote(self, member_id: int, response: rpc.MemberPromoteResponse) -> None:
        self._message(response)

    def alarms(self, response: rpc.AlarmResponse) -> None:
        self._message(response)

    def lease_revoke(self, lease_id: int, response: rpc.LeaseRevokeResponse) -> None:
        self._message(response)

    def downgrade(self, verb: str, response: rpc.DowngradeResponse) -> None:
        self._message(response)

    def move_leader(self, leader: int, target: int, response: rpc.MoveLeaderResponse) -> None:
        self._message(response)

    def auth_change(self, text: str, response: Message) -> None:
        self._message(response)

    def auth_status(self, response: rpc.AuthStatusResponse) -> None:
        self._message(response)

    def user_get(self, name: str, response: rpc.AuthUserGetResponse) -> None:
        self._message(response)

    def user_list(self, response: rpc.AuthUserListResponse) -> None:
        self._message(response)

    def role_get(self, name: str, response: rpc.AuthRoleGetResponse) -> None:
        self._message(response)

    def role_list(self, response: rpc.AuthRoleListResponse) -> None:
        self._message(response)
