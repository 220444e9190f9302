"""etcdctl del: delete a key or a range."""

from __future__ import annotations

import os

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.command.get import check_range_flags
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.flags import ParsedFlags
from etcdpy.cli.etcdctl.session import Session
from etcdpy.client.method import KV_DELETE_RANGE
from etcdpy.client.request import delete_request
from etcdpy.pb import rpc_pb2 as rpc


def run(session: Session) -> None:
    request = parse_delete(session.flags)
    client = session.client()
    try:
        response = client.call(KV_DELETE_RANGE, request)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().delete(response)
    session.printer().flush()


def parse_delete(flags: ParsedFlags) -> rpc.DeleteRangeRequest:
    """Return the request that a `del` command line (or line of a transaction) asks for."""
    words = flags.arguments
    if not words or len(words) > 2:
        raise Exit(BAD_ARGS, "del command needs one argument as key and an optional argument as range_end")
    prefix, from_key = flags.boolean("prefix"), flags.boolean("from-key")
    check_range_flags(prefix, from_key)
    if len(words) > 1 and (prefix or from_key):
        raise Exit(BAD_ARGS, "too many arguments, only accept one argument when `--prefix` or `--from-key` is set")
    return delete_request(
        os.fsencode(words[0]),
        range_end=os.fsencode(words[1]) if len(words) > 1 else b"",
        prefix=prefix,
        from_key=from_key,
        prev_kv=flags.boolean("prev-kv"),
    )
