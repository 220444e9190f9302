"""Changes of the membership, from a request to its answer.

    request -> strict checks -> ConfChange with a request id -> log -> applied here -> answer: everybody, afterwards

The checks here are about the cluster's health at this moment; whether the change is valid is decided when it is applied
(state/apply/membership.py), and comes back through `on_applied` like any answer. Raft takes one change at a time: one
that comes while another is on its way is dropped by the leader, and its proposer waits in vain until the timeout.

Upstream: server/etcdserver/server.go (AddMember ... configure).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from etcdpy.base.errors import (
    EtcdError,
    LearnerNotReady,
    MemberNotEnoughStarted,
    MemberNotFound,
    NotLeader,
    Stopped,
    Timeout,
    TimeoutWaitAppliedIndex,
    Unhealthy,
)
from etcdpy.base.ids import RequestIdGenerator, compute_member_id, format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, Entry
from etcdpy.raft.status import Status
from etcdpy.server.strict_checks import (
    Connections,
    StartedCount,
    count_connected,
    count_if_added,
    count_if_promoted,
    count_if_removed,
    is_connected_for_adding,
    is_connected_for_removing,
    voters_of,
)
from etcdpy.server.timeouts import NeverProposed
from etcdpy.state.members import Member, MembershipChange, Roster
from etcdpy.state.members.change import add_change, promote_change, remove_change, update_change

# Upstream's readyPercent: how much of the leader's log a learner must hold before it may vote.
LEARNER_READY: Final = 0.9
# Upstream's applyTimeout: how long what is committed may take to be applied before readiness is judged.
APPLY_SECONDS_MAX: Final = 1.0
APPLY_POLL_SECONDS: Final = 0.005
# A few operators act at once; whoever sends more is told to wait like any client who asks too much.
WAITING_CHANGES_MAX: Final = 1000

Members = tuple[Member, ...]
# Asks the leader's peer port for a promotion: (leader, learner's id). Raise EtcdError.
ForwardPromotion = Callable[[int], Awaitable[Members]]


class Proposer(Protocol):
    """Who brings entries into the log: the member's loop."""

    def propose(self, entry: Entry) -> None: ...

    def take_back(self, entry: Entry) -> bool:
        """Return whether it could still be done: no leader was there to take it."""


class RaftView(Protocol):
    """What must be known of raft here."""

    @property
    def committed_index(self) -> int: ...

    @property
    def applied_index(self) -> int: ...

    def status(self) -> Status:
        """Return raft's state; `progress` is empty on all but the leader."""


class Reconfiguration:
    """Adds, removes, updates and promotes members. Each call returns everybody afterwards, or raises EtcdError."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        proposer: Proposer,
        raft: RaftView,
        roster: Roster,
        connections: Connections,
        request_ids: RequestIdGenerator,
        member_id: int,
        is_strict: bool,
        timeout_seconds: float,
        wall_seconds: Callable[[], float],
        log: logging.Logger,
    ) -> None:
        self._loop = loop
        self._proposer = proposer
        self._raft = raft
        self._roster = roster
        self._connections = connections
        self._ids = request_ids
        self._member_id = member_id
        self._is_strict = is_strict
        self._timeout_seconds = timeout_seconds
        self._wall_seconds = wall_seconds
        self._log = log
        self._waiting: dict[int, asyncio.Future[Members]] = {}
        self._is_stopped = False
        self.forward_promotion: ForwardPromotion = _nobody_to_ask
        self.promotions_succeeded = 0
        self.promotions_failed: dict[str, int] = {}  # by the text of the refusal

    # -- requests

    async def add_member(self, peer_urls: Sequence[str], *, is_learner: bool) -> tuple[Member, Members]:
        """Let somebody join, whose id comes of its sorted URLs and the time; return it, and everybody."""
        member_id = compute_member_id(peer_urls, "", int(self._wall_seconds()))
        newcomer = Member(id=member_id, peer_urls=tuple(sorted(peer_urls)), is_learner=is_learner)
        if self._is_strict:
            self._check_adding(newcomer)
        return newcomer, await self._change(add_change(newcomer))

    async def remove_member(self, member_id: int) -> Members:
        self._check_somebody_is_left(member_id)
        if self._is_strict:
            self._check_removing(member_id)
        return await self._change(remove_change(member_id))

    async def update_member(self, member_id: int, peer_urls: Sequence[str]) -> Members:
        return await self._change(update_change(member_id, tuple(peer_urls)))

    async def promote_member(self, member_id: int) -> Members:
        """Give a learner its vote. Only the leader knows whether it is ready: others ask the leader."""
        try:
            members = await self.promote_as_leader(member_id)
        except NotLeader:
            return await self.forward_promotion(member_id)
        except EtcdError as error:
            self.promotions_failed[error.text] = self.promotions_failed.get(error.text, 0) + 1
            raise
        self.promotions_succeeded += 1
        return members

    async def promote_as_leader(self, member_id: int) -> Members:
        """Give a learner its vote. Raise NotLeader on any other member: what a forwarded request gets there."""
        await self._check_learner_is_ready(member_id)
        if self._is_strict:
            count = count_if_promoted(self._roster.get_members())
            if not count.is_enough:
                self._warn_of_quorum("promote", count)
                self._warn_of_request("promote", {"requested_member_remove_id": format_id(member_id)})
                raise MemberNotEnoughStarted
        return await self._change(promote_change(member_id))

    # -- may it be now?

    def _check_adding(self, newcomer: Member) -> None:
        members = self._roster.get_members()
        requested = {"requested_member_add": _describe(newcomer)}
        count = count_if_added(members)
        if not newcomer.is_learner and not count.is_enough:
            self._warn_of_quorum("add", count)
            self._warn_of_request("add", requested)
            raise MemberNotEnoughStarted
        voters = voters_of(members)
        if not is_connected_for_adding(voters, self._count_connected(voters)):
            log_warn(
                self._log,
                "rejecting member add request; local member has not been connected to majority peers, "
                "reconfigure breaks active quorum",
                local_member_id=format_id(self._member_id),
                **requested,
                error=Unhealthy.text,
            )
            raise Unhealthy

    def _check_somebody_is_left(self, member_id: int) -> None:
        """Refuse to remove the last voter, strict or not: upstream then panics, at every start again."""
        if [member.id for member in voters_of(self._roster.get_members())] == [member_id]:
            count = count_if_removed(self._roster.get_members(), member_id)
            self._warn_of_quorum("remove", count)
            self._warn_of_request("remove", {"requested_member_remove_id": format_id(member_id)})
            raise MemberNotEnoughStarted

    def _check_removing(self, member_id: int) -> None:
        members = self._roster.get_members()
        leaving = self._roster.find_member(member_id)
        if leaving is not None and leaving.is_learner:
            return
        count = count_if_removed(members, member_id)
        if not count.is_enough:
            self._warn_of_quorum("remove", count)
            self._warn_of_request("remove", {"requested_member_remove_id": format_id(member_id)})
            raise MemberNotEnoughStarted
        if member_id != self._member_id and self._connections.active_since(member_id) is None:
            return  # it is down: it is no part of the quorum that works
        voters = voters_of(members)
        connected = self._count_connected(voters)
        if not is_connected_for_removing(voters, connected):
            log_warn(
                self._log,
                "rejecting member remove request; local member has not been connected to all peers, "
                "reconfigure breaks active quorum",
                local_member_id=format_id(self._member_id),
                requested_member_remove=format_id(member_id),
                active_peers=connected,
                error=Unhealthy.text,
            )
            raise Unhealthy

    async def _check_learner_is_ready(self, member_id: int) -> None:
        await self._wait_applied()
        status = self._raft.status()
        if not status.progress:
            raise NotLeader
        learner = status.progress.get(member_id)
        if learner is None:
            raise MemberNotFound
        if learner.match < status.progress[status.id].match * LEARNER_READY:
            raise LearnerNotReady

    async def _wait_applied(self) -> None:
        """Wait until what is committed now is applied: who is in the cluster must be known."""
        wanted = self._raft.committed_index
        give_up = self._loop.time() + APPLY_SECONDS_MAX
        while self._raft.applied_index < wanted:
            if self._loop.time() > give_up:
                raise TimeoutWaitAppliedIndex
            await asyncio.sleep(APPLY_POLL_SECONDS)

    def _count_connected(self, voters: Sequence[Member]) -> int:
        return count_connected(voters, self_id=self._member_id, connections=self._connections, now=self._loop.time())

    def _warn_of_quorum(self, verb: str, count: StartedCount) -> None:
        log_warn(
            self._log,
            f"rejecting member {verb}; started member will be less than quorum",
            number_of_started_member=count.started,
            quorum=count.quorum,
            cluster_id=format_id(self._roster.cluster_id),
            local_member_id=format_id(self._member_id),
        )

    def _warn_of_request(self, verb: str, requested: dict[str, str]) -> None:
        log_warn(
            self._log,
            f"rejecting member {verb} request; not enough healthy members",
            local_member_id=format_id(self._member_id),
            **requested,
            error=MemberNotEnoughStarted.text,
        )

    # -- through the log

    async def _change(self, change: raft_pb2.ConfChange) -> Members:
        """Propose `change` and wait until it is applied here."""
        if self._is_stopped:
            raise Stopped
        if len(self._waiting) >= WAITING_CHANGES_MAX:
            raise EtcdError("etcdserver: too many requests")
        kind = raft_pb2.ConfChangeType.Name(change.type)
        request_id = change.id = self._ids.next_id()
        future: asyncio.Future[Members] = self._loop.create_future()
        self._waiting[request_id] = future
        entry = Entry(0, 0, ENTRY_CONF_CHANGE, change.SerializeToString())
        self._proposer.propose(entry)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await future
        except TimeoutError:
            raise (NeverProposed if self._proposer.take_back(entry) else Timeout) from None
        finally:
            del self._waiting[request_id]
            if future.done() and not future.cancelled() and not isinstance(future.exception(), Stopped):
                log_info(
                    self._log,
                    "applied a configuration change through raft",
                    local_member_id=format_id(self._member_id),
                    raft_conf_change=kind,
                    raft_conf_change_node_id=format_id(change.node_id),
                )

    def on_applied(self, result: MembershipChange) -> None:
        """Tell whoever proposed this change; that may have been another member's client."""
        future = self._waiting.get(result.request_id)
        if future is None or future.done():
            return
        if result.error is None:
            future.set_result(result.members)
        else:
            future.set_exception(result.error)

    def stop(self) -> None:
        """Refuse what comes from now on and tell everybody who waits `server stopped`."""
        self._is_stopped = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Stopped())


def _describe(member: Member) -> str:
    """The member as Go's %+v shows it."""
    urls, client_urls = " ".join(member.peer_urls), " ".join(member.client_urls)
    return (
        f"{{ID:{format_id(member.id)} RaftAttributes:{{PeerURLs:[{urls}] IsLearner:{str(member.is_learner).lower()}}} "
        f"Attributes:{{Name:{member.name} ClientURLs:[{client_urls}]}}}}"
    )


async def _nobody_to_ask(member_id: int) -> Members:
    """Before the peers' HTTP is wired: a member that is alone leads, or has nobody who does."""
    raise NotLeader
