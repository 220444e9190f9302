"""/metrics of a cluster of ours beside that of a real one, after the same calls: names, kinds, label names and counts.

What is meant to differ stands in `test_ops_real`, with its reason; any other difference fails.
"""

from __future__ import annotations

import http.client
import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.compat.test_ops_real import ONLY_OURS, ONLY_OURS_PREFIXES, ONLY_REAL, ONLY_REAL_PREFIXES
from tests.ours import ours_binary
from tests.reference_cluster import ClusterMember, RunningCluster, start_reference_cluster

pytestmark = pytest.mark.slow

SECONDS_MAX: Final = 30.0
SUFFIXES: Final = ("_bucket", "_sum", "_count")
# It counts what code happens to read of the v2 store.
DEPENDS_ON_CODE: Final = "etcd_debugging_store_reads_total"
# What the calls of the test alone decide, and not time, batches or who leads.
SAME_NUMBERS: Final = (
    "etcd_mvcc_put_total",
    "etcd_mvcc_delete_total",
    "etcd_debugging_mvcc_keys_total",
    "etcd_debugging_mvcc_current_revision",
    "etcd_debugging_mvcc_compact_revision",
    "etcd_debugging_lease_granted_total",
    "etcd_debugging_lease_ttl_total_sum",
    "etcd_debugging_lease_ttl_total_count",
    "etcd_debugging_auth_revision",
    'etcd_server_apply_duration_seconds_count{op="Put",success="true",version="v3"}',
    'etcd_server_apply_duration_seconds_count{op="LeaseGrant",success="true",version="v3"}',
    'etcd_server_apply_duration_seconds_count{op="LeaseRevoke",success="false",version="v3"}',
    'etcd_server_apply_duration_seconds_count{op="Compaction",success="true",version="v3"}',
    'etcd_server_apply_duration_seconds_count{op="DeleteRange",success="true",version="v3"}',
    "etcd_server_has_leader",
    "etcd_server_is_learner",
)


class Shown(NamedTuple):
    """One scrape: the kind of each family, the names of its labels, and every sample."""

    kinds: dict[str, str]
    labels: dict[str, set[str]]
    samples: dict[str, float]


def scrape(member: ClusterMember) -> Shown:
    host, _, port = member.endpoint.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS_MAX)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    shown = Shown({}, {}, {})
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            shown.kinds[name] = kind
        elif not line.startswith("#"):
            sample, _, value = line.rpartition(" ")
            shown.samples[sample] = float(value)
            name, _, labels = sample.partition("{")
            family = name if name in shown.kinds else next(name.removesuffix(s) for s in SUFFIXES if name.endswith(s))
            shown.labels.setdefault(family, set()).update(re.findall(r'(\w+)="', labels))
    return shown


def play(cluster: RunningCluster) -> None:
    """The calls after which both are asked."""
    for number in range(5):
        cluster.ctl("put", f"key{number}", "value")
    cluster.ctl("del", "key0")
    cluster.ctl("get", "key1")
    cluster.ctl("lease", "grant", "100")
    with pytest.raises(Exception, match="lease not found"):
        cluster.ctl("lease", "revoke", "77")
    cluster.ctl("compaction", "3")
    cluster.ctl("endpoint", "status")  # asks every member


def is_settled(shown: Shown) -> bool:
    """Everything was applied, and the probes of the peers, which come with time, have answered."""
    has_probed = any("round_trip_time_seconds_count" in sample for sample in shown.samples)
    is_compacted = shown.samples["etcd_debugging_mvcc_compact_revision"] == 3
    has_children = "etcd_network_peer_received_bytes_total" in shown.kinds
    return is_compacted and (has_probed and has_children or "etcd_network_active_peers" not in shown.kinds)


def observe(folder: Path, *, size: int, ours: bool) -> list[Shown]:
    folder.mkdir()
    binaries = [ours_binary("etcd")] * size if ours else ()
    with start_reference_cluster(folder, size, binaries=binaries, flags=("--metrics=extensive",)) as cluster:
        play(cluster)
        cluster.wait_until(lambda: all(is_settled(scrape(member)) for member in cluster.members))
        return [scrape(member) for member in cluster.members]


@pytest.mark.parametrize("size", [1, 3])
def test_every_member_shows_what_a_real_one_shows(size: int, tmp_path: Path) -> None:
    reals = observe(tmp_path / "real", size=size, ours=False)
    mine = observe(tmp_path / "ours", size=size, ours=True)

    for real, ours in zip(reals, mine, strict=True):
        missing = {name for name in real.kinds if name not in ours.kinds and name not in ONLY_REAL}
        assert {name for name in missing if not name.startswith(tuple(ONLY_REAL_PREFIXES))} <= {DEPENDS_ON_CODE}
        extra = {name for name in ours.kinds if name not in real.kinds and name not in ONLY_OURS}
        assert {name for name in extra if not name.startswith(tuple(ONLY_OURS_PREFIXES))} <= {DEPENDS_ON_CODE}
        common = set(real.kinds) & set(ours.kinds)
        assert {name: ours.kinds[name] for name in common} == {name: real.kinds[name] for name in common}
        assert {name: ours.labels[name] for name in common} == {name: real.labels[name] for name in common}
        assert {s: ours.samples.get(s) for s in SAME_NUMBERS} == {s: real.samples.get(s) for s in SAME_NUMBERS}
    for shown in (reals, mine):
        assert sum(each.samples["etcd_server_is_leader"] for each in shown) == 1


def test_handling_times_are_measured_only_when_they_are_wanted(tmp_path: Path) -> None:
    with start_reference_cluster(tmp_path, 1, binaries=[ours_binary("etcd")]) as cluster:
        cluster.ctl("put", "key", "value")
        assert "grpc_server_handling_seconds" not in scrape(cluster.members[0]).kinds
