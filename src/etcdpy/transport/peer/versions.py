"""Which members may talk to each other: compared are major and minor of what each says of itself.

A peer's own version must not be below the oldest cluster that we can be in, nor ours below the oldest that it can be
in. Upstream: rafthttp/util.go (facts 7.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from etcdpy.transport.peer.settings import Identity

# What a member said before it said anything.
VERSION_UNSAID: Final = "2.0.0"
_VERSION: Final = re.compile(r"(\d{1,9})\.(\d{1,9})\.\d{1,9}(?:[-+].*)?", re.ASCII)


class Incompatible(Exception):
    """The two versions do not go together; the text says why."""


def parse_major_minor(version: str) -> tuple[int, int] | None:
    """Return (major, minor) of a semantic version, or None."""
    match = _VERSION.fullmatch(version)
    return (int(match[1]), int(match[2])) if match else None


def server_version(headers: Mapping[str, str]) -> str:
    return headers.get("x-server-version") or VERSION_UNSAID


def min_cluster_version(headers: Mapping[str, str]) -> str:
    return headers.get("x-min-cluster-version") or VERSION_UNSAID


def check_compatible(own: Identity, headers: Mapping[str, str]) -> None:
    """Raise Incompatible unless the peer with these headers and we can be in one cluster."""
    name, theirs, their_minimum = (
        headers.get("x-server-from", ""),
        server_version(headers),
        min_cluster_version(headers),
    )
    remote, remote_minimum = parse_major_minor(theirs), parse_major_minor(their_minimum)
    local, local_minimum = parse_major_minor(own.server_version), parse_major_minor(own.min_cluster_version)
    assert local is not None and local_minimum is not None
    if remote is None or remote_minimum is None:
        raise Incompatible(f"remote version cannot be read: remote[{name}]={theirs}, minimum {their_minimum}")
    if remote < local_minimum:
        raise Incompatible(f"remote version is too low: remote[{name}]={theirs}, local={own.server_version}")
    if remote_minimum > local:
        raise Incompatible(f"local version is too low: remote[{name}]={theirs}, local={own.server_version}")
