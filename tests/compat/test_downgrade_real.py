"""Downgrades beside the real etcd 3.5.1: same codes, texts and files; in one cluster, through either of them.

3.5.1 never answers what it puts into the log for a downgrade: it tells the client of a time-out. We say that it is
done; what it did is compared.
"""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.base.errors import UNAVAILABLE
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client, Starter, run_on_both, run_restarting
from tests.compat.mixed import move_leader, start_mixed_cluster
from tests.reference import RunningEtcd

pytestmark = pytest.mark.slow

VALIDATE, ENABLE, CANCEL = pb.DowngradeRequest.VALIDATE, pb.DowngradeRequest.ENABLE, pb.DowngradeRequest.CANCEL
CHECK: Final = "--experimental-downgrade-check-time=50ms"
VERSIONS: Final = (
    *("3.4", "3.4.0", "3.4.7", "03.4", "3.4.0-rc.1", "3.4.0-", "3.4.0+git", "3.4.0+", "3.4.0-a+b", "3.4.0+a-b"),
    *("3.5", "3.3", "3.6", "4.4", "2.4", "", "x", "3", "v3.4", "3.4.", ".4", "-1.2", "3.4.0.0", "3.4-rc", " 3.4"),
    *("9223372036854775807.1", "9223372036854775808.1", "3.4.9223372036854775808", "3.4.0-ä", "3.4.0-a_b", "3.04.00"),
)


def ask(client: Client, action: int, version: str = "") -> tuple[int, str]:
    request = pb.DowngradeRequest(action=action, version=version)  # type: ignore[arg-type]
    return client.status("Maintenance/Downgrade", request.SerializeToString())


def decide(client: Client, action: int, version: str = "") -> None:
    """Enable or cancel: 3.5.1 does it and says that it timed out."""
    assert ask(client, action, version) in ((0, ""), (UNAVAILABLE, "etcdserver: request timed out"))


def is_downgrading(url: str, method: str = "GET") -> tuple[int, bytes, str | None]:
    """Ask a member as another member does."""
    connection = http.client.HTTPConnection(url.partition("://")[2], timeout=20)
    try:
        connection.request(method, "/downgrade/enabled")
        response = connection.getresponse()
        return response.status, response.read(), response.getheader("Content-Type")
    finally:
        connection.close()


def test_what_may_be_asked_and_how_it_is_refused(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> Any:
        with Client(server.endpoint) as client:
            seen: list[Any] = [(version, ask(client, VALIDATE, version)) for version in VERSIONS]
            seen.append(client.call("Maintenance/Downgrade", pb.DowngradeRequest(version="3.4"), pb.DowngradeResponse))
            seen += [ask(client, CANCEL), ask(client, 5), ask(client, ENABLE, "3.3"), ask(client, ENABLE, "x")]
            seen += [is_downgrading(server.peer_url), is_downgrading(server.peer_url, "POST")]
            decide(client, ENABLE, "3.4.7")
            seen += [is_downgrading(server.peer_url), ask(client, ENABLE, "3.4"), ask(client, VALIDATE, "3.4")]
            seen.append(ask(client, VALIDATE, "3.3"))
            seen.append(client.call("Maintenance/Hash", pb.HashRequest(), pb.HashResponse).hash)
            decide(client, CANCEL)
            seen += [is_downgrading(server.peer_url), ask(client, CANCEL), ask(client, VALIDATE, "3.4")]
            seen.append(client.call("Maintenance/Hash", pb.HashRequest(), pb.HashResponse).hash)
            return seen

    both = run_on_both(tmp_path, script)
    assert both.ours == both.theirs


def test_whoever_is_too_new_for_an_allowed_downgrade_does_not_start_any_more(tmp_path: Path) -> None:
    """It survives a restart, which a 3.5 member then refuses; cancelled, it starts again."""

    def script(start: Starter) -> Any:
        with start() as server, Client(server.endpoint) as client:
            decide(client, ENABLE, "3.4")
            decide(client, CANCEL)
        with start() as server, Client(server.endpoint) as client:
            seen: list[Any] = [is_downgrading(server.peer_url)]
            decide(client, ENABLE, "3.4")
        with start(wait=False) as server:
            seen.append(server.process.wait(30))
        return seen

    both = run_restarting(tmp_path, script)
    assert both.ours == both.theirs
    texts = [(tmp_path / kind / "default.log").read_text() for kind in ("real", "ours")]
    for text in texts:
        assert "invalid downgrade; server version is not allowed to join when downgrade is enabled" in text
        assert '"msg":"The server is ready to downgrade","target-version":"3.4.0"' in text


@pytest.mark.parametrize(("leads", "through"), [("ours", "real"), ("real", "ours")])
def test_in_one_cluster(tmp_path: Path, leads: str, through: str) -> None:
    """All of them know it at once, and whoever leads looks whether the others have come down."""
    with start_mixed_cluster(tmp_path, ["real", "ours", "real"], flags=[CHECK]) as cluster:
        members = {"real": cluster.members[0], "ours": cluster.members[1]}
        move_leader(cluster, members[leads])

        def do_all_say(answer: bytes) -> bool:
            return all(is_downgrading(member.peer_url)[1] == answer for member in cluster.members)

        with Client(members[through].endpoint) as client:
            cluster.wait_until(lambda: ask(client, VALIDATE, "3.4") == (0, ""))
            decide(client, ENABLE, "3.4")
            assert do_all_say(b"true")
            for member in cluster.members:
                with Client(member.endpoint) as other:
                    assert ask(other, ENABLE, "3.4")[1] == "etcdserver: cluster has a downgrade job in progress"
            cluster.wait_until(lambda: "mismatching etcd version" in members[leads].log_path.read_text())
            decide(client, CANCEL)
        assert do_all_say(b"false")
        for member in cluster.members:
            assert '"msg":"The server is ready to downgrade"' in member.log_path.read_text()
