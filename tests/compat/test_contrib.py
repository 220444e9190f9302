"""What lies in contrib/ works: the rules load, and no rule or panel names a metric that /metrics has not."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import yaml

from etcdpy.server.metrics_table import ELSEWHERE, FAMILIES, HEALTH_FAMILIES, PROXY_FAMILIES
from tests.clients.machine import find_program, need
from tests.compat.test_metrics_real import scrape
from tests.ours import ours_binary
from tests.reference import REPOSITORY
from tests.reference_cluster import start_reference_cluster

RULES: Final = REPOSITORY / "contrib/prometheus/alerts.yml"
DASHBOARD: Final = REPOSITORY / "contrib/grafana/etcdpy.json"
UNIT: Final = REPOSITORY / "contrib/systemd/etcdpy.service"
NAME: Final = re.compile(r"\b(?:etcd|grpc|process|os)_[a-z_]+\b(?!=)")
LABELS: Final = re.compile(r"\{[^}]*\}|\((?:job|instance|grpc_|le|To|op)[^)]*\)")
# Families whose children need what does not happen here, for their names are checked against the table.
NEEDS_PEERS: Final = "etcd_network_"


def rule_expressions() -> list[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def panel_expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def metrics_named(expressions: Iterable[str]) -> set[str]:
    return {name for text in expressions for name in NAME.findall(LABELS.sub("", text))}


def family_of(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)


def test_rules_and_panels_name_metrics_that_are_there() -> None:
    known = {family.name for family in (*FAMILIES, *HEALTH_FAMILIES, *PROXY_FAMILIES, *ELSEWHERE)}
    named = metrics_named([*rule_expressions(), *panel_expressions()])

    assert len(named) > 25
    assert {name for name in named if family_of(name) not in known} == set()


@pytest.mark.slow
def test_a_member_shows_the_metrics_that_are_named(tmp_path: Path) -> None:
    with start_reference_cluster(
        tmp_path, 1, binaries=[ours_binary("etcd")], flags=("--metrics=extensive",)
    ) as cluster:
        cluster.ctl("put", "key", "value")
        kinds = scrape(cluster.members[0]).kinds
    named = metrics_named([*rule_expressions(), *panel_expressions()])

    absent = {name for name in named if family_of(name) not in kinds}
    assert {name for name in absent if not name.startswith(NEEDS_PEERS)} == set()


def test_prometheus_takes_the_rules() -> None:
    promtool = need("prometheus", partial(find_program, "promtool"))
    done = subprocess.run([str(promtool), "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_for_how_long_how_bad_and_what() -> None:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert re.fullmatch(r"\d+m", rule["for"]), rule
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"]["summary"]


def test_the_unit_waits_until_the_member_serves() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())

    assert unit["Service"]["Type"] == "notify"
    assert unit["Service"]["ExecStart"].endswith("/etcd")
