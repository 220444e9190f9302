"""Command lines that refuse to start: the real etcd and ours say the same, and exit with the same code.

Compared are the exit code, the line before the usage (exit 2), and of the log the lines above `info` with their message
and error. Rows in DIFFERENT are where we differ, each with its reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.reference import clean_environment, reference_binary

SECONDS_MAX: Final = 60.0


class Outcome(NamedTuple):
    code: int
    complaints: list[str]


SAME: Final[tuple[str, ...]] = (
    # How a command line is read
    "--nope",
    "-nope=1",
    "---name",
    "-=x",
    "--name",
    "extra",
    "foo bar",
    "help",
    "-",
    "-- extra",
    "--version extra",
    "extra --version",
    "--version=false extra",
    "--config-file",
    "--v 3 --vv --snapshot true",
    # Values
    "--snapshot-count abc",
    "--snapshot-count=-1",
    "--snapshot-count 1.5",
    "--snapshot-count=",
    "--pre-vote=maybe",
    "--unsafe-no-fsync=2",
    "--max-txn-ops=-1",
    "--max-request-bytes=-1",
    "--max-snapshots 99999999999999999999",
    "--election-timeout 99999999999999999999",
    "--election-timeout 0b11",
    "--election-timeout 010",
    "--election-timeout 0o7_7",
    "--election-timeout 1_000 --heartbeat-interval 0x1F4",
    "--election-timeout +5",
    "--quota-backend-bytes xx",
    "--quota-backend-bytes=+5 --election-timeout=3",
    "--backend-batch-interval xx",
    "--grpc-keepalive-min-time 5",
    "--initial-cluster-state foo",
    "--v2-deprecation foo",
    "--proxy foo",
    "--discovery-fallback foo",
    "--cors xx:yy",
    # URLs
    "--listen-client-urls foo",
    "--listen-client-urls http://127.0.0.1",
    "--listen-client-urls ftp://127.0.0.1:1",
    "--listen-client-urls http://127.0.0.1:1/path",
    "--listen-client-urls http://127.0.0.1:1/",
    "--listen-client-urls http://127.0.0.1:1/%zz",
    "--listen-client-urls /x%2",
    "--listen-client-urls 127.0.0.1:2379",
    "--listen-client-urls localhost:2379",
    "--listen-client-urls :2379",
    "--listen-client-urls http://::1:2379",
    "--listen-client-urls http://[::1:2379",
    "--listen-client-urls http://127.0.0.1:abc",
    "--listen-client-urls http://a%zz:1",
    "--listen-client-urls //x:1",
    "--listen-client-urls HTTP://a:1 --advertise-client-urls http://a:1",
    "--listen-client-urls http://example.com:2379",
    "--listen-client-urls http://localhost:2379,http://:2379",
    "--listen-client-urls http://127.0.0.1:2379",
    "--listen-client-urls=",
    "--listen-peer-urls http://example.com:2380",
    "--listen-metrics-urls foo",
    "--initial-advertise-peer-urls http://127.0.0.1:2380/",
    "--initial-advertise-peer-urls http://:2380",
    "--advertise-client-urls http://127.0.0.1:2379/x",
    "--advertise-client-urls http://:2379",
    "--listen-client-urls https://127.0.0.1:1 --advertise-client-urls http://a:1",
    "--listen-peer-urls https://127.0.0.1:1",
    # Settings against each other
    "--heartbeat-interval 0",
    "--election-timeout 0",
    "--election-timeout 400",
    "--election-timeout 50001",
    "--heartbeat-interval 100 --election-timeout 499",
    "--initial-cluster a=http://localhost:2380 --discovery http://x",
    "--discovery http://x --discovery-srv y",
    "--auto-compaction-mode foo",
    "--auto-compaction-mode foo --auto-compaction-retention 1",
    "--auto-compaction-retention xx",
    "--auto-compaction-retention 1x",
    "--auto-compaction-retention=-1",
    # The cluster
    "--initial-cluster garbage",
    "--initial-cluster default=http://localhost:2380,garbage",
    "--initial-cluster default=http://localhost:2380,=x",
    "--initial-cluster default=http://a:1/x",
    "--initial-cluster a=http://127.0.0.1:2380",
    "--initial-cluster default=http://127.0.0.1:9999",
    "--initial-cluster default=http://localhost:2380,default=http://localhost:2381",
    "--initial-cluster default=http://localhost:2380,b=http://localhost:2380",
    "--initial-cluster=",
    "--name=",
    "--initial-advertise-peer-urls http://127.0.0.1:9380",
    "--initial-advertise-peer-urls http://localhost:2380,http://localhost:2381",
    "--initial-advertise-peer-urls http://localhost:2380,http://localhost:2381 "
    "--initial-cluster default=http://localhost:2380,default=http://localhost:2382",
    "--data-dir /proc/x",
    # The log
    "--logger foo",
    "--logger capnslog",
    "--log-outputs default,stderr",
    "--log-outputs stdout,default",
    "--log-outputs /nonexistent/dir/x",
    "--log-outputs=",
    "--enable-log-rotation",
    "--enable-log-rotation --log-outputs a,b",
    "--enable-log-rotation --log-outputs a --log-rotation-config-json {x",
    "--enable-log-rotation --log-outputs a --log-rotation-config-json []",
    "--enable-log-rotation --log-outputs a --log-rotation-config-json=",
    '--enable-log-rotation --log-outputs a --log-rotation-config-json {"maxsize":"a"}',
    '--enable-log-rotation --log-outputs a --log-rotation-config-json {"localtime":1}',
    "--log-level WARN --election-timeout=3",
    "--log-level Warn --election-timeout=3",
    "--log-level error --election-timeout=3",
    "--config-file /none",
    "--config-file /tmp",
)

WITH_ENVIRONMENT: Final[tuple[tuple[str, str], ...]] = (
    ("ETCD_NAME=x", "--name y"),
    ("ETCD_NAME=", "--name y"),
    ("ETCD_NAME=x", "--name y --initial-cluster-state z"),
    ("ETCD_SNAPSHOT_COUNT=", "--election-timeout=3"),
    ("ETCD_SNAPSHOT_COUNT=abc", ""),
    ("ETCD_ELECTION_TIMEOUT=3", ""),
    ("ETCD_ELECTION_TIMEOUT=3 ETCD_SNAPSHOT_COUNT=abc ETCD_MAX_WALS=z", ""),
    ("ETCD_FOO=abc", "--election-timeout=3"),
    ("ETCD_VERSION=abc ETCD_UNSUPPORTED_ARCH=1 ETCD_INITIAL_CLUSTER_STATE=xx", ""),
    ("ETCD_PRE_VOTE=maybe", ""),
    ("ETCD_CONFIG_FILE=/none", ""),
    ("ETCD_CONFIG_FILE=/none", "--config-file /nono"),
)

CONFIG_FILES: Final[tuple[str, ...]] = (
    "name: foo\nelection-timeout: 3\n",
    "name: 5\n",
    "election-timeout: abc\n",
    'election-timeout: "3"\n',
    "election-timeout: -3\n",
    "election-timeout: 3.5\n",
    "ELECTION-TIMEOUT: 3\n",
    "election-timeout: 3\nunknown: 1\n",
    "election-timeout: 3\nelection-timeout: 4\n",
    "election-timeout: 3\nproxy: readonly\ndiscovery-fallback: foo\n",
    "grpc-keepalive-min-time: 5s\n",
    "listen-client-urls: foo\n",
    "listen-peer-urls: foo\n",
    "listen-metrics-urls: foo\n",
    "advertise-client-urls: foo\n",
    "initial-advertise-peer-urls: foo\n",
    "listen-client-urls: http://127.0.0.1:2379\nelection-timeout: 3\n",
    "a: [\n",
    "- a\n",
    "a\n",
    "5\n",
    "a: b: c",
    "log-outputs: stderr\n",
    "log-outputs: [default, stderr]\n",
    "cipher-suites: a\n",
    "host-whitelist: [a]\n",
    "initial-cluster-state: foo\n",
    'initial-cluster-state: ""\nelection-timeout: 3\n',
    "client-transport-security: 5\n",
    '{"election-timeout": 3, "client-transport-security": {"cert-file": "x"}}',
    "discovery: http://x\ndiscovery-srv: z.example\n",
    "initial-cluster: a=http://localhost:2380\ndiscovery: http://x\n",
    "pre-vote: 1\n",
    'pre-vote: "true"\n',
    "enable-pprof: maybe\n",
    "auto-compaction-mode: foo\n",
    "auto-compaction-retention: 1\n",
    "backend-batch-interval: 5\nbackend-batch-limit: x\n",
    "socket-options: a\nelection-timeout: 3\n",
    "socket-options: {reuse-port: 5}\nelection-timeout: 3\n",
    "logger: foo\n",
)

# (arguments, the real one's exit code, our exit code, why)
DIFFERENT: Final[tuple[tuple[str, int, int, str], ...]] = (
    ("--log-level foo", 2, 1, "etcd panics; we refuse as we do other values"),
    ("--cipher-suites foo", 1, 1, "TLS comes later: we refuse the flag, etcd the value"),
    ("--tls-min-version foo", 2, 1, "3.5.1 has no such flag, 3.5.33 has"),
    ("gateway", 0, 1, "not supported yet"),
    ("grpc-proxy", 0, 1, "not supported yet"),
)


@pytest.mark.parametrize("line", SAME)
def test_command_lines(line: str, tmp_path: Path) -> None:
    _compare(line.split(), {}, tmp_path)


@pytest.mark.parametrize(("variables", "line"), WITH_ENVIRONMENT)
def test_variables(variables: str, line: str, tmp_path: Path) -> None:
    _compare(line.split(), dict(item.split("=", 1) for item in variables.split()), tmp_path)


@pytest.mark.parametrize("text", CONFIG_FILES)
def test_config_files(text: str, tmp_path: Path) -> None:
    path = tmp_path / "etcd.yml"
    path.write_text(text)

    _compare(["--config-file", str(path)], {}, tmp_path)


@pytest.mark.parametrize(("line", "real_code", "our_code", "reason"), DIFFERENT)
def test_known_differences(line: str, real_code: int, our_code: int, reason: str, tmp_path: Path) -> None:
    real, ours = _run_both(line.split(), {}, tmp_path)

    assert (real.code, ours.code) == (real_code, our_code), reason


def test_version_keys_are_the_same(tmp_path: Path) -> None:
    real = _execute([str(reference_binary("etcd")), "--version"], {}, tmp_path).stdout.splitlines()
    ours = _execute([*_our_command(), "--version"], {}, tmp_path).stdout.splitlines()

    assert [line.partition(": ")[0] for line in ours] == [line.partition(": ")[0] for line in real]
    assert ours[0] == "etcd Version: 3.5.33"


def test_help_names_every_flag_that_the_real_one_names(tmp_path: Path) -> None:
    real = _execute([str(reference_binary("etcd")), "--help"], {}, tmp_path)
    ours = _execute([*_our_command(), "--help"], {}, tmp_path)

    assert (real.returncode, ours.returncode) == (0, 0)
    assert ours.stderr.startswith("Usage:\n") and real.stderr.startswith("Usage:\n")
    assert _flags_with_defaults(real.stdout).items() <= _flags_with_defaults(ours.stdout).items()


def _flags_with_defaults(text: str) -> dict[str, str]:
    """Return the flags that a help text lists, with their defaults, as far as these mean anything."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("  --"):
            name, _, default = line.strip().partition(" ")
            found[name] = default.strip("'")
    # Defaults that etcd's own help leaves out.
    for name in ("--backend-batch-interval", "--experimental-bootstrap-defrag-threshold-megabytes"):
        found[name] = ""
    return found


def _compare(arguments: list[str], variables: dict[str, str], tmp_path: Path) -> None:
    real, ours = _run_both(arguments, variables, tmp_path)

    assert ours == real


def _our_command() -> list[str]:
    return [sys.executable, "-m", "etcdpy"]


def _run_both(arguments: list[str], variables: dict[str, str], tmp_path: Path) -> tuple[Outcome, Outcome]:
    outcomes = []
    for name, command in (("real", [str(reference_binary("etcd"))]), ("ours", _our_command())):
        directory = tmp_path / name
        directory.mkdir()
        done = _execute([*command, *arguments], variables, directory)
        outcomes.append(Outcome(done.returncode, _complaints(done.returncode, done.stderr)))
    return outcomes[0], outcomes[1]


def _execute(command: list[str], variables: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        env=clean_environment(variables),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def _complaints(code: int, stderr: str) -> list[str]:
    """Return what the error output complains of: the line before the usage, or the log above `info`."""
    if code == 2:
        return [stderr.partition("\n")[0]]
    found = []
    for line in stderr.splitlines():
        if not line.startswith("{"):
            found.append(line)
            continue
        entry = json.loads(line)
        if entry["level"] != "info":
            noise = ("level", "ts", "caller", "stacktrace")
            found.append(json.dumps({name: value for name, value in entry.items() if name not in noise}))
    return found
