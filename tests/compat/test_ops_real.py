"""HTTP answers, metrics and the start-up log beside those of the real etcd 3.5.1.

Every difference that is meant stands in a table here, with its reason; any other fails.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from etcdpy.base.log import close_logger, logger_to
from etcdpy.base.version import VERSION
from etcdpy.embed.banner import log_starting
from etcdpy.embed.config import Config
from tests.ours import ours_binary
from tests.reference import RunningEtcd, start_reference_etcd

pytestmark = pytest.mark.slow

SECONDS_MAX: Final = 30.0
REAL_VERSION: Final = "3.5.1"

# Families that 3.5.1 shows and we do not.
ONLY_REAL: Final = {
    "etcd_server_go_version": "there is no Go here",
    "promhttp_metric_handler_requests_in_flight": "of Go's HTTP handler",
    "promhttp_metric_handler_requests_total": "of Go's HTTP handler",
}
ONLY_REAL_PREFIXES: Final = {"go_": "of Go's runtime; python_* tells of ours"}
# Families that we show and 3.5.1 does not.
ONLY_OURS: Final = {
    "etcd_disk_wal_write_duration_seconds": "added by a later 3.5",
    "etcd_server_healthcheck": "of /livez and /readyz, added by a later 3.5",
    "etcd_server_healthchecks_total": "of /livez and /readyz, added by a later 3.5",
}
ONLY_OURS_PREFIXES: Final = {"python_": "of our runtime"}
# Families whose children come with what happened: present or not on either side.
WITH_CHILDREN: Final = {
    "etcd_debugging_store_reads_total": "counts reads of the v2 store",
    "etcd_debugging_store_writes_total": "counts writes to the v2 store",
    "etcd_server_apply_duration_seconds": "one child per kind of request applied",
    "etcd_server_client_requests_total": "counts requests by the version that the client tells",
}

# Paths and methods whose answers are the same but for the version in the body.
REQUESTS: Final = (
    *(("GET", path) for path in ("/version", "/health", "/health?serializable=true", "/health?exclude=NOSPACE")),
    *(("GET", path) for path in ("/", "/nope", "/version/", "/health/", "/debug/", "/debug/pprof/", "/metrics/x")),
    *(("GET", path) for path in ("/v2/keys", "/v2/stats/leader", "/config/local/log", "//version", "/a/../version")),
    *((method, path) for method in ("POST", "PUT", "DELETE", "HEAD") for path in ("/version", "/health", "/nope")),
    *((method, "/debug/vars") for method in ("POST", "HEAD")),
    *(("OPTIONS", path) for path in ("/version", "/health", "/metrics", "/nope", "/debug/vars")),
)

# Fields of "starting an etcd server" that 3.5.1 has under another name or that came later.
BANNER_ONLY_REAL: Final = {"go-version", "go-os", "go-arch"}
BANNER_ONLY_OURS: Final = {
    "python-version",
    "python-os",
    "python-arch",
    "max-wals",
    "max-snapshots",
    "compact-check-time-enabled",
    "compact-check-time-interval",
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


class Pair(NamedTuple):
    real: RunningEtcd
    ours: RunningEtcd
    directory: Path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("ops")
    with (
        start_reference_etcd(directory, name="real") as real,
        start_reference_etcd(directory, name="ours", binary=ours_binary("etcd")) as ours,
    ):
        yield Pair(real, ours, directory)


def ask(running: RunningEtcd, method: str, path: str) -> Answer:
    host, _, port = running.endpoint.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS_MAX)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body)


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_answers(method: str, path: str, pair: Pair) -> None:
    real, ours = ask(pair.real, method, path), ask(pair.ours, method, path)

    assert (ours.status, ours.body.replace(VERSION, REAL_VERSION)) == (real.status, real.body)
    # The length differs with the version in the body; of the rest only the date may.
    ignored = {"date", "content-length"} if path == "/version" else {"date"}
    assert without(ours.headers, ignored) == without(real.headers, ignored)


def without(headers: dict[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def test_metrics_answer_any_method_with_the_same_type(pair: Pair) -> None:
    for method in ("GET", "POST", "DELETE", "HEAD"):
        real, ours = ask(pair.real, method, "/metrics"), ask(pair.ours, method, "/metrics")
        assert (ours.status, ours.headers["content-type"]) == (real.status, real.headers["content-type"])


def families(running: RunningEtcd) -> dict[str, str]:
    """Return the kind of each family."""
    found = {}
    for line in ask(running, "GET", "/metrics").body.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            found[name] = kind
    return found


def test_metrics_have_the_same_families_and_kinds(pair: Pair) -> None:
    for running in (pair.real, pair.ours):
        ask(running, "GET", "/health")
    ask(pair.ours, "GET", "/readyz")
    real, ours = families(pair.real), families(pair.ours)

    def is_meant(name: str, names: dict[str, str], prefixes: dict[str, str]) -> bool:
        return name in names or name in WITH_CHILDREN or name.startswith(tuple(prefixes))

    assert [n for n in real if n not in ours and not is_meant(n, ONLY_REAL, ONLY_REAL_PREFIXES)] == []
    assert [n for n in ours if n not in real and not is_meant(n, ONLY_OURS, ONLY_OURS_PREFIXES)] == []
    assert {n: ours[n] for n in ours if n in real} == {n: real[n] for n in real if n in ours}


def test_histograms_have_the_same_buckets(pair: Pair) -> None:
    def bounds(running: RunningEtcd) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in ask(running, "GET", "/metrics").body.splitlines():
            if "_bucket{le=" in line and line.startswith("etcd_"):
                name, _, rest = line.partition("_bucket{le=")
                found.setdefault(name, []).append(rest.partition("}")[0])
        return found

    real, ours = bounds(pair.real), bounds(pair.ours)

    assert len(real) > 15
    assert {name: ours.get(name) for name in real} == real


def test_grpc_methods_are_counted_under_the_same_labels(pair: Pair) -> None:
    def methods(running: RunningEtcd) -> set[str]:
        lines = ask(running, "GET", "/metrics").body.splitlines()
        return {line.partition("}")[0] for line in lines if line.startswith("grpc_server_started_total")}

    missing = methods(pair.real) - methods(pair.ours)

    # Users, roles and changes of the membership come later; all else is there.
    later = ("etcdserverpb.Auth", "etcdserverpb.Cluster", 'grpc_method="Downgrade"', 'grpc_method="MoveLeader"')
    assert [line for line in missing if not any(word in line for word in later)] == []


def test_debug_vars_have_the_keys_that_mean_something_here(pair: Pair) -> None:
    real = json.loads(ask(pair.real, "GET", "/debug/vars").body)
    ours = json.loads(ask(pair.ours, "GET", "/debug/vars").body)

    assert set(real) - set(ours) == {"memstats"}
    assert {type(ours[name]) for name in ("cmdline", "raft.status")} == {list, dict}


def test_the_banner_has_the_fields_of_the_real_one(pair: Pair) -> None:
    class Lines:
        def __init__(self) -> None:
            self.lines: list[bytes] = []

        def write(self, line: bytes) -> None:
            self.lines.append(line)

        def close(self) -> None:
            pass

    lines = Lines()
    log = logger_to(lines)
    log_starting(log, Config(), member_initialized=False)
    close_logger(log)
    ours = json.loads(lines.lines[0])
    entries = [json.loads(line) for line in (pair.directory / "real.log").read_text().splitlines() if line[0] == "{"]
    (real,) = [entry for entry in entries if entry["msg"] == "starting an etcd server"]

    assert (set(real) - set(ours), set(ours) - set(real)) == (BANNER_ONLY_REAL, BANNER_ONLY_OURS)
    assert {name: type(ours[name]) for name in real if name in ours} == {
        name: type(real[name]) for name in real if name in ours
    }
