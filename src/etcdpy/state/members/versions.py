"""The cluster's version: what the members agreed to speak, and who is too old to take part.

    cluster version   major.minor of the oldest member, kept as "3.5.0"
    downgrade         somebody allowed the cluster to go one minor back: "" or the target, like "3.4.0"

A member older than the cluster's version would not understand what the others write, so it does not run at all; during
a downgrade it is the other way round, and only members of the target version may start.

Upstream: server/etcdserver/api/membership/downgrade.go.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from etcdpy.base.invariant import StorageError

# What a cluster starts with while not all of its members have told their version. Upstream: version.MinClusterVersion.
CLUSTER_VERSION_MIN: Final = "3.0.0"

# Pre-release and build metadata (3.6.0-alpha.0, 3.5.33+git) do not count in what is compared here.
_SEMVER: Final = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:[-+][0-9A-Za-z.+-]*)?", re.ASCII)


class MinorVersion(NamedTuple):
    """The part of a version that decides who understands whom."""

    major: int
    minor: int

    def __str__(self) -> str:
        """As it is shown: 3.5."""
        return f"{self.major}.{self.minor}"

    @property
    def full(self) -> str:
        """As it is stored: 3.5.0."""
        return f"{self.major}.{self.minor}.0"


def parse_version(text: str) -> MinorVersion:
    """Return major and minor of `text`. Raise ValueError where it is no version."""
    match = _SEMVER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not in dotted-tri format")
    return MinorVersion(int(match[1]), int(match[2]))


def is_valid_change(*, current: MinorVersion, decided: MinorVersion, downgrade_target: str) -> bool:
    """Return whether the cluster's version may become `decided`: up within a major, down only by a downgrade."""
    if decided.major == current.major and decided > current:
        return True
    if not downgrade_target:
        return False
    return decided == parse_version(downgrade_target) == (current.major, current.minor - 1)


def check_local_version(local: str, *, cluster: str, downgrade_target: str) -> None:
    """Raise StorageError where a member of version `local` may not take part in the cluster."""
    own = parse_version(local)
    if downgrade_target:
        if own != parse_version(downgrade_target):
            raise StorageError(
                "invalid downgrade; server version is not allowed to join when downgrade is enabled "
                f"(current-server-version: {local}, target-cluster-version: {downgrade_target})"
            )
    elif cluster and own < parse_version(cluster):
        raise StorageError(
            "invalid downgrade; server version is lower than determined cluster version "
            f"(current-server-version: {local}, determined-cluster-version: {parse_version(cluster)})"
        )
