"""/metrics of a member, and the text format. tests/compat/test_ops_real.py compares families with the real etcd's."""

from __future__ import annotations

import math
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from etcdpy.server.metrics import Metrics, method_labels, time_methods
from etcdpy.server.metrics_histogram import Histogram, exponential_buckets
from etcdpy.server.metrics_source import APPLY_BUCKETS, DISK_BUCKETS, GrpcMethodCounts, MetricsSource
from etcdpy.server.metrics_table import FAMILIES
from etcdpy.server.metrics_text import format_float, write_text
from tests.reference import REPOSITORY


class Counts:
    started = 3
    messages_received = 4
    messages_sent = 5
    bytes_received = 60
    bytes_sent = 70
    handled = {0: 2, 5: 1}
    client_versions = {None: 2, b"3.5": 1}
    observe: Callable[[float], None] | None = None


def lines_of(source: MetricsSource) -> list[str]:
    return Metrics(CollectorRegistry(), source).text().decode().splitlines()


def test_plain_numbers() -> None:
    lines = lines_of(MetricsSource(put_total=2, quota_backend_bytes=2147483648, range_total=9))

    assert "# TYPE etcd_mvcc_put_total counter" in lines
    assert "etcd_mvcc_put_total 2" in lines
    assert "# TYPE etcd_server_proposals_applied_total gauge" in lines
    assert "etcd_server_quota_backend_bytes 2.147483648e+09" in lines
    assert {"etcd_mvcc_range_total 9", "etcd_debugging_mvcc_range_total 9"} <= set(lines)


def test_every_family_of_the_table_reads_an_attribute_that_is_there() -> None:
    source = MetricsSource()
    for family in FAMILIES:
        value = getattr(source, family.attribute)
        if family.labels:
            assert value == {}
        else:
            assert isinstance(value, Histogram) == (family.kind == "histogram"), family.name


def test_families_without_children_are_not_shown() -> None:
    source = MetricsSource()
    assert not any("etcd_network_active_peers" in line for line in lines_of(source))
    source.active_peers[("a", "b")] = 1

    assert 'etcd_network_active_peers{Local="a",Remote="b"} 1' in lines_of(source)


def test_histograms_add_up_and_end_in_infinity() -> None:
    source = MetricsSource()
    source.wal_fsync_duration_seconds.observe_many([0.001, 0.0015, 100.0])
    name = "etcd_disk_wal_fsync_duration_seconds"
    lines = [line for line in lines_of(source) if line.startswith(name)]

    assert lines[:3] == [
        f'{name}_bucket{{le="0.001"}} 1',
        f'{name}_bucket{{le="0.002"}} 2',
        f'{name}_bucket{{le="0.004"}} 2',
    ]
    assert lines[-3:] == [f'{name}_bucket{{le="+Inf"}} 3', f"{name}_sum 100.0025", f"{name}_count 3"]


def test_labels_are_sorted_and_le_is_last() -> None:
    source = MetricsSource()
    source.apply_duration_seconds[("v3", "Put", "true")] = Histogram(APPLY_BUCKETS)

    assert 'etcd_server_apply_duration_seconds_bucket{op="Put",success="true",version="v3",le="0.0001"} 0' in lines_of(
        source
    )


def test_identities_are_labels() -> None:
    lines = lines_of(MetricsSource(server_id="8e9e05c52164694d", server_version="3.5.33"))

    assert 'etcd_server_id{server_id="8e9e05c52164694d"} 1' in lines
    assert 'etcd_server_version{server_version="3.5.33"} 1' in lines
    assert not any(line.startswith("etcd_cluster_version") for line in lines)


def test_grpc_methods_are_shown_with_every_code() -> None:
    source = MetricsSource(grpc_methods={b"/etcdserverpb.KV/Put": Counts()})
    lines = lines_of(source)
    labels = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"'

    assert f"grpc_server_started_total{{{labels}}} 3" in lines
    assert f'grpc_server_handled_total{{grpc_code="OK",{labels}}} 2' in lines
    assert f'grpc_server_handled_total{{grpc_code="NotFound",{labels}}} 1' in lines
    assert sum(line.startswith("grpc_server_handled_total") for line in lines) == 17
    assert "etcd_network_client_grpc_received_bytes_total 60" in lines
    assert "etcd_network_client_grpc_sent_bytes_total 70" in lines


def test_kinds_of_methods() -> None:
    assert method_labels(b"/etcdserverpb.Watch/Watch") == ("bidi_stream", "etcdserverpb.Watch", "Watch")
    assert method_labels(b"/etcdserverpb.Maintenance/Snapshot")[0] == "server_stream"
    assert method_labels(b"/grpc.health.v1.Health/Check") == ("unary", "grpc.health.v1.Health", "Check")


def test_health_checks_are_shown() -> None:
    source = MetricsSource()
    source.health.record(kind="readyz", name="linearizable_read", passed=False)
    lines = lines_of(source)

    assert 'etcd_server_healthcheck{name="linearizable_read",type="readyz"} 0' in lines
    assert 'etcd_server_healthchecks_total{name="linearizable_read",status="error",type="readyz"} 1' in lines


def test_numbers_are_refreshed_at_each_scrape() -> None:
    source = MetricsSource()

    def refresh(target: MetricsSource) -> None:
        target.put_total += 1

    metrics = Metrics(CollectorRegistry(), source, refresh)
    metrics.text()

    assert b"\netcd_mvcc_put_total 2\n" in metrics.text()


def test_two_members_of_one_process_do_not_meet() -> None:
    first = Metrics(CollectorRegistry(), MetricsSource(put_total=1))
    second = Metrics(CollectorRegistry(), MetricsSource(put_total=2))

    assert b"\netcd_mvcc_put_total 1\n" in first.text()
    assert b"\netcd_mvcc_put_total 2\n" in second.text()


def test_prometheus_reads_it() -> None:
    text = Metrics(CollectorRegistry(), MetricsSource(grpc_methods={b"/a.B/C": Counts()})).text().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}

    assert families["etcd_disk_wal_write_bytes_total"].type == "gauge"
    assert families["etcd_mvcc_put"].type == "counter"
    assert not any(name.endswith("_created") for name in families)
    assert {"process_resident_memory_bytes", "process_open_fds", "os_fd_limit"} <= set(families)


# --- The text format


def test_counters_of_prometheus_client_keep_their_total() -> None:
    family = CounterMetricFamily("x", "help\nof \\ x", value=1)

    assert write_text([family]) == b"# HELP x_total help\\nof \\\\ x\n# TYPE x_total counter\nx_total 1\n"


def test_label_values_are_escaped() -> None:
    family = Metric("x", "", "gauge")
    family.add_sample("x", {"l": 'a"b\\c\n'}, 1)

    assert write_text([family]).splitlines()[-1] == b'x{l="a\\"b\\\\c\\n"} 1'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-3, "-3"),
        (999_999, "999999"),
        (1_000_000, "1e+06"),
        (1_234_567, "1.234567e+06"),
        (2_147_483_648, "2.147483648e+09"),
        (1.8446744073709552e19, "1.8446744073709552e+19"),
        (0.001, "0.001"),
        (0.0001, "0.0001"),
        (8.4083e-05, "8.4083e-05"),
        (1e-100, "1e-100"),
        (0.0029162790000000004, "0.0029162790000000004"),
        (123456.789, "123456.789"),
        (1234567.5, "1.2345675e+06"),
        (-1234567.5, "-1.2345675e+06"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_as_go_prints_them(value: float, text: str) -> None:
    assert format_float(value) == text


@given(st.floats(allow_nan=False))
def test_what_is_printed_is_read_back(value: float) -> None:
    assert float(format_float(value)) == value


# --- The histogram


def test_buckets_grow_by_a_factor() -> None:
    assert exponential_buckets(0.001, 2, 4) == (0.001, 0.002, 0.004, 0.008)
    assert len(DISK_BUCKETS) == 14 and DISK_BUCKETS[-1] == 8.192


@given(st.lists(st.floats(min_value=0, max_value=100)))
def test_a_histogram_counts_as_a_naive_one(values: list[float]) -> None:
    histogram = Histogram(DISK_BUCKETS)
    histogram.observe_many(values)

    naive = [0] * (len(DISK_BUCKETS) + 1)
    for value in values:
        naive[bisect_left(DISK_BUCKETS, value)] += 1
        bucket = next((i for i, bound in enumerate(DISK_BUCKETS) if value <= bound), len(DISK_BUCKETS))
        assert bucket == bisect_left(DISK_BUCKETS, value)
    assert histogram.counts == naive
    assert histogram.count == len(values)


def test_requests_are_counted_by_what_the_client_says_of_itself() -> None:
    counts: dict[bytes, GrpcMethodCounts] = {
        b"/etcdserverpb.KV/Put": Counts(),
        b"/etcdserverpb.KV/Range": Counts(),
        b"/etcdserverpb.Watch/Watch": Counts(),
    }

    lines = [line for line in lines_of(MetricsSource(grpc_methods=counts)) if "client_requests_total{" in line]

    assert lines == [
        'etcd_server_client_requests_total{client_api_version="3.5",type="stream"} 1',
        'etcd_server_client_requests_total{client_api_version="unknown",type="stream"} 2',
        'etcd_server_client_requests_total{client_api_version="3.5",type="unary"} 2',
        'etcd_server_client_requests_total{client_api_version="unknown",type="unary"} 4',
    ]


def test_handling_times_are_shown_for_every_method_once_they_are_wanted() -> None:
    method = Counts()
    source = MetricsSource(grpc_methods={b"/etcdserverpb.KV/Put": method})
    time_methods(source)
    name = 'grpc_server_handling_seconds_count{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}'

    assert f"{name} 0" in lines_of(source)
    assert method.observe is not None
    method.observe(0.3)
    assert f"{name} 1" in lines_of(source)


def test_the_documentation_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "tools/generate_metrics_doc.py", "--check"], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
