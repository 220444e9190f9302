"""etcdctl put: write a key. The value comes from the command line or from standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.flags import ParsedFlags
from etcdpy.cli.etcdctl.go_text import GoError, parse_int
from etcdpy.cli.etcdctl.session import Session
from etcdpy.client.method import KV_PUT
from etcdpy.client.request import put_request
from etcdpy.pb import rpc_pb2 as rpc

_NO_VALUE_TEXT: Final = "put command needs 1 argument and input from stdin or 2 arguments"


def run(session: Session) -> None:
    request = parse_put(session.flags, sys.stdin.buffer.read)
    client = session.client()
    try:
        response = client.call(KV_PUT, request)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().put(response)
    session.printer().flush()


def parse_put(flags: ParsedFlags, read_value: Callable[[], bytes]) -> rpc.PutRequest:
    """Return the request that a `put` command line asks for; `read_value` brings a value that is not on it."""
    words = flags.arguments
    if not words:
        raise Exit(BAD_ARGS, _NO_VALUE_TEXT)
    ignore_value = flags.boolean("ignore-value")
    if ignore_value and len(words) > 1:
        raise Exit(BAD_ARGS, "put command needs only 1 argument when 'ignore-value' is set")
    value = b""
    if not ignore_value:
        value = os.fsencode(words[1]) if len(words) > 1 else read_value()
        if len(words) == 1 and not value:
            raise Exit(BAD_ARGS, _NO_VALUE_TEXT)
    try:
        lease = parse_int(flags.string("lease"), 16)
    except GoError as error:
        raise Exit(BAD_ARGS, f"bad lease ID ({error}), expecting ID in Hex") from None
    return put_request(
        os.fsencode(words[0]),
        value,
        lease=lease,
        prev_kv=flags.boolean("prev-kv"),
        ignore_value=ignore_value,
        ignore_lease=flags.boolean("ignore-lease"),
    )
