"""Effects are plain values: empty until filled, and nobody can add a field by a slip of the pen."""

from __future__ import annotations

import pytest

from etcdpy.pb.raft_values import Entry, HardState
from etcdpy.server.effects import Apply, Effects, Write


def test_a_step_with_nothing_to_do_is_empty() -> None:
    effects = Effects()

    assert (effects.write, effects.messages, effects.apply) == (None, [], None)
    assert (effects.confirmed_reads, effects.leader_changed) == ([], False)


def test_two_steps_share_nothing() -> None:
    first, second = Effects(), Effects()
    first.confirmed_reads.append((b"1", 1))

    assert second.confirmed_reads == []


def test_a_write_and_an_apply_hold_what_they_were_given() -> None:
    entries, state = [Entry(1, 2)], HardState(1, 1, 1)
    write = Write(entries, state, None, [], True)

    assert (write.entries, write.hard_state, write.snapshot, write.responses, write.must_sync) == (
        entries,
        state,
        None,
        [],
        True,
    )
    assert Apply(entries, []).entries is entries


@pytest.mark.parametrize("value", [Effects(), Apply([], []), Write([], None, None, [], False)])
def test_there_are_no_other_fields(value: object) -> None:
    with pytest.raises(AttributeError):
        value.writes = []  # type: ignore[attr-defined]
