"""The JSON gateway of the real etcd and ours: the same requests, the same bytes back."""

from __future__ import annotations

import http.client
import re
from pathlib import Path
from typing import Final

from tests.compat import gateway_requests
from tests.compat.both import run_on_both
from tests.compat.gateway_requests import Request
from tests.reference import RunningEtcd

SECONDS_MAX: Final = 15.0
HEADERS: Final = (
    "content-type",
    "grpc-metadata-content-type",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "x-content-type-options",
    "location",
)
Answer = tuple[int, dict[str, str], bytes]


def ask(server: RunningEtcd, request: Request) -> Answer:
    """Return status, the headers that matter, and the body."""
    host, _, port = server.endpoint.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS_MAX)
    try:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        connection.request(request.method, request.path, body, dict(request.headers))
        response = connection.getresponse()
        text = b"".join(response.readline() for _ in range(request.lines)) if request.lines else response.read()
        headers = {name: value for name in HEADERS if (value := response.getheader(name)) is not None}
        return response.status, headers, text
    finally:
        connection.close()


# Sizes, versions and times are each server's own.
BLURRED: Final = re.compile(rb'"(version|raft_term|etcdserver)":"[0-9.]+"')


def blurred(answer: Answer, request: Request) -> Answer:
    status, headers, body = answer
    if request.path == "/version":
        body = BLURRED.sub(b"", body)
    return status, headers, body


def test_every_request_is_answered_alike(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Answer]:
        return [blurred(ask(server, request), request) for request in gateway_requests.ALL]

    both = run_on_both(tmp_path, script)

    assert len(gateway_requests.ALL) > 150
    different = [
        f"{request.method} {request.path} {request.body[:200]!r}\n  theirs {theirs}\n  ours   {ours}"
        for request, theirs, ours in zip(gateway_requests.ALL, both.theirs, both.ours, strict=True)
        if theirs != ours
    ]
    assert not different, "\n".join(different)
