"""A watcher's record is measured against the model: each promise has a test that breaks it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from etcdpy.pb import kv_pb2, rpc_pb2
from etcdpy.sim.clock import Schedule
from etcdpy.sim.model import Model
from etcdpy.sim.requests import Compact, Delete, Put, Txn
from etcdpy.sim.trace import Trace
from etcdpy.sim.watch_client import Event, Told, WatchClient
from tests.unit.sim.worlds import CALM


class Host:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def watch(self, stream: int, key: bytes, end: bytes, start_revision: int) -> None:
        self.asked.append(start_revision)

    def close_watch(self, stream: int) -> None:
        pass

    def hold_watch(self, stream: int, seconds: float) -> None:
        pass


def make_watcher(host: Host | None = None, seed: int = 1) -> tuple[Schedule, WatchClient]:
    schedule = Schedule()

    def connect(watcher: WatchClient, rng: random.Random) -> Host | None:
        watcher.stream += 2
        return host

    settings = replace(CALM, keys=1)
    return schedule, WatchClient(0, schedule, Trace(schedule), random.Random(seed), settings, connect=connect)


def make_model() -> Model:
    model = Model()
    model.apply(Put(b"k0", b"a"))
    model.apply(Put(b"x", b"b"))
    model.apply(Txn((), (Put(b"k0", b"c"), Put(b"y", b"d")), ()))
    model.apply(Delete(b"k0"))
    model.apply(Compact(3))
    return model


EVENTS: list[Event] = [(2, b"k0", b"a"), (3, b"x", b"b"), (4, b"k0", b"c"), (4, b"y", b"d"), (5, b"k0", None)]


def check(*told: Told) -> list[str]:
    _, watcher = make_watcher()
    watcher.key, watcher.end, watcher.start = b"\0", b"\0", 2
    watcher.told = list(told)
    return watcher.check(make_model())


def test_what_is_true_passes() -> None:
    assert check(Told(5, EVENTS)) == []
    assert check(Told(3, EVENTS[:2]), Told(3, []), Told(5, EVENTS[2:])) == []
    assert check(Told(5, [], compacted=3), Told(5, EVENTS[1:])) == []


@pytest.mark.parametrize(
    "told",
    [
        [Told(5, EVENTS[1:])],
        [Told(3, EVENTS[:2]), Told(5, EVENTS[1:])],
        [Told(5, EVENTS[:3]), Told(5, EVENTS[3:])],
        [Told(5, [EVENTS[1], EVENTS[0], *EVENTS[2:]])],
        [Told(4, []), Told(5, EVENTS[4:])],
        [Told(5, [(2, b"k0", b"z"), *EVENTS[1:]])],
        [Told(5, [], compacted=4), Told(5, EVENTS[2:])],
        [Told(9, [])],
    ],
    ids=["missing", "twice", "torn", "order", "progress too far", "value", "compaction", "future"],
)
def test_what_is_false_is_found(told: list[Told]) -> None:
    assert check(*told)


def test_it_goes_on_where_it_stood() -> None:
    host = Host()
    schedule, watcher = make_watcher(host)
    watcher.start_watching()
    watcher.take(watcher.stream, rpc_pb2.WatchResponse(created=True, header=rpc_pb2.ResponseHeader(revision=3)))
    response = rpc_pb2.WatchResponse(header=rpc_pb2.ResponseHeader(revision=9))
    response.events.add(kv=kv_pb2.KeyValue(key=b"k0", value=b"v", mod_revision=7))
    watcher.take(watcher.stream, response)
    watcher.take(watcher.stream - 2, response)
    watcher.lose(watcher.stream)
    schedule.run_until(1.0)

    assert host.asked[-1] == 8 and watcher.knows(7) and not watcher.knows(8)
    assert [told.events for told in watcher.told] == [[(7, b"k0", b"v")]]
