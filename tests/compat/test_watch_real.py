"""Watchers of the real etcd 3.5.1 and of ours live the same random lives: same answers, same events, same order.

How events are grouped into responses may differ; that one revision is never split over responses (but for fragments
that were asked for) is checked on each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.pb import kv_pb2
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client, path_of, run_on_both
from tests.compat.watching import WAIT_SECONDS, Player
from tests.ours import ours_binary
from tests.reference import RunningEtcd, start_reference_etcd

pytestmark = pytest.mark.slow

SEEDS = (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_watchers_see_the_same(tmp_path: Path, seed: int) -> None:
    def script(server: RunningEtcd) -> Player:
        player = Player(server.endpoint, seed)
        player.play()
        return player

    both = run_on_both(tmp_path, script)

    assert both.ours.history == both.theirs.history
    for (what, theirs), (also, ours) in zip(both.theirs.log, both.ours.log, strict=True):
        assert (what, ours) == (also, theirs), f"seed {seed}: {what}\n--- real ---\n{theirs}\n--- ours ---\n{ours}"
    for mine, yours in zip(both.ours.watchers, both.theirs.watchers, strict=True):
        assert mine.events == yours.events, f"seed {seed}: {mine.label}"


def request(key: bytes = b"k", **fields: object) -> pb.WatchCreateRequest:
    return pb.WatchCreateRequest(key=key, **fields)  # type: ignore[arg-type]


class Talk:
    """One stream, asked and answered by hand; every response is kept as it came."""

    def __init__(self, server: RunningEtcd) -> None:
        self.client = Client(server.endpoint)
        self._channel = Client(server.endpoint).channel
        self.call = self._channel.stream(path_of("Watch/Watch"))
        self.responses: list[pb.WatchResponse] = []

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.call.cancel()
        self._channel.close()
        self.client.__exit__()

    def put(self, key: bytes = b"k", value: bytes = b"v") -> None:
        self.client.call("KV/Put", pb.PutRequest(key=key, value=value), pb.PutResponse)

    def delete(self, key: bytes = b"k") -> None:
        self.client.call("KV/DeleteRange", pb.DeleteRangeRequest(key=key), pb.DeleteRangeResponse)

    def compact(self, revision: int) -> None:
        compaction = pb.CompactionRequest(revision=revision, physical=True)
        self.client.call("KV/Compact", compaction, pb.CompactionResponse)

    def create(self, create: pb.WatchCreateRequest, answers: int = 1) -> None:
        self.call.write(pb.WatchRequest(create_request=create).SerializeToString())
        self.read(answers)

    def cancel(self, watch_id: int, answers: int = 1) -> None:
        cancel = pb.WatchCancelRequest(watch_id=watch_id)
        self.call.write(pb.WatchRequest(cancel_request=cancel).SerializeToString())
        self.read(answers)

    def progress(self) -> None:
        self.call.write(pb.WatchRequest(progress_request=pb.WatchProgressRequest()).SerializeToString())
        self.read(1)

    def read(self, count: int) -> None:
        for _ in range(count):
            message = self.call.read(WAIT_SECONDS)
            assert message is not None
            self.responses.append(pb.WatchResponse.FromString(message))

    def read_fragments(self) -> None:
        self.read(1)
        while self.responses[-1].fragment:
            self.read(1)


def ids(server: RunningEtcd) -> list[pb.WatchResponse]:
    """Given and chosen ids, one in use, ids after a cancel, unknown ones: a progress answer shows that none came."""
    with Talk(server) as talk:
        for watch_id in (0, 2, 0, 0, 0, 2, -1, -9, 1 << 40, 0):
            talk.create(request(watch_id=watch_id))
        talk.cancel(2)
        talk.cancel(2, answers=0)
        talk.cancel(1234, answers=0)
        talk.progress()
        talk.create(request(watch_id=2))
        talk.cancel(0)
        talk.create(request())
        talk.put()
        talk.read(sum(1 for response in talk.responses if response.created and not response.canceled) - 2)
        talk.responses.sort(key=lambda response: (bool(response.events), response.watch_id if response.events else 0))
        return talk.responses


def compacted(server: RunningEtcd) -> list[pb.WatchResponse]:
    """A watch of what is gone is cancelled; its id is then unknown, and free."""
    with Talk(server) as talk:
        for _ in range(5):
            talk.put()
        talk.compact(4)
        talk.create(request(start_revision=2, watch_id=5), answers=2)
        talk.create(request(start_revision=3), answers=2)
        talk.create(request(start_revision=4), answers=2)
        talk.progress()
        return talk.responses


def fragments(server: RunningEtcd) -> list[pb.WatchResponse]:
    """One revision of 1.2 MB, with the values before: in fragments at the same places, or in one response."""
    write = pb.TxnRequest()
    for number in range(4):
        put = pb.PutRequest(key=b"k%d" % number, value=b"%d" % number * 300_000)
        write.success.add().request_put.CopyFrom(put)
    responses: list[pb.WatchResponse] = []
    for wanted in (True, False):
        with Talk(server) as talk:
            talk.client.call("KV/Txn", write, pb.TxnResponse)
            talk.create(request(range_end=b"l", prev_kv=True, fragment=wanted))
            talk.client.call("KV/Txn", write, pb.TxnResponse)
            talk.read_fragments()
            responses += talk.responses
    with Talk(server) as talk:
        talk.create(request(range_end=b"l", prev_kv=True, fragment=True, start_revision=5))
        talk.read_fragments()
        return responses + talk.responses


def strange(server: RunningEtcd) -> list[pb.WatchResponse]:
    """An empty request, an unknown filter, a filter twice, a key of nothing."""
    with Talk(server) as talk:
        talk.call.write(b"")
        talk.call.write(pb.WatchRequest().SerializeToString())
        talk.create(request(filters=[7]))
        talk.create(request(b"", filters=[1, 1]))
        talk.create(request(b"", range_end=b"\0", filters=[0, 0]))
        talk.put(b"\0")
        talk.read(1)
        talk.delete(b"\0")
        talk.read(1)
        talk.progress()
        return talk.responses


@pytest.mark.parametrize("script", [ids, compacted, strange], ids=lambda script: script.__name__)
def test_answers_are_the_same(tmp_path: Path, script: Callable[[RunningEtcd], list[pb.WatchResponse]]) -> None:
    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs


def test_fragments_are_cut_at_the_same_places(tmp_path: Path) -> None:
    both = run_on_both(tmp_path, fragments)

    assert [len(response.events) for response in both.ours] == [len(response.events) for response in both.theirs]
    assert both.ours == both.theirs
    assert sum(response.fragment for response in both.ours) >= 2


def test_a_message_that_is_no_request_ends_the_stream(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> tuple[int, str]:
        with Talk(server) as talk, pytest.raises(EtcdError) as caught:
            talk.create(request())
            talk.call.write(b"\x0a\x05ab")
            talk.read(1)
        return caught.value.code, caught.value.text

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs


def negative(server: RunningEtcd) -> list[pb.WatchResponse]:
    with Talk(server) as talk:
        talk.put()
        talk.create(request(start_revision=-3))
        if not talk.responses[0].canceled:
            talk.read(1)
        return talk.responses


def test_a_negative_start(tmp_path: Path) -> None:
    """3.5.1 creates a watcher and cancels it as compacted at -1; later ones refuse it at once, and so do we."""
    both = run_on_both(tmp_path, negative)

    [refused] = both.ours
    assert (refused.watch_id, refused.created, refused.canceled) == (-1, True, True)
    assert refused.cancel_reason == "etcdserver: mvcc: required revision has been compacted"
    assert both.theirs[-1].canceled


def test_a_delete_at_the_compacted_revision_is_still_told(tmp_path: Path) -> None:
    """3.5.1 has forgotten it (etcd issue 18089); 3.5.16 and later keep it, and so do we."""
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd")) as server, Talk(server) as talk:
        talk.put()
        talk.delete()
        talk.compact(3)
        talk.create(request(start_revision=3), answers=2)
    [event] = talk.responses[1].events
    assert (event.type, event.kv.mod_revision) == (kv_pb2.Event.DELETE, 3)


def test_progress_is_told_without_asking(tmp_path: Path) -> None:
    """To those who wanted it, when nothing happened to their keys."""

    def script(server: RunningEtcd) -> list[pb.WatchResponse]:
        with Talk(server) as talk:
            talk.create(request(b"silent", progress_notify=True))
            talk.create(request(b"other"))
            talk.put()
            talk.read(1)
            return talk.responses

    both = run_on_both(tmp_path, script, flags=["--experimental-watch-progress-notify-interval=500ms"])

    assert both.ours == both.theirs
    assert (both.ours[-1].watch_id, both.ours[-1].header.revision) == (0, 2)
