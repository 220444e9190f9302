"""etcdctl get: read a key or a range."""

from __future__ import annotations

import os
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, BAD_FEATURE, ERROR, Exit
from etcdpy.cli.etcdctl.flags import ParsedFlags
from etcdpy.cli.etcdctl.session import Session
from etcdpy.client.method import KV_RANGE
from etcdpy.client.request import range_request
from etcdpy.pb import rpc_pb2 as rpc

_ORDERS: Final = {
    "": rpc.RangeRequest.NONE,
    "ASCEND": rpc.RangeRequest.ASCEND,
    "DESCEND": rpc.RangeRequest.DESCEND,
}
_TARGETS: Final = {
    "": rpc.RangeRequest.KEY,
    "CREATE": rpc.RangeRequest.CREATE,
    "KEY": rpc.RangeRequest.KEY,
    "MODIFY": rpc.RangeRequest.MOD,
    "VALUE": rpc.RangeRequest.VALUE,
    "VERSION": rpc.RangeRequest.VERSION,
}


def run(session: Session) -> None:
    request = parse_get(session.flags)
    client = session.client()
    printer = session.printer()
    try:
        response = client.call(KV_RANGE, request)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    # After the request, as etcdctl: a wrong combination still shows the request's own error first.
    if session.flags.boolean("count-only") and session.format != "fields":
        raise Exit(BAD_ARGS, "--count-only is only for `--write-out=fields`")
    if session.flags.boolean("print-value-only"):
        if session.format != "simple":
            raise Exit(BAD_ARGS, "print-value-only is only for `--write-out=simple`")
        printer.value_only = True
    printer.get(response)
    printer.flush()


def parse_get(flags: ParsedFlags) -> rpc.RangeRequest:
    """Return the request that a `get` command line (or line of a transaction) asks for."""
    words = flags.arguments
    if not words:
        raise Exit(BAD_ARGS, "get command needs one argument as key and an optional argument as range_end")
    prefix, from_key = flags.boolean("prefix"), flags.boolean("from-key")
    check_range_flags(prefix, from_key)
    if flags.boolean("keys-only") and flags.boolean("count-only"):
        raise Exit(BAD_ARGS, "`--keys-only` and `--count-only` cannot be set at the same time, choose one")
    consistency = flags.string("consistency")
    if consistency not in ("l", "s"):
        raise Exit(BAD_FEATURE, f'unknown consistency flag "{consistency}"')
    if len(words) > 1 and (prefix or from_key):
        raise Exit(BAD_ARGS, "too many arguments, only accept one argument when `--prefix` or `--from-key` is set")
    order, target = flags.string("order").upper(), flags.string("sort-by").upper()
    if order not in _ORDERS:
        raise Exit(BAD_FEATURE, f"bad sort order {flags.string('order')}")
    if target not in _TARGETS:
        raise Exit(BAD_FEATURE, f"bad sort target {flags.string('sort-by')}")
    return range_request(
        os.fsencode(words[0]),
        range_end=os.fsencode(words[1]) if len(words) > 1 else b"",
        prefix=prefix,
        from_key=from_key,
        limit=flags.integer("limit"),
        revision=flags.integer("rev"),
        sort_order=_ORDERS[order],
        sort_target=_TARGETS[target],
        serializable=consistency == "s",
        keys_only=flags.boolean("keys-only"),
        count_only=flags.boolean("count-only"),
    )


def check_range_flags(prefix: bool, from_key: bool) -> None:
    if prefix and from_key:
        raise Exit(BAD_ARGS, "`--prefix` and `--from-key` cannot be set at the same time, choose one")
