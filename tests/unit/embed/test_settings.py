"""What follows from settings: paths, defaults behind zeros, the default cluster, automatic compaction, the banner."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from etcdpy.base.log import close_logger, logger_to
from etcdpy.embed import assemble
from etcdpy.embed.assemble import with_default_cluster
from etcdpy.embed.auto_compaction import AutoCompaction, read_auto_compaction
from etcdpy.embed.banner import log_starting
from etcdpy.embed.config import Config
from etcdpy.embed.errors import ConfigError, StartError
from etcdpy.embed.validate import check_config


def test_paths() -> None:
    config = Config(name="m1")

    assert (config.data_path, config.wal_path) == (Path("m1.etcd"), Path("m1.etcd/member/wal"))
    assert Config(data_dir="d", wal_dir="w").wal_path == Path("w")


def test_a_member_is_there_when_its_log_is(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    assert not config.has_wal
    config.wal_path.mkdir(parents=True)
    assert not config.has_wal
    (config.wal_path / "0000000000000000-0000000000000000.wal").touch()

    assert config.has_wal


@pytest.mark.parametrize(("given", "bytes_"), [(0, 2 << 30), (5, 5), (-1, 0)])
def test_quota(given: int, bytes_: int) -> None:
    assert Config(quota_backend_bytes=given).quota_bytes == bytes_


def test_zero_is_the_usual_batch() -> None:
    assert (Config().batch_interval_seconds, Config().batch_limit) == (0.1, 10_000)
    assert Config(backend_batch_interval_seconds=1.0, backend_batch_limit=1).batch_limit == 1


def test_timeouts_follow_from_the_election() -> None:
    config = Config(heartbeat_interval_ms=50, election_timeout_ms=500)

    assert (config.election_ticks, config.tick_seconds, config.request_timeout_seconds) == (10, 0.05, 6.0)


def test_a_name_alone_is_a_cluster_of_that_name() -> None:
    config, host = with_default_cluster(Config(name="m1", initial_advertise_peer_urls=("http://a:1", "http://a:2")))

    assert (config.initial_cluster, host) == ("m1=http://a:1,m1=http://a:2", "")


def test_the_default_host_stands_in_for_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "find_default_host", lambda: "10.1.2.3")
    everywhere = Config(name="m1", listen_peer_urls=("http://0.0.0.0:7",), listen_client_urls=("http://0.0.0.0:8",))

    config, host = with_default_cluster(everywhere)

    assert host == "10.1.2.3"
    assert config.initial_advertise_peer_urls == ("http://10.1.2.3:7",)
    assert config.advertise_client_urls == ("http://10.1.2.3:8",)
    assert config.initial_cluster == "m1=http://10.1.2.3:7"


def test_the_default_host_is_not_used_by_who_advertises_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "find_default_host", lambda: "10.1.2.3")
    config = Config(listen_client_urls=("http://0.0.0.0:8",), advertise_client_urls=("http://a:8",))

    assert with_default_cluster(config) == (config, "")


@pytest.mark.parametrize(
    ("mode", "retention", "wanted"),
    [
        ("periodic", "0", AutoCompaction()),
        ("periodic", "5", AutoCompaction(period_seconds=5 * 3600.0)),
        ("periodic", "010", AutoCompaction(period_seconds=10 * 3600.0)),
        ("periodic", "5m30s", AutoCompaction(period_seconds=330.0)),
        ("revision", "1000", AutoCompaction(revisions=1000)),
        ("revision", "1us", AutoCompaction(revisions=1000)),
        ("", "1", AutoCompaction()),
    ],
)
def test_auto_compaction(mode: str, retention: str, wanted: AutoCompaction) -> None:
    assert read_auto_compaction(Config(auto_compaction_mode=mode, auto_compaction_retention=retention)) == wanted


def test_auto_compaction_refused() -> None:
    with pytest.raises(StartError, match="error parsing CompactionRetention: time: invalid duration"):
        read_auto_compaction(Config(auto_compaction_retention="x"))


@pytest.mark.parametrize("mode", ["periodic", "revision"])
@pytest.mark.parametrize("retention", ["-1", "-5m", "-1ns"])
def test_a_negative_retention_is_refused(mode: str, retention: str) -> None:
    """GHSA-pm3m-32r3-7mfh."""
    with pytest.raises(StartError, match="error parsing CompactionRetention: "):
        read_auto_compaction(Config(auto_compaction_mode=mode, auto_compaction_retention=retention))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"enable_lease_checkpoint_persist": True}, "requires experimental-enable-lease-checkpoint"),
        ({"compact_hash_check_time_seconds": 0.0}, "must be >0 \\(set to 0s\\)"),
        ({"tls_min_version": "TLS1.0"}, 'unexpected TLS version "TLS1.0"'),
        ({"tls_min_version": "TLS1.3", "tls_max_version": "TLS1.2"}, "is greater than max version"),
        ({"tls_min_version": "TLS1.3", "cipher_suites": ("x",)}, "only TLS1.3 is enabled"),
        ({"discovery_endpoints": ("a:1",), "discovery_token": "t"}, "multiple discovery or bootstrap flags are set"),
        ({"discovery_endpoints": ("a:1",), "initial_cluster": ""}, "both --discovery-token and --discovery-endpoints"),
        ({"discovery_token": "t"}, "both --discovery-token and --discovery-endpoints must be set"),
        ({"discovery_token": "t", "discovery_proxy": "p"}, "both v2 discovery settings"),
        (
            {"discovery_token": "t", "discovery_endpoints": ("a:1", " "), "initial_cluster": ""},
            "--discovery-endpoints must not contain empty endpoints",
        ),
    ],
)
def test_checks_that_3_5_1_does_not_have_yet(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        check_config(dataclasses.replace(Config(), **changes))  # type: ignore[arg-type]


class Lines:
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def close(self) -> None:
        pass


def test_the_banner_dumps_the_settings_under_etcds_names() -> None:
    lines = Lines()
    log = logger_to(lines)
    log_starting(log, Config(auto_compaction_retention="1h30m"), member_initialized=False)
    close_logger(log)
    entry = json.loads(lines.lines[0])

    assert entry["msg"] == "starting an etcd server"
    assert (entry["election-timeout"], entry["auto-compaction-retention"]) == ("1s", "1h30m0s")
    assert (entry["member-dir"], entry["quota-size-bytes"]) == ("default.etcd/member", 2147483648)
