"""etcdctl watch: print events as they happen, and run a command for each.

    watch [options] <key> [range_end] [-- command arguments...]

Key and range end may come from ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END instead. The command gets
ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE, the last three quoted as in Go.
With --interactive such lines (beginning with `watch`) and `progress` are read from standard input: see
`watch_interactive`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, INTERRUPTED, Exit
from etcdpy.cli.etcdctl.flags import ParsedFlags
from etcdpy.cli.etcdctl.go_text import quote, quote_text
from etcdpy.client.request import watch_request
from etcdpy.client.watch_state import cancel_text

if TYPE_CHECKING:
    from etcdpy.cli.etcdctl.session import Session
    from etcdpy.pb import rpc_pb2 as rpc

KEY_VARIABLE: Final = "ETCDCTL_WATCH_KEY"
RANGE_END_VARIABLE: Final = "ETCDCTL_WATCH_RANGE_END"


class WatchCommand:
    """One watch as it was asked for."""

    __slots__ = ("request", "command")

    def __init__(self, request: rpc.WatchCreateRequest, command: list[str]) -> None:
        self.request = request
        self.command = command


def run(session: Session) -> None:
    session.own_variables = (KEY_VARIABLE, RANGE_END_VARIABLE)
    if session.flags.boolean("interactive"):
        from etcdpy.cli.etcdctl.command.watch_interactive import run_interactive

        run_interactive(session)
        return
    watch = parse_watch(session.flags, session.environment)
    for response in session.client().watch(watch.request):
        print_watch(session, response, watch.command)
    raise Exit(INTERRUPTED, "watch is canceled by the server")


def parse_watch(flags: ParsedFlags, environment: Mapping[str, str]) -> WatchCommand:
    """Return the watch that a command line (or an interactive line) asks for."""
    words, command = split_command(flags)
    words = _add_environment(words, environment)
    if not words:
        raise Exit(BAD_ARGS, "bad number of arguments")
    prefix = flags.boolean("prefix")
    if prefix and len(words) == 2:
        raise Exit(BAD_ARGS, "`range_end` and `--prefix` are mutually exclusive")
    request = watch_request(
        os.fsencode(words[0]),
        range_end=os.fsencode(words[1]) if len(words) == 2 else b"",
        prefix=prefix,
        start_revision=flags.integer("rev"),
        prev_kv=flags.boolean("prev-kv"),
        progress_notify=flags.boolean("progress-notify"),
    )
    return WatchCommand(request, command)


def split_command(flags: ParsedFlags) -> tuple[list[str], list[str]]:
    """Return the words before `--` and the command behind it."""
    if flags.dash_index is None:
        return flags.arguments, []
    words, command = flags.arguments[: flags.dash_index], flags.arguments[flags.dash_index :]
    if not command:
        raise Exit(BAD_ARGS, "bad number of arguments (found separator --, but no commands)")
    return words, command


def _add_environment(words: list[str], environment: Mapping[str, str]) -> list[str]:
    key, range_end = environment.get(KEY_VARIABLE, ""), environment.get(RANGE_END_VARIABLE, "")
    if range_end and not key:
        raise Exit(BAD_ARGS, f"{KEY_VARIABLE} is empty but got {RANGE_END_VARIABLE}={quote_text(range_end)}")
    if not key:
        return words
    if words:
        raise Exit(BAD_ARGS, "bad number of arguments (found conflicting environment key)")
    return [key, range_end] if range_end else [key]


def print_watch(session: Session, response: rpc.WatchResponse, command: Sequence[str]) -> None:
    """Print one response, then run the command for each of its events."""
    if response.canceled:
        session.print_error(f"watch was canceled ({cancel_text(response)})\n")
    if is_progress(response):
        sys.stdout.write(f"progress notify: {response.header.revision}\n")
        sys.stdout.flush()
    printer = session.printer()
    printer.watch(response)
    printer.flush()
    for event in response.events if command else ():
        _run_command(session, response.header.revision, event.type == 0, event.kv.key, event.kv.value, command)


def is_progress(response: rpc.WatchResponse) -> bool:
    return not (response.events or response.canceled or response.created) and response.header.revision != 0


def _run_command(
    session: Session, revision: int, is_put: bool, key: bytes, value: bytes, command: Sequence[str]
) -> None:
    import subprocess

    environment = {
        **session.environment,
        "ETCD_WATCH_REVISION": str(revision),
        "ETCD_WATCH_EVENT_TYPE": '"PUT"' if is_put else '"DELETE"',
        "ETCD_WATCH_KEY": quote(key),
        "ETCD_WATCH_VALUE": quote(value),
    }
    try:
        code = subprocess.run(list(command), env=environment, restore_signals=True, check=False).returncode
    except FileNotFoundError:
        reason = f"exec: {quote_text(command[0])}: executable file not found in $PATH"
    except OSError as error:
        reason = f"fork/exec {command[0]}: {(error.strerror or '').lower()}"
    else:
        if code == 0:
            return
        reason = f"exit status {code}" if code > 0 else f"signal: {-code}"
    shown = " ".join(map(quote_text, command))
    session.print_error(f"command [{shown}] error ({reason})\n")
    raise Exit(ERROR)
