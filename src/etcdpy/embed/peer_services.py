"""What a member asks the others and they ask it, beside raft: leases, promotions, versions, hashes. Put together here.

Source: facts 4.2.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute

from etcdpy.api.ops.peer_leases import lease_routes
from etcdpy.api.ops.peer_members import PeerQuestions, member_routes
from etcdpy.embed.config import Config
from etcdpy.pb import rpc_pb2
from etcdpy.server.catching_up import CatchingUp
from etcdpy.server.corruption import CorruptionChecks
from etcdpy.server.corruption_monitor import CorruptionMonitor
from etcdpy.server.leader_view import PeerFetch, RosterView
from etcdpy.server.lease_forwarding import LeaseForwarding
from etcdpy.server.lease_primary import LeasePrimary
from etcdpy.server.maintenance import Maintenance
from etcdpy.server.mandate import Mandate
from etcdpy.server.member import Member
from etcdpy.server.peer_questions import PeerHash, PeerHashes, PeerVersions, PromotionForwarding
from etcdpy.server.reconfiguration import Reconfiguration
from etcdpy.server.renewals import ForwardingRenewer
from etcdpy.server.service import Service
from etcdpy.server.tasks import TaskOwner
from etcdpy.server.version_monitor import VersionMonitor
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.lease.lessor import Lessor
from etcdpy.state.members import Roster
from etcdpy.state.mvcc.hash_kv import KvHash
from etcdpy.state.mvcc.store import Store


class _OwnHasher:
    """Implements `server.corruption.Hasher`."""

    def __init__(self, maintenance: Maintenance, store: Store, peers: PeerHashes) -> None:
        self._maintenance = maintenance
        self._store = store
        self._peers = peers

    async def hash_now(self) -> KvHash:
        return await self._maintenance.hash_kv(0)

    def compaction_hashes(self) -> Sequence[KvHash]:
        return self._store.compaction.hashes.list_newest_first()

    async def ask_peers(self, revision: int) -> Sequence[PeerHash]:
        return await self._peers.ask(revision)


class PeerServices:
    """Of one node."""

    def __init__(
        self,
        *,
        config: Config,
        view: RosterView,
        member: Member,
        member_id: int,
        cluster_id: int,
        roster: Roster,
        store: Store,
        lessor: Lessor,
        service: Service,
        maintenance: Maintenance,
        reconfiguration: Reconfiguration,
        versions: VersionMonitor,
        mandate: Mandate,
        catching_up: CatchingUp,
        tasks: TaskOwner,
        clock: Callable[[], float],
        fetch: PeerFetch,
        log: logging.Logger,
    ) -> None:
        self._config = config
        self._roster = roster
        self._service = service
        self._reconfiguration = reconfiguration
        self._tasks = tasks
        self._log = log
        timeout_seconds = config.request_timeout_seconds
        self._primary = LeasePrimary(lessor, mandate, catching_up, clock)
        forwarding = LeaseForwarding(view, fetch, clock=clock, timeout_seconds=timeout_seconds)
        self.renewer = ForwardingRenewer(view, self._primary, forwarding, tasks)
        versions.ask_versions = PeerVersions(fetch, timeout_seconds=timeout_seconds)
        reconfiguration.forward_promotion = PromotionForwarding(
            view, fetch, clock=clock, timeout_seconds=timeout_seconds
        )
        self._questions = self._make_questions(member, member_id, cluster_id, maintenance)
        hashes = PeerHashes(
            roster, fetch, own_id=member_id, cluster_id=cluster_id, timeout_seconds=timeout_seconds, log=log
        )
        self.checks = CorruptionChecks(
            _OwnHasher(maintenance, store, hashes),
            member_id=member_id,
            wait_linearizable=service.wait_linearizable,
            raise_corrupt=self._raise_corrupt,
            request_timeout_seconds=timeout_seconds,
            log=log,
        )
        self._monitor = self._make_monitor(member, member_id)

    def _make_questions(
        self, member: Member, member_id: int, cluster_id: int, maintenance: Maintenance
    ) -> PeerQuestions:
        return PeerQuestions(
            cluster_id=cluster_id,
            member_id=member_id,
            term=lambda: member.term,
            promote=self._promote,
            hash_kv=maintenance.hash_kv,
            is_downgrading=self._is_downgrading,
        )

    def _make_monitor(self, member: Member, member_id: int) -> CorruptionMonitor:
        config = self._config
        return CorruptionMonitor(
            self.checks,
            is_leader=lambda: member.is_leader,
            member_id=member_id,
            periodic_seconds=config.corrupt_check_time_seconds,
            compaction_seconds=config.compact_hash_check_time_seconds if config.compact_hash_check_enabled else 0.0,
            log=self._log,
        )

    def start_monitor(self) -> None:
        """Begin to check for corruption now and then, where that is wanted."""
        self._monitor.start(self._tasks)

    async def check_before_serving(self, *, is_new: bool) -> None:
        """Raise DataInconsistent when the check at the start is wanted and a peer holds something else."""
        if self._config.initial_corrupt_check and not is_new:  # a new member has nothing to compare
            await self.checks.check_before_serving()

    def routes(self) -> list[BaseRoute]:
        """Return what the peer port serves of all this."""
        return [*lease_routes(self._primary), *member_routes(self._questions, self._log)]

    def member_records(self) -> list[dict[str, object]]:
        """Return each member as its JSON object."""
        return [json.loads(member.to_json()) for member in self._roster.get_members()]

    async def _promote(self, member_id: int) -> Sequence[dict[str, object]]:
        return [json.loads(member.to_json()) for member in await self._reconfiguration.promote_as_leader(member_id)]

    async def _is_downgrading(self) -> bool:
        await self._service.wait_linearizable()
        return bool(self._roster.downgrade_target)

    def _raise_corrupt(self, member_id: int) -> None:
        request = rpc_pb2.AlarmRequest(action=rpc_pb2.AlarmRequest.ACTIVATE, memberID=member_id, alarm=rpc_pb2.CORRUPT)
        self._service.propose_unattended(kinds.ALARM, request)
