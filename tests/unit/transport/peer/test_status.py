"""Reachable or not, since when, and what the log and the counters say of it."""

from __future__ import annotations

import asyncio

from etcdpy.base.log import close_logger, logger_to
from etcdpy.transport.peer.counters import Counters
from etcdpy.transport.peer.status import PeerStatus
from tests.unit.transport.peer.members import Output, run


def test_changes_are_logged_and_counted_once() -> None:
    async def body() -> None:
        output, counters = Output(), Counters()
        log = logger_to(output, "info")
        status = PeerStatus(0xAB, loop=asyncio.get_running_loop(), logger=log, counters=counters)
        status.deactivate("dial", "pipeline", "never reached")
        assert status.since is None and not status.is_active
        status.activate()
        since = status.since
        status.activate()
        assert status.since == since is not None and counters.active[0xAB] == 1
        status.deactivate("write", "stream Message", "broken pipe")
        status.deactivate("write", "stream Message", "broken pipe")
        assert (counters.active[0xAB], counters.disconnected[0xAB]) == (0, 1)
        status.close()
        assert counters.disconnected[0xAB] == 1
        close_logger(log)
        assert len(output.lines) == 2
        assert b'"msg":"peer became active","peer-id":"ab"' in output.lines[0]
        assert (
            b'"msg":"peer became inactive (message send to peer failed)","peer-id":"ab",'
            b'"error":"failed to write ab on stream Message (broken pipe)"' in output.lines[1]
        )

    run(body())
