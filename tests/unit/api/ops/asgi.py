"""Calling an ASGI application without a socket, and a member that is what a test wants it to be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from starlette.types import ASGIApp

from etcdpy.api.ops.source import RaisedAlarm
from etcdpy.base.errors import EtcdError
from etcdpy.server.metrics_source import HealthCounts


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: str


def call(
    app: ASGIApp,
    target: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    scheme: str = "http",
    body: bytes = b"",
    state: Mapping[str, Any] | None = None,
) -> Reply:
    path, _, query = target.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2379),
        "state": dict(state or {}),
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def run() -> None:
        await app(scope, receive, send)

    asyncio.run(run())
    start = sent[0]
    answer = b"".join(message.get("body", b"") for message in sent[1:])
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], found, answer.decode("latin-1"))


class FakeMember:
    """An OpsSource made of plain attributes."""

    def __init__(self) -> None:
        self.health = HealthCounts()
        self.raised: list[RaisedAlarm] = []
        self.leader = 7
        self.learner = False
        self.read_errors: dict[bool, EtcdError] = {}  # by serializable

    def cluster_version(self) -> str:
        return "3.5.0"

    def alarms(self) -> Sequence[RaisedAlarm]:
        return self.raised

    def leader_id(self) -> int:
        return self.leader

    def is_learner(self) -> bool:
        return self.learner

    async def check_read(self, *, serializable: bool) -> None:
        if serializable in self.read_errors:
            raise self.read_errors[serializable]

    def metrics_text(self) -> bytes:
        return b"# TYPE x counter\nx 1\n"

    def raft_status(self) -> Mapping[str, object]:
        return {"term": 2}
