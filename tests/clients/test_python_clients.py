"""Clients from PyPI see the same in the real etcd and in ours: each one's program runs against both."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clients.environments import python_environment
from tests.clients.running import PROGRAMS, run_program, run_program_on_both
from tests.compat.both import run_on_both
from tests.reference import RunningEtcd, clean_environment, reference_binary

pytestmark = pytest.mark.slow
AETCD = "aetcd", "aetcd==1.0.0", "grpcio==1.80.0"


def test_etcd3(tmp_path: Path) -> None:
    # The newest of each that it still works with.
    environment = python_environment("etcd3", "etcd3==0.12.0", "protobuf<4", "tenacity<7", "grpcio==1.80.0")
    seen = run_program_on_both(tmp_path, [str(environment / "bin/python")], "use_etcd3.py")
    assert seen.ours == seen.theirs


def test_aetcd(tmp_path: Path) -> None:
    environment = python_environment(*AETCD)
    seen = run_program_on_both(tmp_path, [str(environment / "bin/python")], "use_aetcd.py")
    assert seen.ours == seen.theirs


def test_etcd3gw(tmp_path: Path) -> None:
    environment = python_environment("etcd3gw", "etcd3gw==2.7.0")
    seen = run_program_on_both(tmp_path, [str(environment / "bin/python")], "use_etcd3gw.py")
    assert seen.ours == seen.theirs


def test_aetcd_as_a_user(tmp_path: Path) -> None:
    environment = python_environment(*AETCD)

    def script(server: RunningEtcd) -> list[str]:
        for command in (
            "role add root",
            "user add root:rootpw",
            "user grant-role root root",
            "role add some",
            "role grant-permission some --prefix=true readwrite u/",
            "user add user:pw",
            "user grant-role user some",
            "auth enable",
        ):
            ctl = [str(reference_binary("etcdctl")), f"--endpoints={server.endpoint}", *command.split()]
            subprocess.run(ctl, check=True, capture_output=True, env=clean_environment())
        program = [str(environment / "bin/python"), str(PROGRAMS / "use_aetcd.py")]
        return run_program([*program, *server.endpoint.split(":"), "users"])

    seen = run_on_both(tmp_path, script)
    assert seen.ours == seen.theirs
