"""What `etcd --help` prints, made from the table of flags."""

from __future__ import annotations

import platform
import sys
from typing import Final

from etcdpy.base.version import GIT_SHA, VERSION
from etcdpy.embed.flag_table import FLAGS, SECTIONS

USAGE: Final = """Usage:

  etcd [flags]
    Run a member.

  etcd --version
    Print the version.

  etcd -h | --help
    Print this and all flags.

  etcd --config-file FILE
    Run a member with the settings of a YAML or JSON file. All other flags and variables are then ignored.

  etcd gateway
    Run a TCP proxy before a cluster (not supported yet).

  etcd grpc-proxy
    Run a gRPC proxy before a cluster (not supported yet).
"""

UNSAFE_WARNING: Final = "Unsafe flags break what consensus promises: use them to rescue data, not to run a cluster.\n"


def flags_text() -> str:
    """Return all flags by section, each with its default and one sentence."""
    parts = [f"\n{section}:\n{_section_text(section)}" for section in SECTIONS]
    return "".join(parts) + "\n" + UNSAFE_WARNING


def _section_text(section: str) -> str:
    return "".join(
        f"  --{flag.name} '{flag.shown_default}'\n    {flag.help}\n" for flag in FLAGS if flag.section == section
    )


def version_text() -> str:
    """Return four lines with etcd's keys; tools read the first. The Go that others are built with is our Python."""
    python = f"{platform.python_implementation().lower()}{platform.python_version()}"
    return (
        f"etcd Version: {VERSION}\n"
        f"Git SHA: {GIT_SHA}\n"
        f"Go Version: none ({python})\n"
        f"Go OS/Arch: {sys.platform}/{_go_architecture()}\n"
    )


def _go_architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
