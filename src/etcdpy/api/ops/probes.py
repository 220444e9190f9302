"""/livez and /readyz: named checks, in the manner of Kubernetes.

    GET /readyz                     200 `ok`, or 503 and one line per check
    GET /readyz?verbose             the lines also when all is well
    GET /readyz?exclude=name        without that check (may be repeated; unknown names are logged and ignored)
    GET /readyz/linearizable_read   that check alone

A member is alive when it can read its own data; it is ready when it can also read linearizably, has a vote, and nobody
has found its data corrupt.
"""

from __future__ import annotations

import json
import logging
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from etcdpy.api.ops.responses import error_response, only_get, text_response
from etcdpy.api.ops.source import OpsSource
from etcdpy.base.errors import EtcdError
from etcdpy.base.log import log_debug, log_error, log_warn

DATA_CORRUPTION: Final = "data_corruption"
SERIALIZABLE_READ: Final = "serializable_read"
LINEARIZABLE_READ: Final = "linearizable_read"
NON_LEARNER: Final = "non_learner"

LIVEZ_CHECKS: Final = (SERIALIZABLE_READ,)
READYZ_CHECKS: Final = (DATA_CORRUPTION, SERIALIZABLE_READ, LINEARIZABLE_READ, NON_LEARNER)


class ProbeEndpoint:
    """One of the two, or one check of it."""

    def __init__(self, source: OpsSource, log: logging.Logger, *, kind: str, checks: tuple[str, ...]) -> None:
        self._source = source
        self._log = log
        self._kind = kind
        self._checks = checks

    async def handle(self, request: Request) -> Response:
        refusal = only_get(request)
        if refusal is not None:
            log_warn(self._log, "Health request error", path=request.url.path, status_code=405)
            return refusal
        failed = False
        report = ""
        for name in self._wanted(request):
            fault = await self._find_fault(name)
            self._source.health.record(kind=self._kind, name=name, passed=not fault)
            report += f"[-]{name} failed: {fault}\n" if fault else f"[+]{name} ok\n"
            failed = failed or bool(fault)
        path = request.url.path
        if failed:
            log_error(self._log, "Health check error", path=path, reason=report, status_code=503)
            return error_response(report, 503)
        log_debug(self._log, "Health check OK", path=path, reason=report, status_code=200)
        body = (report if "verbose" in request.query_params else "") + "ok\n"
        return text_response(body)

    def _wanted(self, request: Request) -> list[str]:
        # A sub-path asks for its check whatever is excluded.
        if request.url.path.count("/") > 1:
            return list(self._checks)
        excluded = {name for name in request.query_params.getlist("exclude") if name}
        unknown = sorted(excluded.difference(self._checks))
        if unknown:
            missing = ",".join(map(json.dumps, unknown))
            log_warn(self._log, "some health checks cannot be excluded", missing_health_checks=missing)
        return [name for name in self._checks if name not in excluded]

    async def _find_fault(self, name: str) -> str:
        """Return what is wrong; empty when nothing is."""
        if name == DATA_CORRUPTION:
            is_corrupt = any(alarm.name == "CORRUPT" for alarm in self._source.alarms())
            return "alarm activated: CORRUPT" if is_corrupt else ""
        if name == NON_LEARNER:
            return "not supported for learner" if self._source.is_learner() else ""
        try:
            await self._source.check_read(serializable=name == SERIALIZABLE_READ)
        except EtcdError as error:
            return str(error) or "read failed"
        return ""
