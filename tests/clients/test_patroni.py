"""Patroni keeps a PostgreSQL cluster on a cluster of ours: bootstrap, replication, switchover, failover."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.environments import python_environment
from tests.clients.machine import DATABASE_USER, as_a_user, find_postgresql, need
from tests.clients.patroni_node import SCOPE, PatroniNode, Programs
from tests.clients.waiting import wait_until
from tests.ours import ours_binary
from tests.reference_cluster import RunningCluster, start_reference_cluster

pytestmark = pytest.mark.slow
LEADS, FOLLOWS = ("leader", "running"), ("replica", "streaming")


@pytest.fixture(scope="module")
def programs() -> Programs:
    postgresql = need("postgresql", find_postgresql)
    patroni = python_environment("patroni", "patroni[etcd3]==3.3.11", "psycopg[binary]==3.3.9")
    prefix = as_a_user(str(patroni / "bin/patroni"))
    if prefix is None:
        pytest.skip("PostgreSQL refuses to run as root, and nothing here makes an ordinary user of root")
    return Programs(patroni=patroni, postgresql=postgresql, prefix=prefix)


@pytest.fixture
def folder(programs: Programs) -> Iterator[Path]:
    """A short path that the database's user may enter, which tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="etcdpy-patroni-") as name:
        if programs.prefix == DATABASE_USER:
            shutil.chown(name, "postgres", "postgres")
        yield Path(name)


@pytest.fixture
def nodes() -> Iterator[list[PatroniNode]]:
    started: list[PatroniNode] = []
    yield started
    for node in started:
        node.stop()


def start_members(tmp_path: Path, size: int, *flags: str) -> RunningCluster:
    return start_reference_cluster(tmp_path, size, binaries=[ours_binary("etcd")] * size, flags=flags)


def wait_for_roles(seen_by: PatroniNode, leader: PatroniNode, replica: PatroniNode) -> None:
    wanted = {leader.name: LEADS, replica.name: FOLLOWS}
    wait_until(f"{wanted} as {seen_by.name} sees it", lambda: wanted.items() <= seen_by.roles().items())


def wait_until_it_leads(node: PatroniNode) -> None:
    """Wait until it holds the lead and its database takes writes: a primary without its store turns read-only."""

    def leads() -> bool:
        if node.roles().get(node.name) != LEADS:
            return False
        try:
            return node.sql("select pg_is_in_recovery()") == "f\n"
        except RuntimeError:  # the database just restarts
            return False

    wait_until(f"{node.name} leads", leads)


def check_replicated(leader: PatroniNode, replica: PatroniNode, text: str) -> None:
    leader.sql(f"insert into note values ('{text}')")

    def has_it() -> bool:
        # The table itself may not have arrived yet.
        there = replica.sql("select to_regclass('note') is not null") == "t\n"
        return there and text in replica.sql("select * from note")

    wait_until("the replica has it", has_it)


def test_patroni_switches_and_fails_over(
    tmp_path: Path, folder: Path, programs: Programs, nodes: list[PatroniNode]
) -> None:
    with start_members(tmp_path, 3) as cluster:
        store = {"hosts": [member.endpoint for member in cluster.members]}
        one, two = (PatroniNode(folder, name, programs, store) for name in ("one", "two"))
        nodes += one, two
        one.start()
        wait_until_it_leads(one)
        two.start()
        wait_for_roles(two, leader=one, replica=two)
        one.sql("create table note (text text)")
        check_replicated(one, two, "first")

        one.patronictl("switchover", SCOPE, "--leader", "one", "--candidate", "two", "--force")
        wait_for_roles(one, leader=two, replica=one)
        wait_until_it_leads(two)
        check_replicated(two, one, "after the switchover")

        cluster.leader().kill()
        two.kill()
        wait_until_it_leads(one)
        one.sql("insert into note values ('after the failover')")

        two.start()
        wait_for_roles(one, leader=one, replica=two)
        wait_until_it_leads(one)
        check_replicated(one, two, "both again")
        assert two.sql("select * from note").split("\n")[:4] == [
            "first",
            "after the switchover",
            "after the failover",
            "both again",
        ]
        listed = json.loads(one.patronictl("list", SCOPE, "--format", "json"))
        assert {row["Member"]: row["Role"] for row in listed} == {"one": "Leader", "two": "Replica"}
        assert len(json.loads(one.patronictl("history", SCOPE, "--format", "json"))) == 2


def enable_auth(cluster: RunningCluster) -> None:
    for command in (
        "user add root:rootpw",
        "user grant-role root root",
        "role add patroni",
        f"role grant-permission patroni --prefix=true readwrite /service/{SCOPE}/",
        "user add patroni:pw",
        "user grant-role patroni patroni",
        "auth enable",
    ):
        cluster.ctl(*command.split())


def test_patroni_as_a_user_of_its_own(
    tmp_path: Path, folder: Path, programs: Programs, nodes: list[PatroniNode]
) -> None:
    with start_members(tmp_path, 1) as cluster:
        cluster.ctl("role", "add", "root")
        enable_auth(cluster)
        member = cluster.members[0]
        node = PatroniNode(folder, "one", programs, {"host": member.endpoint, "username": "patroni", "password": "pw"})
        nodes.append(node)
        node.start()
        wait_until_it_leads(node)

        # Tokens live in the member's memory: whoever had one must ask for another.
        member.kill()
        member.start()
        node.patronictl("edit-config", SCOPE, "--set", "maximum_lag_on_failover=4711", "--force", "--quiet")
        wait_until("it knows", lambda: (node.says("/config") or {}).get("maximum_lag_on_failover") == 4711)
        wait_until_it_leads(node)
