"""What a RangeRequest makes of the KeyValues in its range: filter, sort, cut, leave out values, encode.

Count is the number of keys in the range, before filters and limit. Filters and sorting come before the limit. A sort
target other than the key with order NONE sorts ascending, but only what the limit let through: that is how etcd does
it. Equal elements keep the order of their keys.

Upstream: etcdserver/apply.go, applierV3backend.Range.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from heapq import merge
from operator import attrgetter, itemgetter
from typing import Any, Final

from etcdpy.base.varint import encode_varint
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.pb.rpc_pb2 import RangeRequest
from etcdpy.state.mvcc.answer import run_steps
from etcdpy.state.mvcc.key_value import field_prefix, join_few_kvs, join_kvs, without_value

# KeyValues that one slice of a long range sorts, filters or encodes.
SLICE_KVS: Final = 1000
# What one slice copies, about a millisecond: fresh memory costs more than the copying. Also what makes an answer a
# large one, to be made in slices.
SLICE_BYTES: Final = 512 * 1024
# A KeyValue from this size on goes out as it is stored, uncopied: a piece of its own.
APART_BYTES: Final = 32 * 1024

_NONE: Final = RangeRequest.NONE
_ASCEND: Final = RangeRequest.ASCEND
_DESCEND: Final = RangeRequest.DESCEND
_KEY: Final = RangeRequest.KEY
_SORT_KEYS: Final[dict[int, Any]] = {
    RangeRequest.KEY: attrgetter("key"),
    RangeRequest.VERSION: attrgetter("version"),
    RangeRequest.CREATE: attrgetter("create_revision"),
    RangeRequest.MOD: attrgetter("mod_revision"),
    RangeRequest.VALUE: attrgetter("value"),
}


_first: Final = itemgetter(0)
_second: Final = itemgetter(1)


class RangeQuery:
    """The options of one range that concern what was found."""

    __slots__ = ("limit", "is_filtered", "order", "target", "keys_only", "_request")

    def __init__(self, request: RangeRequest) -> None:
        self._request = request
        self.limit = request.limit if request.limit > 0 else 0  # 0: none
        self.is_filtered = bool(
            request.min_mod_revision
            or request.max_mod_revision
            or request.min_create_revision
            or request.max_create_revision
        )
        self.order: int = request.sort_order
        self.target: int = request.sort_target
        self.keys_only = request.keys_only

    @property
    def fetch_limit(self) -> int:
        """How many KeyValues must be found: one more than asked for tells whether there are more. 0: all."""
        return self.limit + 1 if self.limit and not self.is_filtered and self.order == _NONE else 0

    @property
    def is_plain(self) -> bool:
        """Whether stored bytes go out as they are, in the order of keys."""
        return not self.is_filtered and not self.keys_only and self.target == _KEY and self.order in (_NONE, _ASCEND)

    def encode_few(self, stored: list[bytes], count: int) -> bytes | None:
        """Make the body of the response at once; None where that is work for several slices."""
        if self.is_plain:
            more = bool(self.limit) and len(stored) > self.limit
            return join_few_kvs(stored[: self.limit] if more else stored, encode_tail(count, more), SLICE_BYTES)
        if sum(map(len, stored)) > SLICE_BYTES:
            return None
        content = run_steps(self.steps(stored, count))
        return content if isinstance(content, bytes) else b"".join(content)

    def steps(
        self, stored: list[bytes], count: int, slice_kvs: int = SLICE_KVS
    ) -> Generator[None, None, bytes | list[bytes]]:
        """Make the body of the response, in pieces where it is large, yielding between slices."""
        if self.is_filtered:
            kept = []
            for part in _light_slices(stored, slice_kvs):
                kept += [kv for kv in part if self._passes(KeyValue.FromString(kv))]
                yield
            stored = kept
        if self.order != _NONE or self.target != _KEY:
            stored = yield from self._sort(stored, slice_kvs)
        more = bool(self.limit) and len(stored) > self.limit
        if more:
            del stored[self.limit :]
        tail = encode_tail(count, more)
        if len(stored) <= slice_kvs and not self.keys_only:
            joined = join_few_kvs(stored, tail, SLICE_BYTES)
            if joined is not None:
                return joined
        pieces: list[bytes] = []
        for part in _light_slices(stored, slice_kvs) if self.keys_only else _slices(stored, slice_kvs):
            for some in _encode([without_value(kv) for kv in part] if self.keys_only else part):
                pieces += some
                yield
        pieces.append(tail)
        return pieces

    def _passes(self, kv: KeyValue) -> bool:
        request = self._request
        return not (
            (request.max_mod_revision and kv.mod_revision > request.max_mod_revision)
            or (request.min_mod_revision and kv.mod_revision < request.min_mod_revision)
            or (request.max_create_revision and kv.create_revision > request.max_create_revision)
            or (request.min_create_revision and kv.create_revision < request.min_create_revision)
        )

    def _sort(self, stored: list[bytes], slice_kvs: int) -> Generator[None, None, list[bytes]]:
        """Sort in runs, then merge them: no single step grows with the range."""
        by = _SORT_KEYS.get(self.target)
        is_unknown = self.order not in (_NONE, _ASCEND, _DESCEND)
        if by is None or is_unknown or (self.target == _KEY and self.order != _DESCEND):
            return stored
        if self.target == _KEY:
            stored.reverse()
            return stored
        is_reverse = self.order == _DESCEND
        runs: list[list[tuple[Any, bytes]]] = []
        for part in _light_slices(stored, slice_kvs):
            runs.append(sorted([(by(KeyValue.FromString(kv)), kv) for kv in part], key=_first, reverse=is_reverse))
            yield
        if len(runs) == 1:
            return [kv for _, kv in runs[0]]
        merged: Iterable[tuple[Any, bytes]] = iter(merge(*runs, key=_first, reverse=is_reverse))
        result: list[bytes] = []
        for part in _light_slices(map(_second, merged), slice_kvs):
            result += part
            yield
        return result


def encode_tail(count: int, more: bool) -> bytes:
    """Return the fields behind the kvs of a RangeResponse."""
    if not count:
        return b"\x18\x01" if more else b""
    return (b"\x18\x01\x20" if more else b"\x20") + encode_varint(count)


def _encode(stored: list[bytes]) -> Generator[list[bytes], None, None]:
    """Give the pieces of some KeyValues' encoding, those of about SLICE_BYTES at a time that were copied."""
    joined = join_few_kvs(stored, b"", SLICE_BYTES)
    if joined is not None:
        yield [joined]
        return
    pieces: list[bytes] = []
    run: list[bytes] = []
    copied = 0
    for kv in stored:
        if len(kv) >= APART_BYTES:
            pieces += (join_kvs(run, field_prefix(b"\x12", len(kv))), kv)
            run = []
        else:
            run.append(kv)
            copied += len(kv)
            if copied > SLICE_BYTES:
                yield [*pieces, join_kvs(run)]
                pieces, run, copied = [], [], 0
    yield [*pieces, join_kvs(run)]


def _slices(stored: list[bytes], slice_kvs: int) -> Generator[list[bytes], None, None]:
    for start in range(0, len(stored), slice_kvs):
        yield stored[start : start + slice_kvs]


def _light_slices(stored: Iterable[bytes], slice_kvs: int) -> Generator[list[bytes], None, None]:
    """Cut also where values are large, for what is taken apart or compared."""
    part: list[bytes] = []
    size = 0
    for kv in stored:
        part.append(kv)
        size += len(kv)
        if len(part) == slice_kvs or size > SLICE_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
