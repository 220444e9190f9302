"""Programs of others that a machine may have or not: PostgreSQL, Prometheus, Node.

Who has them not sees their tests skipped, with the reason. Where they were installed for the tests (.ci/run), the
variable ETCDPY_MUST_HAVE names them, and a missing one is a failure: what silently did not happen proves nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NoReturn

import pytest

from tests.reference import REPOSITORY

MUST_HAVE: Final = "ETCDPY_MUST_HAVE"
# Root's files stay readable in a user namespace, wherever the interpreter and the data lie; not every container may
# make one. The other way needs an interpreter and data that this user may read.
NAMESPACE: Final = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
DATABASE_USER: Final = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
# tools/clients.sh unpacks Debian's package there: installed, it would start a service.
UNPACKED: Final = REPOSITORY / ".clients/debian/usr/bin"


def find_program(name: str) -> Path | None:
    found = shutil.which(name) or shutil.which(name, path=str(UNPACKED))
    return Path(found) if found else None


def find_postgresql() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, as Debian lays them out."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(versions, key=lambda path: int(path.parent.name), default=None)


def need(what: str, find: Callable[[], Path | None]) -> Path:
    """Return what `find` finds; skip the test where there is nothing, fail it where it must be there."""
    return find() or lack(what, "it is not on this machine (on Debian, tools/clients.sh gets what can be had quickly)")


def lack(what: str, reason: str) -> NoReturn:
    """Leave the test: by a failure where `what` must be there."""
    if what in os.environ.get(MUST_HAVE, "").split():
        pytest.fail(f"{what}: {reason}")
    pytest.skip(f"{what}: {reason}")


@cache
def as_a_user(program: str, *, by: Sequence[Sequence[str]] = (NAMESPACE, DATABASE_USER)) -> Sequence[str] | None:
    """Return what to put before a command that is not to run as root; None when nothing works for `program`."""
    if os.geteuid() != 0:
        return []
    return next((way for way in by if shutil.which(way[0]) and _runs([*way, program, "--version"])), None)


def _runs(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
