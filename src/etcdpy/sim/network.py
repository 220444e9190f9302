"""The network between members: it loses, holds up, repeats and cuts off, each by chance or by order of the nemesis.

Rules
  * What arrives is a copy: members share no objects, and what only this process knows of an entry stays here.
  * A forwarded proposal is never repeated: over the streams that members talk on nothing is, and raft takes a repeated
    one for another. All other messages raft must bear twice.
  * A snapshot travels with the database it was taken from; its sender hears whether it arrived.
  * Who sends to nobody learns of it sometimes (`report_unreachable`), as a broken connection would tell.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Protocol

from etcdpy.pb.raft_values import Entry, Message, Snapshot
from etcdpy.raft.constants import MESSAGE_NAMES, MSG_APP, MSG_PROP, MSG_SNAP
from etcdpy.sim.backend import Tables
from etcdpy.sim.clock import Schedule
from etcdpy.sim.settings import Settings
from etcdpy.sim.trace import Trace

# How long a message that is held up stays out, at most: long enough to come from another leader's time.
HELD_UP_SECONDS_MAX: Final = 3.0
# What a snapshot takes, at most.
SNAPSHOT_SECONDS_MAX: Final = 0.5


class Receiver(Protocol):
    """A running member."""

    def receive(self, message: Message, tables: Tables | None, /) -> None: ...

    def report_unreachable(self, member_id: int, /) -> None: ...

    def report_snapshot(self, member_id: int, ok: bool, /) -> None: ...


class Network:
    """See the top of the file. `loss` and `slowness` are the nemesis's to move."""

    def __init__(
        self,
        schedule: Schedule,
        trace: Trace,
        rng: random.Random,
        settings: Settings,
        find: Callable[[int], Receiver | None],
    ) -> None:
        self._schedule = schedule
        self._trace = trace
        self._rng = rng
        self._settings = settings
        self._find = find  # the member that runs under an id now, if any
        self.loss = settings.loss
        self.duplication = settings.duplication
        self.reordering = settings.reordering
        self.cut: set[tuple[int, int]] = set()  # (from, to): nothing gets through

    def heal(self) -> None:
        self.cut.clear()
        self.loss = self.duplication = self.reordering = 0.0

    def calm(self) -> None:
        """Back to the run's usual rates."""
        self.loss = self._settings.loss
        self.duplication = self._settings.duplication
        self.reordering = self._settings.reordering

    def send(self, messages: list[Message]) -> None:
        for message in messages:
            self._send(message, None)

    def send_snapshot(self, message: Message, snapshot: Snapshot, tables: Tables) -> None:
        """Send `snapshot`, taken just now, in the place of the one that raft named."""
        copy = copy_message(message)
        copy.snapshot = snapshot
        self._send(copy, tables)

    def _send(self, message: Message, tables: Tables | None) -> None:
        rng, sender, to = self._rng, message.from_ or 0, message.to
        if (sender, to) in self.cut or (self.loss and rng.random() < self.loss):
            self._trace.add(sender, "lose", describe(message))
            self._lose(message)
            return
        self._trace.add(sender, "send", describe(message))
        self._schedule.call_later(self._delay(message), self._arrive, copy_message(message), tables)
        if self.duplication and message.type not in (MSG_PROP, MSG_SNAP) and rng.random() < self.duplication:
            self._schedule.call_later(self._delay(message), self._arrive, copy_message(message), None)

    def _delay(self, message: Message) -> float:
        rng = self._rng
        if message.type == MSG_SNAP:
            return rng.random() * SNAPSHOT_SECONDS_MAX
        if self.reordering and rng.random() < self.reordering:
            return rng.random() * HELD_UP_SECONDS_MAX
        return self._settings.delay_seconds * (0.5 + rng.random())

    def _arrive(self, message: Message, tables: Tables | None) -> None:
        receiver = self._find(message.to)
        if receiver is None or (message.from_, message.to) in self.cut:
            self._lose(message)
            return
        receiver.receive(message, tables)
        if message.type == MSG_SNAP:
            self._schedule.call_later(self._delay(message), self._report_snapshot, message.from_, message.to, True)

    def _lose(self, message: Message) -> None:
        delay = self._settings.delay_seconds
        if message.type == MSG_SNAP:
            self._schedule.call_later(delay, self._report_snapshot, message.from_, message.to, False)
        elif message.type == MSG_APP and self._rng.random() < 0.5:
            self._schedule.call_later(delay, self._report_unreachable, message.from_, message.to)

    def _report_snapshot(self, sender: int, to: int, ok: bool) -> None:
        member = self._find(sender)
        if member is not None:
            member.report_snapshot(to, ok)

    def _report_unreachable(self, sender: int, to: int) -> None:
        member = self._find(sender)
        if member is not None:
            member.report_unreachable(to)


def copy_message(message: Message) -> Message:
    """Return what arrives at the other end: nothing of it is shared, and no entry knows who waits for it."""
    return Message(
        message.type,
        message.to,
        message.from_,
        message.term,
        message.log_term,
        message.index,
        [Entry(entry.term, entry.index, entry.type, entry.data) for entry in message.entries],
        message.commit,
        message.vote,
        message.snapshot,
        message.reject,
        message.reject_hint,
        message.context,
    )


def describe(message: Message) -> str:
    """Return a message in fixed columns."""
    name = MESSAGE_NAMES[message.type][3:]
    text = (
        f"{message.from_}>{message.to} {name:<14} t{message.term} i{message.log_term}/{message.index} c{message.commit}"
    )
    if message.entries:
        text += f" +{len(message.entries)}"
    if message.snapshot is not None:
        text += f" s{message.snapshot.term}/{message.snapshot.index}"
    return text + (" no" if message.reject else "")
