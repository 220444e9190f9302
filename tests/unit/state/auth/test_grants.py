"""Ranges that a user may touch, against a model that knows single keys only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from etcdpy.pb.auth_pb2 import Permission
from etcdpy.state.auth.grants import Grants, Ranges

KEYS = [b"a", b"a\0", b"b", b"c", b"d", b"e"]
KINDS = [Permission.READ, Permission.WRITE, Permission.READWRITE]
permissions = some.builds(
    lambda key, end, kind: Permission(key=key, range_end=end, permType=kind),
    some.sampled_from(KEYS),
    some.sampled_from([b"", b"\0", *KEYS, b"f"]),
    some.sampled_from(KINDS),
)


def covers(permission: Permission, key: bytes) -> bool:
    if not permission.range_end:
        return permission.key == key
    return permission.key <= key and (permission.range_end == b"\0" or key < permission.range_end)


@given(some.lists(permissions, max_size=6), some.sampled_from(KEYS), some.sampled_from([b"", b"\0", *KEYS, b"f"]))
def test_a_range_is_covered_when_each_of_its_keys_is(granted: list[Permission], key: bytes, end: bytes) -> None:
    """`f` stands for everything behind the keys: there are ends before it, and ends that are none."""
    if not end or (end != b"\0" and end <= key):  # an empty range asks for its first key
        wanted = [key]
    else:
        wanted = [known for known in [*KEYS, b"e\0", b"f"] if known >= key and (end == b"\0" or known < end)]
        # Between two keys there are others: a permission for single keys only never covers a range.
        wanted += [known + b"\0\0" for known in wanted if end == b"\0" or known + b"\0\0" < end]
    expected = all(any(covers(permission, known) for permission in granted) for known in wanted)

    assert Ranges(granted).cover(key, end) is expected


def test_neighbours_are_one_range() -> None:
    ranges = Ranges([Permission(key=b"c", range_end=b"e"), Permission(key=b"a", range_end=b"c")])

    assert ranges.cover(b"a", b"e")
    assert not ranges.cover(b"a", b"e\0")


def test_what_has_no_end_is_covered_by_what_has_none() -> None:
    ranges = Ranges([Permission(key=b"b", range_end=b"\0")])

    assert ranges.cover(b"b", b"\0") and ranges.cover(b"x", b"z")
    assert not ranges.cover(b"a", b"\0")


def test_an_empty_permission_allows_nothing() -> None:
    """3.5.1 lets them in, so a store may hold some."""
    empty = [Permission(key=b"c", range_end=b"a"), Permission(key=b""), Permission(key=b"a", range_end=b"b")]
    ranges = Ranges(empty)

    assert ranges.cover(b"a", b"b")
    assert not ranges.cover(b"c", b"") and not ranges.cover(b"b", b"") and not ranges.cover(b"\0", b"")


def test_reading_and_writing_are_apart() -> None:
    grants = Grants(
        is_root=False,
        permissions=[Permission(key=key, permType=kind) for key, kind in zip((b"r", b"w", b"b"), KINDS, strict=True)],
    )

    assert [grants.allow_read(key, b"") for key in (b"r", b"w", b"b")] == [True, False, True]
    assert [grants.allow_write(key, b"") for key in (b"r", b"w", b"b")] == [False, True, True]


def test_root_may_do_everything() -> None:
    grants = Grants(is_root=True, permissions=[])

    assert grants.allow_read(b"\0", b"\0") and grants.allow_write(b"x", b"")
