"""Our own bugs and broken disks are no client's business, and are never taken for one another."""

from __future__ import annotations

from etcdpy.base.errors import EtcdError
from etcdpy.base.invariant import InvariantError, StorageError


def test_the_three_families_of_failure_are_not_related() -> None:
    families = (EtcdError, InvariantError, StorageError)

    for family in families:
        assert [other for other in families if issubclass(family, other)] == [family]


def test_a_broken_invariant_is_an_assertion() -> None:
    """What catches OSError or ValueError must not catch it."""
    assert issubclass(InvariantError, AssertionError)
    assert not issubclass(InvariantError, OSError | ValueError)
    assert not issubclass(StorageError, OSError | ValueError)
