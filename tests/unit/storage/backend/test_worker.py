from __future__ import annotations

import lmdb
import pytest

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.storage.backend.worker import Worker


def test_it_runs_one_task_at_a_time() -> None:
    worker = Worker()
    worker.submit(lambda: 42)
    with pytest.raises(InvariantError):
        worker.submit(lambda: 43)
    worker.wait()
    assert worker.is_done() and worker.is_busy
    assert worker.take_result() == 42
    assert not worker.is_busy
    with pytest.raises(InvariantError):
        worker.take_result()
    worker.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(5, "Input/output error"), StorageError),
        (lmdb.DiskError("no"), StorageError),
        (ValueError("x"), ValueError),
    ],
)
def test_errors_come_out_where_the_result_would(error: Exception, expected: type[Exception]) -> None:
    def fail() -> None:
        raise error

    worker = Worker()
    worker.submit(fail)
    worker.wait()
    with pytest.raises(expected):
        worker.take_result()
    worker.submit(lambda: "goes on")
    worker.wait()
    assert worker.take_result() == "goes on"
    worker.close()


def test_a_closed_event_loop_does_not_kill_the_thread() -> None:
    def wake() -> None:
        raise RuntimeError("Event loop is closed")

    worker = Worker(wake)
    for number in range(3):
        worker.submit(lambda number=number: number)  # type: ignore[misc]
        worker.wait()
        assert worker.take_result() == number
    worker.close()
