"""What a member must refuse for what it is: a learner, or one without a leader.

    voter with a leader    every method as it is: nothing is in the way of a call
    learner                serializable ranges, Status, and snapshots; the rest is for voters
    no leader              calls that ask for one (metadata `hasleader: true`) are told that there is none

Both are rare, so the checks stand in the way of calls only while they apply: `refresh` puts them before the handlers,
and takes them away again.

Source: upstream's api/v3rpc/interceptor.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from etcdpy.base.errors import NoLeader, NotSupportedForLearner
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

    def __init__(self, methods: Mapping[bytes, UnaryMethod | StreamMethod], standing: Standing) -> None:
        self._standing = standing
        self._methods = methods
        self._open: dict[bytes, Handler] = {path: method.handler for path, method in methods.items()}
        self._guarded: dict[bytes, Handler] = {path: self._guard(path, method) for path, method in methods.items()}
        self._is_guarded = False

    def refresh(self) -> None:
        """Who leads, or what this member is, may have changed."""
        wants_guard = self._standing.is_learner or not self._standing.leader_id
        if wants_guard == self._is_guarded:
            return
        self._is_guarded = wants_guard
        handlers = self._guarded if wants_guard else self._open
        for path, method in self._methods.items():
            method.handler = handlers[path]

    def _guard(self, path: bytes, method: UnaryMethod | StreamMethod) -> Handler:
        handler = method.handler
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


def _is_for_learners(path: bytes, call: Call) -> bool:
    if path == STATUS_PATH:
        return True
    if path != RANGE_PATH:
        return False
    try:
        return bool(rpc_pb2.RangeRequest.FromString(call.message).serializable)
    except DecodeError:
        return True  # the handler says what is wrong with it
