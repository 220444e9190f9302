"""What a start of etcdctl costs: nothing is imported that the command does not need."""

from __future__ import annotations

import subprocess
import sys


def imported_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_get_brings_in_only_what_it_needs() -> None:
    modules = imported_by("import etcdpy.cli.etcdctl.main, etcdpy.cli.etcdctl.command.get, etcdpy.client.client")
    assert not modules & {
        "asyncio",
        "uvloop",
        "click",
        "ssl",
        "json",
        "subprocess",
        "dataclasses",
        "inspect",
        "logging",
    }
    assert not {name for name in modules if name.startswith(("etcdpy.server", "etcdpy.state", "etcdpy.storage"))}


def test_a_command_without_a_client_brings_no_protobuf_in() -> None:
    modules = imported_by("import etcdpy.cli.etcdctl.main, etcdpy.cli.etcdctl.command.version")
    assert "google.protobuf" not in modules


def test_discovery_is_refused_rather_than_ignored() -> None:
    """Silently going to the default endpoint would be the wrong cluster."""
    done = subprocess.run(
        [sys.executable, "-m", "etcdpy.cli.etcdctl.main", "get", "k", "-d", "example.com"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("Error: --discovery-srv is not supported")
