"""The contract with the member: what the tests' receiver has is what the transport asks for."""

from __future__ import annotations

import inspect

from etcdpy.transport.peer.receiver import Receiver, SnapshotRefused
from tests.unit.transport.peer.members import Recorder


def test_a_receiver_is_what_the_contract_says() -> None:
    receiver: Receiver = Recorder()
    asked = [name for name in vars(Receiver) if not name.startswith("_")]

    assert asked
    for name in asked:
        assert inspect.signature(getattr(type(receiver), name)) == inspect.signature(getattr(Receiver, name)), name
    assert inspect.iscoroutinefunction(receiver.receive_snapshot)


def test_a_refusal_carries_its_text() -> None:
    assert str(SnapshotRefused("older than mine")) == "older than mine"
