"""Messages arrive as copies, late, twice or not at all."""

from __future__ import annotations

import random
from dataclasses import replace

from etcdpy.pb.raft_values import Entry, Message, Snapshot
from etcdpy.raft.constants import MSG_APP, MSG_PROP, MSG_SNAP
from etcdpy.sim.backend import Tables
from etcdpy.sim.clock import Schedule
from etcdpy.sim.network import Network, copy_message, describe
from etcdpy.sim.settings import Settings
from etcdpy.sim.trace import Trace
from tests.unit.sim.worlds import CALM


class Inbox:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.unreachable: list[int] = []
        self.snapshots: list[bool] = []

    def receive(self, message: Message, tables: Tables | None) -> None:
        self.messages.append(message)

    def report_unreachable(self, member_id: int) -> None:
        self.unreachable.append(member_id)

    def report_snapshot(self, member_id: int, ok: bool) -> None:
        self.snapshots.append(ok)


def make_network(settings: Settings = CALM) -> tuple[Schedule, Network, dict[int, Inbox]]:
    schedule = Schedule()
    inboxes = {1: Inbox(), 2: Inbox()}
    return schedule, Network(schedule, Trace(schedule), random.Random(1), settings, inboxes.get), inboxes


def append(kind: int = MSG_APP) -> Message:
    return Message(kind, to=2, from_=1, term=3, entries=[Entry(3, 9, 0, b"x", request="mine")])


def test_what_arrives_is_a_copy_that_knows_nothing_of_the_sender() -> None:
    schedule, network, inboxes = make_network()
    sent = append()
    network.send([sent])
    schedule.run_until(1.0)
    [got] = inboxes[2].messages
    assert got is not sent and got.entries[0] is not sent.entries[0]
    assert got.entries == sent.entries and got.entries[0].request is None
    assert copy_message(sent).to_pb() == sent.to_pb()


def test_nothing_passes_a_cut_and_the_sender_may_hear_of_it() -> None:
    schedule, network, inboxes = make_network()
    network.cut.add((1, 2))
    network.send([append() for _ in range(20)])
    schedule.run_until(1.0)
    assert inboxes[2].messages == [] and 0 < len(inboxes[1].unreachable) < 20
    network.heal()
    network.send([append()])
    schedule.run_until(2.0)
    assert len(inboxes[2].messages) == 1


def test_repetition_spares_proposals() -> None:
    schedule, network, inboxes = make_network(replace(CALM, duplication=1.0))
    network.send([append(), append(MSG_PROP)])
    schedule.run_until(1.0)
    assert sorted(message.type for message in inboxes[2].messages) == [MSG_PROP, MSG_APP, MSG_APP]


def test_loss_is_by_chance() -> None:
    schedule, network, inboxes = make_network(replace(CALM, loss=0.5))
    network.send([append() for _ in range(100)])
    schedule.run_until(1.0)
    assert 20 < len(inboxes[2].messages) < 80


def test_the_sender_of_a_snapshot_hears_how_that_went() -> None:
    schedule, network, inboxes = make_network()
    wish = Message(MSG_SNAP, to=2, from_=1, term=3, snapshot=Snapshot(b"", 1, 1))
    network.send_snapshot(wish, Snapshot(b"new", 7, 2), [])
    schedule.run_until(2.0)
    [got] = inboxes[2].messages
    assert got.snapshot is not None and got.snapshot.index == 7
    network.cut.add((1, 2))
    network.send_snapshot(wish, Snapshot(b"new", 7, 2), [])
    schedule.run_until(4.0)
    assert inboxes[1].snapshots == [True, False]


def test_a_message_is_described_in_columns() -> None:
    assert describe(append()) == "1>2 App            t3 i0/0 c0 +1"
