"""etcdctl move-leader: make another member the leader. The leader itself must be among the endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.go_text import GoError, parse_uint
from etcdpy.cli.etcdctl.session import Session

if TYPE_CHECKING:
    from etcdpy.client.client import Client


def run(session: Session) -> None:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, "move-leader command needs 1 argument")
    try:
        target = parse_uint(session.words[0], 16)
    except GoError as error:
        raise Exit(BAD_ARGS, str(error)) from None
    session.settle()
    session.printer()
    client, leader = _find_leader(session)
    try:
        response = client.maintenance.move_leader(target)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().move_leader(leader, target, response)
    session.printer().flush()


def _find_leader(session: Session) -> tuple[Client, int]:
    for endpoint in session.endpoints:
        client = session.new_client([endpoint])
        try:
            status = client.maintenance.status()
        except EtcdError as error:
            raise Exit(ERROR, str(error)) from None
        if status.header.member_id == status.leader:
            return client, status.leader
        client.close()
    raise Exit(BAD_ARGS, f"no leader endpoint given at [{' '.join(session.endpoints)}]")
