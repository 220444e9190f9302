"""etcd's words for what happened to the membership."""

from __future__ import annotations

from typing import Any

import pytest

from etcdpy.base.errors import MemberExist
from etcdpy.pb.raft_values import ConfState
from etcdpy.server.membership_log import log_change, log_downgrade, log_version
from etcdpy.state.members import Member, MembershipChange
from etcdpy.state.members.change import ADDED, PROMOTED, REFUSED, REMOVED, UPDATED
from tests.unit.server.membership_world import Lines, logger_with

LEARNER = Member(id=0xB, peer_urls=("http://b:1",), is_learner=True)
IDS = {"cluster-id": "c", "local-member-id": "a"}


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (
            ADDED,
            {
                "msg": "added member",
                "added-peer-id": "b",
                "added-peer-peer-urls": ["http://b:1"],
                "added-peer-is-learner": True,
            },
        ),
        (PROMOTED, {"msg": "promote member", "promoted-member-id": "b"}),
        (
            REMOVED,
            {
                "msg": "removed member",
                "removed-remote-peer-id": "b",
                "removed-remote-peer-urls": ["http://b:1"],
                "removed-remote-peer-is-learner": True,
            },
        ),
        (
            UPDATED,
            {
                "msg": "updated member",
                "updated-remote-peer-id": "b",
                "updated-remote-peer-urls": ["http://b:1"],
            },
        ),
    ],
)
def test_a_change_that_was_made(kind: str, line: dict[str, Any]) -> None:
    lines = Lines()
    result = MembershipChange(
        request_id=1, kind=kind, member_id=0xB, member=LEARNER, conf_state=ConfState(), members=()
    )
    log_change(logger_with(lines), result, cluster_id=0xC, member_id=0xA)

    assert lines.lines == [{"level": "info"} | IDS | line]


def test_a_change_that_all_refused() -> None:
    lines = Lines()
    result = MembershipChange(
        request_id=1,
        kind=REFUSED,
        member_id=0xB,
        member=None,
        conf_state=ConfState(),
        members=(),
        error=MemberExist(),
    )
    log_change(logger_with(lines), result, cluster_id=0xC, member_id=0xA, is_new=False)

    assert lines.lines == [
        {
            "level": "error",
            "msg": "Validation on configuration change failed",
            "shouldApplyV3": False,
            "error": MemberExist.text,
        }
    ]


def test_versions() -> None:
    lines = Lines()
    log_version(logger_with(lines), "", "3.0.0", cluster_id=0xC, member_id=0xA)
    log_version(logger_with(lines), "3.0.0", "3.5.0", cluster_id=0xC, member_id=0xA)

    assert lines.lines == [
        {"level": "info", "msg": "set initial cluster version"} | IDS | {"cluster-version": "3.0"},
        {"level": "info", "msg": "updated cluster version"} | IDS | {"from": "3.0", "to": "3.5"},
    ]


def test_a_downgrade_that_is_allowed() -> None:
    lines = Lines()
    log_downgrade(logger_with(lines), "3.4.0")
    (line,) = lines.lines
    assert (line["msg"], line["target-version"]) == ("The server is ready to downgrade", "3.4.0")
    assert line["server-version"].startswith("3.5.")
