"""`python -m benchmarks`, which is `make bench`: see the options below, and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import datetime
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks import catalogue, report
from benchmarks.h2load import find_h2load
from benchmarks.machine import describe_machine
from benchmarks.member import REPOSITORY, Contender
from benchmarks.process import BenchError, end_all
from benchmarks.runner import Run, run_all
from benchmarks.scenario import Workbench

ROUNDS_DEFAULT: Final = 5
DOCUMENT: Final = REPOSITORY / "docs/benchmarks.md"
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
# The shell's number for a program ended by SIGINT.
EXIT_INTERRUPTED: Final = 130


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 when everything could be measured, whether or not targets are reached."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, end_as_by_ctrl_c)
    try:
        scenarios = catalogue.select([name for name in options.only.split(",") if name])
        check_can_write(options)
        check_programs()
    except (ValueError, BenchError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.dir) as name:
            bench = Workbench(Path(name), quick=options.quick)
            about = describe_machine(bench.folder)
            print("\n".join(about), flush=True)
            try:
                run = run_all(bench, scenarios, 1 if options.quick else options.rounds)
            finally:
                end_all()
    except KeyboardInterrupt:
        print("interrupted; everything that was started has ended", file=sys.stderr)
        return EXIT_INTERRUPTED
    show(run)
    if options.write:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        report.write_document(DOCUMENT, report.document(run, about, today))
    return EXIT_FAILED if any(result.failure for result in run.results) else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours and the real etcd, in turn.")
    parser.add_argument("--only", default="", metavar="NAME,...", help="these rows; `put` means all that begin put-")
    parser.add_argument("--rounds", type=positive, default=ROUNDS_DEFAULT, metavar="N", help="default 5")
    parser.add_argument("--quick", action="store_true", help="one round of a fiftieth: shows that it works, no more")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--dir", metavar="FOLDER", help="where to make the temporary folder; a real disk, not a tmpfs")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("less than one round")
    return value


def check_can_write(options: argparse.Namespace) -> None:
    """The document holds one whole run, never pieces of several."""
    if options.write and (options.only or options.quick):
        raise ValueError("--write wants all rows at full size: without --only and --quick")


def check_programs() -> None:
    """Miss what is missing now, not after ten minutes."""
    for contender in Contender:
        _ = contender.executable
    find_h2load()


def show(run: Run) -> None:
    print()
    print(report.plain(report.table(run)))
    for note in report.notes(run):
        print(f"* {note}")


def end_as_by_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
