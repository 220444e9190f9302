"""The gateway's WebSockets, snapshot stream and random work, on the real etcd and ours."""

from __future__ import annotations

import asyncio
import json
import random
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.compat.both import run_on_both
from tests.compat.gateway_requests import Request
from tests.compat.test_gateway_real import Answer, ask
from tests.reference import RunningEtcd

WAIT_SECONDS_MAX: Final = 20.0


def talk(server: RunningEtcd, path: str, messages: Sequence[str | bytes], count: int, **options: Any) -> list[Any]:
    """Send messages over a WebSocket and return the first `count` that come back; None where it was closed."""

    async def run() -> list[Any]:
        seen: list[Any] = []
        async with connect(f"ws://{server.endpoint}{path}", compression=None, ping_interval=None, **options) as socket:
            seen.append(socket.subprotocol)
            with suppress(ConnectionClosed):  # an answer may come before the question
                for message in messages:
                    await socket.send(message)
            try:
                for _ in range(count):
                    seen.append(await asyncio.wait_for(socket.recv(), WAIT_SECONDS_MAX))
            except ConnectionClosed:
                seen.append(None)
        return seen

    return asyncio.run(run())


CREATE: Final = '{"create_request":{"key":"Zm9v"}}'


def test_web_sockets(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Any]:
        return [
            talk(server, "/v3/watch", [CREATE, CREATE], 2),
            talk(server, "/v3/watch", [CREATE[:20], CREATE[20:]], 1),
            talk(server, "/v3beta/watch", [CREATE.encode()], 1),
            talk(server, "/v3/watch", ["x"], 2),
            talk(server, "/v3/lease/keepalive", ['{"ID":"5"}', '{"ID":"6"}'], 2),
            talk(server, "/v3/nothing", ["{}"], 2),
            talk(server, "/v3/watch", [], 0, subprotocols=["Bearer"]),
        ]

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs


def test_a_snapshot_is_a_database_and_its_digest(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Any]:
        for number in range(20):
            value = b64encode(bytes([number]) * 50_000).decode()
            ask(server, Request("/v3/kv/put", json.dumps({"key": b64encode(b"k%d" % number).decode(), "value": value})))
        status, headers, body = ask(server, Request("/v3/maintenance/snapshot"))
        lines = [json.loads(line)["result"] for line in body.splitlines()]
        content = b"".join(b64decode(line["blob"]) for line in lines)
        data, digest = content[:-32], content[-32:]
        return [status, headers, sha256(data).digest() == digest, len(data) > 1_000_000, sorted(lines[0])]

    both = run_on_both(tmp_path, script)

    # Only 3.5.33 and later tell the version; the header is on every part of both.
    assert both.ours[:4] == both.theirs[:4]
    assert both.ours[2:4] == [True, True]


class RandomRequests:
    """Requests to the gateway, decided by a seed alone."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def next(self) -> Request:
        make = self.random.choice([self.put, self.put, self.range, self.delete, self.txn, self.lease, self.lock])
        return make()

    def key(self) -> str:
        return b64encode(self.random.choice([b"a", b"b", b"b/1", b"\xff\0", b""])).decode()

    def number(self) -> Any:
        return self.random.choice(["0", 0, "1", 2, "7", -1, "x", 1.5, None, "4711"])

    def put(self) -> Request:
        body: dict[str, Any] = {"key": self.key(), "value": b64encode(self.random.randbytes(5)).decode()}
        if self.random.random() < 0.3:
            body["lease"] = self.number()
        if self.random.random() < 0.3:
            body[self.random.choice(["prev_kv", "prevKv", "ignore_value", "ignoreLease"])] = True
        return Request("/v3/kv/put", json.dumps(body))

    def range(self) -> Request:
        body = {"key": self.key(), "range_end": self.key(), "limit": self.number(), "revision": self.number()}
        for name in ("keys_only", "count_only", "serializable"):
            body[name] = self.random.random() < 0.3
        return Request("/v3/kv/range", json.dumps(body))

    def delete(self) -> Request:
        body = {"key": self.key(), "rangeEnd": self.key(), "prevKv": self.random.random() < 0.5}
        return Request("/v3/kv/deleterange", json.dumps(body))

    def txn(self) -> Request:
        target = self.random.choice(["VERSION", "CREATE", "MOD", "VALUE", "LEASE", 3, "NONE"])
        field = self.random.choice(["version", "createRevision", "mod_revision", "lease"])
        compare = {"key": self.key(), "target": target, "result": self.random.randrange(4), field: self.number()}
        success = [{"request_put": {"key": self.key(), "value": "eA=="}}, {"requestRange": {"key": self.key()}}]
        failure = [{"request_delete_range": {"key": self.key()}}]
        body = {"compare": [compare], "success": success[: self.random.randrange(3)], "failure": failure}
        return Request("/v3/kv/txn", json.dumps(body))

    def lease(self) -> Request:
        path = self.random.choice(["grant", "revoke", "timetolive", "leases", "keepalive"])
        lease = self.random.choice(["4711", 7, "x", "8"])
        return Request(f"/v3/lease/{path}", json.dumps({"ID": lease, "TTL": "5000", "keys": True}))

    def lock(self) -> Request:
        lease = self.random.choice(["4711", "77"])
        name = b64encode(self.random.choice([b"l", b"m"])).decode()
        path = self.random.choice(["lock/lock", "lock/unlock", "election/campaign", "election/leader"])
        return Request(f"/v3/{path}", json.dumps({"name": name, "lease": lease, "key": name, "value": name}))


def without_remaining_time(answer: Answer) -> Answer:
    """A lease's remaining seconds depend on the machine, and the order of its keys on nothing at all."""
    status, headers, body = answer
    if b"grantedTTL" in body:
        found = json.loads(body)
        del found["TTL"]
        found.get("keys", []).sort()
        body = json.dumps(found).encode()
    return status, headers, body


def test_random_requests_are_answered_alike(tmp_path: Path) -> None:
    requests = RandomRequests(seed=7)
    todo = [requests.next() for _ in range(520)]

    def script(server: RunningEtcd) -> list[Answer]:
        return [without_remaining_time(ask(server, request)) for request in todo]

    both = run_on_both(tmp_path, script)

    for request, theirs, ours in zip(todo, both.theirs, both.ours, strict=True):
        assert ours == theirs, request
