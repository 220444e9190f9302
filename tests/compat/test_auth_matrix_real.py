"""Who may do what: every method, by everybody who could ask, answered by ours and the real etcd 3.5.1 alike."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.auth_matrix import CALLERS, CHEAP, FIXED_SINCE, OWN_PEER_URL, ROWS, Row, set_up
from tests.compat.auth_operations import Player, Step
from tests.compat.both import Both, path_of, run_on_both
from tests.reference import RunningEtcd

pytestmark = pytest.mark.slow

Cells = dict[tuple[str, bytes], tuple[int, str]]
STREAMS: Final = ("Watch/Watch", "Lease/LeaseKeepAlive", "Maintenance/Snapshot", "/v3electionpb.Election/Observe")
READ_SECONDS: Final = 20.0
ALLOWED: Final = (0, "")
# A stream that ended well, and told nothing.
NOTHING: Final = (0, "nothing")


def ask_everything(server: RunningEtcd) -> Cells:
    player = Player(server.endpoint)
    set_up(player)
    seen: Cells = {}
    for row in ROWS:
        for caller in CALLERS:
            answer = seen[row[0], caller] = ask(player, server, row, caller)
            if row[0] == "revoke of others" and answer == ALLOWED:
                break  # the lease is gone
    player.close()
    return seen


def ask(player: Player, server: RunningEtcd, row: Row, caller: bytes) -> tuple[int, str]:
    _, method, request = row
    if method in STREAMS:
        return ask_stream(player, method, request, caller)
    if isinstance(request, pb.MemberAddRequest):
        assert list(request.peerURLs) == [OWN_PEER_URL]
        request = pb.MemberAddRequest(peerURLs=[server.peer_url], isLearner=request.isLearner)
    answer = player.play(Step(caller, method, request))
    return answer.code, answer.text


def ask_stream(player: Player, method: str, request: Any, caller: bytes) -> tuple[int, str]:
    """Return how the stream ended, or ALLOWED when a first message came. Of a watch: why it was cancelled."""
    stream = player.channel.stream(path_of(method), player.metadata(caller))
    is_watch = isinstance(request, pb.WatchCreateRequest)
    try:
        stream.write((pb.WatchRequest(create_request=request) if is_watch else request).SerializeToString())
        if not is_watch:
            stream.finish_writing()
        message = stream.read(READ_SECONDS)
    except EtcdError as error:
        return error.code, error.text
    finally:
        stream.cancel()
    if message is None:
        return NOTHING
    return (0, pb.WatchResponse.FromString(message).cancel_reason) if is_watch else ALLOWED


def assert_alike(seen: Both[Cells]) -> None:
    differences = [
        f"{name}, {caller!r}: real {theirs}, ours {seen.ours.get((name, caller))}"
        for (name, caller), theirs in seen.theirs.items()
        if seen.ours.get((name, caller)) != FIXED_SINCE.get(name, {}).get(caller, theirs)
    ]
    assert not differences, "\n".join(differences)


def test_the_matrix(tmp_path: Path) -> None:
    assert_alike(run_on_both(tmp_path, ask_everything, flags=CHEAP))


# -- through the gateway: the same answers, for some of the rows

GATEWAY_ROWS: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("range", "kv/range", {"key": "YQ=="}),
    ("range beyond", "kv/range", {"key": "YQ==", "range_end": "ZA=="}),
    ("range from a key", "kv/range", {"key": "YQ==", "range_end": "AA=="}),
    ("put", "kv/put", {"key": "YQ==", "value": "dg=="}),
    ("put with prev_kv", "kv/put", {"key": "YQ==", "prev_kv": True}),
    ("put on a lease of others", "kv/put", {"key": "Yg==", "lease": "2"}),
    ("delete in range", "kv/deleterange", {"key": "Yg==", "range_end": "YmI="}),
    (
        "txn that reads, nested",
        "kv/txn",
        {"success": [{"request_txn": {"success": [{"request_range": {"key": "eA=="}}]}}]},
    ),
    ("compact", "kv/compaction", {"revision": "1000"}),
    ("leases", "lease/leases", {}),
    ("members", "cluster/member/list", {}),
    ("member removed", "cluster/member/remove", {"ID": "1"}),
    ("status", "maintenance/status", {}),
    ("hash", "maintenance/hash", {}),
    ("auth status", "auth/status", {}),
    ("own user described", "auth/user/get", {"name": "without"}),
    ("users", "auth/user/list", {}),
    ("roles", "auth/role/list", {}),
    ("permission taken", "auth/role/revoke", {"role": "none", "key": "YQ=="}),
]


def ask_the_gateway(server: RunningEtcd) -> Cells:
    player = Player(server.endpoint)
    set_up(player)
    connection = http.client.HTTPConnection(server.endpoint, timeout=READ_SECONDS)
    seen: Cells = {}
    for name, path, body in GATEWAY_ROWS:
        for caller in CALLERS:
            token = player.tokens.get(caller)
            headers = {"Authorization": token.decode()} if token else {}
            connection.request("POST", f"/v3/{path}", json.dumps(body), headers)
            answer = json.loads(connection.getresponse().read())
            seen[name, caller] = answer.get("code", 0), answer.get("message", "")
    connection.close()
    player.close()
    return seen


def test_the_gateway_lets_in_whom_the_methods_let_in(tmp_path: Path) -> None:
    assert_alike(run_on_both(tmp_path, ask_the_gateway, flags=CHEAP))
