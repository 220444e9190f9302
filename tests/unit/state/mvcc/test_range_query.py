"""Filters, sorting and limits over KeyValues that were found."""

from __future__ import annotations

from typing import Any

import pytest

from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.pb.rpc_pb2 import RangeRequest, RangeResponse
from etcdpy.state.mvcc.answer import Answer, run_steps
from etcdpy.state.mvcc.range_query import APART_BYTES, SLICE_BYTES, RangeQuery

FOUND = [
    KeyValue(key=b"a", create_revision=2, mod_revision=9, version=5, value=b"z"),
    KeyValue(key=b"b", create_revision=7, mod_revision=7, version=1, value=b"y"),
    KeyValue(key=b"c", create_revision=3, mod_revision=8, version=5, value=b"x"),
    KeyValue(key=b"d", create_revision=4, mod_revision=6, version=2),
]
DESCEND, ASCEND = RangeRequest.DESCEND, RangeRequest.ASCEND


@pytest.mark.parametrize("slice_kvs", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("expected", "more", "fields"),
    [
        (b"abcd", False, dict()),
        (b"ab", True, dict(limit=2)),
        (b"dcba", False, dict(sort_order=DESCEND)),
        (b"dc", True, dict(sort_order=DESCEND, limit=2)),
        (b"dbca", False, dict(sort_order=ASCEND, sort_target=RangeRequest.MOD)),
        (b"dcba", False, dict(sort_target=RangeRequest.VALUE)),
        (b"bdca", False, dict(sort_order=DESCEND, sort_target=RangeRequest.CREATE)),
        (b"acdb", False, dict(sort_order=DESCEND, sort_target=RangeRequest.VERSION)),
        (b"bdac", False, dict(sort_order=ASCEND, sort_target=RangeRequest.VERSION)),
        (b"ac", False, dict(min_mod_revision=8)),
        (b"bd", False, dict(max_mod_revision=7, limit=2)),
        (b"cd", False, dict(min_create_revision=3, max_create_revision=4)),
        (b"abcd", False, dict(sort_order=9, sort_target=RangeRequest.MOD)),
    ],
)
def test_selection(expected: bytes, more: bool, fields: dict[str, Any], slice_kvs: int) -> None:
    query = RangeQuery(RangeRequest(key=b"a", **fields))

    found = [kv.SerializeToString() for kv in FOUND]
    response = RangeResponse.FromString(Answer(1, run_steps(query.steps(list(found), 4, slice_kvs))).body)

    assert query.encode_few(found, 4) == response.SerializeToString()
    assert b"".join([kv.key for kv in response.kvs]) == expected
    assert (response.more, response.count) == (more, 4)


def test_without_values() -> None:
    query = RangeQuery(RangeRequest(key=b"a", keys_only=True))

    response = RangeResponse.FromString(Answer(1, run_steps(query.steps([FOUND[0].SerializeToString()], 1))).body)

    assert response.kvs[0] == KeyValue(key=b"a", create_revision=2, mod_revision=9, version=5)


def test_one_more_than_the_limit_is_fetched_unless_all_are_needed() -> None:
    assert RangeQuery(RangeRequest(key=b"a", limit=3)).fetch_limit == 4
    assert RangeQuery(RangeRequest(key=b"a", limit=-3)).fetch_limit == 0
    assert RangeQuery(RangeRequest(key=b"a", limit=3, sort_order=ASCEND)).fetch_limit == 0
    assert RangeQuery(RangeRequest(key=b"a", limit=3, max_mod_revision=1)).fetch_limit == 0


@pytest.mark.parametrize("sizes", [[SLICE_BYTES] * 3, [100, APART_BYTES, 100] * 9, [10_000] * 100, [2 * SLICE_BYTES]])
@pytest.mark.parametrize("fields", [dict(), dict(sort_order=DESCEND), dict(min_mod_revision=1), dict(limit=2)])
def test_large_values_come_in_pieces_that_copy_little(sizes: list[int], fields: dict[str, Any]) -> None:
    kvs = [KeyValue(key=b"%d" % at, mod_revision=at + 1, value=bytes(size)) for at, size in enumerate(sizes)]
    stored = [kv.SerializeToString() for kv in kvs]
    query = RangeQuery(RangeRequest(key=b"a", **fields))
    expected = kvs[::-1] if "sort_order" in fields else kvs[: query.limit] if query.limit else kvs
    is_large = sum(map(len, stored[: query.limit] if query.limit else stored)) > SLICE_BYTES

    content = run_steps(query.steps(list(stored), 5))
    whole = Answer(1, content)

    assert RangeResponse.FromString(whole.body).kvs == expected
    assert whole.size == len(whole.body)
    assert isinstance(content, list) is is_large
    if isinstance(content, list):
        known = {id(kv) for kv in stored}
        assert all(id(piece) in known for piece in content if len(piece) > SLICE_BYTES + APART_BYTES)
        assert query.encode_few(stored, 5) is None


@pytest.mark.parametrize("large", [50_000, SLICE_BYTES])
@pytest.mark.parametrize(
    "fields",
    [
        dict(keys_only=True),
        dict(min_mod_revision=1),
        dict(sort_order=DESCEND, sort_target=RangeRequest.VALUE),
        dict(sort_order=ASCEND, sort_target=RangeRequest.MOD),
    ],
)
def test_large_values_are_taken_apart_a_few_at_a_time(large: int, fields: dict[str, Any]) -> None:
    kvs = [KeyValue(key=b"%03d" % at, mod_revision=at + 1, value=b"%03d" % at + bytes(large)) for at in range(40)]
    stored = [kv.SerializeToString() for kv in kvs]

    slices = 0
    steps = RangeQuery(RangeRequest(key=b"a", **fields)).steps(stored, 40)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            response = RangeResponse.FromString(Answer(1, stop.value).body)
            break
        slices += 1

    assert slices >= 40 * large // (SLICE_BYTES + large + 100)
    expected = kvs[::-1] if fields.get("sort_order") == DESCEND else kvs
    assert [kv.key for kv in response.kvs] == [kv.key for kv in expected]
