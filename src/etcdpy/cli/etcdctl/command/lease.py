"""etcdctl lease grant | revoke | timetolive | list | keep-alive. Lease ids are hexadecimal."""

from __future__ import annotations

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, BAD_CONNECTION, ERROR, Exit
from etcdpy.cli.etcdctl.go_text import GoError, parse_int
from etcdpy.cli.etcdctl.session import Session


def run_grant(session: Session) -> None:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, "lease grant command needs TTL argument")
    try:
        ttl = parse_int(session.words[0])
    except GoError as error:
        raise Exit(BAD_ARGS, f"bad TTL ({error})") from None
    client = session.client()
    try:
        response = client.lease.grant(ttl)
    except EtcdError as error:
        raise Exit(ERROR, f"failed to grant lease ({error})") from None
    session.printer().lease_grant(response)
    session.printer().flush()


def run_revoke(session: Session) -> None:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, "lease revoke command needs 1 argument")
    lease_id = _parse_lease_id(session.words[0])
    client = session.client()
    try:
        response = client.lease.revoke(lease_id)
    except EtcdError as error:
        raise Exit(ERROR, f"failed to revoke lease ({error})") from None
    session.printer().lease_revoke(lease_id, response)
    session.printer().flush()


def run_time_to_live(session: Session) -> None:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, "lease timetolive command needs lease ID as argument")
    lease_id = _parse_lease_id(session.words[0])
    with_keys = session.flags.boolean("keys")
    client = session.client()
    try:
        # As etcdctl: waits for a server for as long as it takes.
        response = client.lease.time_to_live(lease_id, keys=with_keys, timeout=None)
    except EtcdError as error:
        raise Exit(BAD_CONNECTION, str(error)) from None
    session.printer().lease_time_to_live(response, with_keys=with_keys)
    session.printer().flush()


def run_list(session: Session) -> None:
    client = session.client()
    try:
        response = client.lease.leases(timeout=None)
    except EtcdError as error:
        raise Exit(BAD_CONNECTION, str(error)) from None
    session.printer().lease_list(response)
    session.printer().flush()


def run_keep_alive(session: Session) -> None:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, "lease keep-alive command needs lease ID as argument")
    lease_id = _parse_lease_id(session.words[0])
    client = session.client()
    printer = session.printer()
    try:
        if session.flags.boolean("once"):
            printer.lease_keep_alive(client.lease.keep_alive_once(lease_id))
            printer.flush()
            return
        for response in client.lease.keep_alive(lease_id):
            printer.lease_keep_alive(response)
            printer.flush()
    except EtcdError as error:
        raise Exit(BAD_CONNECTION, str(error)) from None
    if session.format == "simple":
        print(f"lease {lease_id:016x} expired or revoked.")


def _parse_lease_id(text: str) -> int:
    try:
        return parse_int(text, 16)
    except GoError as error:
        raise Exit(BAD_ARGS, f"bad lease ID arg ({error}), expecting ID in Hex") from None
