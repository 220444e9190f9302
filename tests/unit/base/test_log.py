"""Log lines: their shape, where they go, and what happens when nobody takes them."""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.log import (
    SAMPLED_FIRST,
    Duration,
    UnknownLevel,
    build_logger,
    close_logger,
    format_time,
    log_debug,
    log_error,
    log_fatal,
    log_info,
    log_warn,
    logger_to,
    named,
    silent_logger,
)
from etcdpy.base.log_output import LogOutputError, LogPipe
from etcdpy.base.log_rotation import RotatingFile, Rotation


class Lines:
    """An output that keeps what it gets."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def close(self) -> None:
        pass

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def logged(log_something: Any, level: str = "info") -> list[dict[str, Any]]:
    lines = Lines()
    log = logger_to(lines, level)
    log_something(log)
    close_logger(log)
    return lines.entries()


def test_a_line_has_zaps_keys_in_zaps_order() -> None:
    (entry,) = logged(lambda log: log_info(log, "added member", cluster_id="c", took=Duration(0.02)))

    assert list(entry) == ["level", "ts", "caller", "msg", "cluster-id", "took"]
    assert (entry["level"], entry["msg"], entry["took"]) == ("info", "added member", "20ms")
    assert re.fullmatch(r"base/test_log\.py:\d+", entry["caller"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d{4})", entry["ts"])


def test_values_of_every_kind_have_a_place_in_json() -> None:
    fields: dict[str, object] = {
        "text": 'a"\n<é>',
        "raw": b"\xff",
        "urls": ("a", "b"),
        "nothing": None,
        "error": ValueError("wrong"),
        "path": Path("x"),
        "names": {"b", "a"},
        "surrogate": "\udcff",
    }
    (entry,) = logged(lambda log: log_info(log, "x", **fields))

    assert entry["text"] == 'a"\n<é>'
    assert (entry["raw"], entry["error"], entry["path"]) == ("\ufffd", "wrong", "x")
    assert (entry["urls"], entry["names"], entry["nothing"]) == (["a", "b"], ["a", "b"], None)
    assert entry["surrogate"] == "?"


def test_levels() -> None:
    def log_all(log: logging.Logger) -> None:
        for write in (log_debug, log_info, log_warn, log_error, log_fatal):
            write(log, "x")

    assert [entry["level"] for entry in logged(log_all, "warn")] == ["warn", "error", "fatal"]
    assert [entry["level"] for entry in logged(log_all, "DEBUG")] == ["debug", "info", "warn", "error", "fatal"]
    assert len(logged(log_all, "")) == 4
    log_all(silent_logger())


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(UnknownLevel, match='unrecognized level: "loud"'):
        build_logger(level="loud")


def test_a_named_logger_says_so() -> None:
    (entry,) = logged(lambda log: log_warn(named(log, "raft"), "x"))

    assert list(entry) == ["level", "ts", "logger", "caller", "msg"]
    assert entry["logger"] == "raft"


def test_records_of_libraries_are_lines_too() -> None:
    def log_exception(log: logging.Logger) -> None:
        try:
            raise ValueError("wrong")
        except ValueError:
            log.exception("failed: %s", 5)

    (entry,) = logged(log_exception)

    assert (entry["level"], entry["msg"]) == ("error", "failed: 5")
    assert "ValueError: wrong" in entry["stacktrace"]


def test_equal_lines_of_one_second_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.5)

    def log_many(log: logging.Logger) -> None:
        for number in range(350):
            log_info(log, "again", number=number)
        log_info(log, "other")

    numbers = [entry.get("number") for entry in logged(log_many)]

    assert numbers == [*range(SAMPLED_FIRST), 199, 299, None]


def test_time_is_local_with_the_zone_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for zone, text in (("UTC", "2023-11-14T22:13:20.250000Z"), ("Asia/Kolkata", "2023-11-15T03:43:20.250000+0530")):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert format_time(1_700_000_000.25) == text
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_stuck_output_drops_lines_and_says_how_many() -> None:
    """The member goes on; what was dropped is told once there is room."""
    entered, release = threading.Event(), threading.Event()

    class Stuck(Lines):
        def write(self, line: bytes) -> None:
            entered.set()
            release.wait()
            super().write(line)

    output = Stuck()
    pipe = LogPipe([output], queued_lines_max=2)
    pipe.write(b'{"n":0}\n')
    entered.wait()
    for number in range(1, 6):
        pipe.write(b'{"n":%d}\n' % number)
    release.set()
    while len(output.lines) < 3:
        threading.Event().wait(0.001)
    pipe.write(b'{"n":9}\n')
    pipe.close()

    entries = output.entries()
    assert [entry.get("n") for entry in entries] == [0, 1, 2, None, 9]
    assert entries[3]["dropped-lines"] == 3


def test_an_output_that_fails_does_not_stop_the_others() -> None:
    class Broken(Lines):
        def write(self, line: bytes) -> None:
            raise OSError("full")

    good = Lines()
    pipe = LogPipe([Broken(), good])
    pipe.write(b"x\n")
    pipe.close()
    pipe.close()
    pipe.write(b"after the end\n")

    assert good.lines == [b"x\n"]


def test_files_are_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    path.write_text("before\n")
    log = build_logger(outputs=(str(path), str(path)))
    log_info(log, "x")
    close_logger(log)

    assert len(path.read_text().splitlines()) == 2


def test_standard_streams_and_the_last_line_of_a_dying_program() -> None:
    """What was logged is written also when the program ends without closing its log."""
    program = (
        "from etcdpy.base.log import build_logger, log_info\n"
        "log_info(build_logger(outputs=('stdout',)), 'out')\n"
        "log_info(build_logger(outputs=('default',)), 'err')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)

    assert [json.loads(done.stdout)["msg"], json.loads(done.stderr)["msg"]] == ["out", "err"]


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        (("default", "stderr"), 'multi logoutput for "default" is not supported yet'),
        (("/nonexistent/x",), 'couldn\'t open sink "/nonexistent/x": open /nonexistent/x: no such file or directory'),
    ],
)
def test_outputs_refused(outputs: tuple[str, ...], text: str) -> None:
    with pytest.raises(LogOutputError) as caught:
        build_logger(outputs=outputs)

    assert str(caught.value) == text


def test_rotation_needs_one_file() -> None:
    with pytest.raises(LogOutputError, match="requires a single file path"):
        build_logger(outputs=("stderr",), rotation=Rotation())


def test_rotation_puts_the_full_file_aside(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    clock = [1_700_000_000.123]
    file = RotatingFile(path, Rotation(max_size_megabytes=1), wall=lambda: clock[0])
    line = b"x" * 1023 + b"\n"
    for _ in range(1024):
        file.write(line)
    file.write(b"next\n")
    file.close()

    aside = tmp_path / "etcd-2023-11-14T22-13-20.123.log"
    assert path.read_bytes() == b"next\n"
    assert aside.stat().st_size == 1024 * 1024


def test_rotation_compresses_and_forgets(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    clock = [1_700_000_000.0]
    rotation = Rotation(max_size_megabytes=1, max_backups=2, is_compressed=True)
    file = RotatingFile(path, rotation, wall=lambda: clock[0])
    for number in range(4):
        file.write(b"%d" % number + b"x" * (1024 * 1024 - 1))
        clock[0] += 1.0
    file.close()

    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["etcd-2023-11-14T22-13-22.000.log.gz", "etcd-2023-11-14T22-13-23.000.log.gz", "etcd.log"]
    assert gzip.decompress((tmp_path / names[0]).read_bytes())[:2] == b"1x"


def test_rotation_forgets_by_age(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    old = tmp_path / "etcd-2001-01-01T00-00-00.000.log"
    old.write_text("old")
    os.utime(old, (1, 1))
    other = tmp_path / "other-2001.log"
    other.write_text("not ours")
    file = RotatingFile(path, Rotation(max_size_megabytes=1, max_age_days=1))
    file.write(b"x" * 1024 * 1024)
    file.write(b"y")
    file.close()

    assert not old.exists()
    assert other.exists()
    assert len(list(tmp_path.glob("etcd-*.log"))) == 1
