"""contrib's Containerfile, carried out without a container engine: what it copies, installs and starts.

One thing is left out: what mypyc compiles. It takes minutes, and `make dev` does it with the same setup.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.clients.installed import loopback, started
from tests.clients.machine import NAMESPACE, as_a_user
from tests.reference import REPOSITORY, clean_environment

pytestmark = pytest.mark.slow
CONTAINERFILE: Final = REPOSITORY / "contrib/Containerfile"
SOURCE, PROGRAMS, STATE = "/source", "/opt/etcdpy", "/var/lib/etcdpy"
INSTALL_SECONDS_MAX: Final = 240


def instructions(kind: str) -> list[str]:
    """Return what follows `kind`, with continued lines in one."""
    text = CONTAINERFILE.read_text().replace("\\\n", " ")
    return [line.removeprefix(kind).strip() for line in text.splitlines() if line.startswith(f"{kind} ")]


def here(text: str, folder: Path) -> str:
    """Put the image's paths below a folder."""
    for path in (SOURCE, PROGRAMS, STATE):
        text = text.replace(path, str(folder) + path)
    return text


def copy_sources(folder: Path) -> None:
    for copy in instructions("COPY"):
        *names, target = copy.split()
        if names[0].startswith("--from="):
            continue
        for name in names:
            place = Path(here(target, folder))
            if (REPOSITORY / name).is_dir():
                shutil.copytree(REPOSITORY / name, place, ignore=shutil.ignore_patterns("*.so", "*.egg-info"))
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, place)


def test_what_the_build_needs_is_copied(tmp_path: Path) -> None:
    copy_sources(tmp_path)
    lines = [line.split() for line in (REPOSITORY / "MANIFEST.in").read_text().splitlines()]
    needed = [name for kind, *names in lines if kind == "include" for name in names]
    assert needed
    for name in needed:
        assert Path(here(f"{SOURCE}/{name}", tmp_path)).is_file()


def test_the_steps_of_the_image(tmp_path: Path) -> None:
    copy_sources(tmp_path)
    (install,) = [step for step in instructions("RUN") if "pip install" in step]
    # Without what only costs time here: an image wants no cache, and bytecode for every start.
    done = subprocess.run(
        ["/bin/sh", "-c", here(install, tmp_path).replace("--no-cache-dir", "")],
        capture_output=True,
        text=True,
        env={**os.environ, "ETCDPY_PURE": "1", "PIP_NO_COMPILE": "1"},
        timeout=INSTALL_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    programs = Path(here(PROGRAMS, tmp_path)) / "bin"
    (environment,) = instructions("ENV")
    variables = dict(pair.split("=", 1) for pair in here(environment, tmp_path).split())
    assert variables["PATH"] == f"{programs}:$PATH"
    Path(here(STATE, tmp_path)).mkdir(parents=True)
    variables = loopback({**variables, "PATH": f"{programs}:{os.environ['PATH']}"})
    (entry,) = (json.loads(text) for text in instructions("ENTRYPOINT"))
    command = [str(programs / entry[0]), *entry[1:]]
    with started([*(as_a_user(command[0], by=(NAMESPACE,)) or []), *command], clean_environment(variables), tmp_path):
        ctl = [str(programs / "etcdctl"), f"--endpoints={variables['ETCD_LISTEN_CLIENT_URLS']}", "put", "key", "value"]
        assert subprocess.run(ctl, capture_output=True, env=clean_environment(), check=True).stdout == b"OK\n"
