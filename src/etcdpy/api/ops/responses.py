"""Answers in the shape of Go's net/http, which scripts around etcd compare."""

from __future__ import annotations

import json
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from etcdpy.base.version import VERSION

NOT_FOUND_TEXT = "404 page not found"
METHOD_NOT_ALLOWED_TEXT = "Method Not Allowed"


TEXT_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}


def text_response(body: str) -> Response:
    """Return a text, with a type that browsers may not guess at."""
    return Response(body, headers=TEXT_HEADERS)


def error_response(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """Return what http.Error sends: the text, a newline, and a type that browsers may not guess at."""
    return Response(text + "\n", status_code=status, headers={**TEXT_HEADERS, **(headers or {})})


def not_found() -> Response:
    return error_response(NOT_FOUND_TEXT, 404)


def only_get(request: Request) -> Response | None:
    """Return the refusal of a method other than GET, or None."""
    if request.method == "GET":
        return None
    return error_response(METHOD_NOT_ALLOWED_TEXT, 405, {"Allow": "GET"})


def json_response(body: str, status: int = 200, content_type: str = "application/json") -> Response:
    return Response(body, status_code=status, headers={"Content-Type": content_type})


def members_response(members: Sequence[dict[str, object]], cluster_id: str) -> Response:
    """Return members as what Go's json.Encoder writes: one line."""
    body = json.dumps(list(members), separators=(",", ":"), ensure_ascii=False)
    return Response(body + "\n", headers={"Content-Type": "application/json", "X-Etcd-Cluster-ID": cluster_id})


def version_body(cluster_version: str) -> str:
    return f'{{"etcdserver":"{VERSION}","etcdcluster":"{cluster_version}"}}'
