"""etcdctl version."""

from __future__ import annotations

from etcdpy.base.version import VERSION
from etcdpy.cli.etcdctl.help import API_VERSION
from etcdpy.cli.etcdctl.session import Session


def run(session: Session) -> None:
    print(f"etcdctl version: {VERSION}\nAPI version: {API_VERSION}")
