"""The file format of pprof (profile.proto, gzipped), which `go tool pprof`, speedscope and others read.

    file = ProfileFile([("samples", "count"), ("cpu", "nanoseconds")])
    file.add(stack, [1, 10_000_000], thread="etcdpy-backend")       stack: innermost frame first
    file.encode()

Its messages are few and only written, so they are put together here by hand: field numbers are those of profile.proto.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from etcdpy.base.varint import encode_varint


class Frame(NamedTuple):
    function: str
    file: str
    line: int


class ProfileFile:
    """Invariant: ids are positions + 1; `_strings[0]` is empty, as the format asks for."""

    def __init__(self, sample_types: Sequence[tuple[str, str]]) -> None:
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[Frame, int] = {}
        self._samples: list[bytes] = []
        self._types = [self._pair(kind, unit) for kind, unit in sample_types]

    def add(self, stack: Iterable[Frame], values: Sequence[int], *, thread: str = "") -> None:
        """Add a sample."""
        assert len(values) == len(self._types)
        locations = b"".join(encode_varint(self._locate(frame)) for frame in stack)
        sample = _bytes(1, locations) + _bytes(2, b"".join(map(encode_varint, values)))
        if thread:
            sample += _bytes(3, _number(1, self._string("thread")) + _number(2, self._string(thread)))
        self._samples.append(sample)

    def encode(self, *, begun_ns: int = 0, took_ns: int = 0, period: tuple[str, str, int] | None = None) -> bytes:
        """Return the file. `period` is what lay between two samples: kind, unit, amount."""
        parts = [_bytes(1, each) for each in self._types]
        parts += [_bytes(2, each) for each in self._samples]
        parts += [self._location(frame, number) for frame, number in self._locations.items()]
        parts += [self._function(name, number) for name, number in self._functions.items()]
        if period is not None:
            parts += [_bytes(11, self._pair(period[0], period[1])), _number(12, period[2])]
        parts += [_bytes(6, text.encode("utf-8", "replace")) for text in self._strings]
        parts += [_number(9, begun_ns), _number(10, took_ns)]
        return gzip.compress(b"".join(parts))

    def _locate(self, frame: Frame) -> int:
        self._functions.setdefault(frame[:2], len(self._functions) + 1)
        self._string(frame.function)
        self._string(frame.file)
        return self._locations.setdefault(frame, len(self._locations) + 1)

    def _location(self, frame: Frame, number: int) -> bytes:
        line = _number(1, self._functions[frame[:2]]) + _number(2, frame.line)
        return _bytes(4, _number(1, number) + _bytes(4, line))

    def _function(self, name: tuple[str, str], number: int) -> bytes:
        function, file = self._string(name[0]), self._string(name[1])
        return _bytes(5, _number(1, number) + _number(2, function) + _number(3, function) + _number(4, file))

    def _pair(self, kind: str, unit: str) -> bytes:
        return _number(1, self._string(kind)) + _number(2, self._string(unit))

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))


def _number(field: int, value: int) -> bytes:
    return encode_varint(field << 3) + encode_varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return encode_varint(field << 3 | 2) + encode_varint(len(value)) + value
