"""etcdctl member list."""

from __future__ import annotations

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import ERROR, Exit
from etcdpy.cli.etcdctl.session import Session


def run_list(session: Session) -> None:
    client = session.client()
    try:
        response = client.cluster.member_list()
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().member_list(response)
    session.printer().flush()


def chosen_endpoints(session: Session) -> list[str]:
    """Return the endpoints given, or with --cluster those of all members."""
    session.settle()
    if not session.flags.boolean("cluster"):
        return session.endpoints
    client = session.client()
    try:
        members = client.cluster.member_list().members
    except EtcdError as error:
        raise Exit(ERROR, f"failed to fetch endpoints from etcd cluster member list: {error}") from None
    return [url for member in members for url in member.clientURLs]
