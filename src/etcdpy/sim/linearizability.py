"""Is a history what a single store, asked one request after the other, could have told its clients?

Linearizability is hard to check because the order is to be guessed. etcd tells it: every answer carries a revision.

    the log      says in which order the writes took effect         order = [#7, #3, #9 ...]
    a revision   says between which writes a read took place

So there is one candidate order, and it is right if and only if
  1. each written operation is in the log once at most, and nothing else is in it;
  2. run in that order on the model, each gives the very answer that its client was told, revision included; a read
     gives the model's answer at the revision that it names;
  3. whatever was answered before something else was asked stands before it in that order.

An operation of unknown outcome is where the log has it, or nowhere; it must only not be there before it was asked for.
A serializable read may be old (rule 3 does not bind it to what was before), but never from the future.

Time: n log n. tests/unit/sim compares the verdict with a search through all orders (Wing & Gong) on small histories.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from etcdpy.sim.model import Model, read_items
from etcdpy.sim.requests import OK, REFUSED, Operation, Range, Response


def check_history(operations: Sequence[Operation], order: Iterable[int]) -> list[str]:
    """Return what is wrong with a history, if anything; `order` is what the log applied, as numbers of operations."""
    return HistoryCheck(operations).run(order)


class HistoryCheck:
    """One check. `model` is left as it is after the last write: watches and final states are measured against it."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.model = Model()
        self.faults: list[str] = []
        self._operations = {operation.number: operation for operation in operations}
        self._written: dict[int, int] = {}  # number -> revision after it took effect
        self._changed: set[int] = set()  # numbers of those that made their revision

    def run(self, order: Iterable[int]) -> list[str]:
        for number in order:
            self._write(number)
        for operation in self._operations.values():
            self._check_outcome(operation)
        self._check_real_time()
        return self.faults

    # -- rules 1 and 2

    def _write(self, number: int) -> None:
        operation = self._operations.get(number)
        if operation is None:
            self.faults.append(f"the log holds #{number}, which nobody asked for")
            return
        if number in self._written:
            self.faults.append(f"applied twice: {operation}")
            return
        before = self.model.revision
        response = self.model.apply(operation.request)
        self._written[number] = self.model.revision
        if self.model.revision != before:
            self._changed.add(number)
        if operation.outcome == OK:
            self._compare(operation, self.model.revision, response)

    def _compare(self, operation: Operation, revision: int, response: Response) -> None:
        if operation.response != response:
            self.faults.append(f"wrong answer, expected {response} at {revision}: {operation}")
        elif operation.revision != revision and response[0] != "error":
            self.faults.append(f"wrong revision, expected {revision}: {operation}")

    def _check_outcome(self, operation: Operation) -> None:
        is_written = operation.number in self._written
        if operation.is_read:
            if operation.outcome == OK:
                self._check_read(operation)
        elif operation.outcome == OK and not is_written:
            self.faults.append(f"acknowledged and lost: {operation}")
        elif operation.outcome == REFUSED and is_written:
            self.faults.append(f"refused and done: {operation}")

    def _check_read(self, operation: Operation) -> None:
        request = operation.request
        assert isinstance(request, Range)
        at = request.revision or operation.revision
        if operation.response[0] == "error":
            self._check_refused_read(operation, request)
        elif not (0 < operation.revision <= self.model.revision and at <= operation.revision):
            self.faults.append(f"revision {at} does not exist by the log: {operation}")
        else:
            self._compare(
                operation,
                operation.revision,
                ("found", read_items(self.model.history[at], request.key, request.end)),
            )

    def _check_refused_read(self, operation: Operation, request: Range) -> None:
        """A read of the past may be refused: compacted by now, or not there yet."""
        kind = operation.response[1]
        if kind == "Compacted" and 0 < request.revision < self.model.compacted:
            return
        if kind == "FutureRev" and request.revision > 0:
            return
        self.faults.append(f"refused without a reason: {operation}")

    # -- rule 3

    def _check_real_time(self) -> None:
        """Walk through asking and answering in time; `floor` is the newest revision that anybody was told of."""
        moments: list[tuple[int, int, Operation]] = []
        for operation in self._operations.values():
            moments.append((operation.invoked, 0, operation))
            if operation.outcome == OK and operation.response[0] != "error":
                assert operation.returned is not None
                moments.append((operation.returned, 1, operation))
        moments.sort(key=lambda moment: (moment[0], moment[1]))
        floor = 0
        floors: dict[int, int] = {}
        for _, is_answer, operation in moments:
            if is_answer:
                self._check_not_older(operation, floors[operation.number])
                floor = max(floor, operation.revision)
            else:
                floors[operation.number] = floor
                self._check_not_before_asked(operation, floor)

    def _check_not_older(self, operation: Operation, floor: int) -> None:
        request = operation.request
        if isinstance(request, Range) and request.is_serializable:
            return
        if operation.revision < floor:
            self.faults.append(f"old: revision {floor} had been told before it was asked: {operation}")

    def _check_not_before_asked(self, operation: Operation, floor: int) -> None:
        if operation.number in self._changed and self._written[operation.number] <= floor:
            self.faults.append(f"seen before it was asked for: somebody was told of revision {floor}: {operation}")
