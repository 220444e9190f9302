"""Which etcd we are: to clients, peers, disk and operators alike."""

from __future__ import annotations

from typing import Final

VERSION: Final = "3.5.33"
# What a cluster of such members agrees on, and what /version says until it has.
CLUSTER_VERSION: Final = "3.5.0"
CLUSTER_VERSION_UNKNOWN: Final = "not_decided"
# There is no commit of etcd behind this program; tools print what stands here.
GIT_SHA: Final = "etcdpy"
# The oldest cluster that such a member may be in; peers are told.
MIN_CLUSTER_VERSION: Final = "3.0.0"
