"""etcdctl txn: read comparisons and two lists of operations from standard input, and send them as one transaction.

<comparisons, one a line>
<empty line>
<operations if they hold: get, put, del>
<empty line>
<operations if not>
<empty line>
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.command.compare import CompareError, parse_compare
from etcdpy.cli.etcdctl.command.delete import parse_delete
from etcdpy.cli.etcdctl.command.get import parse_get
from etcdpy.cli.etcdctl.command.lines import split_line
from etcdpy.cli.etcdctl.command.put import parse_put
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, INVALID_INPUT, Exit
from etcdpy.cli.etcdctl.flags import BOOL, Flag, FlagError, FlagSet
from etcdpy.cli.etcdctl.session import Session
from etcdpy.cli.etcdctl.table import DEL_FLAGS, GET_FLAGS, PUT_FLAGS

if TYPE_CHECKING:
    from etcdpy.client.request import Operation
    from etcdpy.pb import rpc_pb2 as rpc

_HELP: Final = Flag("help", BOOL, "false", "", "h")
_FLAGS: Final = {
    "get": FlagSet([*GET_FLAGS, _HELP]),
    "put": FlagSet([*PUT_FLAGS, _HELP]),
    "del": FlagSet([*DEL_FLAGS, _HELP]),
}


def run(session: Session) -> None:
    if session.words:
        raise Exit(BAD_ARGS, "txn command does not accept argument")
    client = session.client()
    interactive = session.flags.boolean("interactive")
    _prompt("compares:", interactive)
    compares = []
    while line := _read_line():
        compares.append(_parse_compare_line(line))
    _prompt("success requests (get, put, del):", interactive)
    success = _read_operations()
    _prompt("failure requests (get, put, del):", interactive)
    failure = _read_operations()
    try:
        # As etcdctl: a transaction waits for as long as it takes.
        response = client.kv.txn(compares, success, failure, timeout=None)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    session.printer().txn(response)
    session.printer().flush()


def _prompt(text: str, interactive: bool) -> None:
    if interactive:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _read_line() -> str:
    """Return the next line without the blanks around it; a line that does not end in a newline is the end."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        raise Exit(INVALID_INPUT, "EOF")
    return line.decode("utf-8", "surrogateescape").strip()


def _parse_compare_line(line: str) -> rpc.Compare:
    try:
        return parse_compare(line)
    except CompareError as error:
        raise Exit(INVALID_INPUT, str(error)) from None


def _read_operations() -> list[Operation]:
    operations = []
    while line := _read_line():
        operations.append(parse_operation(line))
    return operations


def parse_operation(line: str) -> Operation:
    """Return the request that a line of a transaction stands for."""
    words = split_line(line)
    if len(words) < 2:
        raise Exit(INVALID_INPUT, f"invalid txn compare request: {line}")
    known = _FLAGS.get(words[0])
    if known is None:
        raise Exit(INVALID_INPUT, f"invalid txn request: {line}")
    try:
        flags = known.parse(words[1:])
    except FlagError:
        raise Exit(INVALID_INPUT, f"invalid txn request: {line}") from None
    if flags.boolean("help"):
        raise Exit(INVALID_INPUT, f"invalid txn request: {line}")
    if words[0] == "get":
        return parse_get(flags)
    # Standard input is the transaction itself; a missing value cannot come from there.
    return parse_put(flags, bytes) if words[0] == "put" else parse_delete(flags)
