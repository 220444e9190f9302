"""LeaseKeepAlive: a stream of lease ids in, each answered with the TTL that its lease has again.

    on_message(id)  >  renewer.renew(id, answer)  >  answer(ttl)  >  call.write

Answers come in the order of the requests. A lease that is gone is answered with TTL 0, which is no error; what is one
(no leader, say) ends the call. The header is made before the renewal is asked for: a revision in it is never newer
than the moment at which the lease was still alive.

While many renewals wait for a distant leader, or the client does not read its answers, its requests are not read.

Source: etcdserverpb.Lease. Upstream: v3rpc/lease.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.base.errors import INTERNAL, EtcdError, LeaseNotFound, NoLeader
from etcdpy.base.varint import encode_varint
from etcdpy.pb import rpc_pb2
from etcdpy.transport.grpc.call import Call

# What grpc-go says of the commonest defect, a message that ends early.
MALFORMED_TEXT: Final = "grpc: failed to unmarshal the received message unexpected EOF"
# Renewals of one call that may wait for the leader before its requests are no longer read.
WAITING_MAX: Final = 64

RenewalAnswer = Callable[[int | EtcdError], None]


class Renewer(Protocol):
    """Whoever renews leases: the own lessor on the leader, a request to the leader elsewhere."""

    def renew(self, lease_id: int, answer: RenewalAnswer) -> None:
        """Renew a lease and call `answer` once, now or later, with its TTL or an error."""


class RenewPermission(Protocol):
    """Who may renew what."""

    def check_renew(self, call: Call, lease_id: int) -> None:
        """Raise EtcdError to refuse."""


class AllPermitted:
    """While authentication is off."""

    def check_renew(self, call: Call, lease_id: int) -> None:
        """Nothing is refused."""


class LeaseKeepAliveApi:
    """All keep-alive calls of one member."""

    def __init__(
        self,
        renewer: Renewer,
        header: HeaderEncoder,
        *,
        has_leader: Callable[[], bool],
        permission: RenewPermission | None = None,
    ) -> None:
        self._permission = permission or AllPermitted()
        self._renewer = renewer
        self._header = header
        self._has_leader = has_leader
        self._calls: dict[KeepAliveCall, None] = {}

    def open(self, call: Call) -> KeepAliveCall:
        """Begin a keep-alive call; the StreamMethod of LeaseKeepAlive."""
        requires_leader = call.metadata(b"hasleader") == b"true"
        if requires_leader and not self._has_leader():
            raise NoLeader
        handler = KeepAliveCall(
            call, self._renewer, self._header, self._calls, self._permission, requires_leader=requires_leader
        )
        self._calls[handler] = None
        return handler

    def tick(self) -> None:
        """Let go of calls that ended while their requests were not read: only then their end is told. Now and then."""
        for handler in list(self._calls):
            handler.release_if_gone()

    def cut_leaderless(self) -> None:
        """There has been no leader for too long: end the calls that asked to be told."""
        for handler in list(self._calls):
            if handler.requires_leader:
                handler.fail(NoLeader())


class _Renewal:
    """One request on its way. Answers leave in the order in which these were made."""

    __slots__ = ("lease_id", "header", "result")

    def __init__(self, lease_id: int, header: bytes) -> None:
        self.lease_id = lease_id
        self.header = header
        self.result: int | EtcdError | None = None


class KeepAliveCall:
    """One call of LeaseKeepAlive: the transport's StreamHandler."""

    __slots__ = (
        "requires_leader",
        "_call",
        "_renewer",
        "_header",
        "_open_calls",
        "_permission",
        "_waiting",
        "_has_room",
        "_is_paused",
        "_is_ended",
        "_is_over",
    )

    def __init__(
        self,
        call: Call,
        renewer: Renewer,
        header: HeaderEncoder,
        open_calls: dict[KeepAliveCall, None],
        permission: RenewPermission,
        *,
        requires_leader: bool,
    ) -> None:
        self.requires_leader = requires_leader
        self._call = call
        self._renewer = renewer
        self._header = header
        self._open_calls = open_calls
        self._permission = permission
        self._waiting: deque[_Renewal] = deque()  # Invariant: in order of the requests.
        self._has_room = True  # the transport takes more
        self._is_paused = False
        self._is_ended = False  # the client sends no more
        self._is_over = False  # we ended the call, or it was closed

    def on_message(self, message: bytes, /) -> None:
        if self._is_over:
            return
        try:
            lease_id = rpc_pb2.LeaseKeepAliveRequest.FromString(message).ID
        except DecodeError:
            self.fail(EtcdError(MALFORMED_TEXT, INTERNAL))
            return
        renewal = _Renewal(lease_id, self._header.encode(0))
        self._waiting.append(renewal)

        def answer(result: int | EtcdError) -> None:
            renewal.result = result
            self._send_ready()

        try:
            self._permission.check_renew(self._call, lease_id)
        except EtcdError as error:
            answer(error)
        else:
            self._renewer.renew(lease_id, answer)
        self._regulate()

    def on_end(self) -> None:
        self._is_ended = True
        self._send_ready()

    def on_close(self, error: int, /) -> None:
        self._is_over = True
        self._waiting.clear()
        self._open_calls.pop(self, None)

    def on_drain(self) -> None:
        self._has_room = True
        self._regulate()

    def release_if_gone(self) -> None:
        if self._is_paused and self._call.closed:
            self._is_paused = False
            self._is_over = True
            self._call.resume_reading()

    def fail(self, error: EtcdError) -> None:
        """End the call with an error; what waits is dropped."""
        if self._is_over:
            return
        self._is_over = True
        self._waiting.clear()
        self._call.fail(error.code, error.text)

    def _send_ready(self) -> None:
        waiting = self._waiting
        while waiting and not self._is_over:
            renewal = waiting[0]
            result = renewal.result
            if result is None:
                break
            waiting.popleft()
            if isinstance(result, int):
                self._write(renewal, result)
            elif isinstance(result, LeaseNotFound):
                self._write(renewal, 0)
            else:
                self.fail(result)
        if self._is_ended and not waiting and not self._is_over:
            self._is_over = True
            self._call.finish()
        self._regulate()

    def _write(self, renewal: _Renewal, ttl: int) -> None:
        message = renewal.header
        if renewal.lease_id:
            message += b"\x10" + encode_varint(renewal.lease_id)
        if ttl:
            message += b"\x18" + encode_varint(ttl)
        self._has_room = self._call.write(message)

    def _regulate(self) -> None:
        """Read requests only while their answers have somewhere to go."""
        if self._is_over:
            return
        should_pause = not self._has_room or len(self._waiting) >= WAITING_MAX
        if should_pause == self._is_paused:
            return
        self._is_paused = should_pause
        if should_pause:
            self._call.pause_reading()
        else:
            self._call.resume_reading()
