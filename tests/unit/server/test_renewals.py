"""Renewing leases where this member leads."""

from __future__ import annotations

from pathlib import Path

from etcdpy.base.errors import EtcdError, LeaseNotFound
from etcdpy.server.renewals import LocalRenewer
from etcdpy.state.lease.lessor import Lessor, NotPrimary
from etcdpy.storage.backend import Backend


def test_a_lease_is_renewed_at_the_time_of_the_clock(tmp_path: Path) -> None:
    backend = Backend.open(tmp_path)
    lessor = Lessor(backend, ttl_seconds_min=2)
    now = [100.0]
    renewer = LocalRenewer(lessor, lambda: now[0])
    answers: list[int | EtcdError] = []
    lessor.promote(100.0, 0.0)
    lessor.tick(100.0)
    lessor.grant(7, 10)

    now[0] = 109.0
    renewer.renew(7, answers.append)
    assert lessor.expired(118.9, 10) == []
    renewer.renew(8, answers.append)
    now[0] = 119.0
    renewer.renew(7, answers.append)
    lessor.demote()
    renewer.renew(7, answers.append)

    assert answers[0] == 10
    assert [type(answer) for answer in answers[1:]] == [LeaseNotFound, LeaseNotFound, NotPrimary]
    backend.end_batch()
    backend.close()
