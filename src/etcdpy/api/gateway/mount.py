"""Where the gateway stands in the client port's application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from etcdpy.api.gateway.app import Gateway
from etcdpy.api.gateway.paths import BETA_PREFIX, PREFIX, is_gateway_path
from etcdpy.api.ops.front import redirect
from etcdpy.api.ops.responses import not_found
from etcdpy.api.v3.local import LocalMethods

SOCKET_PREFIXES: Final = (PREFIX.encode(), BETA_PREFIX.encode())


def gateway_routes(methods: LocalMethods, *, message_bytes_max: int) -> Sequence[BaseRoute]:
    """Return the routes for an application of Starlette."""
    return [GatewayRoute(Gateway(methods, message_bytes_max=message_bytes_max))]


class GatewayRoute(BaseRoute):
    """Everything below the gateway's prefixes; Go's mux sends who forgot the last slash there."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope["path"]
        is_ours = scope["type"] in ("http", "websocket") and (is_gateway_path(path) or path == PREFIX[:-1])
        return (Match.FULL if is_ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_gateway_path(scope["path"]):
            await self._gateway(scope, receive, send)
        elif scope["type"] == "http":
            await redirect(PREFIX, scope, send)
        else:
            await not_found()(scope, receive, send)
