"""The HTTP/1.1 application of a member's client port: operations endpoints, and room for more.

    app = build_ops_app(source, log, origins=config.cors, hosts=config.host_whitelist)

`ops_routes` are the bare endpoints, for an application that has others besides (the v2 API, the JSON gateway).
`build_metrics_app` is what `--listen-metrics-urls` serves: metrics and health, nothing else.
"""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from etcdpy.api.ops.debug_vars import debug_vars_body
from etcdpy.api.ops.front import Front
from etcdpy.api.ops.health import HealthEndpoint
from etcdpy.api.ops.probes import LIVEZ_CHECKS, READYZ_CHECKS, ProbeEndpoint
from etcdpy.api.ops.responses import json_response, not_found, only_get, version_body
from etcdpy.api.ops.source import OpsSource
from etcdpy.server.metrics_text import CONTENT_TYPE

# Every method reaches the endpoint: it is the endpoint that refuses, in Go's words.
ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]


def build_ops_app(
    source: OpsSource,
    log: logging.Logger,
    *,
    origins: Sequence[str] = ("*",),
    hosts: Sequence[str] = ("*",),
    names_count: Callable[[], bool] = lambda: False,
    more_routes: Sequence[BaseRoute] = (),
) -> ASGIApp:
    routes = [*ops_routes(source, log), *more_routes]
    return Front(application(routes), origins=origins, hosts=hosts, names_count=names_count)


def build_metrics_app(source: OpsSource, log: logging.Logger) -> ASGIApp:
    return application(health_routes(source, log))


def ops_routes(source: OpsSource, log: logging.Logger) -> list[BaseRoute]:
    endpoints = _PlainEndpoints(source)
    return [
        Route("/version", endpoints.version, methods=ANY_METHOD),
        Route("/debug/vars", endpoints.debug_vars, methods=ANY_METHOD),
        *health_routes(source, log),
    ]


def health_routes(source: OpsSource, log: logging.Logger) -> list[BaseRoute]:
    routes: list[BaseRoute] = [
        Route("/metrics", _PlainEndpoints(source).metrics, methods=ANY_METHOD),
        Route("/health", HealthEndpoint(source, log).handle, methods=ANY_METHOD),
    ]
    for kind, checks in (("livez", LIVEZ_CHECKS), ("readyz", READYZ_CHECKS)):
        whole = ProbeEndpoint(source, log, kind=kind, checks=checks)
        routes.append(Route(f"/{kind}", whole.handle, methods=ANY_METHOD))
        for check in checks:
            single = ProbeEndpoint(source, log, kind=kind, checks=(check,))
            routes.append(Route(f"/{kind}/{check}", single.handle, methods=ANY_METHOD))
    return routes


def application(routes: Sequence[BaseRoute]) -> Starlette:
    app = Starlette(routes=routes, exception_handlers={404: _not_found})
    app.router.redirect_slashes = False
    return app


async def _not_found(request: Request, error: Exception) -> Response:
    return not_found()


class _PlainEndpoints:
    def __init__(self, source: OpsSource) -> None:
        self._source = source

    async def version(self, request: Request) -> Response:
        return only_get(request) or json_response(version_body(self._source.cluster_version()))

    async def debug_vars(self, request: Request) -> Response:
        refusal = only_get(request)
        if refusal is not None:
            return refusal
        return json_response(debug_vars_body(self._source), content_type="application/json; charset=utf-8")

    async def metrics(self, request: Request) -> Response:
        """Answer any method, as etcd does."""
        body = self._source.metrics_text()
        headers = {"Content-Type": CONTENT_TYPE}
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers)
