"""etcdctl role add | delete | get | list | grant-permission | revoke-permission."""

from __future__ import annotations

import os
from typing import Final

from etcdpy.cli.etcdctl.command.user import ask
from etcdpy.cli.etcdctl.exits import BAD_ARGS, Exit
from etcdpy.cli.etcdctl.session import Session
from etcdpy.client import method
from etcdpy.client.request import prefix_end
from etcdpy.pb import auth_pb2
from etcdpy.pb import rpc_pb2 as rpc

# What "every key from here on" is written as.
OPEN_END: Final = b"\0"


def run_add(session: Session) -> None:
    name = _one_name(session, "add")
    answer = ask(session, method.ROLE_ADD, rpc.AuthRoleAddRequest(name=os.fsencode(name)))
    session.printer().auth_change(f"Role {name} created", answer)
    session.printer().flush()


def run_delete(session: Session) -> None:
    name = _one_name(session, "delete")
    answer = ask(session, method.ROLE_DELETE, rpc.AuthRoleDeleteRequest(role=os.fsencode(name)))
    session.printer().auth_change(f"Role {name} deleted", answer)
    session.printer().flush()


def run_get(session: Session) -> None:
    name = _one_name(session, "get")
    answer = ask(session, method.ROLE_GET, rpc.AuthRoleGetRequest(role=os.fsencode(name)))
    session.printer().role_get(name, answer)
    session.printer().flush()


def run_list(session: Session) -> None:
    if session.words:
        raise Exit(BAD_ARGS, "role list command requires no arguments")
    answer = ask(session, method.ROLE_LIST, rpc.AuthRoleListRequest())
    session.printer().role_list(answer)
    session.printer().flush()


def run_grant_permission(session: Session) -> None:
    words = session.words
    if len(words) < 3:
        raise Exit(
            BAD_ARGS,
            "role grant command requires role name, permission type, and key [endkey] as its argument",
        )
    kinds = auth_pb2.Permission.Type
    kind = words[1].upper()
    if kind not in kinds.keys():
        raise Exit(BAD_ARGS, f"invalid permission type: {words[1]}")
    key, end = _key_range(session, words[2:])
    permission = auth_pb2.Permission(permType=kinds.Value(kind), key=key or OPEN_END, range_end=end)
    request = rpc.AuthRoleGrantPermissionRequest(name=os.fsencode(words[0]), perm=permission)
    answer = ask(session, method.ROLE_GRANT_PERMISSION, request)
    session.printer().auth_change(f"Role {words[0]} updated", answer)
    session.printer().flush()


def run_revoke_permission(session: Session) -> None:
    words = session.words
    if len(words) < 2:
        raise Exit(
            BAD_ARGS,
            "role revoke-permission command requires role name and key [endkey] as its argument",
        )
    key, end = _key_range(session, words[1:])
    request = rpc.AuthRoleRevokePermissionRequest(role=os.fsencode(words[0]), key=key or OPEN_END, range_end=end)
    answer = ask(session, method.ROLE_REVOKE_PERMISSION, request)
    session.printer().auth_change(_revoked_text(words[0], words[1], os.fsdecode(end)), answer)
    session.printer().flush()


def _revoked_text(role: str, key: str, end: str) -> str:
    if not end:
        return f"Permission of key {key} is revoked from role {role}"
    if end == "\0":
        return f"Permission of range [{key}, <open ended> is revoked from role {role}"
    return f"Permission of range [{key}, {end}) is revoked from role {role}"


def _key_range(session: Session, words: list[str]) -> tuple[bytes, bytes]:
    """Return the range that a permission is about; the end of a single key is empty."""
    prefix, from_key = session.flags.boolean("prefix"), session.flags.boolean("from-key")
    if prefix and from_key:
        raise Exit(BAD_ARGS, "--from-key and --prefix flags are mutually exclusive")
    if (prefix or from_key) and len(words) > 1:
        flag = "--prefix" if prefix else "--from-key"
        raise Exit(BAD_ARGS, f"unexpected endkey argument with {flag} flag")
    key = os.fsencode(words[0])
    if from_key or (prefix and not key):
        return key, OPEN_END
    if prefix:
        return key, prefix_end(key)
    return key, os.fsencode(words[1]) if len(words) > 1 else b""


def _one_name(session: Session, command: str) -> str:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, f"role {command} command requires role name as its argument")
    return session.words[0]
