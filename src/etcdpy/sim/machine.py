"""The state machine of one life: the real store, lessor, alarms, roster, v2 store and watch hub over a virtual backend.

It stands where MemberLoop has its Applier, and tells the book of everything that is applied.
"""

from __future__ import annotations

import random

from etcdpy.pb.raft_values import Entry, Snapshot
from etcdpy.sim.agreement import Book
from etcdpy.sim.backend import VirtualBackend
from etcdpy.sim.disk import as_any
from etcdpy.state.alarm import AlarmStore
from etcdpy.state.apply.applier import Applier, Result
from etcdpy.state.apply.membership import TakeIntoUse
from etcdpy.state.apply.state_machine import StateMachine
from etcdpy.state.lease.lessor import Lessor
from etcdpy.state.members import MembershipChange, Roster
from etcdpy.state.mvcc.store import Store
from etcdpy.state.v2store import V2Store
from etcdpy.state.watch.hub import WatchHub

CLUSTER_ID = 0xC1
FRAGMENT_BYTES_MAX = 1 << 20
PROGRESS_SECONDS = 1.0


class TracedMachine:
    """See the top of the file."""

    def __init__(
        self, book: Book, member_id: int, backend: VirtualBackend, snapshot: Snapshot, rng: random.Random
    ) -> None:
        self._book = book
        self._member_id = member_id
        self._backend = backend
        real = as_any(backend)
        self.v2store = V2Store()
        if not snapshot.is_empty():
            self.v2store.recovery(snapshot.data)
        self.lessor = Lessor(real, ttl_seconds_min=2)
        self.store = Store(real, self.lessor)
        self.store.restore()
        self.lessor.bind(self.store)
        self.roster = Roster(self.v2store, real, cluster_id=CLUSTER_ID)
        self.roster.recover()
        self.alarms = AlarmStore(real)
        self.applier = Applier(
            store=self.store,
            lessor=self.lessor,
            alarms=self.alarms,
            roster=self.roster,
            v2store=self.v2store,
            backend=real,
        )
        self._parts = StateMachine(
            store=self.store,
            lessor=self.lessor,
            alarms=self.alarms,
            roster=self.roster,
            v2store=self.v2store,
            applier=self.applier,
        )
        self.hub = WatchHub(
            self.store,
            cluster_id=CLUSTER_ID,
            member_id=member_id,
            fragment_bytes_max=FRAGMENT_BYTES_MAX,
            progress_interval_seconds=PROGRESS_SECONDS,
            random=rng,
        )

    @property
    def consistent_index(self) -> int:
        return self.applier.consistent_index

    @property
    def term(self) -> int:
        return self.applier.term

    def apply_entry(self, entry: Entry) -> tuple[int, Result | None]:
        request_id, result = self.applier.apply_entry(entry)
        self._book.note_applied(self._member_id, entry, request_id, result)
        return request_id, result

    def apply_conf_change(self, entry: Entry, take_into_use: TakeIntoUse) -> MembershipChange:
        change = self.applier.apply_conf_change(entry, take_into_use)
        self._book.note_applied(self._member_id, entry, 0, None)
        return change

    def restore(self, snapshot: Snapshot) -> None:
        """The backend's content was replaced by that of `snapshot`: begin anew from there."""
        self._parts.restore(as_any(self._backend), snapshot)
        self.hub.restore()

    def forget_index(self, index: int) -> None:
        """A planted bug: what was applied is not remembered (see `Faults.forgets_index`)."""
        self.applier._consistent_index = index
