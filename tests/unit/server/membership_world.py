"""A roster on a real backend, and a log that applies what is proposed when it is told to: for membership's parts.

async with open_world(tmp_path, VOTERS) as world:
    await world.reconfiguration.add_member(...)
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from etcdpy.base.ids import RequestIdGenerator
from etcdpy.base.log import DEBUG, format_line
from etcdpy.pb.raft_pb2 import ConfChange
from etcdpy.pb.raft_values import ConfState, Entry
from etcdpy.server.leadership import Leadership
from etcdpy.server.reconfiguration import Reconfiguration
from etcdpy.state.apply.membership import apply_change
from etcdpy.state.members import Member, MembershipChange, Roster
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend

SELF = 1
WALL_SECONDS = 1_700_000_000.9


def voter(number: int, *, name: str = "x") -> Member:
    return Member(id=number, peer_urls=(f"http://m:{number}",), name=name)


def learner(number: int) -> Member:
    return Member(id=number, peer_urls=(f"http://m:{number}",), is_learner=True)


class FakeProgress:
    def __init__(self, match: int) -> None:
        self.match = match


class FakeStatus:
    id = SELF

    def __init__(self, progress: dict[int, int]) -> None:
        self.progress = {member_id: FakeProgress(match) for member_id, match in progress.items()}


class World:
    """Implements everything that membership's parts need of the server."""

    def __init__(self, backend: Backend, **settings: Any) -> None:
        loop = asyncio.get_running_loop()
        self.roster = Roster(V2Store(), backend, cluster_id=0xC)
        self.proposed: list[ConfChange] = []
        self.taken_back: list[ConfChange] = []
        self.has_leader = True
        self.applies_at_once = True
        self.connected: dict[int, float] = {}  # member -> seconds for which we have been connected to it
        self.progress: dict[int, int] = {SELF: 100}
        self.committed_index = self.applied_index = 100
        self.is_leader = True
        self.leader_id = SELF
        self.transfers: list[int] = []
        self.transfer_succeeds = True
        self._lines = Lines()
        log = logger_with(self._lines)
        common: dict[str, Any] = {
            "loop": loop,
            "roster": self.roster,
            "connections": self,
            "member_id": SELF,
            "log": log,
        }
        self.reconfiguration = Reconfiguration(
            proposer=self,
            raft=self,  # type: ignore[arg-type]
            request_ids=RequestIdGenerator(SELF, 1_700_000_000_000),
            is_strict=settings.get("is_strict", True),
            timeout_seconds=settings.get("timeout_seconds", 10.0),
            wall_seconds=lambda: WALL_SECONDS,
            **common,
        )
        self.leadership = Leadership(
            raft=self, turns=self, tick_seconds=0.001, timeout_seconds=settings.get("timeout_seconds", 10.0), **common
        )

    # -- the log

    def propose(self, entry: Entry) -> None:
        self.proposed.append(ConfChange.FromString(entry.data))
        if self.applies_at_once:
            self.apply(self.proposed[-1])

    def take_back(self, entry: Entry) -> bool:
        self.taken_back.append(ConfChange.FromString(entry.data))
        return not self.has_leader

    def apply(self, change: ConfChange) -> MembershipChange:
        result = apply_change(self.roster, change, lambda _: ConfState(), mirror=True)
        self.reconfiguration.on_applied(result)
        return result

    # -- raft

    def status(self) -> FakeStatus:
        return FakeStatus(self.progress)

    def transfer_leader(self, transferee: int) -> None:
        self.transfers.append(transferee)

    def schedule(self) -> None:
        if self.transfer_succeeds:
            self.leader_id = self.transfers[-1]
            self.is_leader = self.leader_id == SELF

    # -- the peers

    def active_since(self, member_id: int) -> float | None:
        seconds = self.connected.get(member_id)
        return None if seconds is None else asyncio.get_running_loop().time() - seconds

    @property
    def log(self) -> list[dict[str, Any]]:
        return self._lines.lines

    @property
    def messages(self) -> list[str]:
        return [line["msg"] for line in self.log]


class Lines(logging.Handler):
    """Keeps what is logged as it would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(format_line(record, record.getMessage()))
        self.lines.append({name: value for name, value in line.items() if name not in ("ts", "caller")})


def logger_with(lines: Lines) -> logging.Logger:
    log = logging.Logger("", DEBUG)
    log.addHandler(lines)
    return log


@asynccontextmanager
async def open_world(directory: Path, members: Sequence[Member], **settings: Any) -> AsyncIterator[World]:
    backend = Backend.open(directory)
    world = World(backend, **settings)
    for member in members:
        world.roster.add_member(member, mirror=True)
    try:
        yield world
    finally:
        backend.close()
