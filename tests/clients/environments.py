"""Virtual environments of foreign client libraries, one each, below `.clients/` of the checkout.

Rules
  * A client's dependencies never meet ours, nor another client's: some want an old protobuf.
  * An environment is made when a test first asks for it, and kept; its stamp holds what was asked for, so other
    versions make it anew. Test processes that ask at the same time wait for the one that makes it.
  * Versions are pinned: what is tested is what the client did when it was looked at.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.reference import REPOSITORY

FOLDER: Final = REPOSITORY / ".clients"
# A slow line to the package index; a broken one ends sooner by itself.
INSTALL_SECONDS_MAX: Final = 240


def python_environment(name: str, *requirements: str) -> Path:
    """Return the folder of a virtual environment that holds `requirements`; its programs are in bin/."""
    folder = FOLDER / name
    with _making(name, [sys.version, *requirements]) as wanted:
        if wanted:
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            pip = [str(folder / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            _run([*pip, *requirements])
    return folder


def node_environment(name: str, npm: str, *requirements: str) -> Path:
    """Return a folder whose node_modules hold `requirements`."""
    folder = FOLDER / name
    with _making(name, [npm, *requirements]) as wanted:
        if wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text(json.dumps({"name": "clients", "private": True}))
            _run([npm, "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder), *requirements])
    return folder


@contextmanager
def _making(name: str, asked: Sequence[str]) -> Iterator[bool]:
    """Give whether the environment must be made, and hold off others meanwhile; note that it was made."""
    FOLDER.mkdir(exist_ok=True)
    stamp, text = FOLDER / f"{name}.stamp", "\n".join(asked)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = not stamp.exists() or stamp.read_text() != text
        if wanted:
            stamp.unlink(missing_ok=True)
        yield wanted
        stamp.write_text(text)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
