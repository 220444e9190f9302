"""/livez and /readyz of live members: well, corrupt, without a majority, and without a vote."""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from typing import Final

import pytest

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client
from tests.ours import ours_binary
from tests.reference import start_reference_etcd
from tests.reference_cluster import start_reference_cluster

pytestmark = pytest.mark.slow

SECONDS_MAX: Final = 30.0
READY: Final = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n"


def get(endpoint: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(endpoint, timeout=SECONDS_MAX)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_one_that_is_well_and_then_corrupt(tmp_path: Path) -> None:
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd")) as server, Client(server.endpoint) as client:
        assert get(server.endpoint, "/readyz?verbose") == (200, READY)
        assert get(server.endpoint, "/livez?verbose") == (200, "[+]serializable_read ok\nok\n")
        for path in (
            "/livez",
            "/readyz",
            "/readyz/non_learner",
            "/livez/serializable_read",
            "/readyz?exclude=&exclude=x",
        ):
            assert get(server.endpoint, path) == (200, "ok\n"), path
        for path in ("/readyz/", "/readyz/x", "/livez/non_learner"):
            assert get(server.endpoint, path)[0] == 404, path

        alarm = pb.AlarmRequest(action=pb.AlarmRequest.ACTIVATE, memberID=1, alarm=pb.CORRUPT)
        client.call("Maintenance/Alarm", alarm, pb.AlarmResponse)
        status, report = get(server.endpoint, "/readyz")
        assert status == 503 and report.splitlines()[0] == "[-]data_corruption failed: alarm activated: CORRUPT"
        assert get(server.endpoint, "/readyz/data_corruption")[0] == 503
        assert get(server.endpoint, "/readyz?exclude=data_corruption")[0] == 200
        assert get(server.endpoint, "/livez") == (200, "ok\n")
        metrics = get(server.endpoint, "/metrics")[1]
        assert 'etcd_server_healthcheck{name="data_corruption",type="readyz"} 0' in metrics
    log = (tmp_path / "default.log").read_text()
    assert '"some health checks cannot be excluded","missing-health-checks":"\\"x\\""' in log
    assert '"msg":"Health check error","path":"/readyz"' in log


def wait_ok(endpoint: str, path: str) -> None:
    """Return when a member that may only be starting says that all is well."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            if get(endpoint, path)[0] == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"{path} never says ok"


def test_one_without_a_majority_lives_and_is_not_ready(tmp_path: Path) -> None:
    with start_reference_cluster(tmp_path, 2, binaries=[ours_binary("etcd")] * 2) as cluster:
        left, killed = cluster.members
        wait_ok(left.endpoint, "/readyz")
        killed.kill()
        status, report = get(left.endpoint, "/readyz")
        assert status == 503
        assert "[+]serializable_read ok\n[-]linearizable_read failed: etcdserver: request timed out\n" in report
        assert get(left.endpoint, "/readyz?exclude=linearizable_read") == (200, "ok\n")
        assert get(left.endpoint, "/livez") == (200, "ok\n")


def test_one_without_a_vote_is_not_ready(tmp_path: Path) -> None:
    with start_reference_cluster(tmp_path, 1, binaries=[ours_binary("etcd")]) as cluster:
        learner = cluster.add_member(learner=True, binary=ours_binary("etcd"))
        wait_ok(learner.endpoint, "/livez")
        status, report = get(learner.endpoint, "/readyz")
        assert status == 503 and "[-]non_learner failed: not supported for learner\n" in report
        assert get(cluster.members[0].endpoint, "/readyz") == (200, "ok\n")
