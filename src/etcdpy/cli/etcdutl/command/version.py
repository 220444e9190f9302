"""etcdutl version."""

from __future__ import annotations

from etcdpy.base.version import CLUSTER_VERSION, VERSION
from etcdpy.cli.etcdutl.session import Session


def run(session: Session) -> None:
    print(f"etcdutl version: {VERSION}\nAPI version: {CLUSTER_VERSION.rpartition('.')[0]}")
