"""Between calls and tickets: who waits for which answer.

The service knows tickets only; here a ticket is a call. A call whose client has gone stays here until its answer
comes, and then the answer is dropped by the transport.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from google.protobuf.message import DecodeError

from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.api.v3.slow_calls import SlowCalls
from etcdpy.base.errors import INTERNAL, EtcdError
from etcdpy.server.service import Service
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.apply.applier import Result
from etcdpy.state.apply.caller import Caller
from etcdpy.transport.grpc.call import Call

# A larger answer goes down in two pieces: joining it would copy it once more.
JOINED_BYTES_MAX: Final = 8192


class Dispatcher:
    """Turns unary calls into requests of the service and its answers into responses."""

    def __init__(
        self, service: Service, header: HeaderEncoder, tasks: TaskOwner, slow_calls: SlowCalls | None = None
    ) -> None:
        """Without `slow_calls` nobody wants to know how long calls take."""
        self._service = service
        self._slow_calls = slow_calls
        self._is_marked = slow_calls is None  # whether the next ticket may do without a mark of its own
        self._header = header
        self._tasks = tasks
        self._calls: dict[int, Call] = {}
        self._next_ticket = 1
        service.deliver = self.deliver
        service.is_wanted = self.is_wanted
        service.is_put_off = self.is_put_off

    def propose(self, call: Call, kind: int, request: Any, body: bytes) -> None:
        """Answer `call` with what comes of proposing `request`."""
        self._service.submit(self.take_ticket(call), kind, request, body, caller_of(call))

    def take_ticket(self, call: Call) -> int:
        ticket = self._next_ticket
        self._next_ticket = ticket + 1
        self._calls[ticket] = call
        if not self._is_marked:
            self._mark(ticket)
        return ticket

    def _mark(self, ticket: int) -> None:
        assert self._slow_calls is not None
        self._is_marked = True
        self._slow_calls.mark(ticket, self._want_mark)

    def _want_mark(self) -> None:
        self._is_marked = False

    def deliver(self, answers: Sequence[tuple[int, Result]]) -> None:
        """Send the answers of one turn. The sessions flush when the turn ends."""
        pop, encode = self._calls.pop, self._header.encode
        slow = self._slow_calls
        slow_below = 0 if slow is None or not slow.has_old_marks() else self._find_slow(slow)
        for ticket, result in answers:
            call = pop(ticket)
            if ticket < slow_below:
                assert slow is not None
                slow.tell(call, result, slow.seconds_of(ticket))
            if isinstance(result, EtcdError):
                call.fail(result.code, result.text)
            else:
                body = result.content
                header = encode(result.revision)
                if not isinstance(body, bytes):
                    call.respond([header, *body])
                else:
                    call.respond(header + body if len(body) < JOINED_BYTES_MAX else [header, body])

    def _find_slow(self, slow: SlowCalls) -> int:
        newest = self._next_ticket - 1
        return slow.find_slow(oldest=next(iter(self._calls), newest + 1), newest=newest)

    def is_wanted(self, ticket: int) -> bool:
        """Return whether the client still waits: it has not cancelled, and its deadline has not passed."""
        call = self._calls.get(ticket)
        return call is None or not call.closed

    def is_put_off(self, ticket: int) -> bool:
        """Return whether no answer is to be made: the client has gone, or has so much unread that he must wait."""
        call = self._calls.get(ticket)
        if call is None or not (call.closed or call.put_off()):
            return False
        del self._calls[ticket]
        return True

    def answer_later(self, call: Call, work: Awaitable[bytes]) -> None:
        """Answer `call` with the message that `work` returns, or with the EtcdError that it raises."""

        slow = self._slow_calls
        began = 0.0 if slow is None else slow.clock()

        async def wait_and_answer() -> None:
            try:
                message = await work
            except EtcdError as error:
                tell_if_slow()
                call.fail(error.code, error.text)
            else:
                tell_if_slow()
                call.respond(message)

        def tell_if_slow() -> None:
            if slow is not None and slow.is_slow(slow.clock() - began):
                slow.tell(call, None, slow.clock() - began)

        self._tasks.start(wait_and_answer())


def caller_of(call: Call) -> Caller | None:
    """Return who calls; None while authentication is off (see api.v3.auth_gate)."""
    user = call.user
    return user if isinstance(user, Caller) else None


def refuse(call: Call, error: EtcdError | DecodeError) -> None:
    """Answer a request that never gets past the API."""
    if isinstance(error, EtcdError):
        call.fail(error.code, error.text)
    else:
        call.fail(INTERNAL, f"grpc: error unmarshalling request: {error}")


def unary(parse: Callable[[bytes], Any], handle: Callable[[Call, Any], None]) -> Callable[[Call], None]:
    """Return a unary handler: `parse` is a message class's FromString; `handle` raises EtcdError to refuse."""

    def handle_call(call: Call) -> None:
        try:
            handle(call, parse(call.message))
        except (EtcdError, DecodeError) as error:
            refuse(call, error)

    return handle_call
