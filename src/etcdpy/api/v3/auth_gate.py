"""While authentication is on: each call learns who its caller is, and some methods are not for everybody.

    a log-in     leases, the list of members, status, alarms
    root         compaction, changes of members, raising alarms, hashes, snapshots, defragmentation, moving the leader

Everything else is decided where it is applied or read, by keys (state.auth.checks); of users and roles, in the store.
So a caller whose token is none gets as far as its handler, which says first what else is wrong, as etcd does.

A token that this member does not know may have been given by another one a moment ago: the call waits until what was
committed by then is applied here, and streams are not read before. etcd waits for the very entry that the token names,
which for an invented number is for ever.

As in 3.5.33 (CVE-2026-33413); 3.5.1 asks for less. Upstream: v3rpc.authMaintenanceServer, EtcdServer.requireAuthInfo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from etcdpy.api.v3.identity import Identity
from etcdpy.api.v3.postponed_stream import PostponedStream
from etcdpy.base.errors import EtcdError, InvalidAuthToken, PermissionDenied, UserEmpty, UserNotFound
from etcdpy.pb import rpc_pb2
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.apply.caller import Caller
from etcdpy.state.auth import AuthStore
from etcdpy.transport.grpc.call import Call

# What a method asks of its caller before anything else.
LOG_IN: Final = 1
ROOT: Final = 2
# The same, but upstream's Maintenance service forgets to translate its errors.
ROOT_UNTRANSLATED: Final = 3

ALARM_PATH: Final = b"/etcdserverpb.Maintenance/Alarm"
RULES: Final = {
    b"/etcdserverpb.KV/Compact": ROOT,
    b"/etcdserverpb.Lease/LeaseGrant": LOG_IN,
    b"/etcdserverpb.Lease/LeaseRevoke": LOG_IN,
    b"/etcdserverpb.Lease/LeaseTimeToLive": LOG_IN,
    b"/etcdserverpb.Lease/LeaseLeases": LOG_IN,
    b"/etcdserverpb.Cluster/MemberAdd": ROOT,
    b"/etcdserverpb.Cluster/MemberRemove": ROOT,
    b"/etcdserverpb.Cluster/MemberUpdate": ROOT,
    b"/etcdserverpb.Cluster/MemberPromote": ROOT,
    b"/etcdserverpb.Cluster/MemberList": LOG_IN,
    b"/etcdserverpb.Maintenance/Status": LOG_IN,
    b"/etcdserverpb.Maintenance/Defragment": ROOT_UNTRANSLATED,
    b"/etcdserverpb.Maintenance/Hash": ROOT_UNTRANSLATED,
    b"/etcdserverpb.Maintenance/HashKV": ROOT_UNTRANSLATED,
    b"/etcdserverpb.Maintenance/Snapshot": ROOT_UNTRANSLATED,
    b"/etcdserverpb.Maintenance/MoveLeader": ROOT,
    b"/etcdserverpb.Maintenance/Downgrade": ROOT,
}
UNTRANSLATED: Final[dict[type[EtcdError], str]] = {
    UserEmpty: "auth: user name is empty",
    UserNotFound: "auth: user not found",
    PermissionDenied: "auth: permission denied",
    InvalidAuthToken: "auth: invalid auth token",
}
# A log-in must be possible without one.
AUTHENTICATE_PATH: Final = b"/etcdserverpb.Auth/Authenticate"

Handler = Callable[[Call], Any]


class Progress(Protocol):
    """How far this member is."""

    @property
    def applied_index(self) -> int: ...


class Reader(Protocol):
    """The service."""

    async def wait_linearizable(self) -> object: ...


class AuthGate:
    """Puts itself before handlers."""

    def __init__(
        self, auth: AuthStore, identity: Identity, *, progress: Progress, reader: Reader, tasks: TaskOwner
    ) -> None:
        self._auth = auth
        self._identity = identity
        self._progress = progress
        self._reader = reader
        self._tasks = tasks

    @property
    def is_closed(self) -> bool:
        """Whether it has to stand before the handlers."""
        return self._auth.is_enabled

    def guard_unary(self, path: bytes, handler: Handler) -> Handler:
        if not _asks_for_callers(path):
            return handler
        rule = RULES.get(path, 0)
        if path == ALARM_PATH:
            return lambda call: self._handle(_alarm_rule(call), handler, call)
        return lambda call: self._handle(rule, handler, call)

    def guard_stream(self, path: bytes, handler: Handler) -> Handler:
        """Streams of watches and renewals look at each request by themselves, once the token is known."""
        if not _asks_for_callers(path):
            return handler
        rule = RULES.get(path, 0)
        return lambda call: self._open_stream(rule, handler, call)

    def _is_ahead(self, call: Call) -> bool:
        """Whether the call shows a token of an entry that is not applied here yet."""
        return self._identity.pending_index(call) > self._progress.applied_index

    def _handle(self, rule: int, handler: Handler, call: Call) -> None:
        caller = self._identity.find(call)
        if caller is not None:
            self._handle_now(rule, handler, call, caller)
        elif self._is_ahead(call):
            self._tasks.start(self._handle_later(rule, handler, call))
        else:
            self._handle_now(rule, handler, call, self._identity.tell_impostor(call))

    async def _handle_later(self, rule: int, handler: Handler, call: Call) -> None:
        try:
            await self._reader.wait_linearizable()
        except EtcdError as error:
            call.fail(error.code, error.text)
        else:
            self._handle_now(rule, handler, call, self._identity.identify(call))

    def _handle_now(self, rule: int, handler: Handler, call: Call, caller: Caller) -> None:
        call.user = caller
        if rule:
            try:
                self._check(rule, caller)
            except EtcdError as error:
                call.fail(error.code, error.text)
                return
        handler(call)

    def _open_stream(self, rule: int, handler: Handler, call: Call) -> Any:
        if not self._is_ahead(call):
            return self._open_stream_now(rule, handler, call)
        stream = PostponedStream(call, lambda call: self._open_stream_now(rule, handler, call))
        self._tasks.start(self._open_stream_later(stream))
        return stream

    async def _open_stream_later(self, stream: PostponedStream) -> None:
        try:
            await self._reader.wait_linearizable()
        except EtcdError as error:
            stream.fail(error)
        else:
            stream.open()

    def _open_stream_now(self, rule: int, handler: Handler, call: Call) -> Any:
        if rule:
            self._check(rule, self._identity.identify(call))
        return handler(call)

    def _check(self, rule: int, caller: Caller) -> None:
        if not self._auth.is_enabled:
            return
        try:
            check_valid(caller)
            if rule != LOG_IN:
                self._auth.check_admin(caller)
            elif not caller.revision:
                raise UserEmpty
        except EtcdError as error:
            if rule == ROOT_UNTRANSLATED and type(error) in UNTRANSLATED:
                raise EtcdError(UNTRANSLATED[type(error)]) from None
            raise


def check_valid(caller: Caller) -> None:
    """Raise InvalidAuthToken for a caller whose token is none."""
    if not caller.is_valid:
        raise InvalidAuthToken


def _asks_for_callers(path: bytes) -> bool:
    return path.startswith(b"/etcdserverpb.") and path != AUTHENTICATE_PATH


def _alarm_rule(call: Call) -> int:
    try:
        action = rpc_pb2.AlarmRequest.FromString(call.message).action
    except DecodeError:
        return LOG_IN  # the handler says what is wrong with it
    return LOG_IN if action == rpc_pb2.AlarmRequest.GET else ROOT
