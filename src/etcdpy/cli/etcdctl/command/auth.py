"""etcdctl auth enable | disable | status."""

from __future__ import annotations

from etcdpy.base.errors import EtcdError, RoleAlreadyExist, RootRoleNotExist
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.session import Session
from etcdpy.client import method
from etcdpy.client.client import Client
from etcdpy.pb import rpc_pb2 as rpc

ROOT = "root"


def run_enable(session: Session) -> None:
    """Enable it; a user root that lacks the role root gets it first."""
    _check_no_arguments(session, "enable")
    client = session.client()
    try:
        _enable(client)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    print("Authentication Enabled")


def _enable(client: Client) -> None:
    try:
        client.call(method.AUTH_ENABLE, rpc.AuthEnableRequest())
        return
    except RootRoleNotExist:
        pass
    try:
        client.call(method.ROLE_ADD, rpc.AuthRoleAddRequest(name=ROOT.encode()))
    except RoleAlreadyExist:
        pass  # then only the user lacks it
    client.call(method.USER_GRANT_ROLE, rpc.AuthUserGrantRoleRequest(user=ROOT.encode(), role=ROOT.encode()))
    client.call(method.AUTH_ENABLE, rpc.AuthEnableRequest())


def run_disable(session: Session) -> None:
    _check_no_arguments(session, "disable")
    client = session.client()
    try:
        client.call(method.AUTH_DISABLE, rpc.AuthDisableRequest())
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    print("Authentication Disabled")


def run_status(session: Session) -> None:
    _check_no_arguments(session, "status")
    client = session.client()
    try:
        answer = client.call(method.AUTH_STATUS, rpc.AuthStatusRequest())
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().auth_status(answer)
    session.printer().flush()


def _check_no_arguments(session: Session, name: str) -> None:
    if session.words:
        raise Exit(BAD_ARGS, f"auth {name} command does not accept any arguments")
