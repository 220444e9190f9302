"""The roster: who belongs to the cluster, kept where a 3.5 member keeps it, twice.

    v2 store   /0/members/<hexid>/{raftAttributes,attributes}, /0/removed_members/<hexid>, /0/version
    backend    buckets members, members_removed, cluster

A 3.5 member trusts the v2 store when it restarts and the buckets are a mirror that 3.6 will trust. Both change only in
`apply`. `mirror=False` says that the backend already holds this change (an entry replayed from the WAL): then only the
v2 store and the memory move.

Rules
  * a removed id never returns.
  * peer URLs are sorted; two members never share one.

Upstream: server/etcdserver/api/membership.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from etcdpy.base.errors import MemberExist, MemberNotFound, PeerURLExist
from etcdpy.base.ids import format_id
from etcdpy.base.invariant import InvariantError
from etcdpy.state.members.member import Member
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets

MEMBERS_PREFIX = "/0/members"
REMOVED_PREFIX = "/0/removed_members"
VERSION_PATH = "/0/version"
CLUSTER_VERSION_KEY = b"clusterVersion"


class Roster:
    """The members, the removed ones and the version that the cluster agreed on."""

    def __init__(self, v2store: V2Store, backend: Backend, *, cluster_id: int = 0) -> None:
        self.cluster_id = cluster_id
        self.version = ""  # "" until the cluster decided one, then like "3.5.0"
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

    def check_new_member(self, member: Member) -> None:
        """Raise MemberExist, MemberNotFound (a removed id) or PeerURLExist when `member` may not join."""
        if member.id in self._removed:
            raise MemberNotFound
        if member.id in self._members:
            raise MemberExist
        taken = {url for known in self._members.values() for url in known.peer_urls}
        if taken.intersection(member.peer_urls):
            raise PeerURLExist

    # -- what apply does

    def add_member(self, member: Member, *, mirror: bool) -> None:
        path = f"{MEMBERS_PREFIX}/{format_id(member.id)}"
        self._v2store.create(f"{path}/raftAttributes", member.raft_attributes_json())
        self._keep(member, mirror=mirror)

    def remove_member(self, member_id: int, *, mirror: bool) -> None:
        name = format_id(member_id)
        if member_id in self._members:
            self._v2store.delete(f"{MEMBERS_PREFIX}/{name}", recursive=True)
            del self._members[member_id]
        self._v2store.create(f"{REMOVED_PREFIX}/{name}", "")
        self._removed.add(member_id)
        if mirror:
            self._backend.delete(buckets.MEMBERS, name.encode())
            self._backend.put(buckets.MEMBERS_REMOVED, name.encode(), b"removed")

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

    def update_peer_urls(self, changed: Member, *, mirror: bool) -> None:
        member = self._members.get(changed.id)
        if member is None:
            raise InvariantError(f"peer URLs of member {changed.id:x}, which the roster has never seen")
        member = member.with_peer_urls(changed.peer_urls)
        self._v2store.update(f"{MEMBERS_PREFIX}/{format_id(member.id)}/raftAttributes", member.raft_attributes_json())
        self._keep(member, mirror=mirror)

    def set_version(self, version: str, *, mirror: bool) -> None:
        self._v2store.set(VERSION_PATH, version)
        self.version = version
        if mirror:
            self._backend.put(buckets.CLUSTER, CLUSTER_VERSION_KEY, version.encode())

    def _keep(self, member: Member, *, mirror: bool) -> None:
        self._members[member.id] = member
        if mirror:
            self._backend.put(buckets.MEMBERS, format_id(member.id).encode(), member.to_json().encode())

    # -- after a restart

    def recover(self) -> None:
        """Read everything from the v2 store, as a 3.5 member does."""
        self._members.clear()
        self._removed.clear()
        for path in self._v2store.list_children(MEMBERS_PREFIX):
            member = self._recover_member(path)
            self._members[member.id] = member
        for path in self._v2store.list_children(REMOVED_PREFIX):
            self._removed.add(int(path.rsplit("/", 1)[1], 16))
        self.version = self._v2store.find_value(VERSION_PATH) or ""

    def _recover_member(self, path: str) -> Member:
        raft_attributes = self._v2store.find_value(f"{path}/raftAttributes")
        if raft_attributes is None:
            raise InvariantError(f"the v2 store has {path} without raftAttributes")
        record = json.loads(raft_attributes) | json.loads(self._v2store.find_value(f"{path}/attributes") or "{}")
        return Member.from_json(json.dumps(record | {"id": int(path.rsplit("/", 1)[1], 16)}))
