"""The state machine as one: everything that entries change, read anew when all of it is replaced.

A snapshot from a leader brings the database and the v2 store of one moment. Afterwards each part must hold in memory
what it would hold after a restart from them; they are read in the order in which they lean on each other.

Upstream: EtcdServer.applySnapshot.
"""

from __future__ import annotations

from dataclasses import dataclass

from etcdpy.pb.raft_values import Snapshot
from etcdpy.state.alarm import AlarmStore
from etcdpy.state.apply.applier import Applier
from etcdpy.state.lease.lessor import Lessor
from etcdpy.state.members import Roster
from etcdpy.state.mvcc.restore import Restored
from etcdpy.state.mvcc.store import Store
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend.bucket_store import BucketStore


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMachine:
    """The parts, which stay the same objects for the member's life."""

    store: Store
    lessor: Lessor
    alarms: AlarmStore
    roster: Roster
    v2store: V2Store
    applier: Applier

    def restore(self, backend: BucketStore, snapshot: Snapshot, restored: Restored | None = None) -> None:
        """Take over what `backend` holds now, and the v2 store of `snapshot`; `restored`: its keys, read already."""
        self.lessor.recover(backend)
        self.store.restore(restored)
        self.lessor.bind(self.store)
        self.alarms.recover(backend)
        self.v2store.recovery(snapshot.data)
        self.roster.recover()
        self.applier.restored(snapshot)
