"""etcdctl downgrade validate | enable | cancel: let the cluster go back by one minor version. As in etcdctl 3.6."""

from __future__ import annotations

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.session import Session
from etcdpy.pb import rpc_pb2 as rpc


def run_validate(session: Session) -> None:
    _ask(session, rpc.DowngradeRequest(action=rpc.DowngradeRequest.VALIDATE, version=_target(session)), "validate")


def run_enable(session: Session) -> None:
    _ask(session, rpc.DowngradeRequest(action=rpc.DowngradeRequest.ENABLE, version=_target(session)), "enable")


def run_cancel(session: Session) -> None:
    _ask(session, rpc.DowngradeRequest(action=rpc.DowngradeRequest.CANCEL), "cancel")


def _target(session: Session) -> str:
    words = session.words
    if not words:
        raise Exit(BAD_ARGS, "TARGET_VERSION not provided")
    if len(words) > 1:
        raise Exit(BAD_ARGS, "too many arguments")
    if not words[0]:
        raise Exit(BAD_ARGS, "target version not provided")
    return words[0].encode(errors="replace").decode()


def _ask(session: Session, request: rpc.DowngradeRequest, verb: str) -> None:
    client = session.client()
    try:
        response = client.maintenance.downgrade(request)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().downgrade(verb, response)
    session.printer().flush()
