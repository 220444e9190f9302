"""Requests of the JSON gateway, one list for both servers. They run in this order, on a store that begins empty.

A line: path, body. Streams are read to their first `lines` lines and then cut.
"""

from __future__ import annotations

import base64
import json
from typing import Final, NamedTuple


class Request(NamedTuple):
    path: str
    body: str | bytes = "{}"
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    lines: int = 0  # of a stream that does not end


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def put(key: str, value: str, **more: object) -> Request:
    return Request("/v3/kv/put", json.dumps({"key": b64(key), "value": b64(value), **more}))


def nested(depth: int) -> str:
    return '{"success":[{"request_txn":' * depth + "{}" + "}]}" * depth


FOO: Final = b64("foo")
RANGE, PUT, TXN = "/v3/kv/range", "/v3/kv/put", "/v3/kv/txn"

KEYS: Final = [
    put("foo", "bar"),
    put("foo", "baz", prev_kv=True),
    put("foo2", "x" * 3000),
    put("a<b>&", "<>&"),
    put("foo", "", prevKv=True),
    put("leased", "v", lease="4711"),
    Request(RANGE, json.dumps({"key": FOO})),
    Request("/v3beta/kv/range", json.dumps({"key": FOO})),
    Request("/v3alpha/kv/range", json.dumps({"key": FOO})),
    Request(RANGE, json.dumps({"key": FOO, "range_end": "Zm9w"})),
    Request(RANGE, json.dumps({"key": "AA==", "range_end": "AA=="})),
    Request(RANGE, json.dumps({"key": "AA==", "rangeEnd": "AA==", "countOnly": True})),
    Request(RANGE, json.dumps({"key": "AA==", "range_end": "AA==", "keys_only": True, "limit": 1})),
    Request(RANGE, json.dumps({"key": "AA==", "range_end": "AA==", "sort_order": "DESCEND", "sort_target": "VERSION"})),
    Request(RANGE, json.dumps({"key": "AA==", "range_end": "AA==", "sort_order": 2, "sort_target": 1})),
    Request(RANGE, json.dumps({"key": FOO, "revision": "2"})),
    Request(RANGE, json.dumps({"key": FOO, "revision": 2})),
    Request(RANGE, json.dumps({"key": FOO, "revision": "9999"})),
    Request(RANGE, json.dumps({"key": FOO, "serializable": True})),
    Request(RANGE, json.dumps({"key": FOO, "sort_order": 77})),
    Request(RANGE, '{"key":"Zm9v","sortOrder":"ASCEND"} and more'),
    Request(RANGE, "{}"),
    Request(RANGE, ""),
    Request(RANGE, " \n\t "),
    Request(RANGE, "null"),
    Request("/v3/kv/deleterange", json.dumps({"key": b64("foo2"), "prev_kv": True})),
    Request("/v3/kv/deleterange", json.dumps({"key": b64("nobody")})),
    Request("/v3/kv/deleterange", "{}"),
    Request("/v3/kv/compaction", json.dumps({"revision": "3"})),
    Request("/v3/kv/compaction", json.dumps({"revision": "3"})),
    Request("/v3/kv/compaction", json.dumps({"revision": "999999"})),
    Request("/v3/kv/compaction", json.dumps({"revision": "4", "physical": True})),
    Request(RANGE, json.dumps({"key": FOO, "revision": 2})),
]

_COMPARE = {"key": FOO, "target": "VERSION", "result": "EQUAL", "version": "3"}
TXNS: Final = [
    Request(TXN, json.dumps({"compare": [_COMPARE], "success": [{"request_range": {"key": FOO}}]})),
    Request(TXN, json.dumps({"compare": [_COMPARE], "success": [{"requestPut": {"key": FOO, "value": FOO}}]})),
    Request(TXN, json.dumps({"compare": [_COMPARE], "failure": [{"requestDeleteRange": {"key": FOO}}]})),
    Request(TXN, json.dumps({"compare": [{**_COMPARE, "value": FOO}]})),
    Request(TXN, json.dumps({"compare": [{"key": FOO, "target": "LEASE", "result": "NOT_EQUAL", "lease": "0"}]})),
    Request(TXN, json.dumps({"compare": [{"key": FOO, "target": 2, "result": 1, "mod_revision": 0}]})),
    Request(TXN, json.dumps({"success": [{"request_put": {"key": "YQ=="}}, {"request_put": {"key": "YQ=="}}]})),
    Request(TXN, '{"success":[{}]}'),
    Request(TXN, '{"success":[null]}'),
    Request(TXN, '{"success":{}}'),
    Request(TXN, '{"success":[{"request_range":null}]}'),
    Request(TXN, '{"success":[{"request_range":{}}]}'),
    Request(TXN, '{"success":[{"request_range":5}]}'),
    Request(TXN, '{"success":[1,2'),
    Request(TXN, '{"success":[1,2]}'),
    Request(TXN, '{"compare":[{"target":"NONE"}]}'),
    Request(TXN, "{}"),
    Request(TXN, nested(1)),
    Request(TXN, nested(5)),
    Request(TXN, nested(100)),
]

BAD_JSON: Final = [
    Request(PUT, body)
    for body in [
        "x",
        "'",
        '"',
        "{",
        "}",
        "[",
        "[]",
        '"text"',
        "true",
        "tru",
        "trux",
        "falsy",
        "nul",
        "5",
        "-",
        "-x",
        "1.",
        "1.x",
        "1e",
        "1e+",
        "1e+x",
        "\x00",
        "\x7f",
        "\u00e9",
        "\u20ac",
        '{"key":"YQ==",}',
        '{"key" "YQ=="}',
        '{"key"',
        '{"key":',
        '{"key":}',
        "{key:1}",
        "{1:1}",
        '{"key":"a\nb"}',
        '{"key":"a\tb"}',
        '{"key":"\\x"}',
        '{"key":"\\u12"}',
        '{"key":"\\u12g4"}',
        '{"key":nul}',
        '{"key":01}',
        '{"key":-}',
        '{"key":1.}',
        '{"key":.5}',
        '{"key":1e}',
        '{"key":+1}',
        '{"key":NaN}',
        '{"key":Infinity}',
        '{"key":-Infinity}',
        '{"key":"YQ=="]',
        "[1,2}",
        "[1 2]",
        "[1,]",
        "[,1]",
        '{"a":{"b":[1,{"c":}]}}',
        '{"a":1}}',
        "\ufeff{}",
        "// comment",
    ]
]

BAD_VALUES: Final = [
    Request(PUT, body)
    for body in [
        '{"key":1}',
        '{"key":{}}',
        '{"key":[]}',
        '{"key":[97,null,255]}',
        '{"key":[256]}',
        '{"key":["1"]}',
        '{"key":true}',
        '{"key":null,"lease":null}',
        '{"key":"Zm9"}',
        '{"key":"YQ"}',
        '{"key":"Y"}',
        '{"key":"Y$Q="}',
        '{"key":"YQ==YQ=="}',
        '{"key":"YQ="}',
        '{"key":"YQ=x"}',
        '{"key":"Y==="}',
        '{"key":"===="}',
        '{"key":"YWJjZGVm="}',
        '{"key":"YW\\nJjZGV$"}',
        '{"key":"YQ\\n=="}',
        '{"key":"Y-Q_"}',
        '{"key":"YQ==","value":"\\u00e9"}',
        '{"KEY":"YQ=="}',
        '{"key":"YQ==","key":"Yg=="}',
        '{"key":"YQ==","unknown":{"a":[1,{"b":null}]}}',
        '{"key":"YQ==","prev_kv":"true"}',
        '{"key":"YQ==","prev_kv":1}',
        '{"key":"YQ==","prev_kv":[]}',
        '{"key":"YQ==","lease":"99999999999999999999"}',
        '{"key":"YQ==","lease":99999999999999999999}',
        '{"key":"YQ==","lease":9223372036854775807}',
        '{"key":"YQ==","lease":"-9223372036854775808"}',
        '{"key":"YQ==","lease":9223372036854775808}',
        '{"key":"YQ==","lease":true}',
        '{"key":"YQ==","lease":{}}',
        '{"key":"YQ==","lease":[1]}',
        '{"key":"YQ==","lease":""}',
        '{"key":"YQ==","lease":" 1"}',
        '{"key":"YQ==","lease":"1 "}',
        '{"key":"YQ==","lease":"0x10"}',
        '{"key":"YQ==","lease":"01"}',
        '{"key":"YQ==","lease":"null"}',
        '{"key":"YQ==","lease":"true"}',
        '{"key":"YQ==","lease":"x"}',
        '{"key":"YQ==","lease":1e3}',
        '{"key":"YQ==","lease":1.5}',
        '{"key":"YQ==","lease":"1.0"}',
        '{"key":"YQ==","ignore_value":true,"value":"YQ=="}',
        '{"key":"YQ==","ignoreLease":true,"lease":"1"}',
    ]
]

OTHERS: Final = [
    Request("/v3/lease/grant", '{"ID":"4711","TTL":"1000"}'),
    Request("/v3/lease/grant", '{"ID":4711,"TTL":1000}'),
    Request("/v3/lease/grant", '{"TTL":"99999999999"}'),
    put("leased", "v", lease="4711"),
    Request("/v3/lease/timetolive", '{"ID":"4711","keys":true}'),
    Request("/v3/kv/lease/timetolive", '{"ID":"4712"}'),
    Request("/v3/lease/leases"),
    Request("/v3/kv/lease/leases", ""),
    Request("/v3/lease/keepalive", '{"ID":"4711"}'),
    Request("/v3/lease/keepalive", '{"ID":"4711"}{"ID":"4712"}\n{"ID":4711} {'),
    Request("/v3/lease/keepalive", ""),
    Request("/v3/lease/keepalive", "x"),
    Request("/v3/lease/keepalive", '{"ID":"x"}'),
    Request("/v3/lease/revoke", '{"ID":"4711"}'),
    Request("/v3/kv/lease/revoke", '{"ID":"4711"}'),
    Request("/v3/cluster/member/list", ""),
    Request("/v3/cluster/member/list", '{"linearizable":true}'),
    Request("/v3/cluster/member/add", '{"peerURLs":[5]}'),
    Request("/v3/cluster/member/add", '{"peerURLs":"x"}'),
    Request("/v3/cluster/member/add", '{"peerURLs":["x"]}'),
    Request("/v3/cluster/member/add", '{"peerURLs":[null]}'),
    # A real one may wait for ever on an id that it never had: so these three get no further than their JSON.
    Request("/v3/cluster/member/update", '{"ID":"1","peerURLs":{}}'),
    Request("/v3/cluster/member/remove", '{"ID":true}'),
    Request("/v3/cluster/member/promote", '{"ID":-1}'),
    Request("/v3/maintenance/alarm", '{"action":"GET","alarm":"CORRUPT"}'),
    Request("/v3/maintenance/alarm", '{"action":"ACTIVATE","memberID":"7","alarm":"NOSPACE"}'),
    Request("/v3/maintenance/alarm", "{}"),
    Request("/v3/maintenance/alarm", '{"action":"DEACTIVATE","memberID":7,"alarm":1}'),
    Request("/v3/maintenance/alarm", '{"action":"get"}'),
    Request("/v3/maintenance/alarm", '{"action":"a\\"b"}'),
    Request("/v3/maintenance/alarm", '{"action":1.5}'),
    Request("/v3/maintenance/alarm", '{"action":"1"}'),
    Request("/v3/maintenance/alarm", '{"action":99999999999}'),
    Request("/v3/maintenance/alarm", '{"action":{}}'),
    Request("/v3/maintenance/defragment", ""),
    Request("/v3/maintenance/transfer-leadership", '{"targetID":"1"}'),
    Request("/v3/maintenance/snapshot", "{"),
    Request("/v3/auth/authenticate", '{"name":"root","password":"x"}'),
    Request("/v3/lock/lock", '{"name":"bA==","lease":"77"}'),
    Request("/v3/lock/unlock", "{}"),
    Request("/v3/lock/unlock", '{"key":"bA=="}'),
    Request("/v3/election/campaign", '{"name":"bA==","lease":"-77"}'),
    Request("/v3/election/proclaim", "{}"),
    Request("/v3/election/proclaim", '{"leader":{}}'),
    Request("/v3/election/proclaim", '{"leader":{"name":"ZQ==","key":"ZS8x","rev":"5","lease":"44"},"value":"djI="}'),
    Request("/v3/election/resign", "{}"),
    Request("/v3/election/resign", '{"leader":{"key":"ZS8x","rev":"5","lease":"44"}}'),
    Request("/v3/election/leader", '{"name":"bA=="}'),
    Request("/v3/lease/grant", '{"ID":"5","TTL":"1000"}'),
    Request("/v3/lock/lock", '{"name":"bA==","lease":"5"}'),
    Request("/v3/election/campaign", '{"name":"ZQ==","value":"djE=","lease":"5"}'),
    Request("/v3/election/leader", '{"name":"ZQ=="}'),
    Request("/v3/election/observe", '{"name":"ZQ=="}', lines=1),
    Request("/v3/election/observe", "["),
]

STREAMS: Final = [
    Request("/v3/watch", '{"create_request":{"key":"Zm9v"}}', lines=1),
    Request("/v3/watch", '{"createRequest":{"key":"Zm9v","start_revision":"5","prev_kv":true}}', lines=2),
    Request("/v3/watch", '{"create_request":{"key":"Zm9v"}} {"create_request":{"key":"Zm9v"}} {', lines=2),
    Request("/v3/watch", '{"create_request":{"watch_id":7}}{"cancel_request":{"watch_id":"7"}}', lines=2),
    Request("/v3/watch", '{"create_request":{"key":"Zm9v"}} {"progress_request":{}}', lines=2),
    Request("/v3/watch", '{"create_request":{"key":"Zm9v","start_revision":"1"}}', lines=2),
    Request("/v3/watch", '{"create_request":{"key":"Zm9v","filters":["NOPUT",1,"NOPE"]}}'),
    Request("/v3/watch", '{"create_request":{"key":"Zm9v","range_end":"Zm9"}}'),
    Request("/v3/watch", '{"create_request":{"key":"Zm9v","range_end":"YQ=="}}', lines=1),
    Request("/v3/watch", "["),
    Request("/v3/watch", "[]"),
    Request("/v3/watch", "{"),
    Request("/v3/watch", "5"),
]

_TIMEOUT: Final = "Grpc-Timeout"
HTTP: Final = [
    Request("/v3"),
    Request("/v3/"),
    Request("/v3/kv"),
    Request("/v3/kv/"),
    Request("/v3/kv/nothing"),
    Request("/v3/kv/range/"),
    Request("/v3/kv//range"),
    Request("/v3/kv/../kv/range"),
    Request("/v3/kv/range:x"),
    Request("/v3/KV/range"),
    Request("/v3/kv/%72ange?x=1", '{"key":"Zm9v"}'),
    Request("/v3beta"),
    Request("/v3beta/"),
    Request("/v3beta/kv/x"),
    Request("/v3betakv/range"),
    Request("/v3x"),
    Request(RANGE, method="GET"),
    Request(RANGE, method="PUT"),
    Request(RANGE, method="DELETE"),
    Request(RANGE, method="OPTIONS"),
    Request(RANGE, "", method="HEAD"),
    Request("/v3/nothing", method="GET"),
    Request(RANGE, '{"key":"Zm9v"}', headers=(("Content-Type", "text/plain"), ("Accept", "application/xml"))),
    Request(RANGE, '{"key":"Zm9v"}', headers=(("Grpc-Metadata-Hasleader", "true"),)),
    Request(RANGE, '{"key":"Zm9v"}', headers=((_TIMEOUT, "5S"),)),
    Request(RANGE, '{"key":"Zm9v"}', headers=((_TIMEOUT, "1n"),)),
    Request(RANGE, '{"key":"Zm9v"}', headers=((_TIMEOUT, "xx"),)),
    Request(RANGE, '{"key":"Zm9v"}', headers=((_TIMEOUT, "5"),)),
    Request("/version", method="GET", headers=(("Connection", "Upgrade"), ("Upgrade", "websocket"))),
    Request(PUT, json.dumps({"key": FOO, "value": b64("x" * 1_600_000)})),
    Request(PUT, json.dumps({"key": FOO, "value": b64("x" * 2_200_000)})),
]

ALL: Final = KEYS + TXNS + BAD_JSON + BAD_VALUES + OTHERS + STREAMS + HTTP
