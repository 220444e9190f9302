"""etcdctl alarm list | disarm."""

from __future__ import annotations

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.session import Session


def run_list(session: Session) -> None:
    if session.words:
        raise Exit(BAD_ARGS, "alarm list command accepts no arguments")
    client = session.client()
    try:
        response = client.maintenance.alarms()
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().alarms(response)
    session.printer().flush()


def run_disarm(session: Session) -> None:
    if session.words:
        raise Exit(BAD_ARGS, "alarm disarm command accepts no arguments")
    client = session.client()
    try:
        response = client.maintenance.disarm()
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().alarms(response)
    session.printer().flush()
