"""What a member must refuse for what it is: a learner, one without a leader, one that asks who calls, or a failed one.

    voter with a leader    every method as it is: nothing is in the way of a call
    learner                serializable ranges, Status, and snapshots; the rest is for voters
    no leader              calls that ask for one (metadata `hasleader: true`) are told that there is none
    authentication on      who calls is found out first (auth_gate)
    failed                 nothing more, for good: what is in memory may be more than the log holds

All of it is rare or for some: so the checks stand in the way of calls only while they apply. `refresh` puts them before
the handlers, and takes them away again; `shut` takes the handlers away.

Source: upstream's api/v3rpc/interceptor.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from etcdpy.api.v3.auth_gate import AuthGate
from etcdpy.base.errors import NoLeader, NotSupportedForLearner, Stopped
from etcdpy.pb import rpc_pb2
from etcdpy.transport.grpc.call import Call
from etcdpy.transport.http2._nghttp2 import StreamMethod, UnaryMethod

RANGE_PATH: Final = b"/etcdserverpb.KV/Range"
STATUS_PATH: Final = b"/etcdserverpb.Maintenance/Status"
SNAPSHOT_PATH: Final = b"/etcdserverpb.Maintenance/Snapshot"

Handler = Callable[[Call], Any]


class Standing(Protocol):
    """What must be known of the member."""

    @property
    def is_learner(self) -> bool: ...

    @property
    def leader_id(self) -> int: ...


class Gates:
    """The methods of one member, each open or with a guard before it."""

    def __init__(
        self, methods: Mapping[bytes, UnaryMethod | StreamMethod], standing: Standing, auth: AuthGate | None = None
    ) -> None:
        self._standing = standing
        self._auth = auth
        self._methods = methods
        self._open: dict[bytes, Handler] = {path: method.handler for path, method in methods.items()}
        self._guards = (False, False)  # of the standing, of authentication
        self._is_shut = False

    def refresh(self) -> None:
        """Who leads, what this member is, or whether authentication is on may have changed."""
        has_fault = self._standing.is_learner or not self._standing.leader_id
        guards = has_fault, self._auth is not None and self._auth.is_closed
        if guards == self._guards or self._is_shut:
            return
        self._guards = guards
        for path, method in self._methods.items():
            handler = self._open[path]
            if guards[1]:
                handler = self._guard_by_caller(path, method, handler)
            method.handler = self._guard(path, method, handler) if has_fault else handler

    def shut(self) -> None:
        """The member has failed: whoever asks for anything from now on is told that it has stopped."""
        self._is_shut = True
        for method in self._methods.values():
            method.handler = _refuse_stream if isinstance(method, StreamMethod) else _refuse

    def _guard_by_caller(self, path: bytes, method: UnaryMethod | StreamMethod, handler: Handler) -> Handler:
        assert self._auth is not None
        is_stream = isinstance(method, StreamMethod)
        return self._auth.guard_stream(path, handler) if is_stream else self._auth.guard_unary(path, handler)

    def _guard(self, path: bytes, method: UnaryMethod | StreamMethod, handler: Handler) -> Handler:
        if isinstance(method, StreamMethod):
            return lambda call: self._open_stream(path, handler, call)
        return lambda call: self._handle(path, handler, call)

    def _handle(self, path: bytes, handler: Handler, call: Call) -> None:
        if self._standing.is_learner and not _is_for_learners(path, call):
            call.fail(NotSupportedForLearner.code, NotSupportedForLearner.text)
        elif not self._standing.leader_id and call.metadata(b"hasleader") == b"true":
            call.fail(NoLeader.code, NoLeader.text)
        else:
            handler(call)

    def _open_stream(self, path: bytes, handler: Handler, call: Call) -> Any:
        if self._standing.is_learner and path != SNAPSHOT_PATH:
            raise NotSupportedForLearner
        return handler(call)  # streams look for a leader themselves, also later


def _refuse(call: Call) -> None:
    call.fail(Stopped.code, Stopped.text)


def _refuse_stream(call: Call) -> Any:
    raise Stopped


def _is_for_learners(path: bytes, call: Call) -> bool:
    if path == STATUS_PATH:
        return True
    if path != RANGE_PATH:
        return False
    try:
        return bool(rpc_pb2.RangeRequest.FromString(call.message).serializable)
    except DecodeError:
        return True  # the handler says what is wrong with it
