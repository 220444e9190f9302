"""The Watch service: calls on one side, the watch hub on the other.

    on_message(create | cancel | progress)  >  hub  >  take_output  >  call.write
    publish(changes)                        >  hub  >  take_output  >  call.write

Back-pressure: when a call refuses more, or too much waits on its connection, its stream is blocked in the hub, which
then makes no events for it, and its requests are not read. `on_drain`, or room on the connection, undoes both; the hub
catches up, a bounded step per turn of the event loop.

Failures of a single watch are answered in the stream (facts 1.6); only a message that is no WatchRequest, and a lost
leader for those who asked to be told, end the call. A client that sends no more requests still gets its events.

Source: etcdserverpb.Watch. Upstream: v3rpc/watch.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from etcdpy.api.v3.watch_call import Crowd, WatchCall, size_of
from etcdpy.base.errors import INTERNAL, NoLeader
from etcdpy.pb import rpc_pb2
from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.hub import WatchHub
from etcdpy.transport.grpc.call import Call

# What grpc-go says of the commonest defect, a message that ends early.
MALFORMED_TEXT: Final = "grpc: failed to unmarshal the received message unexpected EOF"
# How often crowded connections are looked at, how many calls of one are, and how many go on: little work.
CROWDED_SECONDS: Final = 0.01
LOOKS_MAX: Final = 1000
GO_ON_MAX: Final = 100


class Scheduler(Protocol):
    """The event loop, as far as it is needed here."""

    def call_soon(self, callback: Callable[[], None], /) -> object: ...

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> object: ...


class Permission(Protocol):
    """Who may watch what. The range is given as the client sent it, before b"\\0" is read as "no end"."""

    def check_watch(self, call: Call, key: bytes, range_end: bytes) -> str | None:
        """Return None, or the reason to refuse."""


class AllPermitted:
    """While authentication is off."""

    def check_watch(self, call: Call, key: bytes, range_end: bytes) -> str | None:
        return None


class WatchApi:
    """All watch calls of one member."""

    def __init__(
        self,
        hub: WatchHub,
        *,
        loop: Scheduler,
        get_term: Callable[[], int],
        has_leader: Callable[[], bool],
        permission: Permission | None = None,
    ) -> None:
        self._hub = hub
        self._loop = loop
        self._get_term = get_term
        self._has_leader = has_leader
        self._permission = permission or AllPermitted()
        self._calls: dict[int, WatchCall] = {}  # by the hub's stream id
        self._crowds: dict[object, Crowd] = {}  # by connection; Invariant: those with somebody going or held.
        self._crowded: dict[Crowd, None] = {}  # Invariant: at least those with somebody held.
        self._is_step_due = False

    def open(self, call: Call) -> WatchCall:
        """Begin a watch call; the StreamMethod of Watch."""
        requires_leader = call.metadata(b"hasleader") == b"true"
        if requires_leader and not self._has_leader():
            raise NoLeader
        call.start()
        stream_id = self._hub.open_stream()
        crowd = self._crowds.setdefault(call.connection, Crowd(call.connection))
        handler = self._calls[stream_id] = WatchCall(self, call, stream_id, crowd, requires_leader=requires_leader)
        return handler

    # -- from the member

    def publish(self, changes: Sequence[Change]) -> None:
        """Tell watchers of what was applied. Call it before the answers of the same turn leave."""
        self._hub.raft_term = self._get_term()
        self._hub.notify(changes)
        self.flush()

    def tick(self, now: float) -> None:
        """Send progress notifications that are due; a few times a second."""
        self._hub.raft_term = self._get_term()
        self._hub.tick(now)
        self.flush()

    def restored(self) -> None:
        """The store was replaced by a received snapshot."""
        self._hub.restore()
        self.flush()

    def cut_leaderless(self) -> None:
        """There has been no leader for too long: end the calls that asked to be told."""
        for handler in list(self._calls.values()):
            if handler.requires_leader:
                self._fail(handler, NoLeader.code, NoLeader.text)

    # -- from the calls

    def handle(self, handler: WatchCall, message: bytes) -> None:
        if handler.stream_id not in self._calls:
            return
        try:
            request = rpc_pb2.WatchRequest.FromString(message)
        except DecodeError:
            self._fail(handler, INTERNAL, MALFORMED_TEXT)
            return
        kind = request.WhichOneof("request_union")
        if kind is None:
            return  # a kind of request that we do not know: the others go on
        hub, stream_id = self._hub, handler.stream_id
        hub.raft_term = self._get_term()
        if kind == "create_request":
            create = request.create_request
            reason = self._permission.check_watch(handler.call, create.key or b"\0", create.range_end)
            if reason is None:
                hub.create(stream_id, create)
            else:
                hub.refuse(stream_id, reason)
        elif kind == "cancel_request":
            hub.cancel(stream_id, request.cancel_request.watch_id)
        else:
            hub.request_progress(stream_id)
        self.flush()

    def drained(self, handler: WatchCall) -> None:
        handler.is_full = False
        if handler.stream_id in self._calls and not handler.is_held:
            self._unblock(handler)
            self.flush()

    def closed(self, handler: WatchCall) -> None:
        """The call is over: free its watchers. Comes a second time for a call that we ended."""
        if self._calls.pop(handler.stream_id, None) is not None:
            self._hub.close_stream(handler.stream_id)
            handler.end()
            if not (handler.crowd.going or handler.crowd.held):
                del self._crowds[handler.crowd.connection]

    def _fail(self, handler: WatchCall, code: int, text: str) -> None:
        self.closed(handler)
        handler.call.fail(code, text)

    # -- to the calls

    def flush(self) -> None:
        """Write what the hub has made, and see that it goes on if it has more to do."""
        hub = self._hub
        for stream_id, items in hub.take_output():
            handler = self._calls[stream_id]
            if handler.call.is_crowded and not (handler.is_held or self._may_write(handler, size_of(items))):
                self._hold(handler)
                self._hold_crowd(handler.crowd)
            if handler.is_held:
                handler.keep(items)
                continue
            handler.write_all(items)
            if handler.is_full:
                self._block(handler)
        if hub.has_work and not self._is_step_due:
            self._is_step_due = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._is_step_due = False
        self._hub.raft_term = self._get_term()
        self._hub.sync_step()
        self.flush()

    def _block(self, handler: WatchCall) -> None:
        self._hub.block(handler.stream_id)
        handler.call.pause_reading()

    def _unblock(self, handler: WatchCall) -> None:
        self._hub.unblock(handler.stream_id)
        handler.call.resume_reading()

    def _may_write(self, handler: WatchCall, size: int = 0) -> bool:
        return handler.may_write(size, is_level=self._hub.is_level(handler.stream_id))

    def _hold(self, handler: WatchCall) -> None:
        """Tell this call nothing until some of what waits on its connection was taken."""
        handler.crowd.hold(handler, is_level=self._hub.is_level(handler.stream_id))
        self._block(handler)
        if not self._crowded:
            self._loop.call_later(CROWDED_SECONDS, self._let_go_on)
        self._crowded[handler.crowd] = None

    def _hold_crowd(self, crowd: Crowd) -> None:
        for handler in sorted(crowd.going, key=lambda handler: handler.stream_id):
            if not self._may_write(handler):
                self._hold(handler)

    def _let_go_on(self) -> None:
        """Where there is room again, let those go on who were held."""
        for crowd in list(self._crowded):
            self._hold_crowd(crowd)
            gone_on = 0
            for _ in range(min(len(crowd.held), LOOKS_MAX)):
                handler = crowd.look_at_next()
                if handler is None:
                    continue
                handler.write_kept()
                if not handler.is_full:
                    self._unblock(handler)
                gone_on += 1
                if gone_on == GO_ON_MAX:
                    break
            if not crowd.held:
                del self._crowded[crowd]
        if self._crowded:
            self._loop.call_later(CROWDED_SECONDS, self._let_go_on)
        self.flush()
