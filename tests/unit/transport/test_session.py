"""The compiled session, both sides against each other in memory: calls, streams, windows, accounts, ends."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.base.errors import EmptyKey
from etcdpy.base.invariant import InvariantError
from etcdpy.transport.grpc import Call
from etcdpy.transport.http2 import _nghttp2 as h2
from tests.unit.transport.pair import Pair, Recorder


def echo(call: Call) -> None:
    call.respond(call.message)


def test_unary_call_is_answered_with_trailers() -> None:
    pair = Pair(unary=echo)

    call = pair.unary(b"hello")

    assert (call.message, call.http_status, call.grpc_status, call.grpc_message) == (b"hello", b"200", b"0", b"")
    assert call.metadata(b"content-type") == b"application/grpc"


def test_batch_of_requests_leaves_in_one_write() -> None:
    pair = Pair(unary=echo)
    for i in range(50):
        pair.start(b"%d" % i)
    before = pair.to_client.write_count

    pair.client_endpoint.flush()
    pair.give(pair.to_server, pair.server)

    assert pair.to_client.write_count == before + 1


def test_late_answers_of_all_calls_leave_in_one_write_per_connection() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append)
    calls = [pair.start(b"%d" % i) for i in range(20)]
    pair.exchange()
    before = pair.to_client.write_count

    for call in waiting:
        call.respond([call.message, b"", b"!"])
    pair.server_endpoint.flush()

    assert pair.to_client.write_count == before + 1
    pair.exchange()
    assert [call.message for call in calls] == [b"%d!" % i for i in range(20)]


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 32768, 65536, 1_000_000, 2_097_152])
def test_messages_of_all_sizes_come_through(size: int) -> None:
    pair = Pair(unary=echo)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    call = pair.unary(body)

    assert call.message == body
    assert (pair.server.held_bytes, pair.server.queued_bytes, pair.client.held_bytes) == (0, 0, 0)


def test_many_large_uploads_take_turns_and_all_end() -> None:
    pair = Pair(unary=echo)
    calls = [pair.start(bytes([i]) * 2_000_000) for i in range(40)]

    pair.exchange()

    assert [call.message for call in calls] == [bytes([i]) * 2_000_000 for i in range(40)]
    pair.server.check_invariants()


def test_error_raised_by_the_handler_becomes_the_status() -> None:
    def refuse(call: Call) -> None:
        raise EmptyKey

    call = Pair(unary=refuse).unary(b"")

    assert (call.grpc_status, call.grpc_message) == (b"3", b"etcdserver: key is not provided")


def test_status_text_is_percent_encoded() -> None:
    call = Pair(unary=lambda call: call.fail(9, "50%\nof Grüße")).unary(b"")

    assert (call.grpc_status, call.grpc_message) == (b"9", b"50%25%0Aof Gr%C3%BC%C3%9Fe")


def test_second_answer_is_our_bug() -> None:
    def answer_twice(call: Call) -> None:
        call.respond(b"")
        with pytest.raises(InvariantError):
            call.respond(b"")

    assert Pair(unary=answer_twice).unary(b"").grpc_status == b"0"


def test_cancelled_call_takes_its_answer_silently_and_frees_its_slot() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append)
    call = pair.start(b"x")
    pair.exchange()
    call.reset()
    pair.exchange()

    assert waiting[0].closed
    assert (pair.server.open_streams, pair.server.running) == (0, 1)
    waiting[0].respond(b"too late")
    assert pair.server.running == 0
    assert pair.methods[b"/s/Unary"].handled == {1: 1}


def test_dropping_a_cancelled_call_frees_its_slot_too() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append)
    call = pair.start(b"x" * 1000)
    pair.exchange()
    call.reset()
    pair.exchange()

    waiting.clear()
    gc.collect()

    assert pair.server.running == 0


def test_calls_beyond_the_limit_are_refused_until_handlers_really_end() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append, streams_max=2)
    for _ in range(2):
        call = pair.start(b"x")
        pair.exchange()
        call.reset()
        pair.exchange()

    assert pair.unary(b"x").error == 7
    waiting.clear()
    gc.collect()
    call = pair.start(b"y")
    pair.exchange()
    waiting[0].respond(b"served")
    pair.exchange()
    assert call.message == b"served"


def test_expired_call_is_answered_and_late_answers_are_dropped() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append)
    call = pair.start(b"x", metadata=[(b"grpc-timeout", b"10S")])
    pair.exchange()
    deadline = waiting[0].deadline
    assert deadline is not None and 5 < deadline - h2.monotonic() <= 10

    pair.server_endpoint.expire(deadline - 1)
    assert not waiting[0].closed
    pair.server_endpoint.expire(deadline)
    pair.exchange()

    assert waiting[0].closed
    waiting[0].respond(b"late")
    assert (call.grpc_status, call.grpc_message) == (b"4", b"context deadline exceeded")


def test_client_deadline_resets_the_call() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append)
    handler = Recorder()
    call = pair.start(b"x", handler=handler, deadline=h2.monotonic() + 100)
    pair.exchange()

    pair.client_endpoint.expire(h2.monotonic() + 101)
    pair.exchange()

    assert call.expired and handler.told == ["close 8"]
    assert waiting[0].closed


def test_metadata_is_raw_bytes() -> None:
    seen: list[Any] = []

    def look(call: Call) -> None:
        seen.append([call.metadata(name) for name in (b"token", b"hasleader", b"client-api-version", b"none")])
        call.respond(b"")

    Pair(unary=look).unary(
        b"", metadata=[(b"token", b"\xff\xfe"), (b"hasleader", b"true"), (b"client-api-version", b"")]
    )

    assert seen == [[b"\xff\xfe", b"true", b"", None]]


def test_fields_are_those_of_their_own_call() -> None:
    """What a call says as the one before it did is one object; what it says otherwise is its own."""
    seen: list[list[tuple[bytes, bytes]]] = []

    def look(call: Call) -> None:
        assert isinstance(call, h2.Stream)
        seen.append(call.headers())
        call.respond(b"")

    pair = Pair(unary=look)
    said: list[list[tuple[bytes, bytes]]] = [
        [(b"token", b"a"), (b"hasleader", b"true")],
        [(b"token", b"a"), (b"hasleader", b"true")],
        [(b"token", b"b"), (b"hasleader", b"true")],
        [(b"hasleader", b"true")],
        [(b"token", b"b")],
        [],
        [(b"token", b"bb"), (b"token", b"b"), (b"toke", b"n")],
        [(b"token", b"x" * 10_000)],
        [(b"token", b"x" * 10_000)],
        [(b"token", b"")],
    ]
    for metadata in said:
        assert pair.unary(b"", metadata=metadata).grpc_status == b"0"

    own = [[field for field in fields if field[0] != b":authority"] for fields in seen]
    assert own == said
    assert own[1][0] is own[0][0] and own[2][1] is own[0][1]
    assert own[8][0] is not own[7][0], "large ones are not kept"


def test_unknown_encoding_is_refused_before_the_message_counts() -> None:
    call = Pair(unary=echo).unary(b"plain", metadata=[(b"grpc-encoding", b"snappy")])

    assert (call.grpc_status, call.grpc_message) == (
        b"12",
        b'grpc: Decompressor is not installed for grpc-encoding "snappy"',
    )


# ---- streams


def test_stream_events_come_in_order() -> None:
    server = Recorder()
    pair = Pair(stream=server.opened)
    client = Recorder()
    stream = pair.start(None, b"/s/Stream", handler=client)
    stream.write(b"one")
    stream.write(b"")
    stream.finish()
    pair.exchange()
    assert server.told == ["open", "message 3", "message 0", "end"]

    assert server.call is not None
    server.call.write(b"answer")
    server.call.finish()
    pair.exchange()

    assert server.told[4:] == ["close 0"]
    assert client.told == ["message 6", "end", "close 0"]
    assert stream.grpc_status == b"0"
    assert (pair.server.running, pair.client.open_streams) == (0, 0)


def test_stream_failed_before_it_began_is_trailers_only() -> None:
    def refuse(call: Call) -> Recorder:
        raise EmptyKey

    pair = Pair(stream=refuse)
    client = Recorder()
    stream = pair.start(None, b"/s/Stream", handler=client)
    pair.exchange()

    assert (stream.grpc_status, client.told) == (b"3", ["end", "close 0"])
    assert pair.server.running == 0


def test_writer_is_held_back_and_called_again() -> None:
    server = Recorder()
    pair = Pair(stream=server.opened, client_limits={"stream_window_bytes": 32768})
    client = Recorder()
    stream = pair.start(None, b"/s/Stream", handler=client)
    pair.exchange()
    stream.pause_reading()
    assert server.call is not None
    sent = 0
    while server.call.write(b"m" * 1000):
        sent += 1
        pair.exchange()
        assert sent < 1000

    assert pair.server.queued_bytes <= 70_000
    assert "drain" not in server.told
    stream.resume_reading()
    pair.exchange()

    assert server.told[-1] == "drain"
    assert len(client.messages) == sent + 1
    pair.server.check_invariants()


def test_paused_reader_bounds_what_the_sender_can_send() -> None:
    server = Recorder()
    pair = Pair(stream=server.opened)
    stream = pair.start(None, b"/s/Stream")
    pair.exchange()
    assert server.call is not None
    server.call.pause_reading()
    sent = 0
    while stream.write(b"m" * 1000):
        sent += 1
        pair.exchange()
        assert sent < 1000
    assert pair.server.held_bytes <= 70_000 and server.messages == []

    server.call.resume_reading()
    pair.exchange()

    assert len(server.messages) == sent + 1
    assert (pair.server.held_bytes, pair.client.queued_bytes) == (0, 0)


def test_message_larger_than_the_window_passes_a_stream_again_and_again() -> None:
    server = Recorder()
    pair = Pair(stream=server.opened)
    stream = pair.start(None, b"/s/Stream")
    for _ in range(2):
        stream.write(b"m" * 2_000_000)
        pair.exchange()
    # ... also when the next one begins in the same piece of bytes.
    stream.write(b"m" * 2_000_000)
    stream.write(b"m" * 2_000_000)
    pair.exchange()

    assert server.told == ["open"] + ["message 2000000"] * 4
    assert pair.server.reserved_bytes == 0


def test_a_small_message_between_large_ones_leaves_the_window_as_it_is() -> None:
    server = Recorder()
    pair = Pair(stream=server.opened)
    stream = pair.start(None, b"/s/Stream")
    sizes = [1_800_000, 600_000, 2_000_000, 100_000, 1_900_000, 40_000, 2_000_000]
    for size in sizes:
        stream.write(b"m" * size)
        pair.exchange()

    assert server.told == ["open"] + [f"message {size}" for size in sizes]
    assert pair.server.reserved_bytes == 0


def test_cancelled_stream_is_told_once() -> None:
    server = Recorder()
    pair = Pair(stream=server.opened)
    stream = pair.start(None, b"/s/Stream")
    stream.write(b"x")
    pair.exchange()
    stream.reset()
    pair.exchange()

    assert server.told == ["open", "message 1", "close 8"]
    assert server.call is not None and not server.call.write(b"late")


def test_lost_connection_ends_every_call() -> None:
    server, client = Recorder(), Recorder()
    waiting: list[Call] = []
    pair = Pair(stream=server.opened, unary=waiting.append)
    pair.start(None, b"/s/Stream", handler=client)
    unary = pair.start(b"x", handler=client)
    pair.exchange()

    pair.server.connection_lost(None)
    pair.client.connection_lost(None)

    assert server.told == ["open", f"close {h2.CONNECTION_LOST}"]
    assert client.told == [f"close {h2.CONNECTION_LOST}"] * 2
    assert waiting[0].closed and unary.error == h2.CONNECTION_LOST
    waiting[0].respond(b"dropped")
    assert pair.server_endpoint.connections == 0


def test_calls_ended_by_the_server_carry_their_status_before_goaway() -> None:
    server, client = Recorder(), Recorder()
    pair = Pair(stream=server.opened)
    stream = pair.start(None, b"/s/Stream", handler=client)
    pair.exchange()

    pair.server.end_calls(14, "etcdserver: server stopped")
    pair.server.goaway()
    pair.exchange()

    assert (stream.grpc_status, client.told) == (b"14", ["end", "close 0"])
    assert pair.client.draining
    with pytest.raises(ConnectionError):
        pair.start(b"x")


# ---- the transport's side of back-pressure


def test_paused_transport_is_given_nothing() -> None:
    pair = Pair(unary=echo)
    pair.server.pause_writing()
    call = pair.start(b"x")
    pair.exchange()
    assert call.grpc_status is None and pair.to_client.written == []

    pair.server.resume_writing()
    pair.exchange()

    assert call.grpc_status == b"0"


def test_peer_that_does_not_read_is_not_listened_to() -> None:
    pair = Pair(unary=lambda call: call.respond(bytes(100_000)))
    pair.server.pause_writing()
    for _ in range(20):
        pair.start(b"x")
        pair.exchange()
    assert not pair.to_client.reading

    pair.server.resume_writing()

    assert pair.to_client.reading


def test_requests_wait_while_too_much_is_queued_for_their_client() -> None:
    handled: list[bytes] = []

    def large(call: Call) -> None:
        handled.append(call.message)
        call.respond(bytes(3_000_000))

    pair = Pair(unary=large, queued_bytes_max=1_000_000)
    pair.server.pause_writing()
    calls = [pair.start(b"%d" % i) for i in range(5)]
    pair.exchange()
    assert handled == [b"0"]

    pair.server.resume_writing()
    pair.exchange()

    assert [len(call.message) for call in calls] == [3_000_000] * 5


def test_connection_window_is_withheld_while_handlers_hold_too_much() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append, pending_bytes_max=200_000, connection_window_bytes=65535)
    for _ in range(50):
        pair.start(b"x" * 15_000)
    pair.exchange()
    assert 200_000 <= pair.server.pending_bytes <= 300_000

    while waiting:
        waiting.pop().respond(b"")
        pair.exchange()

    assert pair.server.pending_bytes == 0
    assert pair.methods[b"/s/Unary"].handled == {0: 50}


def test_counters_tell_what_happened() -> None:
    pair = Pair(unary=echo)
    pair.unary(b"abc")
    pair.unary(b"")
    method = pair.methods[b"/s/Unary"]

    assert (method.started, method.handled) == (2, {0: 2})
    assert (method.messages_received, method.bytes_received, method.messages_sent, method.bytes_sent) == (2, 3, 2, 3)


def test_sessions_and_calls_are_freed() -> None:
    pair = Pair(unary=echo)
    pair.unary(b"x")
    session = weakref.ref(pair.server)
    pair.server.connection_lost(None)

    del pair
    gc.collect()

    assert session() is None


@settings(max_examples=40, deadline=None)
@given(
    bodies=st.lists(st.integers(0, 70_000), min_size=1, max_size=8),
    cuts=st.lists(st.integers(7, 40_000), min_size=1, max_size=10),
)
def test_any_cut_of_the_bytes_gives_the_same_messages(bodies: list[int], cuts: list[int]) -> None:
    """TCP may deliver the bytes in any pieces."""
    server = Recorder()
    pair = Pair(stream=server.opened)
    stream = pair.start(None, b"/s/Stream")
    for size in bodies:
        stream.write(b"m" * size)
    for turn in range(100_000):
        pair.client_endpoint.flush()
        written, pair.to_server.written = b"".join(pair.to_server.written), []
        if not written:
            break
        at = 0
        while at < len(written):
            size = cuts[turn % len(cuts)]
            pair.server.data_received(written[at : at + size])
            at += size
        pair.server_endpoint.flush()
        pair.give(pair.to_client, pair.client)

    assert [len(message) for message in server.messages] == bodies
    pair.server.check_invariants()


def test_client_calls_that_were_never_sent_are_refused_when_the_server_goes_away() -> None:
    waiting: list[Call] = []
    pair = Pair(unary=waiting.append, streams_announced=1)
    handlers = [Recorder() for _ in range(3)]
    calls = [pair.start(b"x", handler=handler) for handler in handlers]
    pair.exchange()
    assert len(waiting) == 1

    pair.server.goaway()
    pair.exchange()
    waiting[0].respond(b"served")
    pair.exchange()

    assert calls[0].message == b"served"
    assert [handler.told for handler in handlers[1:]] == [["close 7"]] * 2


def test_sweep_drops_who_broke_a_deadline_and_pings_the_silent() -> None:
    pair = Pair(unary=echo)
    limits = {
        "preface_seconds": 120.0,
        "headers_seconds": 10.0,
        "stall_seconds": 60.0,
        "stall_bytes": 1000,
        "keepalive_seconds": 30.0,
        "keepalive_timeout_seconds": 20.0,
    }
    now = h2.monotonic()
    assert pair.server_endpoint.sweep(now, **limits) == 0

    assert pair.server_endpoint.sweep(now + 31, **limits) == 0
    pair.exchange()  # the ping is answered
    assert pair.server_endpoint.sweep(now + 60, **limits) == 0
    assert pair.server_endpoint.sweep(now + 91, **limits) == 0
    assert not pair.to_client.closed
    assert pair.server_endpoint.sweep(now + 112, **limits) == 1

    assert pair.to_client.closed


def test_sweep_drops_a_reader_that_stalls_with_much_queued() -> None:
    pair = Pair(unary=lambda call: call.respond(bytes(2_000_000)), client_limits={"stream_window_bytes": 32768})
    limits = {"preface_seconds": 120.0, "headers_seconds": 10.0, "stall_seconds": 60.0, "stall_bytes": 1_000_000}
    keepalive = {"keepalive_seconds": 0.0, "keepalive_timeout_seconds": 20.0}
    pair.start(b"x")
    pair.client_endpoint.flush()
    pair.give(pair.to_server, pair.server)
    now = h2.monotonic()

    assert pair.server_endpoint.sweep(now, **limits, **keepalive) == 0
    assert pair.server_endpoint.sweep(now + 59, **limits, **keepalive) == 0
    assert pair.server_endpoint.sweep(now + 61, **limits, **keepalive) == 1
