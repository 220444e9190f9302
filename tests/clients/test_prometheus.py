"""Prometheus on a cluster of ours: contrib's alerts are silent while all is well and fire when not, its panels show."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest
import yaml

from etcdpy.base.errors import EtcdError
from etcdpy.client.client import Client
from etcdpy.client.request import watch_request
from tests.clients.machine import find_program, need
from tests.clients.prometheus import Prometheus, hasten
from tests.clients.waiting import wait_until
from tests.compat.test_contrib import RULES, panel_expressions
from tests.ours import ours_binary
from tests.reference_cluster import start_reference_cluster

pytestmark = pytest.mark.slow
# They say that the machine is slow, which one full of tests may be.
OF_SPEED = {f"Etcdpy{name}" for name in ("CallsSlow", "PeersSlow", "HeartbeatsLate", "DiskSyncSlow", "DiskCommitSlow")}
CALLS_PAUSE_SECONDS = 0.05


def use(endpoints: list[str], stop: threading.Event) -> None:
    """Do a little of everything, an error of the caller's included."""
    with Client(endpoints) as client, client.watch(watch_request(b"key")):
        number = 0
        while not stop.wait(CALLS_PAUSE_SECONDS):
            number += 1
            client.kv.put(b"key", b"%d" % number)
            client.kv.delete(b"key")
            try:
                client.kv.get(b"key", revision=1 << 40)
            except EtcdError:
                continue


def without_data(prometheus: Prometheus) -> list[str]:
    expressions = [text.replace("$job", ".*") for text in panel_expressions()]
    return [text for text in expressions if not prometheus.query(text)]


def bad_alerts(prometheus: Prometheus) -> set[tuple[str, str]]:
    return {(name, instance) for name, instance in prometheus.firing() if name not in OF_SPEED}


def test_alerts_and_panels(tmp_path: Path) -> None:
    program = need("prometheus", partial(find_program, "prometheus"))
    stop = threading.Event()
    with start_reference_cluster(
        tmp_path, 3, binaries=[ours_binary("etcd")] * 3, flags=["--metrics=extensive"]
    ) as cluster:
        targets = [member.endpoint for member in cluster.members]
        rules = hasten(yaml.safe_load(RULES.read_text()))
        user = threading.Thread(target=use, args=(targets, stop))
        with Prometheus(program, tmp_path, targets, rules) as prometheus:
            wait_until("it answers", prometheus.is_ready)
            user.start()
            try:
                wait_until("it scrapes", lambda: len(prometheus.query("up == 1")) == 3)
                wait_until("every panel shows something", lambda: not without_data(prometheus))
                wait_until(
                    "every rule was looked at", lambda: all(rule["health"] == "ok" for rule in prometheus.rules())
                )
            finally:
                stop.set()
                user.join()
            assert bad_alerts(prometheus) == set()

            leader = cluster.leader()
            leader.kill()
            wait_until("its alert", lambda: ("EtcdpyMemberDown", leader.endpoint) in prometheus.firing())
            assert bad_alerts(prometheus) == {("EtcdpyMemberDown", leader.endpoint)}

            second, third = (member for member in cluster.members if member is not leader)
            second.kill()
            expected = {("EtcdpyMemberDown", member.endpoint) for member in (leader, second)}
            expected |= {("EtcdpyQuorumAtRisk", ""), ("EtcdpyNoLeader", third.endpoint)}
            wait_until("the alerts of a lost majority", lambda: expected <= prometheus.firing())
            assert bad_alerts(prometheus) == expected
