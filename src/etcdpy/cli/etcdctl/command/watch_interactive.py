"""etcdctl watch --interactive: any number of watches at once, started by lines of standard input.

    watch [options] <key> [range_end] [-- command arguments...]
    progress

Here many streams and the keyboard are waited for at the same time, so this one command runs on asyncio. Standard input
is read by a thread: it may be a file, which no event loop can wait for. The thread is a daemon: when a watch ends the
program, nobody waits for another line.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Final

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.command.lines import split_line
from etcdpy.cli.etcdctl.command.watch import KEY_VARIABLE, WatchCommand, parse_watch, print_watch
from etcdpy.cli.etcdctl.exits import BAD_ARGS, INTERRUPTED, INVALID_INPUT, Exit
from etcdpy.cli.etcdctl.flags import FlagError, FlagSet
from etcdpy.cli.etcdctl.table import WATCH_FLAGS

if TYPE_CHECKING:
    from etcdpy.cli.etcdctl.session import Session
    from etcdpy.client.aio import AsyncClient
    from etcdpy.client.aio_watch import AsyncWatcher

_LINE_FLAGS: Final = FlagSet(WATCH_FLAGS)


def run_interactive(session: Session) -> None:
    session.settle()
    session.printer()
    asyncio.run(_serve(session))


async def _serve(session: Session) -> None:
    client = session.new_async_client(session.endpoints)
    watchers: list[AsyncWatcher] = []
    lines = _read_lines(asyncio.get_running_loop())
    try:
        async with asyncio.TaskGroup() as tasks:
            while True:
                raw = await lines.get()
                if not raw.endswith(b"\n"):
                    raise Exit(INVALID_INPUT, "error reading watch request line: EOF")
                watch = await _take_line(session, raw[:-1].decode("utf-8", "surrogateescape"), watchers)
                if watch is not None:
                    tasks.create_task(_print_events(session, _start(client, watch, watchers), watch))
    except* Exit as exits:
        # Whoever ended the program first decides how.
        raise _first(exits) from None
    finally:
        await client.close()


def _read_lines(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[bytes]:
    """Return a queue that standard input's lines come through; the last one does not end in a newline."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        raw = b"\n"
        while raw.endswith(b"\n"):
            raw = sys.stdin.buffer.readline()
            try:
                loop.call_soon_threadsafe(lines.put_nowait, raw)
            except RuntimeError:
                # The loop is closed: the program is ending, for a reason that the main thread tells.
                return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return lines


def _first(exits: BaseExceptionGroup[Exit]) -> Exit:
    first: BaseException = exits
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, Exit)
    return first


def _start(client: AsyncClient, watch: WatchCommand, watchers: list[AsyncWatcher]) -> AsyncWatcher:
    watcher = client.watch(watch.request)
    watchers.append(watcher)
    return watcher


async def _take_line(session: Session, line: str, watchers: list[AsyncWatcher]) -> WatchCommand | None:
    """Do what a line says; return the watch it asks for, if it does."""
    words = split_line(line)
    if not words:
        session.print_error(f"Invalid command: {line} (watch and progress supported)\n")
    elif words[0] == "progress":
        for watcher in watchers:
            await watcher.request_progress()
    elif words[0] != "watch":
        session.print_error(f"Invalid command {line} (only support watch)\n")
    elif len(words) < 2 and not session.environment.get(KEY_VARIABLE):
        session.print_error(f"Invalid command {line} (command type or key is not provided)\n")
    else:
        return _parse_line(session, words[1:])
    return None


def _parse_line(session: Session, words: list[str]) -> WatchCommand:
    try:
        flags = _LINE_FLAGS.parse(words)
    except FlagError as error:
        raise Exit(BAD_ARGS, str(error)) from None
    return parse_watch(flags, session.environment)


async def _print_events(session: Session, watcher: AsyncWatcher, watch: WatchCommand) -> None:
    try:
        async for response in watcher:
            print_watch(session, response, watch.command)
    except EtcdError as error:
        raise Exit(INTERRUPTED, str(error)) from None
