"""Who may do what: every method, by everybody who could ask, answered by ours and the real etcd 3.5.1 alike."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.auth_matrix import (
    CALLERS,
    CHEAP,
    DENIED,
    FIXED_SINCE,
    NOT_ROOT,
    OWN_PEER_URL,
    ROWS,
    Row,
    downgrade,
    set_up,
)
from tests.compat.auth_operations import Player, Step
from tests.compat.both import Both, path_of, run_on_both
from tests.ours import ours_binary
from tests.reference import RunningEtcd, start_reference_etcd

pytestmark = pytest.mark.slow

Cells = dict[tuple[str, bytes], tuple[int, str]]
STREAMS: Final = ("Watch/Watch", "Lease/LeaseKeepAlive", "Maintenance/Snapshot", "/v3electionpb.Election/Observe")
READ_SECONDS: Final = 20.0
ALLOWED: Final = (0, "")
# An entry that changes nothing. Before it notes that a change of members is applied, which may be after the answer, the
# real one drops the next such change, which then times out: another entry has to come between them.
BETWEEN_CHANGES: Final = Step(b"root", "Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=9))
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
    if method.startswith("Cluster/") and caller == b"root":
        player.play(BETWEEN_CHANGES)
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


# -- a range as a stream


def read_as_stream(player: Player, request: pb.RangeRequest, caller: bytes) -> tuple[int, str, bytes]:
    """Return code, text and the merged answer, as `Player.play` gives the answer of KV/Range."""
    stream = player.channel.stream(path_of("KV/RangeStream"), player.metadata(caller))
    merged = b""
    try:
        stream.write(request.SerializeToString())
        stream.finish_writing()
        while (message := stream.read(READ_SECONDS)) is not None:
            merged += pb.RangeStreamResponse.FromString(message).range_response.SerializeToString()
    except EtcdError as error:
        return error.code, error.text, b""
    finally:
        stream.cancel()
    return 0, "", merged


def test_a_range_is_streamed_to_whom_it_is_told(tmp_path: Path) -> None:
    """3.5.1 knows no RangeStream: each caller's is compared with the same caller's Range, which the matrix compares."""
    rows = [row for row in ROWS if row[1] == "KV/Range"]
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd"), flags=CHEAP) as server:
        player = Player(server.endpoint)
        set_up(player)
        codes: dict[bytes, set[int]] = {}
        for name, method, request in rows:
            for caller in CALLERS:
                told = player.play(Step(caller, method, request))
                code, text, answer = read_as_stream(player, request, caller)
                assert (code, text) == (told.code, told.text), (name, caller)
                assert pb.RangeResponse.FromString(answer) == pb.RangeResponse.FromString(told.answer), (name, caller)
                codes.setdefault(caller, set()).add(code)
        player.close()
    assert codes[b"root"] == {0} and codes[b"reader"] == {0, DENIED[0]}
    assert 0 not in codes[b""] | codes[b"stranger"] | codes[b"expired"]


# -- downgrades that would begin


def is_downgrading(server: RunningEtcd) -> bytes:
    """Ask as another member does."""
    connection = http.client.HTTPConnection(server.peer_url.partition("://")[2], timeout=READ_SECONDS)
    connection.request("GET", "/downgrade/enabled")
    answer = connection.getresponse().read()
    connection.close()
    return answer


def test_only_root_begins_and_ends_a_downgrade(tmp_path: Path) -> None:
    """Of ours: 3.5.1 lets everybody, and leaves them without an answer."""
    enable, cancel = downgrade(pb.DowngradeRequest.ENABLE, "3.4"), downgrade(pb.DowngradeRequest.CANCEL)
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd"), flags=CHEAP) as server:
        player = Player(server.endpoint)
        set_up(player)
        for request, before, after in ((enable, b"false", b"true"), (cancel, b"true", b"false")):
            for caller in CALLERS[:-1]:
                seen = player.play(Step(caller, "Maintenance/Downgrade", request))
                assert (seen.code, seen.text) == NOT_ROOT[caller], (request, caller)
                assert is_downgrading(server) == before
            assert player.play(Step(b"root", "Maintenance/Downgrade", request)).code == 0
            assert is_downgrading(server) == after
        player.close()


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
