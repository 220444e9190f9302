"""Errors that clients see: their texts and codes are an interface (Go clients compare texts)."""

from __future__ import annotations

import pickle

import pytest

from etcdpy.base import errors
from etcdpy.base.errors import CODE_NAMES, Compacted, EtcdError, LeaseNotFound, NoSpace


def all_errors() -> list[type[EtcdError]]:
    return sorted(
        (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EtcdError)),
        key=lambda kind: kind.__name__,
    )


# From rpctypes/error.go of 3.5: what a client program most often looks for.
WELL_KNOWN = {
    "EmptyKey": (3, "etcdserver: key is not provided"),
    "TooManyOps": (3, "etcdserver: too many operations in txn request"),
    "DuplicateKey": (3, "etcdserver: duplicate key given in txn request"),
    "Compacted": (11, "etcdserver: mvcc: required revision has been compacted"),
    "FutureRev": (11, "etcdserver: mvcc: required revision is a future revision"),
    "NoSpace": (8, "etcdserver: mvcc: database space exceeded"),
    "LeaseNotFound": (5, "etcdserver: requested lease not found"),
    "LeaseExist": (9, "etcdserver: lease already exists"),
    "LeaseTTLTooLarge": (11, "etcdserver: too large lease TTL"),
    "MemberNotFound": (5, "etcdserver: member not found"),
    "RequestTooLarge": (3, "etcdserver: request is too large"),
    "RequestTooManyRequests": (2, "etcdserver: too many requests"),  # etcd gives it no status
    "NoLeader": (14, "etcdserver: no leader"),
    "NotLeader": (9, "etcdserver: not leader"),
    "Stopped": (14, "etcdserver: server stopped"),
    "Timeout": (14, "etcdserver: request timed out"),
    "Corrupt": (15, "etcdserver: corrupt cluster"),
}


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_well_known_errors(name: str) -> None:
    kind = getattr(errors, name)

    assert (kind.code, kind.text) == WELL_KNOWN[name]


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_speaks_as_etcd_does(kind: type[EtcdError]) -> None:
    error = kind()

    assert error.code in CODE_NAMES and error.code != errors.OK
    assert str(error) == error.text and error.text.startswith("etcdserver: ")


def test_no_two_errors_have_the_same_text() -> None:
    texts = [kind.text for kind in all_errors()]

    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("kind", all_errors())
def test_errors_travel_to_another_process(kind: type[EtcdError]) -> None:
    """The service's answers may have to (design section 8)."""
    copy = pickle.loads(pickle.dumps(kind()))

    assert type(copy) is kind and copy == kind()


def test_equal_is_what_says_the_same() -> None:
    assert Compacted() == EtcdError(Compacted.text, Compacted.code)
    assert Compacted() != NoSpace() and Compacted() != "etcdserver: mvcc: required revision has been compacted"
    assert len({LeaseNotFound(), LeaseNotFound(), NoSpace()}) == 2


def test_text_and_code_of_one_error_leave_its_class_alone() -> None:
    error = EtcdError("peer said no", errors.UNAVAILABLE)

    assert (error.text, error.code) == ("peer said no", 14)
    assert (EtcdError().text, EtcdError().code) == ("etcdserver: unknown error", errors.UNKNOWN)
