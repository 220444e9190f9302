"""Runs a program of a foreign client against the real etcd and against ours."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.clients.programs import telling
from tests.compat.both import Both, run_on_both
from tests.reference import REPOSITORY, RunningEtcd, clean_environment

PROGRAMS: Final = Path(telling.__file__).parent
PROGRAM_SECONDS_MAX: Final = 90


def run_program_on_both(tmp_path: Path, interpreter: Sequence[str], name: str, **environment: str) -> Both[list[str]]:
    """Return the lines that the program prints for each. A program that fails raises, with its error."""

    def script(server: RunningEtcd) -> list[str]:
        return run_program([*interpreter, str(PROGRAMS / name), *server.endpoint.split(":")], **environment)

    return run_on_both(tmp_path, script)


def run_program(command: Sequence[str], **environment: str) -> list[str]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=clean_environment({"PYTHONPATH": str(REPOSITORY), **environment}),
        timeout=PROGRAM_SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}\n{done.stderr}")
    return done.stdout.splitlines()
