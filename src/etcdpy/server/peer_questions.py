"""What this member asks the others, one request each: their versions, their hashes, the leader to promote a learner.

    PeerVersions(members)        {member id: version or None}       GET /version of all of them at once
    PeerHashes.ask(revision)     [PeerHash, ...]                    GET /members/hashkv of everybody else at once
    PromotionForwarding(id)      the members afterwards             POST /members/promote/<id> at the leader

A member has several URLs; they are tried in order until one answers.

Source: facts 4.2. Upstream: etcdserver/cluster_util.go, etcdserver/corrupt.go.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from etcdpy.base.errors import (
    ClusterIDMismatch,
    Compacted,
    EtcdError,
    FutureRev,
    LearnerNotReady,
    MemberNotFound,
    MemberNotLearner,
    NoLeader,
    Timeout,
)
from etcdpy.base.ids import format_id
from etcdpy.base.log import log_warn
from etcdpy.server.leader_view import LeaderView, PeerFetch
from etcdpy.state.members import Member

# Versions and hashes have some hundred bytes, a thousand members a few hundred kilobytes.
ANSWER_BYTES_MAX: Final = 1024 * 1024
# Upstream's pause before the leader is looked for again.
RETRY_SECONDS: Final = 0.1


class Members(Protocol):
    """The roster."""

    def get_members(self) -> list[Member]: ...


class PeerFailed(Exception):
    """A member did not answer, or not what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashAnswer:
    """What a member says of its history."""

    hash: int
    compact_revision: int
    revision: int  # its newest


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerHash:
    """One member's answer, or why there is none: Compacted, FutureRev, ClusterIDMismatch, or anything."""

    member_id: int
    endpoints: tuple[str, ...]
    answer: HashAnswer | None = None
    error: Exception | None = None


class PeerVersions:
    """Asks members for their versions. Implements `server.version_monitor.AskVersions`."""

    def __init__(self, fetch: PeerFetch, *, timeout_seconds: float, name: str = "etcdserver") -> None:
        """`name`: etcdserver for their own versions, etcdcluster for the one of the cluster that they know."""
        self._name = name
        self._fetch = fetch
        self._timeout_seconds = timeout_seconds

    async def __call__(self, members: Sequence[Member]) -> dict[int, str | None]:
        """Return the version of each; None where it could not be had."""
        versions = await asyncio.gather(*(self._find_version(member) for member in members))
        return {member.id: version for member, version in zip(members, versions, strict=True)}

    async def _find_version(self, member: Member) -> str | None:
        for url in member.peer_urls:
            try:
                answer = await self._fetch(
                    f"{url}/version",
                    method="GET",
                    body=b"",
                    headers={},
                    timeout_seconds=self._timeout_seconds,
                    body_bytes_max=ANSWER_BYTES_MAX,
                )
                version = _object_of(answer.body).get(self._name) if answer.status == 200 else None
            except (OSError, PeerFailed):
                continue
            if isinstance(version, str):
                return version
        return None


class PeerHashes:
    """Asks the other members for the hash of their history."""

    def __init__(
        self,
        members: Members,
        fetch: PeerFetch,
        *,
        own_id: int,
        cluster_id: int,
        timeout_seconds: float,
        log: logging.Logger,
    ) -> None:
        self._members = members
        self._fetch = fetch
        self._own_id = own_id
        self._headers = {"Content-Type": "application/json", "X-Etcd-Cluster-ID": format_id(cluster_id)}
        self._timeout_seconds = timeout_seconds
        self._log = log

    async def ask(self, revision: int) -> list[PeerHash]:
        """Return what every other member says of its history up to `revision`."""
        others = [member for member in self._members.get_members() if member.id != self._own_id and member.peer_urls]
        return list(await asyncio.gather(*(self._ask_member(member, revision) for member in others)))

    async def _ask_member(self, member: Member, revision: int) -> PeerHash:
        failure: Exception | None = None
        for url in member.peer_urls:
            try:
                answer = await self._ask_url(url, revision)
            except (OSError, PeerFailed, EtcdError) as error:
                failure = error
                log_warn(
                    self._log,
                    "failed hash kv request",
                    local_member_id=format_id(self._own_id),
                    requested_revision=revision,
                    remote_peer_endpoint=url,
                    error=str(error) or type(error).__name__,
                )
            else:
                return PeerHash(member_id=member.id, endpoints=member.peer_urls, answer=answer)
        return PeerHash(member_id=member.id, endpoints=member.peer_urls, error=failure)

    async def _ask_url(self, url: str, revision: int) -> HashAnswer:
        answer = await self._fetch(
            f"{url}/members/hashkv",
            method="GET",
            body=json.dumps({"revision": revision}, separators=(",", ":")).encode(),
            headers=self._headers,
            timeout_seconds=self._timeout_seconds,
            body_bytes_max=ANSWER_BYTES_MAX,
        )
        if answer.status == 400 and b"mvcc: required revision has been compacted" in answer.body:
            raise Compacted
        if answer.status == 400 and b"mvcc: required revision is a future revision" in answer.body:
            raise FutureRev
        if answer.status == 412 and b"cluster ID mismatch" in answer.body:
            raise ClusterIDMismatch
        if answer.status != 200:
            raise PeerFailed(f"unknown error: {answer.body[:200].decode(errors='replace')}")
        record = _object_of(answer.body)
        header = record.get("header")
        return HashAnswer(
            hash=_integer(record, "hash"),
            compact_revision=_integer(record, "compact_revision"),
            revision=_integer(header if isinstance(header, dict) else {}, "revision"),
        )


class PromotionForwarding:
    """Asks the leader to promote a learner."""

    def __init__(
        self, view: LeaderView, fetch: PeerFetch, *, clock: Callable[[], float], timeout_seconds: float
    ) -> None:
        self._view = view
        self._fetch = fetch
        self._clock = clock
        self._timeout_seconds = timeout_seconds

    async def __call__(self, member_id: int) -> tuple[Member, ...]:
        """Return the members after the promotion. Raise EtcdError: the leader's refusal, NoLeader or Timeout."""
        deadline = self._clock() + self._timeout_seconds
        error: EtcdError = NoLeader()
        while (left := deadline - self._clock()) > 0:
            urls = self._view.leader_peer_urls()
            if urls:
                error = Timeout()
            for url in urls:
                try:
                    return await self._ask(f"{url}/members/promote/{member_id}", max(0.0, left))
                except (OSError, PeerFailed):
                    left = deadline - self._clock()
            await asyncio.sleep(RETRY_SECONDS)
        raise error

    async def _ask(self, url: str, timeout_seconds: float) -> tuple[Member, ...]:
        answer = await self._fetch(
            url, method="POST", body=b"", headers={}, timeout_seconds=timeout_seconds, body_bytes_max=ANSWER_BYTES_MAX
        )
        if answer.status == 408:
            raise Timeout
        if answer.status == 412 and LearnerNotReady.text.encode() in answer.body:
            raise LearnerNotReady
        if answer.status == 412 and b"can only promote a learner member" in answer.body:
            raise MemberNotLearner
        if answer.status == 404 and b"membership: ID not found" in answer.body:
            raise MemberNotFound
        if answer.status != 200:
            raise PeerFailed(f"member promote: unknown error({answer.body[:200].decode(errors='replace')})")
        try:
            records = json.loads(answer.body)
            if not isinstance(records, list):
                raise PeerFailed("the members are no list")
            return tuple(Member.from_json(json.dumps(record)) for record in records)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PeerFailed(f"no list of members: {error}") from None


def _object_of(body: bytes) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PeerFailed(str(error)) from None
    if not isinstance(record, dict):
        raise PeerFailed("the answer is no JSON object")
    return record


def _integer(record: dict[str, Any], name: str) -> int:
    """Return a number that Go leaves out when it is zero."""
    value = record.get(name, 0)
    if type(value) is not int:
        raise PeerFailed(f"{name} is no integer")
    return value
