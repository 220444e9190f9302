"""Waiting for a job of the backend, which moves on only when it is polled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from etcdpy.storage.backend import Backend

# A job moves on when the loop polls the backend; look again so often.
JOB_POLL_SECONDS: Final = 0.005


async def wait_job(backend: Backend, is_done: Callable[[], bool]) -> None:
    """Poll the backend until `is_done` says so; what that raises (JobError) ends the waiting."""
    loop = asyncio.get_running_loop()
    while not is_done():
        await asyncio.sleep(JOB_POLL_SECONDS)
        backend.poll(loop.time())
