"""Who may be in one cluster with us."""

from __future__ import annotations

import pytest

from etcdpy.transport.peer.settings import Identity
from etcdpy.transport.peer.versions import Incompatible, check_compatible, parse_major_minor

OWN = Identity(member_id=1, cluster_id=2, peer_urls=["http://x:1"])


@pytest.mark.parametrize(
    ("version", "minimum"),
    [("3.5.1", "3.0.0"), ("3.0.0", "2.0.0"), ("3.6.0", "3.5.99"), ("4.1.0-alpha.0+git", "3.0.0")],
)
def test_compatible(version: str, minimum: str) -> None:
    check_compatible(OWN, {"x-server-version": version, "x-min-cluster-version": minimum})


@pytest.mark.parametrize(
    ("version", "minimum", "why"),
    [
        ("2.9.9", "2.0.0", "remote version is too low: remote[a]=2.9.9, local=3.5.33"),
        ("", "", "remote version is too low: remote[a]=2.0.0, local=3.5.33"),
        ("3.9.0", "3.6.0", "local version is too low: remote[a]=3.9.0, local=3.5.33"),
        ("three", "3.0.0", "remote version cannot be read"),
        ("3.5.1", "x", "remote version cannot be read"),
        ("9" * 5_000 + ".0.0", "3.0.0", "remote version cannot be read"),
    ],
)
def test_incompatible(version: str, minimum: str, why: str) -> None:
    with pytest.raises(Incompatible) as caught:
        check_compatible(OWN, {"x-server-from": "a", "x-server-version": version, "x-min-cluster-version": minimum})
    assert str(caught.value).startswith(why)


def test_only_semantic_versions_are_read() -> None:
    assert parse_major_minor("3.5.33") == (3, 5)
    assert parse_major_minor("3.5") is parse_major_minor("v3.5.0") is parse_major_minor("\u0663.5.1") is None
