"""Versions of members and of the cluster: which may go together."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.state.members.versions import MinorVersion, check_local_version, is_valid_change, parse_version


@pytest.mark.parametrize("text", ["3.5.33", "3.5.0", "3.5.0-rc.1", "3.5.1+git"])
def test_only_major_and_minor_count(text: str) -> None:
    version = parse_version(text)

    assert version == (3, 5)
    assert (str(version), version.full) == ("3.5", "3.5.0")


@pytest.mark.parametrize("text", ["", "3.5", "not_decided", "3.5.x", "v3.5.0", "3.5.0.0", "٣.٥.٠", "9999999999.0.0"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="dotted-tri"):
        parse_version(text)


def test_ten_is_more_than_nine() -> None:
    assert parse_version("3.10.0") > parse_version("3.9.9")


@pytest.mark.parametrize(
    ("current", "decided", "downgrade_target", "is_valid"),
    [
        ((3, 0), (3, 5), "", True),
        ((3, 5), (3, 5), "", False),
        ((3, 5), (4, 0), "", False),
        ((3, 5), (3, 4), "", False),
        ((3, 5), (3, 4), "3.4.0", True),
        ((3, 5), (3, 3), "3.3.0", False),
        ((3, 5), (3, 4), "3.3.0", False),
    ],
)
def test_a_version_goes_up_and_down_only_by_a_downgrade(
    current: tuple[int, int], decided: tuple[int, int], downgrade_target: str, is_valid: bool
) -> None:
    change = {"current": MinorVersion(*current), "decided": MinorVersion(*decided)}

    assert is_valid_change(**change, downgrade_target=downgrade_target) is is_valid


@pytest.mark.parametrize(
    ("cluster", "downgrade_target"),
    [("", ""), ("3.0.0", ""), ("3.5.0", ""), ("3.6.0", "3.5.0"), ("", "3.5.0")],
)
def test_who_may_take_part(cluster: str, downgrade_target: str) -> None:
    check_local_version("3.5.33", cluster=cluster, downgrade_target=downgrade_target)


@pytest.mark.parametrize(
    ("cluster", "downgrade_target", "text"),
    [
        ("3.6.0", "", r"lower than determined cluster version .*3\.5\.33.*3\.6\)"),
        ("3.5.0", "3.4.0", r"not allowed to join when downgrade is enabled .*3\.4\.0\)"),
    ],
)
def test_who_may_not(cluster: str, downgrade_target: str, text: str) -> None:
    with pytest.raises(StorageError, match=text):
        check_local_version("3.5.33", cluster=cluster, downgrade_target=downgrade_target)
