"""Proposes the compactions that `--auto-compaction-retention` asks for, while this member leads."""

from __future__ import annotations

import logging

from etcdpy.base.errors import Compacted, EtcdError
from etcdpy.base.log import log_info, log_warn
from etcdpy.pb import rpc_pb2
from etcdpy.server.compactor import Compactor
from etcdpy.server.service import Service
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.apply import proposal as kinds


class AutoCompaction:
    """Asks the compactor when its time has come; one proposal at a time."""

    def __init__(self, compactor: Compactor, service: Service, tasks: TaskOwner, log: logging.Logger) -> None:
        self._compactor = compactor
        self._service = service
        self._tasks = tasks
        self._log = log
        self._is_busy = False

    def set_leading(self, is_leader: bool) -> None:
        if is_leader:
            self._compactor.resume()
        else:
            self._compactor.pause()

    def tick(self, now: float, current_revision: int) -> None:
        """Call it a few times a second."""
        if self._is_busy or now < self._compactor.next_poll_at:
            return
        revision = self._compactor.poll(now, current_revision)
        if revision is not None:
            self._is_busy = True
            self._tasks.start(self._compact(revision, now))

    async def _compact(self, revision: int, now: float) -> None:
        log_info(self._log, "starting auto compaction", revision=revision)
        try:
            await self._service.call(kinds.COMPACTION, rpc_pb2.CompactionRequest(revision=revision))
        except Compacted:
            self._compactor.on_compacted(revision, now)
        except EtcdError as error:
            self._compactor.on_failed()
            log_warn(self._log, "failed auto compaction", revision=revision, error=error.text)
        else:
            self._compactor.on_compacted(revision, now)
            log_info(self._log, "completed auto compaction", revision=revision)
        finally:
            self._is_busy = False
