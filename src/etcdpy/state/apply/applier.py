"""Apply: the one place where entries of the log become state.

    entry  ->  corrupt guard  ->  space guard  ->  permissions  ->  kv, lease, alarm, users, v2     ->  result
                                                                    then: consistent index moves, once

Rules
  * Same entries, same state, on every member: nothing local (size, clock, load) changes what an entry writes.
  * A client's mistake is a result (an EtcdError), the same one on every member. Any other exception stops the member:
    to continue would let members diverge.
  * An entry at or below the backend's consistent index is replayed for the memory of the v2 store and the roster only;
    its effects are in the backend already.
  * An effect and the consistent index that counts it reach the disk in one transaction (etcd issue 13766).

Upstream: server/etcdserver/apply.go.
"""

from __future__ import annotations

import json
from typing import Any

from etcdpy.base.errors import Corrupt, EtcdError, NoSpace
from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2, rpc_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ENTRY_NORMAL, Entry, Snapshot
from etcdpy.state.alarm import CORRUPT, NOSPACE, AlarmStore
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import Caller
from etcdpy.state.apply.cost import txn_cost
from etcdpy.state.apply.membership import TakeIntoUse, apply_change
from etcdpy.state.apply.membership import apply_request as apply_membership_request
from etcdpy.state.apply.proposal import Proposal, decode_entry_data
from etcdpy.state.auth import AuthStore
from etcdpy.state.auth.checks import Permissions
from etcdpy.state.lease.lessor import Lessor
from etcdpy.state.members import MembershipChange, Roster
from etcdpy.state.mvcc.answer import Answer
from etcdpy.state.mvcc.store import Store
from etcdpy.state.mvcc.txn_plan import read_all
from etcdpy.state.v2store import V2Error, V2Store
from etcdpy.state.v2store.requests import apply_request as apply_v2_request
from etcdpy.state.v2store.requests import decode_text
from etcdpy.storage.backend.bucket_store import BucketStore
from etcdpy.storage.schema import buckets, meta

Result = Answer | EtcdError

# What a 3.5 member with --enable-v2 puts into the log for its clients; the first is also its own health check.
V2_METHODS = (b"QGET", b"PUT", b"POST", b"DELETE", b"SYNC")

_KV_KINDS = (
    kinds.PUT,
    kinds.RANGE,
    kinds.DELETE_RANGE,
    kinds.TXN,
    kinds.COMPACTION,
    kinds.LEASE_GRANT,
    kinds.LEASE_REVOKE,
)


class Applier:
    """Applies normal entries in order. Configuration changes pass through `server.member`, which asks raft first."""

    def __init__(
        self,
        *,
        store: Store,
        lessor: Lessor,
        alarms: AlarmStore,
        roster: Roster,
        v2store: V2Store,
        backend: BucketStore,
        auth: AuthStore | None = None,
    ) -> None:
        """Without `auth` there are no tokens: nobody can log in here."""
        self._store = store
        self._lessor = lessor
        self._alarms = alarms
        self._roster = roster
        self._v2store = v2store
        self._backend = backend
        self.auth = AuthStore(backend) if auth is None else auth
        self.permissions = Permissions(self.auth, lessor)
        self._consistent_index = backend.consistent_index  # Invariant: never goes back.
        self._term = backend.term
        # Of the entry given last, for who measures: its kind (0: it held no request), and of a v2 request the method.
        self.applied_kind = 0
        self.applied_method = b""
        self.guarded = False  # an alarm is raised, or authentication is on: every request passes the guards
        self._is_corrupt = self._is_full = False  # the alarms
        self._refresh_guards()

    def restored(self, snapshot: Snapshot) -> None:
        """Everything else holds the state of `snapshot`: go on after it."""
        backend = self._backend
        if backend.consistent_index < snapshot.index:  # what the database counted last left nothing in it
            backend.end_entry(snapshot.index, snapshot.term)
        self._consistent_index = backend.consistent_index
        self._term = snapshot.term
        self.auth.recover()
        self._refresh_guards()

    @property
    def consistent_index(self) -> int:
        return self._consistent_index

    @property
    def term(self) -> int:
        """Term of the last entry that was given to apply."""
        return self._term

    def apply_entry(self, entry: Entry) -> tuple[int, Result | None]:
        """Apply one normal entry; return its request id (0: nobody's) and what its proposer is told."""
        index = entry.index
        self._term = entry.term
        is_new = index > self._consistent_index
        proposal = entry.request
        entry.request = None  # the log in memory keeps the entry for a long time, and needs its bytes only
        if not isinstance(proposal, Proposal):
            if entry.type != ENTRY_NORMAL:
                raise InvariantError(f"entry {index} of type {entry.type} is no normal entry")
            if not entry.data:  # a leader's first entry of its term
                if is_new:
                    self._finish(index, entry.term)
                self.applied_kind = 0
                return 0, None
            proposal = decode_entry_data(entry.data)
            if proposal.kind == kinds.TXN:
                proposal.request = read_all(proposal.request)
        result: Result | None = None
        self.applied_kind = proposal.kind
        if proposal.kind == kinds.V2:
            self.applied_method = proposal.request.Method
            result = self._apply_v2(proposal.request, mirror=is_new)
        elif proposal.kind in kinds.MEMBERSHIP_KINDS:
            apply_membership_request(self._roster, proposal.kind, proposal.request, mirror=is_new)
            result = Answer(self._store.current_revision, b"")
        elif is_new:
            try:
                if proposal.kind == kinds.PUT and not self.guarded:  # most of all entries: one call less
                    result = self._store.apply_put(proposal.request)
                else:
                    result = self._dispatch(proposal.kind, proposal.request, proposal.caller, index)
            except EtcdError as error:
                result = error
        if is_new:
            self._consistent_index = index
            self._backend.end_entry(index, entry.term)
        return proposal.request_id, result

    def apply_conf_change(self, entry: Entry, take_into_use: TakeIntoUse) -> MembershipChange:
        """Apply a configuration change: raft by `take_into_use`, then the roster; or refuse it on both sides."""
        if entry.type != ENTRY_CONF_CHANGE:
            raise InvariantError(f"entry {entry.index} of type {entry.type} is no configuration change that etcd makes")
        self._term = entry.term
        is_new = entry.index > self._consistent_index
        change = raft_pb2.ConfChange.FromString(entry.data)
        result = apply_change(self._roster, change, take_into_use, mirror=is_new)
        if is_new:
            if result.error is None:
                self._backend.put(buckets.META, meta.CONF_STATE, meta.encode_conf_state(result.conf_state))
            self._finish(entry.index, entry.term)
        return result

    def _finish(self, index: int, term: int) -> None:
        self._consistent_index = index
        self._backend.end_entry(index, term)

    # -- the ladder

    def _dispatch(self, kind: int, request: Any, caller: Caller, index: int) -> Result:
        if self.guarded:
            self._check_guards(kind, request)
            if self.auth.is_enabled:
                self.permissions.check_request(kind, request, caller)
        if kind == kinds.PUT:
            return self._store.apply_put(request)
        if kind == kinds.TXN:
            return self._store.apply_txn(request)
        if kind == kinds.DELETE_RANGE:
            return self._store.apply_delete_range(request)
        if kind == kinds.LEASE_GRANT:
            return self._lessor.apply_grant(request)
        if kind == kinds.LEASE_REVOKE:
            return self._lessor.apply_revoke(request)
        if kind == kinds.LEASE_CHECKPOINT:
            return self._lessor.apply_checkpoint(request)
        if kind == kinds.COMPACTION:
            return self._store.apply_compaction(request)
        if kind == kinds.ALARM:
            return self._apply_alarm(request)
        if kind == kinds.RANGE:
            return self._store.range(request)
        if kinds.AUTH_ENABLE <= kind <= kinds.AUTH_ROLE_REVOKE_PERMISSION:
            body = self.auth.apply(kind, request, caller, index)
            self._refresh_guards()
            return Answer(self._store.current_revision, body)
        raise InvariantError(f"a request of kind {kind} reached apply, which knows no such kind")

    def _check_guards(self, kind: int, request: Any) -> None:
        if self._is_corrupt and kind in _KV_KINDS:
            raise Corrupt
        if not self._is_full:
            return
        if kind in (kinds.PUT, kinds.LEASE_GRANT) or (kind == kinds.TXN and txn_cost(request) > 0):
            raise NoSpace

    # -- alarms

    def _apply_alarm(self, request: rpc_pb2.AlarmRequest) -> Answer:
        response = rpc_pb2.AlarmResponse()
        if request.action == rpc_pb2.AlarmRequest.GET:
            response.alarms.extend(self._alarms.list_alarms(request.alarm))
        elif request.action == rpc_pb2.AlarmRequest.ACTIVATE:
            if request.alarm != rpc_pb2.NONE:
                self._alarms.activate(request.memberID, request.alarm)
                response.alarms.add(memberID=request.memberID, alarm=request.alarm)
        elif request.action == rpc_pb2.AlarmRequest.DEACTIVATE:
            if self._alarms.deactivate(request.memberID, request.alarm):
                response.alarms.add(memberID=request.memberID, alarm=request.alarm)
        self._refresh_guards()
        return Answer(self._store.current_revision, response.SerializeToString())

    def _refresh_guards(self) -> None:
        self._is_corrupt, self._is_full = self._alarms.is_raised(CORRUPT), self._alarms.is_raised(NOSPACE)
        self.guarded = self.auth.is_enabled or self._is_corrupt or self._is_full

    # -- what 3.5 members publish by v2 requests

    def _apply_v2(self, request: Any, *, mirror: bool) -> Result:
        path, value = decode_text(request.Path), decode_text(request.Val)
        if request.Method == b"PUT" and path.startswith("/0/members/") and path.endswith("/attributes"):
            attributes = json.loads(value)
            member_id = int(path.split("/")[3], 16)
            self._roster.update_attributes(member_id, attributes.get("name", ""), attributes.get("clientURLs") or ())
        elif request.Method == b"PUT" and path == "/0/version":
            self._roster.set_version(value, mirror=mirror)
        elif request.Method in V2_METHODS and not path.startswith("/0/"):
            self._apply_v2_keys(request)
        else:
            raise InvariantError(f"v2 request {request.Method!r} {path!r} is none that a 3.5 member makes")
        return Answer(self._store.current_revision, b"")

    def _apply_v2_keys(self, request: Any) -> None:
        """Keep what a member wrote that served v2 clients, so that its log can be taken over."""
        try:
            apply_v2_request(self._v2store, request)
        except V2Error:
            return  # its client was told at the time; the same error on every member
