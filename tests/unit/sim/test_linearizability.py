"""The checker on histories whose verdict is known, and against a search through all orders on small random ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations

import pytest

from etcdpy.sim.linearizability import check_history
from etcdpy.sim.model import Model, read_items
from etcdpy.sim.requests import OK, REFUSED, UNKNOWN, Delete, Operation, Put, Range, Request, Response


def op(number: int, request: Request, invoked: int, returned: int, revision: int, response: Response) -> Operation:
    return Operation(number, number, request, invoked).finish(returned, OK, revision, response)


def lost(number: int, request: Request, invoked: int, outcome: str = UNKNOWN) -> Operation:
    return Operation(number, number, request, invoked).finish(1000, outcome)


def found(value: bytes, revision: int, created: int = 2, version: int = 1) -> Response:
    return ("found", ((b"k", value, created, revision, version),))


PUT_1 = op(1, Put(b"k", b"1"), 1, 2, 2, ("ok",))
PUT_2 = op(2, Put(b"k", b"2"), 3, 4, 3, ("ok",))
READ = Range(b"k")

GOOD: dict[str, tuple[list[Operation], list[int]]] = {
    "nothing": ([], []),
    "one after the other": (
        [PUT_1, PUT_2, op(3, READ, 5, 6, 3, found(b"2", 3, version=2))],
        [1, 2],
    ),
    "a read beside a write sees it": (
        [op(1, Put(b"k", b"1"), 1, 9, 2, ("ok",)), op(2, READ, 2, 3, 2, found(b"1", 2))],
        [1],
    ),
    "a read beside a write does not see it": (
        [op(1, Put(b"k", b"1"), 1, 9, 2, ("ok",)), op(2, READ, 2, 3, 1, ("found", ()))],
        [1],
    ),
    "unknown and done": ([lost(1, Put(b"k", b"1"), 1), op(2, READ, 5, 6, 2, found(b"1", 2))], [1]),
    "unknown and not done": ([lost(1, Put(b"k", b"1"), 1), op(2, READ, 5, 6, 1, ("found", ()))], []),
    "unknown and done long after": ([lost(1, Put(b"k", b"1"), 1), op(2, READ, 5, 6, 1, ("found", ()))], [1]),
    "refused": ([lost(1, Put(b"k", b"1"), 1, REFUSED)], []),
    "an old serializable read": (
        [PUT_1, op(2, Range(b"k", is_serializable=True), 5, 6, 1, ("found", ()))],
        [1],
    ),
    "a read of the past": (
        [PUT_1, PUT_2, op(3, Range(b"k", revision=2), 5, 6, 3, found(b"1", 2))],
        [1, 2],
    ),
    "deleting nothing": ([PUT_1, op(2, Delete(b"x"), 3, 4, 2, ("deleted", 0))], [1, 2]),
}

BAD: dict[str, tuple[list[Operation], list[int], str]] = {
    "lost": ([PUT_1], [], "acknowledged and lost"),
    "twice": ([PUT_1], [1, 1], "applied twice"),
    "from nowhere": ([], [7], "nobody asked for"),
    "refused and done": ([lost(1, Put(b"k", b"1"), 1, REFUSED)], [1], "refused and done"),
    "a stale read": ([PUT_1, op(2, READ, 3, 4, 1, ("found", ()))], [1], "old: revision 2"),
    "two reads in the wrong order": (
        [
            op(1, Put(b"k", b"1"), 1, 99, 2, ("ok",)),
            op(2, READ, 2, 3, 2, found(b"1", 2)),
            op(3, READ, 4, 5, 1, ("found", ())),
        ],
        [1],
        "old: revision 2",
    ),
    "a wrong value": ([PUT_1, op(2, READ, 3, 4, 2, found(b"2", 2))], [1], "wrong answer"),
    "a revision too far": ([PUT_1, op(2, READ, 3, 4, 3, found(b"1", 2))], [1], "does not exist"),
    "a wrong revision": ([op(1, Put(b"k", b"1"), 1, 2, 3, ("ok",))], [1], "wrong revision"),
    "writes against the order of time": (
        [op(1, Put(b"k", b"1"), 1, 2, 3, ("ok",)), op(2, Put(b"k", b"2"), 3, 4, 2, ("ok",))],
        [2, 1],
        "seen before it was asked for",
    ),
    "seen before it was written": (
        [op(1, READ, 1, 2, 2, found(b"1", 2)), op(2, Put(b"k", b"1"), 3, 4, 2, ("ok",))],
        [2],
        "seen before it was asked for",
    ),
    "a serializable read from the future": (
        [op(1, Range(b"k", is_serializable=True), 1, 2, 2, found(b"1", 2)), lost(2, Put(b"k", b"1"), 3)],
        [2],
        "seen before it was asked for",
    ),
    "an unknown write of two": (
        [lost(1, Put(b"k", b"1"), 1), op(2, READ, 5, 6, 2, found(b"1", 2)), op(3, READ, 7, 8, 1, ("found", ()))],
        [1],
        "old: revision 2",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_histories_pass(name: str) -> None:
    operations, order = GOOD[name]
    assert check_history(operations, order) == []


@pytest.mark.parametrize("name", BAD)
def test_bad_histories_are_found(name: str) -> None:
    operations, order, words = BAD[name]
    faults = check_history(operations, order)
    assert any(words in fault for fault in faults), faults


# -- against a search through all orders


def is_linearizable(operations: Sequence[Operation]) -> bool:
    """Wing & Gong's search: try every operation that may come first, go on with the rest."""

    def search(done: list[Operation], rest: list[Operation]) -> bool:
        if all(operation.outcome == UNKNOWN for operation in rest):
            return True
        soonest = min(operation.returned or 0 for operation in rest if operation.outcome == OK)
        return any(
            is_legal([*done, first]) and search([*done, first], [other for other in rest if other is not first])
            for first in rest
            if first.invoked < soonest
        )

    return search([], list(operations))


def is_legal(sequence: Sequence[Operation]) -> bool:
    model = Model()
    for operation in sequence:
        if isinstance(operation.request, Range):
            response: Response = ("found", read_items(model.history[-1], operation.request.key, b""))
        else:
            response = model.apply(operation.request)
        if operation.outcome == OK and (operation.response, operation.revision) != (response, model.revision):
            return False
    return True


def passes_in_some_order(operations: Sequence[Operation]) -> bool:
    written = [operation for operation in operations if not operation.is_read]
    return any(
        check_history(operations, [operation.number for operation in order]) == []
        for count in range(len(written) + 1)
        for order in permutations(written, count)
    )


def random_history(rng: random.Random) -> list[Operation]:
    """A true history of overlapping operations, and often one lie in it."""
    model, operations = Model(), []
    moments = sorted(rng.sample(range(100), 3 * rng.randrange(2, 6)))
    for number in range(len(moments) // 3):
        requests: list[Request] = [Range(b"k"), Put(b"k", b"%d" % number), Delete(b"k")]
        request = rng.choice(requests)
        if isinstance(request, Range):
            response: Response = ("found", read_items(model.history[-1], b"k", b""))
        else:
            response = model.apply(request)
        invoked = moments[rng.randrange(number * 3 + 1)]
        returned = moments[rng.randrange(number * 3 + 1, len(moments))] + 0.5
        operations.append(op(number, request, 2 * invoked, int(2 * returned), model.revision, response))
    if rng.randrange(2):
        liar = rng.choice(operations)
        liar.revision = max(1, liar.revision + rng.choice((-1, 0, 1)))
        other = rng.choice(operations)
        if type(other.request) is type(liar.request):
            liar.response = other.response
    if rng.randrange(3) == 0:
        forgotten = rng.choice(operations)
        if not forgotten.is_read:
            forgotten.finish(1000, UNKNOWN)
    return operations


def test_the_verdict_is_that_of_a_search_through_all_orders() -> None:
    rng = random.Random(7)
    verdicts = {True: 0, False: 0}
    for _ in range(400):
        operations = random_history(rng)
        expected = is_linearizable(operations)
        assert passes_in_some_order(operations) == expected, operations
        verdicts[expected] += 1
    assert min(verdicts.values()) > 50, verdicts
