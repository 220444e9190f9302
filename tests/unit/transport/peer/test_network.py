"""Two members over real sockets: every kind of message, lost links, restarts, members that are gone or not meant."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from etcdpy.pb.raft_values import Entry, Message, Snapshot
from etcdpy.raft.constants import (
    LOCAL_APPEND_THREAD,
    LOCAL_MESSAGES,
    MESSAGE_NAMES,
    MSG_APP,
    MSG_APP_RESP,
    MSG_HEARTBEAT,
    MSG_HEARTBEAT_RESP,
    MSG_HUP,
    MSG_PROP,
    MSG_SNAP,
    MSG_STORAGE_APPEND_RESP,
)
from etcdpy.transport.peer.network import REMOTES_MAX, leave_out_covered
from etcdpy.transport.peer.urls import BadUrl
from tests.unit.transport.peer.members import CLUSTER, Both, Member, is_attached, run, until

ANY_BYTES = bytes(range(256)) * 4


def fields_of(message: Message) -> dict[str, object]:
    names = (
        "type",
        "to",
        "from_",
        "term",
        "log_term",
        "index",
        "entries",
        "commit",
        "vote",
        "reject",
        "reject_hint",
        "context",
    )
    return {name: getattr(message, name) for name in names}


def sample(kind: int, *, to: int, from_: int) -> Message:
    """A message of that kind whose every field is set."""
    entries = [Entry(3, 8, 0, ANY_BYTES), Entry(4, 9, 1, b"")] if kind in (MSG_APP, MSG_PROP) else []
    return Message(kind, to, from_, 4, 3, 7, entries, 6, reject=True, reject_hint=5, context=b"\x00\xff")


NETWORK_KINDS = [kind for kind in range(19) if kind not in LOCAL_MESSAGES and kind != MSG_SNAP]


@pytest.mark.parametrize("kind", NETWORK_KINDS, ids=lambda kind: MESSAGE_NAMES[kind])
def test_every_kind_arrives_as_it_was_sent(tmp_path: Path, kind: int) -> None:
    async def body() -> None:
        async with Both(tmp_path) as both:
            message = sample(kind, to=2, from_=1)
            both.one.network.send([message])
            await until(lambda: both.two.recorder.received)
            assert fields_of(both.two.recorder.received[0]) == fields_of(message)

    run(body())


def test_appends_that_follow_each_other_arrive_in_order_with_every_entry(tmp_path: Path) -> None:
    async def body() -> None:
        async with Both(tmp_path) as both:
            for index in range(0, 300, 3):
                entries = [Entry(2, index + offset, 0, b"%d" % (index + offset)) for offset in (1, 2, 3)]
                both.one.network.send([Message(MSG_APP, 2, 1, 2, 2 if index else 0, index, entries, index)])
            await until(lambda: len(both.two.recorder.received) == 100)
            received = both.two.recorder.received
            assert [entry.index for message in received for entry in message.entries] == list(range(1, 301))
            assert [message.commit for message in received] == list(range(0, 300, 3))
            assert {(message.from_, message.to, message.term) for message in received} == {(1, 2, 2)}

    run(body())


def test_without_a_stream_messages_are_posted(tmp_path: Path) -> None:
    """The other side does not know us, so it does not dial; it learns our URLs and can answer."""

    async def body() -> None:
        one, two = await Member(tmp_path / "1", 1).start(), await Member(tmp_path / "2", 2).start()
        one.network.add_peer(2, [two.url])
        one.network.send([Message(MSG_HEARTBEAT, 2, 1, 1), sample(MSG_APP, to=2, from_=1)])
        await until(lambda: len(two.recorder.received) == 2)
        assert sorted(two.recorder.types()) == [MSG_APP, MSG_HEARTBEAT]
        assert one.network.is_active(2)
        two.network.send([Message(MSG_HEARTBEAT_RESP, 1, 2, 1)])
        await until(lambda: one.recorder.types() == [MSG_HEARTBEAT_RESP])
        await one.stop()
        await two.stop()
        assert "added new remote peer" in two.logged()

    run(body())


def test_a_restarted_peer_is_found_again_and_its_loss_is_reported(tmp_path: Path) -> None:
    async def body() -> None:
        async with Both(tmp_path) as both:
            port = both.two.port
            await both.two.stop()
            await until(lambda: not both.one.network.is_active(2))
            assert both.one.recorder.unreachable
            both.one.recorder.unreachable.clear()
            both.one.network.send([Message(MSG_HEARTBEAT, 2, 1, 1)])
            await until(lambda: both.one.recorder.unreachable)
            both.two = await Member(tmp_path / "two", 2, port=port).start()
            both.two.network.add_peer(1, [both.one.url])
            await until(both.are_attached)
            assert both.one.network.active_since(2) is not None
            both.one.network.send([Message(MSG_HEARTBEAT, 2, 1, 7)])
            # The earlier one may have waited in the pipeline.
            await until(lambda: [message.term for message in both.two.recorder.received][-1:] == [7])
        logged = both.one.logged()
        for text in (
            "added remote peer",
            "peer became active",
            "peer became inactive (message send to peer failed)",
            "lost TCP streaming connection with remote peer",
            "established TCP streaming connection with remote peer",
        ):
            assert text in logged

    run(body())


def test_a_peer_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    """The kernel accepts and nobody answers: neither refused nor lost, so only the time tells."""

    async def body() -> None:
        silent = socket.create_server(("127.0.0.1", 0))
        one = await Member(tmp_path / "1", 1).start()
        one.network.add_peer(2, [f"http://127.0.0.1:{silent.getsockname()[1]}"])
        one.network.send([Message(MSG_HEARTBEAT, 2, 1, 1)])
        await until(lambda: one.recorder.unreachable == [2])
        await one.stop()
        silent.close()

    run(body())


def test_members_of_different_clusters_do_not_talk(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        two = await Member(tmp_path / "2", 2, cluster_id=CLUSTER + 1).start()
        one.network.add_peer(2, [two.url])
        two.network.add_peer(1, [one.url])
        one.network.send([Message(MSG_HEARTBEAT, 2, 1, 1)])
        await until(lambda: one.recorder.unreachable == [2])
        assert not is_attached(one, 2) and not two.recorder.received
        await one.stop()
        await two.stop()
        assert "request cluster ID mismatch" in two.logged()
        assert "request sent was ignored by remote peer due to cluster ID mismatch" in one.logged()

    run(body())


def test_a_member_that_is_too_new_is_refused(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        two = await Member(tmp_path / "2", 2, version="4.0.0", minimum="3.9.0").start()
        one.network.add_peer(2, [two.url])
        two.network.add_peer(1, [one.url])
        two.network.send([Message(MSG_HEARTBEAT, 1, 2, 1)])
        await until(lambda: two.recorder.unreachable == [1])
        assert not one.recorder.received
        await one.stop()
        await two.stop()
        assert "failed to check version compatibility" in one.logged()

    run(body())


def test_a_removed_member_learns_it_from_its_streams(tmp_path: Path) -> None:
    async def body() -> None:
        one, two = await Member(tmp_path / "1", 1).start(), await Member(tmp_path / "2", 2).start()
        two.recorder.removed.add(1)
        one.network.add_peer(2, [two.url])
        await until(lambda: one.recorder.removed_here)
        await one.stop()
        await two.stop()
        assert "rejected stream from remote peer because it was removed" in two.logged()

    run(body())


def test_a_removed_member_learns_it_from_a_post(tmp_path: Path) -> None:
    async def body() -> None:
        one, two = await Member(tmp_path / "1", 1).start(), await Member(tmp_path / "2", 2).start()
        two.recorder.removed.add(1)
        one.network.add_remote(2, [two.url])
        one.network.send([Message(MSG_HEARTBEAT, 2, 1, 1)])
        await until(lambda: one.recorder.removed_here)
        assert not two.recorder.received
        await one.stop()
        await two.stop()

    run(body())


def test_another_member_at_the_url_takes_nothing_and_removes_nobody(tmp_path: Path) -> None:
    """Member 3 lives where 2 was: our messages are for 2."""

    async def body() -> None:
        one, three = await Member(tmp_path / "1", 1).start(), await Member(tmp_path / "3", 3).start()
        three.network.add_peer(1, [one.url])
        one.network.add_peer(2, [three.url])
        one.network.send([Message(MSG_HEARTBEAT, 2, 1, 1)])
        await until(lambda: one.recorder.unreachable == [2])
        assert not three.recorder.received and not one.recorder.removed_here and not is_attached(one, 2)
        await one.stop()
        await three.stop()
        assert "ignored streaming request; ID mismatch" in three.logged()

    run(body())


@pytest.mark.parametrize(
    "bad",
    [
        Message(MSG_HUP, 2, 1),
        Message(MSG_STORAGE_APPEND_RESP, 2, LOCAL_APPEND_THREAD, 1),
        Message(MSG_APP_RESP, 2, LOCAL_APPEND_THREAD, 1),
        Message(MSG_APP, 2, 1, 4, 3, 7, [Entry(3, 9, 0, b"gap")]),
        Message(MSG_APP, 2, 1, 4, 3, 7, [Entry(5, 8, 0, b"a term to come")]),
        Message(MSG_APP, 2, 1, 4, 3, 7, [Entry(2, 8, 0, b"falling term")]),
        Message(MSG_HEARTBEAT, 3, 1, 4),
    ],
    ids=lambda bad: repr(bad),
)
def test_what_no_member_may_send_never_reaches_raft(tmp_path: Path, bad: Message) -> None:
    """The good message behind it does, so that the bad one surely came and was seen."""

    async def body() -> None:
        async with Both(tmp_path) as both:
            peer = both.one.network.find_peer(2)
            assert peer is not None
            good = Message(MSG_APP if bad.type == MSG_APP else MSG_HEARTBEAT_RESP, 2, 1, 4)
            peer.send([bad, good])
            await until(lambda: both.two.recorder.received)
            assert both.two.recorder.types() == [good.type]

    run(body())


def test_a_removed_peer_is_not_talked_to_any_more(tmp_path: Path) -> None:
    async def body() -> None:
        async with Both(tmp_path) as both:
            both.one.network.remove_peer(2)
            both.one.network.send([Message(MSG_HEARTBEAT, 2, 1, 1)])
            assert not both.one.network.is_active(2) and both.one.network.active_since(2) is None
            assert both.one.network.metrics().active[2] == 0
            await until(lambda: not is_attached(both.two, 1))
            assert not both.two.recorder.received
            both.one.network.remove_peer(2)
        assert "stopped remote peer" in both.one.logged() and "removed remote peer" in both.one.logged()

    run(body())


def test_a_peer_moves_to_another_url(tmp_path: Path) -> None:
    async def body() -> None:
        async with Both(tmp_path) as both:
            await both.two.stop()
            both.two = await Member(tmp_path / "two", 2).start()
            both.two.network.add_peer(1, [both.one.url])
            both.one.network.update_peer(2, [both.two.url])
            await until(both.are_attached)
        assert "updated remote peer" in both.one.logged()

    run(body())


def test_of_several_urls_the_one_that_works_is_used(tmp_path: Path) -> None:
    async def body() -> None:
        one, two = await Member(tmp_path / "1", 1).start(), await Member(tmp_path / "2", 2).start()
        one.network.add_peer(2, ["http://127.0.0.1:1", two.url])
        two.network.add_peer(1, ["http://127.0.0.1:1", one.url])
        await until(lambda: is_attached(one, 2) and is_attached(two, 1))
        await one.stop()
        await two.stop()

    run(body())


def test_bad_urls_are_the_callers_mistake_but_a_strangers_are_only_logged(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        with pytest.raises(BadUrl):
            one.network.add_peer(2, ["http://x"])
        assert one.network.find_peer(2) is None
        one.network.add_remote(3, ["nonsense"])
        for member_id in range(4, 4 + REMOTES_MAX + 5):
            one.network.add_remote(member_id, ["http://127.0.0.1:1"])
        assert not one.network.knows(3)
        assert sum(one.network.knows(member_id) for member_id in range(100)) == REMOTES_MAX
        await one.stop()

    run(body())


def test_bytes_are_counted_on_both_sides(tmp_path: Path) -> None:
    async def body() -> None:
        async with Both(tmp_path) as both:
            sent, received = both.one.network.metrics(), both.two.network.metrics()
            both.one.network.send([sample(MSG_APP, to=2, from_=1)])
            await until(lambda: both.two.recorder.received and received.received_bytes[1] == sent.sent_bytes[2])
            assert sent.sent_bytes[2] > len(ANY_BYTES)
            assert sent.active[2] == 1
            await until(lambda: sent.round_trips.take())

    run(body())


# ---- what may be left out


def test_an_acknowledgement_covered_by_a_later_one_is_left_out() -> None:
    first, other, last = (
        Message(MSG_APP_RESP, 2, 1, 5, index=7),
        Message(MSG_HEARTBEAT_RESP, 2, 1, 5),
        Message(MSG_APP_RESP, 2, 1, 5, index=9),
    )
    assert leave_out_covered([first, other, last]) == [other, last]


def test_a_mere_commit_before_an_append_at_the_same_place_is_left_out() -> None:
    commit = Message(MSG_APP, 2, 1, 5, 5, index=7, commit=6)
    append = Message(MSG_APP, 2, 1, 5, 5, index=7, entries=[Entry(5, 8)], commit=6)
    assert leave_out_covered([commit, commit, append]) == [append]


@pytest.mark.parametrize(
    "messages",
    [
        [Message(MSG_APP, 2, 1, 5, 5, 7, commit=7), Message(MSG_APP, 2, 1, 5, 5, 8, commit=8)],
        [Message(MSG_APP, 2, 1, 5, 5, 7, commit=7), Message(MSG_APP, 2, 1, 6, 5, 7, commit=7)],
        [Message(MSG_APP, 2, 1, 5, 5, 7, [Entry(5, 8)], 7), Message(MSG_APP, 2, 1, 5, 5, 7, [Entry(5, 8)], 7)],
        [Message(MSG_APP_RESP, 2, 1, 5, index=9), Message(MSG_APP_RESP, 2, 1, 5, index=7)],
        [Message(MSG_APP_RESP, 2, 1, 5, index=7), Message(MSG_APP_RESP, 2, 1, 6, index=9)],
        [Message(MSG_APP_RESP, 2, 1, 5, index=7, reject=True), Message(MSG_APP_RESP, 2, 1, 5, index=9)],
        [Message(MSG_APP_RESP, 2, 1, 5, index=7), Message(MSG_APP_RESP, 2, 1, 5, index=9, reject=True)],
    ],
    ids=[
        "other place",
        "other term of append",
        "entries",
        "smaller later",
        "other term",
        "rejection first",
        "rejection last",
    ],
)
def test_what_says_something_of_its_own_is_sent(messages: list[Message]) -> None:
    assert leave_out_covered(messages) == messages


# ---- snapshots


def snapshot_message(index: int = 11) -> Message:
    return Message(MSG_SNAP, 2, 1, 4, snapshot=Snapshot(b'{"v2":1}', index, 3))


def test_a_snapshot_of_some_megabytes_arrives_whole(tmp_path: Path) -> None:
    async def body() -> None:
        database = tmp_path / "db"
        database.write_bytes(ANY_BYTES * 12_000)
        size = database.stat().st_size
        done: list[bool] = []
        async with Both(tmp_path) as both:
            both.one.network.send_snapshot(snapshot_message(), str(database), size, done.append)
            await until(lambda: done)
            message, path = both.two.recorder.snapshots[0]
            assert done == [True] and both.one.recorder.snapshots_reported == [(2, True)]
            assert Path(path) == tmp_path / "two" / "000000000000000b.snap.db"
            assert Path(path).read_bytes() == database.read_bytes()
            assert message.snapshot is not None and message.snapshot.data == b'{"v2":1}'
            sent, received = both.one.network.metrics(), both.two.network.metrics()
            await until(lambda: received.snapshot_receive_success[1] == 1)
            assert sent.snapshot_send_success[2] == 1 and sent.snapshot_send_inflights[2] == 0
            assert received.snapshot_receive_inflights[1] == 0
        assert [path.name for path in (tmp_path / "two").iterdir()] == ["000000000000000b.snap.db"]

    run(body())


@pytest.mark.parametrize("trouble", ["refused", "short file", "no file", "unknown", "nobody there"])
def test_a_snapshot_that_fails_is_reported_once_and_leaves_nothing(tmp_path: Path, trouble: str) -> None:
    async def body() -> None:
        database = tmp_path / "db"
        database.write_bytes(b"x" * 3_000_000)
        size = 4_000_000 if trouble == "short file" else 3_000_000
        done: list[bool] = []
        async with Both(tmp_path) as both:
            if trouble == "refused":
                both.two.recorder.removed.add(1)
            if trouble == "no file":
                database.unlink()
            if trouble == "unknown":
                both.one.network.remove_peer(2)
            if trouble == "nobody there":
                both.one.network.update_peer(2, ["http://127.0.0.1:1"])
            both.one.network.send_snapshot(snapshot_message(), str(database), size, done.append)
            await until(lambda: done)
            assert done == [False] and both.one.recorder.snapshots_reported == [(2, False)]
            await until(lambda: not list((tmp_path / "two").iterdir()))
            assert not both.two.recorder.snapshots
            assert bool(both.one.recorder.removed_here) == (trouble == "refused")

    run(body())


def test_a_snapshot_that_the_member_refuses_is_reported(tmp_path: Path) -> None:
    async def body() -> None:
        database = tmp_path / "db"
        database.write_bytes(b"x")
        async with Both(tmp_path) as both:
            both.two.recorder.refuses_snapshots = "older than mine"
            both.one.network.send_snapshot(snapshot_message(), str(database), 1)
            await until(lambda: both.one.recorder.snapshots_reported)
            assert both.one.recorder.snapshots_reported == [(2, False)]
        assert any("older than mine" in line.get("error", "") for line in both.one.log_lines())

    run(body())


def test_closing_while_a_snapshot_is_under_way_tells_its_owner(tmp_path: Path) -> None:
    async def body() -> None:
        database = tmp_path / "db"
        database.write_bytes(b"x" * 50_000_000)
        done: list[bool] = []
        async with Both(tmp_path) as both:
            both.one.network.send_snapshot(snapshot_message(), str(database), 50_000_000, done.append)
            both.one.network.remove_peer(2)
            await until(lambda: done)
            assert done == [False]

    run(body())
