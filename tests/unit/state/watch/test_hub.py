"""What clients of a watch stream see, response by response. Texts and ids as etcd 3.5 sends them."""

from __future__ import annotations

from etcdpy.pb import kv_pb2, rpc_pb2
from tests.unit.state.watch.fakes import Bench

NOPUT, NODELETE = rpc_pb2.WatchCreateRequest.NOPUT, rpc_pb2.WatchCreateRequest.NODELETE


def test_from_now_on() -> None:
    bench = Bench()
    bench.store.put(b"a", b"old")
    stream = bench.open()
    bench.create(stream)
    bench.settle()
    bench.store.put(b"a", b"1")
    bench.store.put(b"b", b"2")
    bench.store.delete(b"a")
    bench.settle()

    assert bench.lines(stream) == ["rev=2 w0 created", "rev=5 w0 put:a=1@3 delete:a@5"]


def test_from_a_past_revision() -> None:
    bench = Bench()
    for value in (b"1", b"2", b"3"):
        bench.store.put(b"a", value)
    stream = bench.open()
    bench.create(stream, start_revision=3)
    bench.settle()

    assert bench.lines(stream) == ["rev=4 w0 created", "rev=4 w0 put:a=2@3 put:a=3@4"]


def test_from_a_future_revision() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream, start_revision=4)
    bench.settle()
    for value in (b"2", b"3"):
        bench.store.put(b"a", value)
        bench.settle()
    assert bench.lines(stream) == ["rev=1 w0 created"]
    bench.store.put(b"a", b"4")
    bench.settle()
    assert bench.lines(stream) == ["rev=4 w0 put:a=4@4"]


def test_future_revision_reached_inside_a_batch() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream, start_revision=4)
    for value in (b"2", b"3", b"4", b"5"):
        bench.store.put(b"a", value)
    bench.settle()
    bench.store.put(b"a", b"6")
    bench.settle()

    assert bench.lines(stream) == ["rev=1 w0 created", "rev=5 w0 put:a=4@4 put:a=5@5", "rev=6 w0 put:a=6@6"]


def test_start_below_compaction() -> None:
    """Told where history begins, with no revision in the header; the id stays taken until the client lets it go."""
    bench = Bench()
    for _ in range(5):
        bench.store.put(b"a")
    bench.store.compact_revision = 4
    stream = bench.open()
    bench.create(stream, start_revision=3, watch_id=5)
    bench.settle()
    bench.create(stream, watch_id=5)
    bench.hub.cancel(stream, 5)
    bench.create(stream, watch_id=5)
    bench.settle()

    assert bench.lines(stream) == [
        "rev=6 w5 created",
        "rev=0 w5 canceled compact_revision=4",
        "rev=6 w-1 created canceled reason=mvcc: duplicate watch ID provided on the WatchStream",
        "rev=6 w5 canceled",
        "rev=6 w5 created",
    ]


def test_start_at_the_compacted_revision() -> None:
    bench = Bench()
    bench.store.put(b"a", b"1")
    bench.store.put(b"a", b"2")
    bench.store.compact_revision = 3
    stream = bench.open()
    bench.create(stream, start_revision=3)
    bench.settle()

    assert bench.lines(stream) == ["rev=3 w0 created", "rev=3 w0 put:a=2@3"]


def test_creations_that_fail() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream, b"b", b"a")
    bench.create(stream, b"b", b"b")
    bench.create(stream, watch_id=3)
    bench.create(stream, watch_id=3)
    bench.create(stream, start_revision=-1)
    bench.hub.refuse(stream, "rpc error: code = PermissionDenied desc = etcdserver: permission denied")
    bench.settle()

    assert bench.lines(stream) == [
        "rev=1 w-1 created canceled reason=mvcc: watcher range is empty",
        "rev=1 w-1 created canceled reason=mvcc: watcher range is empty",
        "rev=1 w3 created",
        "rev=1 w-1 created canceled reason=mvcc: duplicate watch ID provided on the WatchStream",
        "rev=1 w-1 created canceled reason=etcdserver: mvcc: required revision has been compacted",
        "rev=1 w-1 created canceled reason=rpc error: code = PermissionDenied desc = etcdserver: permission denied",
    ]
    assert bench.hub.watcher_count == 1


def test_ids_are_counted_up_past_those_taken() -> None:
    bench = Bench()
    stream = bench.open()
    for watch_id in (0, 1, -9, -1, 0, 4, 0, 0):
        bench.create(stream, watch_id=watch_id)
    bench.hub.cancel(stream, 0)
    bench.create(stream)
    bench.store.put(b"a")
    bench.settle()

    responses = bench.hear(stream)
    created = [response.watch_id for response in responses if response.created]
    assert created == [0, 1, -9, -1, 2, 4, 3, 5, 6]
    assert sorted(r.watch_id for r in responses if r.events) == [-9, -1, 1, 2, 3, 4, 5, 6]


def test_cancel() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream)
    bench.hub.cancel(stream, 0)
    bench.hub.cancel(stream, 0)
    bench.hub.cancel(stream, 77)
    bench.store.put(b"a")
    bench.settle()

    assert bench.lines(stream) == ["rev=1 w0 created", "rev=1 w0 canceled"]
    assert bench.hub.is_idle and not bench.store.record_changes


def test_cancel_while_catching_up_and_while_in_the_future() -> None:
    bench = Bench()
    bench.store.put(b"a")
    stream = bench.open()
    bench.create(stream, start_revision=1)
    bench.create(stream, start_revision=100)
    bench.hub.cancel(stream, 0)
    bench.hub.cancel(stream, 1)
    bench.settle()

    assert bench.lines(stream) == [
        "rev=2 w0 created",
        "rev=2 w1 created",
        "rev=2 w0 canceled",
        "rev=2 w1 canceled",
    ]
    assert bench.hub.is_idle


def test_ranges() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream, b"b", b"d")
    bench.create(stream, b"b", b"\0")
    bench.create(stream, b"", b"\0")
    bench.create(stream, b"")
    for key in (b"a", b"b", b"c", b"d", b"\0"):
        bench.store.put(key)
    bench.settle()

    heard = {response.watch_id: [e.kv.key for e in response.events] for response in bench.hear(stream)[4:]}
    assert heard == {0: [b"b", b"c"], 1: [b"b", b"c", b"d"], 2: [b"a", b"b", b"c", b"d", b"\0"], 3: [b"\0"]}


def test_filters_and_previous_values() -> None:
    bench = Bench()
    bench.store.put(b"a", b"0")
    stream = bench.open()
    bench.create(stream, filters=[NOPUT], prev_kv=True)
    bench.create(stream, filters=[NODELETE, 9], prev_kv=True)
    bench.create(stream, filters=[NOPUT, NODELETE])
    bench.store.put(b"a", b"1")
    bench.store.delete(b"a")
    bench.store.put(b"a", b"2")
    bench.settle()
    live = bench.lines(stream)[3:]
    assert sorted(live) == ["rev=5 w0 delete:a@4(1)", "rev=5 w1 put:a=1@3(0) put:a=2@5"]

    bench.store.compact_revision = 3
    bench.create(stream, prev_kv=True, start_revision=3)
    bench.settle()
    assert bench.lines(stream)[1:] == ["rev=5 w3 put:a=1@3 delete:a@4(1) put:a=2@5"]


def test_a_transaction_is_one_response() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream, b"a", b"z")
    bench.store.put(b"c", b"0")
    bench.settle()
    bench.hear(stream)
    bench.store.write({b"a": b"1", b"b": b"2"}, [b"c"])
    bench.settle()

    (response,) = bench.hear(stream)
    assert [(e.type, e.kv.key, e.kv.mod_revision) for e in response.events] == [
        (kv_pb2.Event.PUT, b"a", 3),
        (kv_pb2.Event.PUT, b"b", 3),
        (kv_pb2.Event.DELETE, b"c", 3),
    ]
    assert response.events[2].kv == kv_pb2.KeyValue(key=b"c", mod_revision=3)


def test_fragments() -> None:
    """Only who asked for fragments gets a revision in pieces; all but the last say so."""
    bench = Bench()
    stream = bench.open()
    bench.create(stream, b"a", b"z", fragment=True)
    bench.create(stream, b"a", b"z")
    bench.store.write({b"k%d" % i: b"x" * 300_000 for i in range(5)})
    bench.settle()

    responses = bench.hear(stream)[2:]
    pieces = [(len(r.events), r.fragment) for r in responses if r.watch_id == 0]
    assert pieces == [(2, True), (2, True), (1, False)]
    assert [(len(r.events), r.fragment) for r in responses if r.watch_id == 1] == [(5, False)]
    keys = [event.kv.key for r in responses if r.watch_id == 0 for event in r.events]
    assert keys == [b"k0", b"k1", b"k2", b"k3", b"k4"]


def test_many_revisions_do_not_make_one_huge_response() -> None:
    bench = Bench()
    for _ in range(40):
        bench.store.put(b"a", b"x" * 100_000)
    stream = bench.open()
    bench.create(stream, start_revision=1)
    bench.settle()

    responses = bench.hear(stream)[1:]
    assert sum(len(response.events) for response in responses) == 40
    assert max(response.ByteSize() for response in responses) <= 1 << 20


def test_progress_request() -> None:
    bench = Bench()
    stream = bench.open()
    bench.hub.request_progress(stream)
    bench.create(stream)
    bench.store.put(b"b")
    bench.notify()
    bench.hub.request_progress(stream)
    bench.settle()

    assert bench.lines(stream) == ["rev=1 w-1", "rev=1 w0 created", "rev=2 w-1"]


def test_progress_request_waits_until_all_are_synced() -> None:
    """A bookmark is never ahead of events (etcd issue 15220)."""
    bench = Bench()
    bench.store.put(b"a", b"1")
    stream = bench.open()
    bench.create(stream, b"b")
    bench.create(stream, start_revision=2)
    bench.hub.request_progress(stream)
    bench.settle()

    assert bench.lines(stream) == ["rev=2 w0 created", "rev=2 w1 created", "rev=2 w1 put:a=1@2", "rev=2 w-1"]


def test_progress_request_waits_for_a_slow_stream() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream)
    bench.take()
    bench.hub.block(stream)
    bench.store.put(b"a", b"1")
    bench.notify()
    bench.hub.request_progress(stream)
    bench.settle()
    assert bench.lines(stream) == ["rev=1 w0 created"]
    bench.hub.unblock(stream)
    bench.settle()
    assert bench.lines(stream) == ["rev=2 w0 put:a=1@2", "rev=2 w-1"]


def test_progress_notifications() -> None:
    """Every interval, for those who asked, unless events came meanwhile; not for who waits for the future."""
    bench = Bench(progress_interval_seconds=10.0)
    stream = bench.open()
    bench.create(stream, progress_notify=True)
    bench.create(stream, b"b", progress_notify=True, start_revision=100)
    bench.create(stream, b"c")
    bench.hub.tick(0.0)
    bench.hub.tick(9.0)
    bench.settle()
    assert len(bench.hear(stream)) == 3
    bench.hub.tick(11.0)
    bench.settle()
    assert bench.lines(stream) == ["rev=1 w0"]
    bench.store.put(b"a")
    bench.settle()
    bench.hear(stream)
    bench.hub.tick(22.0)
    bench.settle()
    assert bench.lines(stream) == []
    bench.hub.tick(33.0)
    bench.settle()
    assert bench.lines(stream) == ["rev=2 w0"]


def test_a_thousand_alike_watchers_are_one_item() -> None:
    bench = Bench()
    stream = bench.open()
    for _ in range(1000):
        bench.create(stream)
    bench.settle()
    bench.hear(stream)
    bench.store.put(b"a", b"x")
    bench.notify()
    ((_, items),) = bench.hub.take_output()

    assert len(items) == 3  # ids of zero, two and three bytes
    joined = b"".join(item if isinstance(item, bytes) else item.join_after(b"") for item in items)
    single = b"".join(message for item in items for message in item.messages())  # type: ignore[union-attr]
    assert joined == single


def test_blocked_stream_misses_nothing() -> None:
    """Nothing is made for a blocked stream; when it can read again it is told all, from memory."""
    bench = Bench()
    slow, quick = bench.open(), bench.open()
    for stream in (slow, quick):
        bench.create(stream)
        bench.create(stream, b"a", b"c")
    bench.take()
    bench.hub.block(slow)
    for value in (b"1", b"2", b"3"):
        bench.store.put(b"a", value)
        bench.settle()
    assert len(bench.hear(slow)) == 2
    assert len(bench.hear(quick)) == 2 + 6
    assert bench.hub.unsynced_count == 2
    bench.hub.unblock(slow)
    bench.settle()
    assert sorted(bench.lines(slow)) == [
        "rev=4 w0 put:a=1@2 put:a=2@3 put:a=3@4",
        "rev=4 w1 put:a=1@2 put:a=2@3 put:a=3@4",
    ]
    assert bench.store.reads == 0
    assert bench.hub.unsynced_count == 0


def test_watch_created_on_a_lagging_stream() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream)
    bench.take()
    bench.hub.block(stream)
    bench.store.put(b"a", b"1")
    bench.settle()
    bench.create(stream)
    bench.create(stream, start_revision=2)
    bench.store.put(b"a", b"2")
    bench.settle()
    bench.hub.unblock(stream)
    bench.settle()
    bench.store.put(b"a", b"3")
    bench.settle()

    heard: dict[int, list[int]] = {}
    for response in bench.hear(stream):
        heard.setdefault(response.watch_id, []).extend(event.kv.mod_revision for event in response.events)
    assert heard == {0: [2, 3, 4], 1: [3, 4], 2: [2, 3, 4]}


def test_slow_stream_overtaken_by_compaction() -> None:
    """What memory no longer holds and the store compacted is gone: the watcher is told so."""
    bench = Bench()
    stream = bench.open()
    bench.create(stream)
    bench.take()
    bench.hub.block(stream)
    for _ in range(25_000):  # more than the backlog keeps
        bench.store.put(b"a")
    bench.settle()
    bench.store.compact_revision = 20_000
    bench.hub.unblock(stream)
    bench.settle()

    assert bench.lines(stream) == ["rev=1 w0 created", "rev=0 w0 canceled compact_revision=20000"]
    assert bench.hub.is_idle


def test_large_event_for_many_watchers_of_a_stream() -> None:
    """The outbox stays bounded; every watcher is told in the end, once."""
    bench = Bench()
    stream = bench.open()
    for _ in range(30):
        bench.create(stream)
    bench.settle()
    bench.hear(stream)
    bench.store.put(b"a", b"x" * 1_000_000)
    bench.store.put(b"a", b"y" * 1_000_000)
    bench.notify()
    largest = 0
    while True:
        outputs = bench.hub.take_output()
        for _, items in outputs:
            messages = [m for item in items for m in ([item] if isinstance(item, bytes) else item.messages())]
            largest = max(largest, sum(map(len, messages)))
            bench.told[stream] += map(rpc_pb2.WatchResponse.FromString, messages)
        bench.hub.check_invariants()
        if not bench.hub.has_work:
            break
        bench.hub.sync_step()

    heard: dict[int, list[bytes]] = {}
    for response in bench.hear(stream):
        heard.setdefault(response.watch_id, []).extend(event.kv.value[:1] for event in response.events)
    assert heard == {watch_id: [b"x", b"y"] for watch_id in range(30)}
    assert largest < 6 << 20


def test_large_batches_for_many_interests_come_a_part_at_a_time() -> None:
    """Each interest has bodies of its own here; they are not all made at once, and nobody misses one."""
    bench = Bench()
    streams = [bench.open() for _ in range(40)]
    for number, stream in enumerate(streams):
        bench.create(stream, b"a", b"b%d" % number)
    bench.settle()
    for stream in streams:
        bench.hear(stream)
    for _ in range(2):
        bench.store.put(b"a", b"x" * 500_000)

    bench.notify()
    at_once = bench.hub.take_output()

    assert 0 < len(at_once) < 20
    for stream_id, items in at_once:
        for item in items:
            assert not isinstance(item, bytes)
            bench.told[stream_id] += map(rpc_pb2.WatchResponse.FromString, item.messages())
    bench.settle()
    for stream in streams:
        heard = [event.kv.mod_revision for response in bench.hear(stream) for event in response.events]
        assert heard == [2, 3]


def test_closed_streams_leave_nothing() -> None:
    bench = Bench()
    bench.store.put(b"a")
    stream = bench.open()
    bench.create(stream)
    bench.create(stream, start_revision=1)
    bench.create(stream, start_revision=100, progress_notify=True)
    bench.hub.block(stream)
    bench.hub.close_stream(stream)
    assert bench.hub.take_output() == []
    bench.settle()

    assert bench.hub.is_idle and bench.hub.stream_count == 0 and not bench.hub.has_work


def test_idle_hub_follows_the_store() -> None:
    bench = Bench()
    stream = bench.open()
    bench.store.put(b"a", b"1")
    bench.store.put(b"a", b"2")
    assert bench.store.pending == []
    bench.create(stream)
    bench.store.put(b"a", b"3")
    bench.settle()

    assert bench.lines(stream) == ["rev=3 w0 created", "rev=4 w0 put:a=3@4"]


def test_after_a_snapshot_everybody_goes_on_where_he_stood() -> None:
    """Changes that came with a snapshot are read from the store (etcd issue 15271); future ones stay future (20221)."""
    bench = Bench()
    stream = bench.open()
    bench.create(stream)
    bench.create(stream, start_revision=5)
    bench.settle()
    bench.hear(stream)
    for value in (b"2", b"3"):
        bench.store.put(b"a", value)
    bench.store.take_changes()
    bench.hub.restore()
    bench.settle()
    assert bench.lines(stream) == ["rev=3 w0 put:a=2@2 put:a=3@3"]
    for value in (b"4", b"5"):
        bench.store.put(b"a", value)
        bench.settle()
    assert sorted(bench.lines(stream)) == ["rev=4 w0 put:a=4@4", "rev=5 w0 put:a=5@5", "rev=5 w1 put:a=5@5"]


def test_new_watch_on_a_stream_that_needs_several_steps() -> None:
    """It joins its stream only when the stream is level: earlier it would be told what it did not ask for."""
    bench = Bench()
    stream = bench.open()
    bench.create(stream)
    bench.take()
    bench.hub.block(stream)
    for _ in range(8):
        bench.store.put(b"a", b"x" * 1_300_000)
        bench.notify()
    bench.create(stream)
    bench.hub.unblock(stream)
    bench.settle()
    bench.store.put(b"a")
    bench.settle()

    heard: dict[int, list[int]] = {}
    for response in bench.hear(stream):
        heard.setdefault(response.watch_id, []).extend(event.kv.mod_revision for event in response.events)
    assert heard == {0: [2, 3, 4, 5, 6, 7, 8, 9, 10], 1: [10]}


def test_future_revision_reached_while_the_stream_lags() -> None:
    bench = Bench()
    stream = bench.open()
    bench.create(stream, b"b")
    bench.create(stream, start_revision=3)
    bench.take()
    bench.hub.block(stream)
    for value in (b"2", b"3", b"4"):
        bench.store.put(b"a", value)
        bench.notify()
    bench.hub.unblock(stream)
    bench.settle()

    assert bench.lines(stream)[2:] == ["rev=4 w1 put:a=3@3 put:a=4@4"]


def test_changes_that_nobody_watched_are_read_from_the_store() -> None:
    """A slow stream without watchers keeps the backlog open; it must not claim revisions that went by unrecorded."""
    bench = Bench()
    slow, stream = bench.open(), bench.open()
    bench.create(slow)
    bench.take()
    bench.hub.block(slow)
    bench.hub.cancel(slow, 0)
    for value in (b"2", b"3"):
        bench.store.put(b"a", value)
    bench.create(stream, start_revision=2)
    bench.settle()

    assert bench.lines(stream) == ["rev=3 w0 created", "rev=3 w0 put:a=2@2 put:a=3@3"]


def test_changes_given_while_nobody_watched_are_read_from_the_store() -> None:
    bench = Bench()
    slow, stream = bench.open(), bench.open()
    bench.create(slow)
    bench.take()
    bench.hub.block(slow)
    bench.store.put(b"a", b"2")
    bench.hub.cancel(slow, 0)
    bench.notify()
    bench.create(stream, start_revision=2)
    bench.settle()

    assert bench.lines(stream) == ["rev=2 w0 created", "rev=2 w0 put:a=2@2"]


def test_stream_closed_with_output_left_does_not_lag_for_ever() -> None:
    bench = Bench()
    stream, other = bench.open(), bench.open()
    for each in (stream, other):
        bench.create(each)
    bench.store.put(b"a", b"x" * 1_300_000)
    bench.notify()
    bench.hub.close_stream(stream)
    for _ in range(5):
        bench.store.put(b"a", b"x" * 1_300_000)
    bench.notify()
    bench.hub.check_invariants()
    bench.settle()
    assert bench.hub.unsynced_count == 0
