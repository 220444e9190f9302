"""A random life of several watchers on two streams, played against one server and written down.

The choices come from a seed and from revisions, which two equal servers count equally. After every step the player
waits until each watcher has what is due to it, as told by an oracle: a watcher of everything, on a connection of its
own. So what is written down does not depend on how a server groups events into responses.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from etcdpy.pb import kv_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingChannel, BlockingStream
from tests.compat.both import Client, path_of

WAIT_SECONDS: Final = 20.0
KEYS: Final = [b"a", b"ab", b"b", b"c", b"c/1", b"c/2", b"d\x00", b"\xff"]
RANGES: Final = [
    *((b"a", b""), (b"b", b""), (b"c", b"d"), (b"a", b"c"), (b"", b""), (b"b", b"\0"), (b"\0", b"\0"), (b"", b"b")),
    *((b"a", b"\xff"), (b"z", b"zz")),
]
EMPTY_RANGES: Final = [(b"b", b"a"), (b"c", b"c"), (b"\xff", b"b")]
NO_PUT, NO_DELETE = pb.WatchCreateRequest.NOPUT, pb.WatchCreateRequest.NODELETE
EXPLICIT_IDS: Final = [1, 2, 3, 7, 100, -4]
STEPS: Final = 60


@dataclass
class Watcher:
    """One watch that was asked for, and what came of it."""

    label: str
    request: pb.WatchCreateRequest
    answers: list[pb.WatchResponse] = field(default_factory=list)
    events: list[kv_pb2.Event] = field(default_factory=list)
    start: int = 0
    is_over: bool = False
    is_in_fragment: bool = False

    def is_due(self, event: kv_pb2.Event) -> bool:
        """Return whether this watcher is to get `event`."""
        request = self.request
        if event.kv.mod_revision < self.start or int(event.type) in map(int, request.filters):
            return False
        key, end = request.key or b"\0", request.range_end
        if not end:
            return event.kv.key == key
        return event.kv.key >= key and (end == b"\0" or event.kv.key < end)

    def take(self, response: pb.WatchResponse) -> None:
        """Note events; check what must hold of any response."""
        newest = self.events[-1].kv.mod_revision if self.events else 0
        first = response.events[0].kv.mod_revision
        assert first > newest or self.is_in_fragment, f"{self.label}: revision {first} after {newest}"
        assert response.header.revision >= response.events[-1].kv.mod_revision, self.label
        assert not response.fragment or self.request.fragment, f"{self.label}: a fragment that was not wanted"
        self.is_in_fragment = response.fragment
        self.events.extend(response.events)


class Stream:
    """One watch call and its watchers."""

    def __init__(self, endpoint: str) -> None:
        self._channel = BlockingChannel(endpoint)
        self._call: BlockingStream = self._channel.stream(path_of("Watch/Watch"))
        self.watchers: dict[int, Watcher] = {}
        self._answers: deque[pb.WatchResponse] = deque()  # created, and progress for the stream

    def close(self) -> None:
        self._call.cancel()
        self._channel.close()

    def send(self, **request: pb.WatchCreateRequest | pb.WatchCancelRequest | pb.WatchProgressRequest) -> None:
        self._call.write(pb.WatchRequest(**request).SerializeToString())  # type: ignore[arg-type]

    def wait_answer(self) -> pb.WatchResponse:
        self.pump_until(lambda: bool(self._answers))
        return self._answers.popleft()

    def pump_until(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            message = self._call.read(WAIT_SECONDS)
            assert message is not None, "the server ended the stream"
            self._take(pb.WatchResponse.FromString(message))

    def _take(self, response: pb.WatchResponse) -> None:
        if response.created or (response.watch_id == -1 and not response.canceled):
            assert not response.events
            self._answers.append(response)
        elif response.canceled:
            watcher = self.watchers[response.watch_id]
            watcher.answers.append(response)
            watcher.is_over = True
        else:
            self.watchers[response.watch_id].take(response)


class Player:
    """Plays one seed. `log` gets every answer in order; `watchers` keep their events."""

    def __init__(self, endpoint: str, seed: int) -> None:
        self._rng = random.Random(seed)
        self._client = Client(endpoint)
        self._oracle = Stream(endpoint)
        self._streams = [Stream(endpoint), Stream(endpoint)]
        self._compacted = 0
        self._revision = 1
        self._granted = 100
        self.watchers: list[Watcher] = []
        self.log: list[tuple[str, pb.WatchResponse]] = []

    def play(self) -> None:
        """Do all steps."""
        try:
            self._begin_oracle()
            for _ in range(STEPS):
                self._step()
                self._wait_quiet()
            for number, stream in enumerate(self._streams):
                self._progress(number, stream)
        finally:
            self._client.__exit__()
            for stream in [self._oracle, *self._streams]:
                stream.close()

    def _begin_oracle(self) -> None:
        everything = pb.WatchCreateRequest(key=b"\0", range_end=b"\0")
        self._oracle.send(create_request=everything)
        created = self._oracle.wait_answer()
        self._oracle.watchers[created.watch_id] = Watcher("oracle", everything)

    @property
    def history(self) -> list[kv_pb2.Event]:
        """Every event since the start."""
        [oracle] = self._oracle.watchers.values()
        return oracle.events

    def _step(self) -> None:
        number = self._rng.randrange(len(self._streams))
        stream = self._streams[number]
        kind = self._rng.choices(
            ["write", "create", "cancel", "progress", "compact", "refused"], [45, 28, 12, 8, 4, 6]
        )[0]
        if kind == "write":
            for _ in range(self._rng.choice([1, 1, 2, 5, 20])):
                self._write()
        elif kind == "create":
            self._create(number, stream, self._random_request(stream))
        elif kind == "cancel":
            self._cancel(number, stream)
        elif kind == "progress":
            self._progress(number, stream)
        elif kind == "compact":
            self._compact()
        else:
            self._create(number, stream, self._refused_request(stream))

    # -- writes

    def _write(self) -> None:
        kind = self._rng.choices(["put", "delete", "txn", "lease"], [6, 2, 2, 1])[0]
        if kind == "put":
            self._client.call("KV/Put", self._put(), pb.PutResponse)
        elif kind == "delete":
            key, end = self._rng.choice([(b"a", b""), (b"c", b"d"), (b"b", b""), (b"a", b"\0")])
            self._client.call("KV/DeleteRange", pb.DeleteRangeRequest(key=key, range_end=end), pb.DeleteRangeResponse)
        elif kind == "txn":
            self._client.call("KV/Txn", self._txn(), pb.TxnResponse)
        else:
            self._lease()
        header = self._client.call("KV/Range", pb.RangeRequest(key=b"x"), pb.RangeResponse).header
        self._revision = header.revision

    def _put(self) -> pb.PutRequest:
        return pb.PutRequest(key=self._rng.choice(KEYS), value=b"%d" % self._revision * self._rng.choice([0, 1, 9]))

    def _txn(self) -> pb.TxnRequest:
        request = pb.TxnRequest()
        for key in self._rng.sample(KEYS, 4):
            if self._rng.random() < 0.6:
                request.success.add().request_put.CopyFrom(pb.PutRequest(key=key, value=b"txn"))
            else:
                request.success.add().request_delete_range.key = key
        return request

    def _lease(self) -> None:
        """Attach two keys to a lease and revoke it: both go in one revision."""
        self._granted += 1
        self._client.call("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=self._granted, TTL=600), pb.LeaseGrantResponse)
        for key in self._rng.sample(KEYS, 2):
            self._client.call("KV/Put", pb.PutRequest(key=key, lease=self._granted), pb.PutResponse)
        self._client.call("Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=self._granted), pb.LeaseRevokeResponse)

    def _compact(self) -> None:
        revision = self._rng.randrange(self._compacted, self._revision + 1)
        if revision > self._compacted and self.history:
            self._wait_synced()
            self._compacted = revision
            request = pb.CompactionRequest(revision=revision, physical=True)
            self._client.call("KV/Compact", request, pb.CompactionResponse)

    def _wait_synced(self) -> None:
        """Wait until no watcher still reads the past, where a compaction would catch it.

        Those to whom nothing is due do not tell. But the server brings all into the present at once: when one that
        came later has been given the past, the others have it behind them.
        """
        probe = Watcher("probe", pb.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=self._revision))
        self._oracle.send(create_request=probe.request)
        watch_id = self._oracle.wait_answer().watch_id
        self._oracle.watchers[watch_id] = probe
        self._oracle.pump_until(lambda: bool(probe.events))
        self._oracle.send(cancel_request=pb.WatchCancelRequest(watch_id=watch_id))
        self._oracle.pump_until(lambda: probe.is_over)
        del self._oracle.watchers[watch_id]

    # -- requests to the streams

    def _random_request(self, stream: Stream) -> pb.WatchCreateRequest:
        rng = self._rng
        key, end = rng.choice(RANGES)
        revision = self._revision
        start = rng.choice([0, 0, 1, revision, revision + 1, revision + 7, rng.randrange(revision + 1)])
        if self._compacted and rng.random() < 0.2:
            start = rng.choice([max(1, self._compacted - 1), self._compacted + 1])
        if start == self._compacted:
            start += 1  # 3.5.1 has forgotten a delete at exactly this revision (etcd issue 18089)
        request = pb.WatchCreateRequest(key=key, range_end=end, start_revision=start)
        request.prev_kv = rng.random() < 0.4
        request.fragment = rng.random() < 0.2
        request.progress_notify = rng.random() < 0.1
        request.filters.extend(rng.choice([[], [], [], [NO_PUT], [NO_DELETE], [NO_PUT, NO_DELETE]]))
        free = [watch_id for watch_id in EXPLICIT_IDS if watch_id not in stream.watchers]
        if free and rng.random() < 0.3:
            request.watch_id = rng.choice(free)
        return request

    def _refused_request(self, stream: Stream) -> pb.WatchCreateRequest:
        taken = [watch_id for watch_id, watcher in stream.watchers.items() if watch_id and not watcher.is_over]
        if taken and self._rng.random() < 0.5:
            return pb.WatchCreateRequest(key=b"a", watch_id=self._rng.choice(taken))
        key, end = self._rng.choice(EMPTY_RANGES)
        return pb.WatchCreateRequest(key=key, range_end=end, start_revision=self._rng.choice([0, 1]))

    def _create(self, number: int, stream: Stream, request: pb.WatchCreateRequest) -> None:
        watcher = Watcher(f"stream {number}, watcher {len(self.watchers)}: {request}", request)
        stream.send(create_request=request)
        created = stream.wait_answer()
        watcher.answers.append(created)
        watcher.start = request.start_revision or created.header.revision + 1
        watcher.is_over = created.canceled
        self.watchers.append(watcher)
        self.log.append((f"create {watcher.label}", created))
        if created.canceled:
            return
        stream.watchers[created.watch_id] = watcher
        if watcher.start < self._compacted:
            stream.pump_until(lambda: watcher.is_over)
            self.log.append((f"compacted {watcher.label}", watcher.answers[-1]))

    def _cancel(self, number: int, stream: Stream) -> None:
        """Cancel a watcher, or one that is unknown: then nothing comes, and a progress answer shows it."""
        living = [watch_id for watch_id, watcher in stream.watchers.items() if not watcher.is_over]
        if not living or self._rng.random() < 0.15:
            stream.send(cancel_request=pb.WatchCancelRequest(watch_id=987_654))
            self._progress(number, stream)
            return
        watch_id = self._rng.choice(sorted(living))
        watcher = stream.watchers[watch_id]
        stream.send(cancel_request=pb.WatchCancelRequest(watch_id=watch_id))
        stream.pump_until(lambda: watcher.is_over)
        self.log.append((f"cancel {watcher.label}", watcher.answers[-1]))
        del stream.watchers[watch_id]

    def _progress(self, number: int, stream: Stream) -> None:
        """Ask how far the stream is; not while a watcher waits for a revision it asked for: 3.5.1 answers even then."""
        if any(watcher.request.start_revision > self._revision for watcher in stream.watchers.values()):
            return
        stream.send(progress_request=pb.WatchProgressRequest())
        self.log.append((f"progress of stream {number}", stream.wait_answer()))

    # -- waiting

    def _wait_quiet(self) -> None:
        """Wait until the oracle is up to date and every living watcher has all that is due to it."""
        self._oracle.pump_until(lambda: self._revision == 1 or self._last_revision() == self._revision)
        for stream in self._streams:
            for watcher in [watcher for watcher in stream.watchers.values() if not watcher.is_over]:
                due = sum(map(watcher.is_due, self.history))
                try:
                    stream.pump_until(lambda watcher=watcher, due=due: len(watcher.events) >= due)  # type: ignore[misc]
                except TimeoutError:
                    raise AssertionError(f"{watcher.label} has {len(watcher.events)} events, {due} are due") from None

    def _last_revision(self) -> int:
        return self.history[-1].kv.mod_revision if self.history else 1
