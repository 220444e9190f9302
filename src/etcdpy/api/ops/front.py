"""What stands before every HTTP/1.1 endpoint of the client port: CORS, the host whitelist, paths as Go's mux has them.

The three headers of CORS are on every answer, and OPTIONS ends here with 200, as in etcd. A Host that is not on the
whitelist gets 421 (DNS rebinding, CVE-2018-5702); with TLS the certificate already says who we are, so nothing is
checked then. But a client whose own certificate says who he is would be nobody behind the gateway, which calls in its
own name (CVE-2018-16886): where such names count he is told so, with 400.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etcdpy.api.gateway.paths import is_gateway_path
from etcdpy.api.ops.responses import error_response

ALLOWED_METHODS: Final = "POST, GET, OPTIONS, PUT, DELETE"
ALLOWED_HEADERS: Final = "accept, content-type, authorization"
REBINDING_TEXT: Final = (
    "This member is not known under the host name %s, so it does not answer (DNS rebinding, CVE-2018-5702).\n"
    "Use a name that --host-whitelist allows, add this one to it, or use TLS."
)

IGNORED_NAME_TEXT: Final = (
    "CommonName of client sending a request against gateway will be ignored and not used as expected"
)
# Where the transport leaves the common name of the client's certificate, in the scope's state.
COMMON_NAME: Final = "common_name"


def _no_names_count() -> bool:
    return False


class Front:
    """An ASGI application around another."""

    def __init__(
        self,
        inner: ASGIApp,
        *,
        origins: Sequence[str] = ("*",),
        hosts: Sequence[str] = ("*",),
        names_count: Callable[[], bool] = _no_names_count,
    ) -> None:
        """`names_count`: whether the names in clients' certificates are users now."""
        self._inner = inner
        self._origins = frozenset(origins)
        self._hosts = frozenset(hosts)
        self._names_count = names_count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if scope.get("scheme") not in ("https", "wss") and not self._is_host_allowed(host):
            await error_response(REBINDING_TEXT % json.dumps(_host_name(host)), 421)(scope, receive, send)
            return
        if self._would_be_nobody(scope):
            await error_response(IGNORED_NAME_TEXT, 400)(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        respond = _with_headers(send, self._cors_headers(headers.get("origin", "")))
        if scope["method"] == "OPTIONS":
            await respond({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await respond({"type": "http.response.body", "body": b""})
            return
        cleaned = clean_path(scope["path"])
        if cleaned != scope["path"]:
            await redirect(cleaned, scope, respond)
            return
        await self._inner(scope, receive, respond)

    def _would_be_nobody(self, scope: Scope) -> bool:
        """Whether a client with a name asks the gateway, which does not take it over."""
        if not scope.get("state", {}).get(COMMON_NAME) or not is_gateway_path(scope["path"]):
            return False
        return self._names_count()

    def _is_host_allowed(self, host: str) -> bool:
        if not self._hosts.difference(("",)) or "*" in self._hosts:
            return True
        return _host_name(host) in self._hosts

    def _cors_headers(self, origin: str) -> list[tuple[bytes, bytes]]:
        if not self._origins or "*" in self._origins:
            allowed = "*"
        elif origin in self._origins:
            allowed = origin
        else:
            return []
        return [
            (b"access-control-allow-methods", ALLOWED_METHODS.encode()),
            (b"access-control-allow-origin", allowed.encode()),
            (b"access-control-allow-headers", ALLOWED_HEADERS.encode()),
        ]


def _host_name(host: str) -> str:
    """Return the host of `host:port`, without the brackets of an IPv6 address."""
    name, colon, port = host.rpartition(":")
    return name.strip("[]") if colon and port.isdigit() else host.strip("[]")


def _with_headers(send: Send, extra: list[tuple[bytes, bytes]]) -> Send:
    async def respond(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*extra, *message.get("headers", ())]
        await send(message)

    return respond


def clean_path(path: str) -> str:
    """Return the path as Go's ServeMux wants it: one slash, no dots; it redirects to that."""
    if not path.startswith("/"):
        path = "/" + path
    cleaned = posixpath.normpath(path).replace("//", "/", 1)
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned


async def redirect(path: str, scope: Scope, respond: Send) -> None:
    query = scope["query_string"]
    target = path.encode() + (b"?" + query if query else b"")
    shown = path.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;")
    # A page for those who look at one; who posts gets the address only.
    is_shown = scope["method"] in ("GET", "HEAD")
    body = b"" if scope["method"] != "GET" else f'<a href="{shown}">Moved Permanently</a>.\n\n'.encode()
    headers = [
        (b"location", target),
        (b"content-length", str(len(body)).encode()),
    ]
    if is_shown:
        headers.append((b"content-type", b"text/html; charset=utf-8"))
    await respond({"type": "http.response.start", "status": 301, "headers": headers})
    await respond({"type": "http.response.body", "body": body})
