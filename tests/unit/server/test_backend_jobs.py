"""Waiting for a job of the backend: somebody must poll it, and its failure ends the waiting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdpy.server.backend_jobs import wait_job
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.jobs import JobError
from tests.unit.server.spine import run


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = Backend.open(tmp_path / "member")
    yield opened
    opened.close()


def test_the_waiting_moves_the_job_on(backend: Backend, tmp_path: Path) -> None:
    """Nobody else polls here."""

    async def scenario() -> None:
        job = backend.start_export(tmp_path / "copy.db")
        await wait_job(backend, job.poll)
        assert job.size == (tmp_path / "copy.db").stat().st_size

    run(scenario())


def test_what_the_job_raises_ends_the_waiting(backend: Backend, tmp_path: Path) -> None:
    async def scenario() -> None:
        job = backend.start_export(tmp_path / "no folder" / "copy.db")
        with pytest.raises(JobError, match="export"):
            await wait_job(backend, job.poll)

    run(scenario())


def test_what_is_done_is_not_waited_for(backend: Backend) -> None:
    async def scenario() -> None:
        asked = 0

        def is_done() -> bool:
            nonlocal asked
            asked += 1
            return True

        await wait_job(backend, is_done)
        assert asked == 1

    run(scenario())
