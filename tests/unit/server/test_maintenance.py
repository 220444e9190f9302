"""What an operator asks of one member: a request that fails, fails alone."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2
from etcdpy.server.maintenance import Maintenance
from etcdpy.server.metrics_source import MetricsSource
from etcdpy.server.quota import Quota
from etcdpy.storage.backend.export_job import ExportJob
from tests.unit.server.spine import Notes, Spine, open_spine, run


@dataclass(slots=True, kw_only=True)
class Office:
    spine: Spine
    maintenance: Maintenance
    scratch: Path

    async def download(self) -> list[rpc_pb2.SnapshotResponse]:
        return [response async for response in self.maintenance.snapshot()]


@asynccontextmanager
async def open_office(directory: Path) -> AsyncIterator[Office]:
    with open_spine(directory) as spine:
        spine.driver.start(Notes(spine=spine))
        await spine.elect()
        maintenance = Maintenance(
            loop=spine.loop,
            member=spine.member,
            member_id=spine.recovered.member_id,
            store=spine.store,
            backend=spine.backend,
            alarms=spine.alarms,
            roster=spine.roster,
            quota=Quota(spine.backend, 0),
            metrics=MetricsSource(),
            scratch=spine.folders.snap,
            log=logging.getLogger("test"),
        )
        yield Office(spine=spine, maintenance=maintenance, scratch=spine.folders.snap)


def test_a_snapshot_is_the_whole_file_and_its_hash(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_office(tmp_path) as office:
            *blobs, last = await office.download()
            content = b"".join(response.blob for response in blobs)

            assert last.blob == hashlib.sha256(content).digest()
            assert blobs[0].remaining_bytes == len(content) - len(blobs[0].blob)
            assert list(office.scratch.iterdir()) == []

    run(scenario())


def test_a_snapshot_whose_child_dies_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = ExportJob._start_child

    def start_and_kill(job: ExportJob, now: float) -> None:
        start(job, now)
        assert job._child is not None
        os.kill(job._child.pid, signal.SIGKILL)

    monkeypatch.setattr(ExportJob, "_start_child", start_and_kill)

    async def scenario() -> None:
        async with open_office(tmp_path) as office:
            with pytest.raises(EtcdError, match="^export: "):
                await office.download()

            assert list(office.scratch.iterdir()) == []

    run(scenario())


def test_a_snapshot_without_room_for_its_file_fails_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_office(tmp_path) as office:
            office.scratch.rmdir()
            with pytest.raises(EtcdError, match="^snapshot: "):
                await office.download()
            office.scratch.mkdir()

    run(scenario())


def test_an_alarm_of_a_type_that_nobody_knows_does_not_hide_the_status(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_office(tmp_path) as office:
            office.spine.alarms.activate(7, 99)
            office.spine.alarms.activate(8, rpc_pb2.NOSPACE)
            office.spine.backend.end_batch()

            assert list(office.maintenance.status().errors) == ["memberID:8 alarm:NOSPACE ", "memberID:7 alarm:99 "]

    run(scenario())
