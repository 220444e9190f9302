"""Standard output whose reader has gone ends the process by SIGPIPE; any other broken pipe is an error to handle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

BEGIN = """
import os, sys
from etcdpy.cli.etcdctl.output import die_of_closed_output
die_of_closed_output()
"""
BREAK_ANOTHER_PIPE = """
reader, writer = os.pipe()
os.close(reader)
try:
    os.write(writer, b"x")
except BrokenPipeError:
    print("handled")
"""


@pytest.mark.parametrize(("name", "descriptor"), [("stdout", 1), ("stderr", 2)])
def test_a_closed_output_ends_the_process_silently(name: str, descriptor: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    outputs = {1: subprocess.PIPE, 2: subprocess.PIPE, descriptor: writer}
    process = subprocess.Popen(
        [sys.executable, "-c", f"{BEGIN}sys.{name}.write('text'); sys.{name}.flush()"],
        stdout=outputs[1],
        stderr=outputs[2],
    )
    os.close(writer)
    out, err = process.communicate()

    assert process.returncode == -signal.SIGPIPE
    assert not out and not err


def test_another_broken_pipe_does_not() -> None:
    done = subprocess.run([sys.executable, "-c", BEGIN + BREAK_ANOTHER_PIPE], capture_output=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"handled\n", b"")


def test_etcdctl_does_not_die_of_pipes_that_are_no_output() -> None:
    """`watch -i` may write to its event loop's wake-up pipe after the loop has closed it."""
    code = "import signal, etcdpy.cli.etcdctl.main as m; m.run = lambda words: print(signal.getsignal(13)); m.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "1\n", done.stderr  # SIG_IGN


def test_text_and_bytes_come_in_the_order_written() -> None:
    code = (
        BEGIN + "sys.stdout.write('a\\n'); sys.stdout.flush(); sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.flush()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert done.stdout == b"a\n\xff\n", done.stderr
