"""The log: JSON lines in zap's shape, written by a thread of its own.

    {"level":"info","ts":"2026-01-02T15:04:05.000000Z","caller":"embed/etcd.py:42","msg":"...", ...fields}

A line is made where it is logged (so that it shows what was true then) and handed to a bounded queue; a thread writes
it. A reader of the log who stalls therefore never stalls the member: when the queue is full, lines are counted and
dropped, and the count is logged once there is room. Hot paths still do not log: making a line costs some 10 us.

Of equal lines (level and message) in one second the first 100 are written and then every 100th, as etcd samples.

Each member has a logger of its own (nothing is registered in `logging`'s global tree), made by `build_logger` and
passed in. `named` gives a child that adds `"logger":"raft"`.

    log = build_logger(level="info", outputs=("stderr",))
    log_info(log, "added member", cluster_id="cdf818194e3a8c32", took=Duration(0.02))

An underscore in a field's name becomes `-`, etcd's way of writing them.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final

from etcdpy.base.duration import format_duration
from etcdpy.base.log_output import LogPipe, Output, Rotation, open_outputs

DEBUG: Final = logging.DEBUG
INFO: Final = logging.INFO
WARN: Final = logging.WARNING
ERROR: Final = logging.ERROR
# zap's three ways to say that it cannot go on; they differ in what the caller does next.
DPANIC: Final = 43
PANIC: Final = 45
FATAL: Final = logging.CRITICAL

LEVELS: Final = {
    "debug": DEBUG,
    "info": INFO,
    "warn": WARN,
    "error": ERROR,
    "dpanic": DPANIC,
    "panic": PANIC,
    "fatal": FATAL,
}
_LEVEL_NAMES: Final = {number: name for name, number in LEVELS.items()}

# zap's production sampling, which etcd keeps.
SAMPLED_FIRST: Final = 100
SAMPLED_THEREAFTER: Final = 100
# Distinct messages counted per second; more than the program has. Beyond it lines are not sampled.
SAMPLED_MESSAGES_MAX: Final = 4_096


class UnknownLevel(ValueError):
    """`--log-level` names no level."""

    def __init__(self, level: str) -> None:
        super().__init__(f'unrecognized level: "{level}"')


class Duration:
    """A number of seconds to be shown as Go shows durations."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __str__(self) -> str:
        return format_duration(self.seconds)


def parse_level(text: str) -> int:
    """Return the number of a level, in any case; nothing is info, as zap has it."""
    if not text:
        return INFO
    if text.lower() not in LEVELS:
        raise UnknownLevel(text)
    return LEVELS[text.lower()]


def build_logger(
    *,
    level: str = "info",
    outputs: Sequence[str] = ("default",),
    rotation: Rotation | None = None,
    is_json: bool = True,
) -> logging.Logger:
    """Return a logger that writes to `outputs`, as JSON or for the eye. Close it with `close_logger`.

    Raise UnknownLevel, or OSError with etcd's text when an output cannot be opened.
    """
    number = parse_level(level)
    make_line = format_line if is_json else format_console_line
    return _new_logger("", number, LineHandler(LogPipe(open_outputs(outputs, rotation)), make_line))


def logger_to(output: Output, level: str = "info") -> logging.Logger:
    """Return a logger that writes to one given output: for tests and for programs that embed a member."""
    return _new_logger("", parse_level(level), LineHandler(LogPipe([output])))


def silent_logger() -> logging.Logger:
    """Return a logger that writes nothing."""
    logger = logging.Logger("", FATAL + 1)
    logger.addHandler(logging.NullHandler())
    return logger


def named(logger: logging.Logger, name: str) -> logging.Logger:
    """Return a logger with the same outputs whose lines say where they are from: `"logger":"raft"`."""
    child = logging.Logger(f"{logger.name}.{name}" if logger.name else name, logger.level)
    child.handlers = logger.handlers
    return child


def close_logger(logger: logging.Logger) -> None:
    """Write what is queued and close the outputs. Idempotent."""
    for handler in logger.handlers:
        handler.close()


def _new_logger(name: str, level: int, handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger(name, level)
    logger.addHandler(handler)
    return logger


def log_debug(logger: logging.Logger, message: str, /, **fields: object) -> None:
    if logger.level <= DEBUG:
        _emit(logger, DEBUG, message, fields)


def log_info(logger: logging.Logger, message: str, /, **fields: object) -> None:
    if logger.level <= INFO:
        _emit(logger, INFO, message, fields)


def log_warn(logger: logging.Logger, message: str, /, **fields: object) -> None:
    if logger.level <= WARN:
        _emit(logger, WARN, message, fields)


def log_error(logger: logging.Logger, message: str, /, **fields: object) -> None:
    if logger.level <= ERROR:
        _emit(logger, ERROR, message, fields)


def log_fatal(logger: logging.Logger, message: str, /, **fields: object) -> None:
    """Log that the member cannot go on. Ending it is the caller's."""
    if logger.level <= FATAL:
        _emit(logger, FATAL, message, fields)


def _emit(logger: logging.Logger, level: int, message: str, fields: dict[str, object]) -> None:
    frame = sys._getframe(2)  # _emit, log_xxx, the caller
    record = logging.LogRecord(logger.name, level, frame.f_code.co_filename, frame.f_lineno, message, (), None)
    record.fields = fields
    for handler in logger.handlers:
        handler.handle(record)


class LineHandler(logging.Handler):
    """Makes a line of each record. Takes records of plain `logging` too, such as those of libraries."""

    def __init__(self, pipe: LogPipe, make_line: Callable[[logging.LogRecord, str], bytes] | None = None) -> None:
        super().__init__()
        self._pipe = pipe
        self._make_line = make_line or format_line
        self._sampled_second = 0
        self._sampled: dict[tuple[int, str], int] = {}  # Invariant: counts of `_sampled_second` only.

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            if self._is_sampled_out(record, message):
                return
            self._pipe.write(self._make_line(record, message))
        except Exception:
            # A line that cannot be made must not take the member with it.
            self.handleError(record)

    def close(self) -> None:
        self._pipe.close()
        super().close()

    def _is_sampled_out(self, record: logging.LogRecord, message: str) -> bool:
        second = int(record.created)
        if second != self._sampled_second:
            self._sampled_second = second
            self._sampled.clear()
        key = (record.levelno, message)
        count = self._sampled.get(key, 0) + 1
        if count == 1 and len(self._sampled) >= SAMPLED_MESSAGES_MAX:
            return False
        self._sampled[key] = count
        return count > SAMPLED_FIRST and (count - SAMPLED_FIRST) % SAMPLED_THEREAFTER != 0


def format_line(record: logging.LogRecord, message: str) -> bytes:
    """Return the record as one line of JSON with its newline."""
    return _encode(json.dumps(_parts(record, message), separators=(",", ":"), ensure_ascii=False, default=_plain))


def format_console_line(record: logging.LogRecord, message: str) -> bytes:
    """Return the record for the eye, as zap's console encoder has it: tabs between, fields as JSON at the end."""
    parts = _parts(record, message)
    head = [str(parts.pop(name)) for name in ("ts", "level", "logger", "caller", "msg") if name in parts]
    trace = parts.pop("stacktrace", None)
    if parts:
        head.append(json.dumps(parts, ensure_ascii=False, default=_plain))
    text = "\t".join(head)
    return _encode(text if trace is None else f"{text}\n{trace}")


def _encode(text: str) -> bytes:
    # Arguments and file names of the system may hold bytes that are no UTF-8.
    return (text + "\n").encode("utf-8", "replace")


def _parts(record: logging.LogRecord, message: str) -> dict[str, object]:
    line: dict[str, object] = {
        "level": _level_name(record.levelno),
        "ts": format_time(record.created),
    }
    if record.name:
        line["logger"] = record.name
    line["caller"] = f"{_short_path(record.pathname)}:{record.lineno}"
    line["msg"] = message
    fields: dict[str, object] = getattr(record, "fields", {})
    for name, value in fields.items():
        line[name.replace("_", "-")] = value
    if record.exc_info is not None and record.exc_info[0] is not None:
        line["stacktrace"] = "".join(traceback.format_exception(*record.exc_info))
    return line


def _level_name(number: int) -> str:
    return _LEVEL_NAMES.get(number) or ("error" if number > ERROR else "warn" if number > WARN else "info")


def _short_path(path: str) -> str:
    """Return folder and file: `embed/etcd.py`."""
    parts = path.replace("\\", "/").rsplit("/", 2)
    return "/".join(parts[-2:])


def format_time(seconds: float) -> str:
    """Return local time as `2006-01-02T15:04:05.000000Z0700` writes it: Z for UTC, +0100 elsewhere."""
    local = time.localtime(seconds)
    microseconds = int(seconds * 1_000_000) % 1_000_000
    zone = "Z" if local.tm_gmtoff == 0 else time.strftime("%z", local)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{microseconds:06d}{zone}"


def _plain(value: Any) -> object:
    """Return what JSON can hold for a value that it does not know."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
