"""/metrics of one member: a MetricsSource, the process and the gRPC methods, gathered when they are asked for.

Each member has a registry of its own, so that several can live in one process. Nothing is computed between two scrapes:
collectors read plain numbers.

    metrics = Metrics(CollectorRegistry(), source, refresh=copy_gauges)
    body = metrics.text()
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from etcdpy.base.errors import CODE_NAMES
from etcdpy.server.metrics_histogram import Histogram
from etcdpy.server.metrics_source import GRPC_HANDLING_BUCKETS, Labels, MetricsSource
from etcdpy.server.metrics_table import FAMILIES, HEALTH_FAMILIES, PROXY_FAMILIES, Family
from etcdpy.server.metrics_text import format_float, write_text

STREAM_TYPES: Final[Mapping[bytes, str]] = {
    b"/etcdserverpb.Watch/Watch": "bidi_stream",
    b"/etcdserverpb.Lease/LeaseKeepAlive": "bidi_stream",
    b"/etcdserverpb.Maintenance/Snapshot": "server_stream",
    b"/etcdserverpb.KV/RangeStream": "server_stream",
    b"/v3electionpb.Election/Observe": "server_stream",
    b"/grpc.health.v1.Health/Watch": "server_stream",
}


class Metrics:
    """The registry of one member, with everything of ours in it."""

    def __init__(
        self,
        registry: CollectorRegistry,
        source: MetricsSource,
        refresh: Callable[[MetricsSource], None] = lambda source: None,
    ) -> None:
        self.registry = registry
        self.source = source
        self._refresh = refresh
        registry.register(_MemberCollector(source))
        registry.register(_GrpcCollector(source))
        registry.register(_DescriptorCollector())
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def text(self) -> bytes:
        """Return the body of /metrics."""
        self._refresh(self.source)
        return write_text(self.registry.collect())


class _MemberCollector(Collector):
    def __init__(self, source: MetricsSource) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        for family in FAMILIES:
            value = getattr(self._source, family.attribute)
            metric = Metric(family.name, family.help, family.kind)
            _add_samples(metric, family, value)
            if metric.samples:
                yield metric
        for family in PROXY_FAMILIES:
            metric = Metric(family.name, family.help, family.kind)
            metric.add_sample(family.name, {}, 0)
            yield metric
        yield from self._identities()
        yield from self._health()

    def _identities(self) -> Iterator[Metric]:
        """Gauges that are 1 and say something by their label."""
        source = self._source
        for name, label, value, help_text in (
            ("etcd_server_id", "server_id", source.server_id, "This member's id, as a label."),
            ("etcd_server_version", "server_version", source.server_version, "This member's version, as a label."),
            ("etcd_cluster_version", "cluster_version", source.cluster_version, "The cluster's version, as a label."),
        ):
            if value:
                metric = Metric(name, help_text, "gauge")
                metric.add_sample(name, {label: value}, 1)
                yield metric

    def _health(self) -> Iterator[Metric]:
        for family in HEALTH_FAMILIES:
            metric = Metric(family.name, family.help, family.kind)
            _add_samples(metric, family, getattr(self._source.health, family.attribute))
            if metric.samples:
                yield metric


def _add_samples(metric: Metric, family: Family, value: object) -> None:
    if not family.labels:
        _add_child(metric, {}, value)
        return
    assert isinstance(value, dict)
    for child in sorted(value):
        _add_child(metric, _label_map(family.labels, child), value[child])


def _label_map(names: tuple[str, ...], values: Labels) -> dict[str, str]:
    return dict(zip(names, values, strict=True))


def _add_child(metric: Metric, labels: dict[str, str], value: object) -> None:
    if isinstance(value, Histogram):
        _add_histogram(metric, labels, value)
    else:
        assert isinstance(value, int | float)
        metric.add_sample(metric.name, labels, value)


def _add_histogram(metric: Metric, labels: dict[str, str], histogram: Histogram) -> None:
    total = 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        total += count
        metric.add_sample(metric.name + "_bucket", {**labels, "le": format_float(bound)}, total)
    metric.add_sample(metric.name + "_sum", labels, histogram.sum)
    metric.add_sample(metric.name + "_count", labels, total)


class _GrpcCollector(Collector):
    """grpc_server_*: the names of go-grpc-prometheus; every method with every code, also those at 0."""

    def __init__(self, source: MetricsSource) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        started = Metric("grpc_server_started_total", "Calls begun.", "counter")
        handled = Metric("grpc_server_handled_total", "Calls ended, by their status.", "counter")
        received = Metric("grpc_server_msg_received_total", "Messages received.", "counter")
        sent = Metric("grpc_server_msg_sent_total", "Messages sent.", "counter")
        bytes_received = bytes_sent = 0
        for path, counts in sorted(self._source.grpc_methods.items()):
            labels = _method_labels(path)
            started.add_sample(started.name, labels, counts.started)
            received.add_sample(received.name, labels, counts.messages_received)
            sent.add_sample(sent.name, labels, counts.messages_sent)
            by_code = counts.handled
            for code, name in CODE_NAMES.items():
                handled.add_sample(handled.name, {"grpc_code": name, **labels}, by_code.get(code, 0))
            bytes_received += counts.bytes_received
            bytes_sent += counts.bytes_sent
        if started.samples:
            yield from (started, handled, received, sent)
        yield _single("etcd_network_client_grpc_received_bytes_total", "Bytes received from clients.", bytes_received)
        yield _single("etcd_network_client_grpc_sent_bytes_total", "Bytes sent to clients.", bytes_sent)
        yield from self._handling()
        yield from self._client_requests()

    def _handling(self) -> Iterator[Metric]:
        metric = Metric("grpc_server_handling_seconds", "Time to serve a call.", "histogram")
        for child in sorted(self._source.grpc_handling_seconds):
            labels = _label_map(("grpc_type", "grpc_service", "grpc_method"), child)
            _add_histogram(metric, labels, self._source.grpc_handling_seconds[child])
        if metric.samples:
            yield metric

    def _client_requests(self) -> Iterator[Metric]:
        """Calls by what the client says of itself. Health checks count too, as in etcd."""
        counts: dict[Labels, int] = {}
        for path, method in self._source.grpc_methods.items():
            kind = "stream" if path in STREAM_TYPES else "unary"
            for version, count in method.client_versions.items():
                labels = (kind, "unknown" if version is None else version.decode(errors="replace"))
                counts[labels] = counts.get(labels, 0) + count
        metric = Metric("etcd_server_client_requests_total", "Calls by kind and version of the client.", "counter")
        for child in sorted(counts):
            metric.add_sample(metric.name, _label_map(("type", "client_api_version"), child), counts[child])
        if metric.samples:
            yield metric


def time_methods(source: MetricsSource) -> None:
    """From now on measure how long each call takes. Like etcd, show every method at once."""
    for path, method in source.grpc_methods.items():
        histogram = source.grpc_handling_seconds[method_labels(path)] = Histogram(GRPC_HANDLING_BUCKETS)
        method.observe = histogram.observe


def _single(name: str, help_text: str, value: float, kind: str = "counter") -> Metric:
    metric = Metric(name, help_text, kind)
    metric.add_sample(name, {}, value)
    return metric


def method_labels(path: bytes) -> Labels:
    """Return (grpc_type, grpc_service, grpc_method) of a path such as /etcdserverpb.KV/Put."""
    service, _, method = path.decode().lstrip("/").rpartition("/")
    return (STREAM_TYPES.get(path, "unary"), service, method)


def _method_labels(path: bytes) -> dict[str, str]:
    return _label_map(("grpc_type", "grpc_service", "grpc_method"), method_labels(path))


class _DescriptorCollector(Collector):
    """File descriptors under etcd's names, and what ProcessCollector leaves out."""

    def collect(self) -> Iterable[Metric]:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield _single("os_fd_limit", "Descriptors that may be open.", _unlimited(soft), "gauge")
        yield _single("os_fd_used", "Descriptors that are open.", len(os.listdir("/proc/self/fd")), "gauge")
        memory, _ = resource.getrlimit(resource.RLIMIT_AS)
        yield _single(
            "process_virtual_memory_max_bytes", "Address space that may be used.", _unlimited(memory), "gauge"
        )


def _unlimited(limit: int) -> float:
    """No limit is the largest number, as Go's client shows it."""
    return float(2**64) if limit == resource.RLIM_INFINITY else float(limit)
