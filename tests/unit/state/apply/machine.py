"""One state machine on a real backend, without raft: entries go in, results come out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcdpy.pb.raft_pb2 import ConfChange, ConfChangeAddNode
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ENTRY_NORMAL, ConfState, Entry
from etcdpy.state.alarm import AlarmStore
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.applier import Applier, Result
from etcdpy.state.apply.proposal import InternalEncoder, Proposal
from etcdpy.state.lease.lessor import Lessor
from etcdpy.state.members import Member, Roster
from etcdpy.state.mvcc.store import Store
from etcdpy.state.mvcc.txn_plan import read_all
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend

FIRST_REQUEST_ID = 0x94AE_0000_0000_0001
MEMBER = Member(id=0xD46C, peer_urls=("http://127.0.0.1:2380",))


@dataclass(slots=True, kw_only=True)
class Machine:
    backend: Backend
    store: Store
    lessor: Lessor
    alarms: AlarmStore
    v2store: V2Store
    roster: Roster
    applier: Applier
    index: int

    def entry(self, kind: int, request: Any, *, is_ours: bool = True) -> Entry:
        """The next entry: as its proposer holds it, or as it comes from a log."""
        self.index += 1
        request_id = FIRST_REQUEST_ID + self.index
        data = InternalEncoder().encode(kind, request_id, request.SerializeToString())
        entry = Entry(2, self.index, ENTRY_NORMAL, data)
        if is_ours:
            known = read_all(request) if kind == kinds.TXN else request
            entry.request = Proposal(kind, request_id, known)
        return entry

    def apply(self, kind: int, request: Any, *, is_ours: bool = True) -> Result:
        request_id, result = self.applier.apply_entry(self.entry(kind, request, is_ours=is_ours))
        assert request_id == FIRST_REQUEST_ID + self.index
        assert result is not None
        return result

    def apply_data(self, data: bytes) -> tuple[int, Result | None]:
        self.index += 1
        return self.applier.apply_entry(Entry(2, self.index, ENTRY_NORMAL, data))

    def add_member(self, member: Member = MEMBER, *, index: int | None = None) -> None:
        if index is None:
            self.index += 1
            index = self.index
        change = ConfChange(type=ConfChangeAddNode, node_id=member.id, context=member.to_json().encode())
        entry = Entry(1, index, ENTRY_CONF_CHANGE, change.SerializeToString())
        self.applier.apply_conf_change(entry, lambda _: ConfState([member.id]))


def open_machine_unclosed(directory: Path) -> Machine:
    """Open without a context. The v2 store begins empty, as after a crash before the first `.snap`."""
    backend = Backend.open(directory)
    lessor = Lessor(backend, ttl_seconds_min=2)
    store = Store(backend, lessor)
    store.restore()
    lessor.bind(store)
    alarms = AlarmStore(backend)
    v2store = V2Store()
    roster = Roster(v2store, backend)
    roster.recover()
    applier = Applier(store=store, lessor=lessor, alarms=alarms, roster=roster, v2store=v2store, backend=backend)
    return Machine(
        backend=backend,
        store=store,
        lessor=lessor,
        alarms=alarms,
        v2store=v2store,
        roster=roster,
        applier=applier,
        index=backend.consistent_index,
    )


@contextmanager
def open_machine(directory: Path) -> Iterator[Machine]:
    machine = open_machine_unclosed(directory)
    try:
        yield machine
    finally:
        machine.backend.close()
