"""The operations endpoints, answer by answer. tests/compat/test_ops_real.py compares them with the real etcd's."""

from __future__ import annotations

import gzip
import json

import pytest

from etcdpy.api.ops.app import build_metrics_app, build_ops_app
from etcdpy.api.ops.front import clean_path
from etcdpy.api.ops.source import RaisedAlarm
from etcdpy.base.errors import NoLeader, Timeout
from etcdpy.base.log import silent_logger
from tests.unit.api.ops.asgi import FakeMember, Reply, call

NOSPACE = RaisedAlarm(7, "NOSPACE")
CORRUPT = RaisedAlarm(7, "CORRUPT")


def get(member: FakeMember, target: str, method: str = "GET") -> Reply:
    return call(build_ops_app(member, silent_logger()), target, method=method)


def test_version() -> None:
    reply = get(FakeMember(), "/version")

    assert (reply.status, reply.body) == (200, '{"etcdserver":"3.5.33","etcdcluster":"3.5.0"}')
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/version", "/health", "/livez", "/readyz", "/readyz/non_learner", "/debug/vars"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "PATCH"])
def test_only_get(path: str, method: str) -> None:
    reply = get(FakeMember(), path, method)

    assert (reply.status, reply.headers["allow"]) == (405, "GET")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-length"] == "19"


def test_what_is_not_there() -> None:
    for path in ("/", "/nope", "/version/", "/v2/keys/x", "/readyz/nope", "/livez/linearizable_read"):
        reply = get(FakeMember(), path)
        assert (reply.status, reply.body) == (404, "404 page not found\n"), path


# --- /health


def test_healthy() -> None:
    member = FakeMember()

    assert get(member, "/health")[::2] == (200, '{"health":"true","reason":""}')
    assert (member.health.success, member.health.failures) == (1, 0)


@pytest.mark.parametrize(
    ("alarms", "target", "reason"),
    [
        ([NOSPACE], "/health", "ALARM NOSPACE"),
        ([CORRUPT], "/health", "ALARM CORRUPT"),
        ([RaisedAlarm(7, "99")], "/health", "ALARM UNKNOWN"),
        ([NOSPACE], "/health?exclude=NOSPACE", ""),
        ([NOSPACE], "/health?exclude=CORRUPT", "ALARM NOSPACE"),
        ([NOSPACE, CORRUPT], "/health?exclude=NOSPACE", "ALARM CORRUPT"),
        ([NOSPACE, CORRUPT], "/health?exclude=NOSPACE&exclude=CORRUPT&exclude=", ""),
    ],
)
def test_alarms(alarms: list[RaisedAlarm], target: str, reason: str) -> None:
    member = FakeMember()
    member.raised = alarms

    reply = get(member, target)

    assert json.loads(reply.body) == {"health": "false" if reason else "true", "reason": reason}
    assert reply.status == (503 if reason else 200)


def test_no_leader_matters_only_to_the_whole_cluster() -> None:
    member = FakeMember()
    member.leader = 0

    assert get(member, "/health")[::2] == (503, '{"health":"false","reason":"RAFT NO LEADER"}\n')
    assert get(member, "/health?serializable=true").status == 200
    assert get(member, "/health?serializable=yes").status == 503


def test_a_read_that_fails() -> None:
    member = FakeMember()
    member.read_errors[False] = Timeout()

    assert get(member, "/health").body == ('{"health":"false","reason":"RANGE ERROR:etcdserver: request timed out"}\n')
    assert get(member, "/health?serializable=true").status == 200
    assert (member.health.success, member.health.failures) == (1, 1)


# --- /livez and /readyz


def test_alive_and_ready() -> None:
    for path in ("/livez", "/readyz", "/livez/serializable_read", "/readyz/linearizable_read"):
        assert get(FakeMember(), path)[::2] == (200, "ok\n")


def test_verbose() -> None:
    assert get(FakeMember(), "/readyz?verbose").body == (
        "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n"
    )
    assert get(FakeMember(), "/livez?verbose=").body == "[+]serializable_read ok\nok\n"


def test_a_failed_check_is_always_told() -> None:
    member = FakeMember()
    member.read_errors[False] = NoLeader()
    member.raised = [CORRUPT]
    member.learner = True

    reply = get(member, "/readyz")

    assert reply.status == 503
    assert reply.body == (
        "[-]data_corruption failed: alarm activated: CORRUPT\n"
        "[+]serializable_read ok\n"
        "[-]linearizable_read failed: etcdserver: no leader\n"
        "[-]non_learner failed: not supported for learner\n\n"
    )
    assert get(member, "/livez").status == 200


def test_exclude() -> None:
    member = FakeMember()
    member.read_errors[False] = NoLeader()

    assert get(member, "/readyz?exclude=linearizable_read&exclude=nope").status == 200
    assert get(member, "/readyz?exclude=linearizable_read&verbose").body.count("linearizable_read") == 0
    assert get(member, "/readyz/linearizable_read?exclude=linearizable_read").status == 503


def test_space_running_out_does_not_make_a_member_unready() -> None:
    member = FakeMember()
    member.raised = [NOSPACE]

    assert get(member, "/readyz").status == 200


def test_checks_are_counted() -> None:
    member = FakeMember()
    get(member, "/livez")
    member.read_errors[True] = Timeout()
    get(member, "/livez")

    assert member.health.last == {("livez", "serializable_read"): 0}
    assert member.health.checks_total == {
        ("livez", "serializable_read", "success"): 1,
        ("livez", "serializable_read", "error"): 1,
    }


# --- /metrics, /debug/vars


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_metrics_answer_any_method(method: str) -> None:
    reply = get(FakeMember(), "/metrics", method)

    assert (reply.status, reply.body) == (200, "# TYPE x counter\nx 1\n")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_metrics_are_compressed_for_who_asks() -> None:
    app = build_ops_app(FakeMember(), silent_logger())

    reply = call(app, "/metrics", headers={"Accept-Encoding": "gzip"})

    assert reply.headers["content-encoding"] == "gzip"
    assert gzip.decompress(reply.body.encode("latin-1")) == b"# TYPE x counter\nx 1\n"


def test_debug_vars() -> None:
    reply = get(FakeMember(), "/debug/vars")
    found = json.loads(reply.body)

    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert found["raft.status"] == {"term": 2}
    assert found["file_descriptor_limit"] > 0 and found["cmdline"]


def test_metrics_listeners_serve_metrics_and_health_only() -> None:
    app = build_metrics_app(FakeMember(), silent_logger())

    assert [call(app, path).status for path in ("/metrics", "/health", "/livez", "/readyz")] == [200] * 4
    assert [call(app, path).status for path in ("/version", "/debug/vars")] == [404] * 2


# --- What stands before all


def test_cors_is_on_every_answer_and_options_ends_there() -> None:
    for method, path, status in (("GET", "/version", 200), ("GET", "/nope", 404), ("OPTIONS", "/version", 200)):
        reply = get(FakeMember(), path, method)
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-allow-methods"] == "POST, GET, OPTIONS, PUT, DELETE"
        assert reply.headers["access-control-allow-headers"] == "accept, content-type, authorization"


@pytest.mark.parametrize(("origin", "allowed"), [("http://a", "http://a"), ("http://b", None), ("", None)])
def test_origins(origin: str, allowed: str | None) -> None:
    app = build_ops_app(FakeMember(), silent_logger(), origins=("http://a",))

    reply = call(app, "/version", headers={"Origin": origin} if origin else {})

    assert reply.headers.get("access-control-allow-origin") == allowed


@pytest.mark.parametrize(
    ("host", "scheme", "status"),
    [
        ("a:2379", "http", 200),
        ("a", "http", 200),
        ("[::1]:2379", "http", 200),
        ("evil.example:2379", "http", 421),
        ("", "http", 421),
        ("evil.example:2379", "https", 200),
    ],
)
def test_host_whitelist(host: str, scheme: str, status: int) -> None:
    app = build_ops_app(FakeMember(), silent_logger(), hosts=("a", "::1"))

    reply = call(app, "/version", headers={"Host": host}, scheme=scheme)

    assert reply.status == status
    if status == 421:
        assert "CVE-2018-5702" in reply.body


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [("/a", "/a"), ("//a", "/a"), ("/a//b/", "/a/b/"), ("/a/../b", "/b"), ("/./", "/"), ("/", "/"), ("/..", "/")],
)
def test_paths_are_cleaned_as_gos_mux_cleans_them(path: str, cleaned: str) -> None:
    assert clean_path(path) == cleaned


def test_an_unclean_path_is_redirected() -> None:
    reply = get(FakeMember(), "//version?a=b")

    assert (reply.status, reply.headers["location"]) == (301, "/version?a=b")
    assert reply.body == '<a href="/version">Moved Permanently</a>.\n\n'


@pytest.mark.parametrize(
    ("path", "name", "names_count", "status"),
    [
        ("/v3/kv/range", "ann", True, 400),
        ("/v3beta/kv/range", "ann", True, 400),
        ("/v3/kv/range", "ann", False, 404),
        ("/v3/kv/range", "", True, 404),
        ("/v3/kv/range", None, True, 404),
        ("/version", "ann", True, 200),
    ],
)
def test_a_name_that_the_gateway_does_not_take_over(
    path: str, name: str | None, names_count: bool, status: int
) -> None:
    app = build_ops_app(FakeMember(), silent_logger(), names_count=lambda: names_count)

    reply = call(app, path, scheme="https", state={"common_name": name})

    assert reply.status == status
    if status == 400:
        assert reply.body.startswith("CommonName of client sending a request against gateway will be ignored")
