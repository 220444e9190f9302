"""The `etcd` command: settings, then the member, then the signal that ends it.

SIGTERM or SIGINT stops the member cleanly, then the signal is raised once more with its default effect: the parent sees
a process that died of the signal it sent, as with etcd. Process 1 (a container) exits with 0 instead, because the
kernel does not kill it so. A signal while the member still starts gives the start up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Final, NoReturn

from etcdpy.base.invariant import StorageError
from etcdpy.base.log import close_logger, log_fatal, log_info, log_warn
from etcdpy.cli.etcd.allocator import keep_freed_memory
from etcdpy.cli.etcd.discovery_report import log_discovery_failed
from etcdpy.cli.etcd.start import EXIT_REFUSED, Exit, Prepared, prepare
from etcdpy.embed.banner import log_closing
from etcdpy.embed.config import Config
from etcdpy.embed.errors import DiscoveryFailed, MemberRemoved, StartError
from etcdpy.embed.sd_notify import notify_ready

SUB_COMMANDS: Final = ("gateway", "grpc-proxy")
# What the group and others may not: the data is the owner's alone, whatever the shell says.
UMASK: Final = 0o077
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process."""
    sys.exit(run_command(sys.argv if arguments is None else arguments))


def run_command(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    if not __debug__:
        print("etcd: the checks that Python's -O removes guard your data; start it without -O", file=sys.stderr)
        return EXIT_REFUSED
    if len(arguments) > 1 and arguments[1] in SUB_COMMANDS:
        print(f"etcd {arguments[1]} is not supported yet by this release; use that of Go's etcd.", file=sys.stderr)
        return EXIT_REFUSED
    try:
        prepared = prepare(arguments, os.environ)
    except Exit as ended:
        return ended.code
    os.umask(os.umask(UMASK) | UMASK)
    return _run_member(prepared)


def _run_member(prepared: Prepared) -> int:
    # Imported late: the help and the refusals need no event loop.
    import uvloop

    keep_freed_memory()
    received: list[signal.Signals] = []
    code = EXIT_REFUSED
    try:
        code = uvloop.run(_serve_until_signal(prepared, received))
    finally:
        close_logger(prepared.log)
    if received:
        _die_of(received[0])
    return code


async def _serve_until_signal(prepared: Prepared, received: list[signal.Signals]) -> int:
    """Serve; return the exit code. `received` gets the signal that ended it."""
    from etcdpy.embed.etcd import serve

    config, log = prepared.config, prepared.log
    until, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.current_task()
    assert serving is not None

    def on_signal(number: signal.Signals) -> None:
        if received:
            return  # the first one counts; stopping is bounded
        received.append(number)
        log_info(log, "received signal; shutting down", signal=_signal_text(number))
        log_closing(log, config)
        until.set()
        if not ready.is_set():
            serving.cancel()

    def on_ready() -> None:
        ready.set()
        notify_ready(log)

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    try:
        await serve(config, log, on_ready=on_ready, until=until)
    except asyncio.CancelledError:
        if not received:
            raise
    except MemberRemoved as error:
        log_warn(log, "server error", error=str(error))
        log_warn(log, "data-dir used by this member must be removed")
    except Exception as error:
        _log_end(log, config, error, was_ready=ready.is_set())
        return EXIT_REFUSED
    return 0


def _log_end(log: logging.Logger, config: Config, error: Exception, *, was_ready: bool) -> None:
    """Say why the member could not start, or could not go on."""
    # What the machine did to us explains itself; anything else is ours to find.
    is_ours = not isinstance(error, OSError | StorageError | StartError)
    trace = {"stacktrace": "".join(traceback.format_exception(error))} if is_ours else {}
    reason = str(error) or type(error).__name__
    if was_ready:
        log_fatal(log, "the member cannot go on", error=reason, **trace)
        return
    if isinstance(error, DiscoveryFailed):
        log_discovery_failed(log, config, error)
        return
    log_warn(log, "failed to start etcd", error=reason)
    log_fatal(log, "discovery failed", error=reason, **trace)


def _signal_text(number: signal.Signals) -> str:
    """Return the name that Go gives a signal."""
    return {signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}.get(number, number.name)


def _die_of(number: signal.Signals) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.getpid() == 1:
        return
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    main()
