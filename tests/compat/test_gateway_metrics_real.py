"""Calls through the JSON gateway in /metrics, beside the real etcd 3.5.1: its gateway is a client of its own port."""

from __future__ import annotations

import http.client
import json
import re
import time
from pathlib import Path
from typing import Final

import pytest

from tests.compat.both import run_on_both
from tests.compat.gateway_requests import FOO, Request, put
from tests.compat.test_gateway_real import ask
from tests.reference import RunningEtcd

pytestmark = pytest.mark.slow

PATIENCE_SECONDS: Final = 20.0
REQUESTS: Final = [
    put("foo", "bar"),
    put("foo", "baz"),
    Request("/v3/kv/range", json.dumps({"key": FOO})),
    Request("/v3beta/kv/range", json.dumps({"key": FOO})),
    Request("/v3/kv/range", "{}"),  # no key
    Request("/v3/kv/range", '{"key"'),  # no JSON: nobody is called
    Request("/v3/kv/nothing", "{}"),
    Request("/v3/kv/range", json.dumps({"key": FOO}), method="GET"),
    Request("/v3/kv/txn", "{}"),
    Request("/v3/lease/grant", '{"TTL":"100","ID":"7"}'),
    Request("/v3/lease/revoke", '{"ID":"8"}'),
    Request("/v3/lease/keepalive", '{"ID":"7"}'),
    Request("/v3/watch", '{"create_request":{"key":"' + FOO + '"}}', lines=1),
    Request("/v3/lock/lock", '{"name":"' + FOO + '"}'),
    Request("/v3/election/leader", '{"name":"' + FOO + '"}'),
    Request("/v3/auth/user/list", "{}", headers=(("Grpc-Metadata-Client-API-Version", "3.4"),)),
]
COUNTED: Final = re.compile(
    r"^((?:grpc_server_(?:started|handled|msg_received|msg_sent)|etcd_server_client_requests)_total\{.*\}) (\d+)$"
)


def scrape(server: RunningEtcd) -> dict[str, int]:
    """Return what was counted at all."""
    connection = http.client.HTTPConnection(server.endpoint, timeout=15)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    found = [match for line in lines if (match := COUNTED.match(line))]
    return {match[1]: int(match[2]) for match in found if int(match[2])}


def is_over(counts: dict[str, int]) -> bool:
    """The watch was cut by its client, which the server hears of a moment later."""
    return any("grpc_server_handled" in name and 'grpc_method="Watch"' in name for name in counts)


def test_the_same_calls_give_the_same_numbers(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> dict[str, int]:
        for request in REQUESTS:
            ask(server, request)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_over(counts := scrape(server)):
            assert time.monotonic() < deadline, "the watch is never over"
        return counts

    both = run_on_both(tmp_path, script)

    assert len(both.theirs) > 25
    assert both.ours == both.theirs
