"""Where and with what it was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks.h2load import find_h2load
from benchmarks.member import REPOSITORY, Contender
from benchmarks.process import clean_environment


def describe_machine(folder: Path) -> list[str]:
    """Return what there is to say, one line each; no names of hosts, users or folders."""
    return [
        f"machine: {cpu_model()}, {os.cpu_count()} cores, {memory_gib():.0f} GiB, Linux {platform.release()}, "
        f"data on {file_system(folder)}",
        f"ours: commit {commit()}, Python {platform.python_version()}, uvloop {version('uvloop')}, "
        f"lmdb {version('lmdb')}, protobuf {version('protobuf')}",
        f"etcd: {first_line([str(Contender.ETCD.executable), '--version']).removeprefix('etcd Version: ')}",
        f"load: {first_line([find_h2load(), '--version'])}, and our own client",
    ]


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds the folder: a tmpfs would make fdatasync free."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(above, key=lambda mount: len(mount[1]))[2]


def commit() -> str:
    name = first_line(["git", "rev-parse", "--short", "HEAD"])
    changed = first_line(["git", "status", "--porcelain", "--untracked-files=no", "--", "src"])
    return f"{name} with changes" if changed else name


def version(package: str) -> str:
    return importlib.metadata.version(package)


def first_line(command: list[str]) -> str:
    done = subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip()


assert sys.platform == "linux", "everything here is read from /proc"
