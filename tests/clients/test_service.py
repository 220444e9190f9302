"""contrib's unit: systemd takes it, and what it starts tells systemd when it serves."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.installed import loopback, started
from tests.clients.machine import NAMESPACE, as_a_user
from tests.compat.test_contrib import UNIT
from tests.ours import ours_binary
from tests.reference import clean_environment, reference_binary

pytestmark = pytest.mark.slow
# Where the unit expects the program, and its state: here they are elsewhere.
PROGRAM, STATE = "/opt/etcdpy/bin/etcd", "/var/lib/etcdpy"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, str(ours_binary("etcd"))))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_the_unit_starts_tells_when_it_serves(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["ExecStart"] == PROGRAM and service["StateDirectory"] == Path(STATE).name
    name, value = service["Environment"].split("=", 1)
    # /etc/default/etcdpy would say this.
    variables = loopback({name: value.replace(STATE, str(tmp_path / "state"))})
    etcd = str(ours_binary("etcd"))

    with started([*(as_a_user(etcd, by=(NAMESPACE,)) or []), etcd], clean_environment(variables), tmp_path):
        endpoint = variables["ETCD_LISTEN_CLIENT_URLS"]
        ctl = [str(reference_binary("etcdctl")), f"--endpoints={endpoint}", "put", "key", "value"]
        assert subprocess.run(ctl, capture_output=True, env=clean_environment(), check=True).stdout == b"OK\n"
    assert (tmp_path / "state/member").is_dir()
