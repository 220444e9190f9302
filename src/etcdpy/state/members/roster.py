"""The roster: who belongs to the cluster, kept where a 3.5 member keeps it, twice.

    v2 store   /0/members/<hexid>/{raftAttributes,attributes}, /0/removed_members/<hexid>, /0/version
    backend    buckets members, members_removed, cluster

A 3.5 member trusts the v2 store when it restarts and the buckets are a mirror that 3.6 will trust. Both change only in
`apply`. `mirror=False` says that the backend already holds this change (an entry replayed from the WAL): then only the
v2 store and the memory move.

Rules
  * a removed id never returns.
  * two members never share a peer URL.
  * new peer URLs never make a voter of a learner (up to 3.5.30 they did: etcd pull request 21736).

Upstream: server/etcdserver/api/membership.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Final

from etcdpy.base.errors import MemberExist, MemberNotFound, MemberNotLearner, PeerURLExist, TooManyLearners
from etcdpy.base.ids import format_id
from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.base.version import CLUSTER_VERSION
from etcdpy.pb import raft_pb2
from etcdpy.state.members.member import Member, is_promotion
from etcdpy.state.members.versions import check_local_version
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend.bucket_store import BucketStore
from etcdpy.storage.schema import buckets, records

MEMBERS_PREFIX = "/0/members"
REMOVED_PREFIX = "/0/removed_members"
VERSION_PATH = "/0/version"
# Upstream's default of --experimental-max-learners: one newcomer catches up at a time.
LEARNERS_MAX: Final = 1


class Roster:
    """The members, the removed ones and the version that the cluster agreed on."""

    def __init__(
        self, v2store: V2Store, backend: BucketStore, *, cluster_id: int = 0, learners_max: int = LEARNERS_MAX
    ) -> None:
        self.cluster_id = cluster_id
        self.version = ""  # "" until the cluster decided one, then like "3.5.0"
        self.downgrade_target = ""  # like "3.4.0" while the cluster may go back to it
        self.on_version: Callable[[str, str], None] = _nobody_listens  # given the version before and the one now
        self.on_downgrade: Callable[[str], None] = _no_downgrades  # given the target, when one is allowed
        self._learners_max = learners_max
        self._v2store = v2store
        self._backend = backend
        self._members: dict[int, Member] = {}
        self._removed: set[int] = set()

    # -- reading

    def get_members(self) -> list[Member]:
        """Return the members sorted by id."""
        return [self._members[member_id] for member_id in sorted(self._members)]

    def find_member(self, member_id: int) -> Member | None:
        return self._members.get(member_id)

    def is_removed(self, member_id: int) -> bool:
        return member_id in self._removed

    # -- may it be?

    def check_change(self, change: raft_pb2.ConfChange) -> None:
        """Raise the EtcdError by which all members refuse `change` at this place of the log.

        Upstream: RaftCluster.ValidateConfigurationChange.
        """
        if change.node_id in self._removed:
            raise MemberNotFound
        try:
            self._check_known(change)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvariantError(f"a configuration change of member {change.node_id:x} is unreadable") from error

    def _check_known(self, change: raft_pb2.ConfChange) -> None:
        known = self._members.get(change.node_id)
        kind = change.type
        if kind in (raft_pb2.ConfChangeAddNode, raft_pb2.ConfChangeAddLearnerNode):
            if not is_promotion(change.context):
                self._check_newcomer(known, Member.from_json(change.context))
            elif known is None:
                raise MemberNotFound
            elif not known.is_learner:
                raise MemberNotLearner
            return
        if known is None:
            raise MemberNotFound
        if kind == raft_pb2.ConfChangeUpdateNode:
            self._check_urls_are_free(Member.from_json(change.context), but_for=known.id)

    def _check_newcomer(self, known: Member | None, newcomer: Member) -> None:
        if known is not None:
            raise MemberExist
        self._check_urls_are_free(newcomer, but_for=None)
        if newcomer.is_learner:
            learners = sum(member.is_learner for member in self._members.values())
            if learners >= self._learners_max:
                raise TooManyLearners

    def _check_urls_are_free(self, wanted: Member, *, but_for: int | None) -> None:
        others = [member for member in self._members.values() if member.id != but_for]
        if not {url for other in others for url in other.peer_urls}.isdisjoint(wanted.peer_urls):
            raise PeerURLExist

    # -- what apply does

    def add_member(self, member: Member, *, mirror: bool) -> Member:
        path = f"{MEMBERS_PREFIX}/{format_id(member.id)}"
        self._v2store.create(f"{path}/raftAttributes", member.raft_attributes_json())
        self._keep(member, mirror=mirror)
        return member

    def remove_member(self, member_id: int, *, mirror: bool) -> Member:
        """Strike a member off, for ever; return what was known of it."""
        name = format_id(member_id)
        removed = self._members.pop(member_id)
        self._v2store.delete(f"{MEMBERS_PREFIX}/{name}", recursive=True)
        self._v2store.create(f"{REMOVED_PREFIX}/{name}", "")
        self._removed.add(member_id)
        if mirror:
            self._backend.delete(buckets.MEMBERS, name.encode())
            self._backend.put(buckets.MEMBERS_REMOVED, name.encode(), records.REMOVED)
        return removed

    def promote_member(self, member_id: int, *, mirror: bool) -> Member:
        """Make a voter of a learner."""
        return self._change(self._members[member_id].as_voter(), mirror=mirror)

    def update_peer_urls(self, member_id: int, peer_urls: Iterable[str], *, mirror: bool) -> Member:
        return self._change(self._members[member_id].with_peer_urls(list(peer_urls)), mirror=mirror)

    def _change(self, member: Member, *, mirror: bool) -> Member:
        self._v2store.update(f"{MEMBERS_PREFIX}/{format_id(member.id)}/raftAttributes", member.raft_attributes_json())
        self._keep(member, mirror=mirror)
        return member

    def update_attributes(self, member_id: int, name: str, client_urls: Iterable[str]) -> None:
        """Take over what a member published of itself. A removed member's late word is ignored, as upstream does.

        3.5 keeps this in the v2 store only; the `members` bucket holds what the member was added with (Hash counts it).
        """
        member = self._members.get(member_id)
        if member is None:
            if member_id in self._removed:
                return
            raise InvariantError(f"attributes of member {member_id:x}, which the roster has never seen")
        changed = member.with_attributes(name, list(client_urls))
        self._v2store.set(f"{MEMBERS_PREFIX}/{format_id(member_id)}/attributes", changed.attributes_json())
        self._keep(changed, mirror=False)

    def set_version(self, version: str, *, mirror: bool) -> None:
        """Take over what the cluster agreed on. Raise StorageError where we are too old for it."""
        previous, self.version = self.version, version
        self.on_version(previous, version)
        self._check_local_version()
        self._v2store.set(VERSION_PATH, version)
        if mirror:
            self._backend.put(buckets.CLUSTER, records.CLUSTER_VERSION, version.encode())

    def set_downgrade(self, target_version: str, *, mirror: bool) -> None:
        """Allow the cluster to go back to `target_version`; "" ends that."""
        self.downgrade_target = target_version
        if mirror:
            value = records.encode_downgrade(target_version=target_version, enabled=bool(target_version))
            self._backend.put(buckets.CLUSTER, records.DOWNGRADE, value)
        if target_version:
            self.on_downgrade(target_version)

    def _check_local_version(self) -> None:
        check_local_version(CLUSTER_VERSION, cluster=self.version, downgrade_target=self.downgrade_target)

    def _keep(self, member: Member, *, mirror: bool) -> None:
        self._members[member.id] = member
        if mirror:
            self._backend.put(buckets.MEMBERS, format_id(member.id).encode(), member.to_json().encode())

    # -- after a restart

    def recover(self) -> None:
        """Read everything from the v2 store, as a 3.5 member does; but a downgrade stands in the backend only.

        Raise StorageError where the cluster does not let a member of our version take part.
        """
        self._members.clear()
        self._removed.clear()
        for path in self._v2store.list_children(MEMBERS_PREFIX):
            member = self._recover_member(path)
            self._members[member.id] = member
        for path in self._v2store.list_children(REMOVED_PREFIX):
            self._removed.add(int(path.rsplit("/", 1)[1], 16))
        self.version = self._v2store.find_value(VERSION_PATH) or ""
        self.downgrade_target = _recover_downgrade(self._backend.get(buckets.CLUSTER, records.DOWNGRADE))
        self._check_local_version()

    def _recover_member(self, path: str) -> Member:
        raft_attributes = self._v2store.find_value(f"{path}/raftAttributes")
        if raft_attributes is None:
            raise InvariantError(f"the v2 store has {path} without raftAttributes")
        record = json.loads(raft_attributes) | json.loads(self._v2store.find_value(f"{path}/attributes") or "{}")
        return Member.from_json(json.dumps(record | {"id": int(path.rsplit("/", 1)[1], 16)}))


def _recover_downgrade(value: bytes | None) -> str:
    if value is None:
        return ""
    try:
        record = json.loads(value)
        return str(record["target-version"]) if record["enabled"] else ""
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"downgrade in the bucket cluster is not readable: {error}") from error


def _nobody_listens(previous: str, version: str) -> None:
    """Until the server wants to log it."""


def _no_downgrades(target_version: str) -> None:
    """Until the server wants to log it."""
