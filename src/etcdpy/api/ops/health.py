"""/health: one look at a member, the way load balancers have long asked for it.

    200 {"health":"true","reason":""}
    503 {"health":"false","reason":"ALARM NOSPACE"}

In this order: alarms (unless `exclude`d by name), a leader, a read. `serializable=true` asks about this member only, so
the leader does not matter and the read needs no quorum.
"""

from __future__ import annotations

import json
import logging

from starlette.requests import Request
from starlette.responses import Response

from etcdpy.api.ops.responses import METHOD_NOT_ALLOWED_TEXT, error_response
from etcdpy.api.ops.source import OpsSource
from etcdpy.base.errors import EtcdError
from etcdpy.base.ids import NO_MEMBER, format_id
from etcdpy.base.log import log_debug, log_warn

KNOWN_ALARMS = ("NOSPACE", "CORRUPT")


class HealthEndpoint:
    def __init__(self, source: OpsSource, log: logging.Logger) -> None:
        self._source = source
        self._log = log

    async def handle(self, request: Request) -> Response:
        if request.method != "GET":
            log_warn(self._log, "/health error", status_code=405)
            return error_response(METHOD_NOT_ALLOWED_TEXT, 405, {"Allow": "GET"})
        excluded = {name for name in request.query_params.getlist("exclude") if name}
        is_serializable = request.query_params.get("serializable") == "true"
        reason = await self._find_fault(excluded, is_serializable=is_serializable)
        body = json.dumps({"health": "false" if reason else "true", "reason": reason}, separators=(",", ":"))
        if reason:
            self._source.health.failures += 1
            log_warn(self._log, "/health error", output=body, status_code=503)
            return error_response(body, 503)
        self._source.health.success += 1
        log_debug(self._log, "/health OK", status_code=200)
        return Response(body, headers={"Content-Type": "text/plain; charset=utf-8"})

    async def _find_fault(self, excluded: set[str], *, is_serializable: bool) -> str:
        """Return what is wrong; empty when nothing is."""
        for alarm in self._source.alarms():
            if alarm.name in excluded:
                log_debug(self._log, "/health excluded alarm", alarm=alarm.name)
                continue
            described = f"memberID:{alarm.member_id} alarm:{alarm.name} "
            log_warn(self._log, "serving /health false due to an alarm", alarm=described)
            return f"ALARM {alarm.name}" if alarm.name in KNOWN_ALARMS else "ALARM UNKNOWN"
        if not is_serializable and self._source.leader_id() == NO_MEMBER:
            log_warn(self._log, "serving /health false; no leader", leader=format_id(NO_MEMBER))
            return "RAFT NO LEADER"
        try:
            await self._source.check_read(serializable=is_serializable)
        except EtcdError as error:
            log_warn(self._log, "serving /health false; Range fails", error=error)
            return f"RANGE ERROR:{error}"
        return ""
