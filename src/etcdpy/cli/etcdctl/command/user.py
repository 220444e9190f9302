"""etcdctl user add | delete | get | list | passwd | grant-role | revoke-role."""

from __future__ import annotations

import os

from google.protobuf.message import Message

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.password import read_password
from etcdpy.cli.etcdctl.session import Session
from etcdpy.client import method
from etcdpy.client.method import Answer, Method
from etcdpy.pb import auth_pb2
from etcdpy.pb import rpc_pb2 as rpc


def run_add(session: Session) -> None:
    """Add a user; the password stands behind the name, in a flag, or is asked for."""
    word = _one_name(session, "add")
    flags = session.flags
    options = auth_pb2.UserAddOptions(no_password=flags.boolean("no-password"))
    name, colon, password = word, "", flags.string("new-user-password")
    if not (options.no_password or password):
        name, colon, password = word.partition(":")
        if colon and not name:
            raise Exit(BAD_ARGS, "empty user name is not allowed")
    secret = os.fsencode(password)
    if not (options.no_password or password or colon):
        secret = read_password(name, interactive=flags.boolean("interactive"))
    if options.no_password:
        secret = b""
    request = rpc.AuthUserAddRequest(name=os.fsencode(name), password=secret, options=options)
    _ask_and_print(session, method.USER_ADD, request, f"User {name} created")


def run_delete(session: Session) -> None:
    name = _one_name(session, "delete")
    request = rpc.AuthUserDeleteRequest(name=os.fsencode(name))
    _ask_and_print(session, method.USER_DELETE, request, f"User {name} deleted")


def run_get(session: Session) -> None:
    name = _one_name(session, "get")
    answer = ask(session, method.USER_GET, rpc.AuthUserGetRequest(name=os.fsencode(name)))
    printer = session.printer()
    if not session.flags.boolean("detail"):
        printer.user_get(name, answer)
        printer.flush()
        return
    printer.line(f"User: {name}")
    for role in answer.roles:
        printer.line("")
        printer.flush()
        printer.role_get(os.fsdecode(role), ask(session, method.ROLE_GET, rpc.AuthRoleGetRequest(role=role)))
    printer.flush()


def run_list(session: Session) -> None:
    if session.words:
        raise Exit(BAD_ARGS, "user list command requires no arguments")
    session.printer()
    session.printer().user_list(ask(session, method.USER_LIST, rpc.AuthUserListRequest()))
    session.printer().flush()


def run_passwd(session: Session) -> None:
    name = _one_name(session, "passwd")
    password = read_password(name, interactive=session.flags.boolean("interactive"))
    request = rpc.AuthUserChangePasswordRequest(name=os.fsencode(name), password=password)
    _ask_and_print(session, method.USER_CHANGE_PASSWORD, request, "Password updated")


def run_grant_role(session: Session) -> None:
    if len(session.words) != 2:
        raise Exit(BAD_ARGS, "user grant command requires user name and role name as its argument")
    user, role = session.words
    request = rpc.AuthUserGrantRoleRequest(user=os.fsencode(user), role=os.fsencode(role))
    _ask_and_print(session, method.USER_GRANT_ROLE, request, f"Role {role} is granted to user {user}")


def run_revoke_role(session: Session) -> None:
    if len(session.words) != 2:
        raise Exit(BAD_ARGS, "user revoke-role requires user name and role name as its argument")
    user, role = session.words
    request = rpc.AuthUserRevokeRoleRequest(name=os.fsencode(user), role=os.fsencode(role))
    _ask_and_print(session, method.USER_REVOKE_ROLE, request, f"Role {role} is revoked from user {user}")


def _one_name(session: Session, command: str) -> str:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, f"user {command} command requires user name as its argument")
    return session.words[0]


def _ask_and_print(session: Session, target: Method[Answer], request: Message, text: str) -> None:
    answer = ask(session, target, request)
    session.printer().auth_change(text, answer)
    session.printer().flush()


def ask(session: Session, target: Method[Answer], request: Message) -> Answer:
    """Make one call; exit with what the server says against it."""
    client = session.client()
    try:
        return client.call(target, request)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
