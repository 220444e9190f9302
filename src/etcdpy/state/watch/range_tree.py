"""A set of half-open key ranges that answers: which of them hold this key?

A balanced search tree (AVL) over (start, end), where each node also knows the greatest end below it:

                 [f, m) max z
                /            \\
        [b, d) max z      [k, l) max p
             \\                 \\
          [c, z) max z      [n, p) max p

A look-up descends only where the greatest end lies above the key, so it costs O(log n + found * log n) however the
ranges overlap. Ranges without an end are kept apart, sorted by their start: the holders of a key are a prefix of them.

Rules
  * A range is stored once; what belongs to it is the caller's value.
  * -1 <= height(left) - height(right) <= 1 at every node.
  * Depth is bounded by 1.44 log2(n): the recursion below is safe.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final, Generic, TypeVar

from etcdpy.base.invariant import InvariantError

V = TypeVar("V")
# The end of a range without end. No key has it as upper bound: b"" sorts below all keys.
OPEN_END: Final = b""


class _Node(Generic[V]):
    __slots__ = ("start", "end", "value", "left", "right", "height", "max_end")

    def __init__(self, start: bytes, end: bytes, value: V) -> None:
        self.start = start
        self.end = end
        self.value = value
        self.left: _Node[V] | None = None
        self.right: _Node[V] | None = None
        self.height = 1
        self.max_end = end  # Invariant: the greatest end of this node and all below it.


class RangeTree(Generic[V]):
    """Ranges with their values. `end` is OPEN_END for a range that never ends."""

    __slots__ = ("_root", "_open_starts", "_open_values", "_size")

    def __init__(self) -> None:
        self._root: _Node[V] | None = None
        self._open_starts: list[bytes] = []  # Invariant: strictly increasing; _open_values has the same length.
        self._open_values: list[V] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size + len(self._open_starts)

    def insert(self, start: bytes, end: bytes, value: V) -> None:
        """Add a range that is not there yet."""
        if end != OPEN_END:
            self._root = _insert(self._root, start, end, value)
            self._size += 1
            return
        position = bisect_left(self._open_starts, start)
        if position < len(self._open_starts) and self._open_starts[position] == start:
            raise InvariantError(f"range from {start!r} is in the tree already")
        self._open_starts.insert(position, start)
        self._open_values.insert(position, value)

    def remove(self, start: bytes, end: bytes) -> None:
        """Take out a range that is there."""
        if end != OPEN_END:
            self._root = _remove(self._root, start, end)
            self._size -= 1
            return
        position = bisect_left(self._open_starts, start)
        if position == len(self._open_starts) or self._open_starts[position] != start:
            raise InvariantError(f"range from {start!r} is not in the tree")
        del self._open_starts[position]
        del self._open_values[position]

    def stab(self, key: bytes) -> list[V]:
        """Return the values of all ranges with start <= key < end."""
        found = self._open_values[: bisect_right(self._open_starts, key)]
        if self._root is None:
            return found
        stack = [self._root]
        while stack:
            node = stack.pop()
            left = node.left
            if left is not None and left.max_end > key:
                stack.append(left)
            if node.start <= key:
                if node.end > key:
                    found.append(node.value)
                right = node.right
                if right is not None and right.max_end > key:
                    stack.append(right)
        return found

    def check_invariants(self) -> None:
        assert self._open_starts == sorted(set(self._open_starts))
        assert len(self._open_starts) == len(self._open_values)
        ranges: list[tuple[bytes, bytes]] = []
        _check(self._root, ranges)
        assert ranges == sorted(set(ranges))
        assert len(ranges) == self._size


def _update(node: _Node[V]) -> None:
    left, right = node.left, node.right
    height, max_end = 0, node.end
    if left is not None:
        height = left.height
        if left.max_end > max_end:
            max_end = left.max_end
    if right is not None:
        height = max(height, right.height)
        if right.max_end > max_end:
            max_end = right.max_end
    node.height = height + 1
    node.max_end = max_end


def _height(node: _Node[V] | None) -> int:
    return 0 if node is None else node.height


def _rotate_right(node: _Node[V]) -> _Node[V]:
    pivot = node.left
    assert pivot is not None
    node.left, pivot.right = pivot.right, node
    _update(node)
    _update(pivot)
    return pivot


def _rotate_left(node: _Node[V]) -> _Node[V]:
    pivot = node.right
    assert pivot is not None
    node.right, pivot.left = pivot.left, node
    _update(node)
    _update(pivot)
    return pivot


def _balance(node: _Node[V]) -> _Node[V]:
    lean = _height(node.left) - _height(node.right)
    if lean > 1:
        left = node.left
        assert left is not None
        if _height(left.left) < _height(left.right):
            node.left = _rotate_left(left)
        return _rotate_right(node)
    if lean < -1:
        right = node.right
        assert right is not None
        if _height(right.right) < _height(right.left):
            node.right = _rotate_right(right)
        return _rotate_left(node)
    _update(node)
    return node


def _insert(node: _Node[V] | None, start: bytes, end: bytes, value: V) -> _Node[V]:
    if node is None:
        return _Node(start, end, value)
    if (start, end) < (node.start, node.end):
        node.left = _insert(node.left, start, end, value)
    elif (start, end) == (node.start, node.end):
        raise InvariantError(f"range [{start!r}, {end!r}) is in the tree already")
    else:
        node.right = _insert(node.right, start, end, value)
    return _balance(node)


def _remove(node: _Node[V] | None, start: bytes, end: bytes) -> _Node[V] | None:
    if node is None:
        raise InvariantError(f"range [{start!r}, {end!r}) is not in the tree")
    if (start, end) < (node.start, node.end):
        node.left = _remove(node.left, start, end)
        return _balance(node)
    if (start, end) > (node.start, node.end):
        node.right = _remove(node.right, start, end)
        return _balance(node)
    if node.left is None:
        return node.right
    if node.right is None:
        return node.left
    successor = node.right
    while successor.left is not None:
        successor = successor.left
    node.start, node.end, node.value = successor.start, successor.end, successor.value
    node.right = _remove(node.right, successor.start, successor.end)
    return _balance(node)


def _check(node: _Node[V] | None, ranges: list[tuple[bytes, bytes]]) -> None:
    if node is None:
        return
    _check(node.left, ranges)
    ranges.append((node.start, node.end))
    _check(node.right, ranges)
    left, right = node.left, node.right
    assert -1 <= _height(left) - _height(right) <= 1
    assert node.height == 1 + max(_height(left), _height(right))
    ends = [child.max_end for child in (left, right) if child is not None]
    assert node.max_end == max(node.end, *ends) if ends else node.max_end == node.end
