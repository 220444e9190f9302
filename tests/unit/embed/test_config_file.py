"""Configuration files: keys, kinds, what passes silently. Refusals are compared with the real etcd in tests/compat."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.embed.assemble import config_of_file
from etcdpy.embed.config import Config
from etcdpy.embed.config_file import ConfigFileExit, read_config_file
from etcdpy.embed.errors import ConfigError


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "etcd.conf.yml"
    path.write_text(text)
    return config_of_file(read_config_file(str(path)))


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Config()
    assert read(tmp_path, "# nothing\n") == Config()


def test_keys_are_the_names_of_the_flags_in_any_case(tmp_path: Path) -> None:
    assert read(tmp_path, "NAME: m1\nsnapshot-count: 7\npre-vote: false\n") == Config(
        name="m1", snapshot_count=7, pre_vote=False
    )


def test_json_is_a_part_of_yaml(tmp_path: Path) -> None:
    assert read(tmp_path, '{"name": "m1", "max-wals": 3}') == Config(name="m1", max_wals=3)


def test_durations_are_nanoseconds(tmp_path: Path) -> None:
    config = read(tmp_path, "grpc-keepalive-interval: 1500000000\n")

    assert config.grpc_keepalive_interval_seconds == 1.5


def test_maps_hold_what_the_flags_of_tls_and_sockets_say(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "client-transport-security: {cert-file: a, key-file: b, client-cert-auth: true}\n"
        "peer-transport-security: {cert-file: c, allowed-cn: [d, e], skip-client-san-verification: true}\n"
        "socket-options: {reuse-port: true}\n",
    )

    assert (config.cert_file, config.key_file, config.client_cert_auth) == ("a", "b", True)
    assert (config.peer_cert_file, config.peer_cert_allowed_cn) == ("c", "d,e")
    assert (config.peer_skip_client_san_verification, config.socket_reuse_port) == (True, True)


def test_lists_and_comma_strings(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "log-outputs: [stdout, /tmp/x]\n"
        "listen-client-urls: http://127.0.0.1:2,http://127.0.0.1:1\n"
        "host-whitelist: b,a\ncors: '*'\n",
    )

    assert config.log_outputs == ("stdout", "/tmp/x")
    assert config.listen_client_urls == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert (config.host_whitelist, config.cors) == (("a", "b"), ("*",))


def test_listening_elsewhere_keeps_the_default_advertised(tmp_path: Path) -> None:
    """Unlike on the command line, where that is refused."""
    config = read(tmp_path, "listen-client-urls: http://127.0.0.1:1\n")

    assert config.advertise_client_urls == ("http://localhost:2379",)


def test_what_passes_silently(tmp_path: Path) -> None:
    text = "unknown: 1\nname: null\ndiscovery-fallback: proxy\nraft-read-timeout: x\ntrusted-ca-file: x\n"
    text += "listen-peer-urls: ''\n"

    assert read(tmp_path, text) == Config()


def test_the_odd_spelling_of_catch_up_entries(tmp_path: Path) -> None:
    assert read(tmp_path, "experimental-snapshot-catch-up-entries: 5\n").snapshot_catchup_entries == 5
    assert read(tmp_path, "experimental-snapshot-catchup-entries: 5\n") == Config()


def test_a_wrong_url_ends_the_program_without_a_log_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileExit, match="unexpected error setting up listen-peer-urls: URL scheme must be"):
        read(tmp_path, "listen-peer-urls: foo\n")


def test_a_file_that_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="larger than"):
        read(tmp_path, "#" * (1024 * 1024 + 1))
    (tmp_path / "binary").write_bytes(b"name: \xff\n")
    with pytest.raises(ConfigError, match="invalid leading UTF-8 octet"):
        read_config_file(str(tmp_path / "binary"))
