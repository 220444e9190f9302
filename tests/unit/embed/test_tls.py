"""TLS of one member: which listeners have it, and what keeps a member from starting."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etcdpy.embed.config import Config
from etcdpy.embed.errors import StartError
from etcdpy.embed.tls import MemberTls
from tests.certificates import Authority
from tests.unit.transport.tls.secure import kept_log

HTTPS = ("https://127.0.0.1:1",)
HTTP = ("http://127.0.0.1:1",)


def make(config: Config, log: logging.Logger | None = None) -> MemberTls:
    async def scenario() -> MemberTls:
        return MemberTls(config, log or logging.getLogger("test"), asyncio.get_running_loop())

    return asyncio.run(scenario())


@pytest.fixture
def config(tmp_path: Path) -> Config:
    pair = Authority(tmp_path, "ca").issue("member")
    cert, key = str(pair.cert), str(pair.key)
    return Config(data_dir=str(tmp_path / "data"), cert_file=cert, key_file=key, peer_cert_file=cert, peer_key_file=key)


def test_a_url_decides_about_tls(config: Config) -> None:
    tls = make(replace(config, listen_client_urls=(*HTTPS, *HTTP)))

    for server in (tls.client_server, tls.client_http_server, tls.peer_server, tls.metrics_server):
        assert server(HTTPS[0]) is not None
        assert server(HTTP[0]) is None


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"peer_key_file": "/nope"}, "open /nope: no such file or directory"),
        ({"key_file": "/nope", "listen_client_urls": HTTPS}, "open /nope: no such file or directory"),
        ({"key_file": "/nope", "listen_metrics_urls": HTTPS}, "open /nope: no such file or directory"),
        ({"key_file": "", "listen_client_http_urls": HTTPS}, "KeyFile and CertFile must both be present"),
        (
            {"cipher_suites": ("TLS_RSA_WITH_AES_128_CBC_SHA",), "listen_client_urls": HTTPS},
            "http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher",
        ),
    ],
)
def test_what_keeps_a_member_from_starting(config: Config, changes: dict[str, Any], refusal: str) -> None:
    with pytest.raises(StartError, match=refusal):
        make(replace(config, **changes))


def test_files_of_clients_that_nobody_uses_are_not_looked_at(config: Config) -> None:
    make(replace(config, cert_file="/nope", key_file="/nope"))


def test_certificates_of_their_own_making(config: Config, tmp_path: Path) -> None:
    empty = replace(config, cert_file="", key_file="", peer_cert_file="", peer_key_file="")

    tls = make(replace(empty, auto_tls=True, peer_auto_tls=True, peer_cert_allowed_cn="forgotten"))

    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("data/fixtures/*/*"))
    assert made == [f"data/fixtures/{side}/{name}.pem" for side in ("client", "peer") for name in ("cert", "key")]
    assert tls.peers.settings.is_self_signed
    assert not tls.peers.settings.allowed_cn


def test_what_is_said_of_settings_that_have_no_effect(config: Config) -> None:
    with kept_log() as (log, messages):
        make(replace(config, auto_tls=True, peer_auto_tls=True, client_cert_auth=True), log)

    ignoring = "scheme is HTTP while key and cert files are present; ignoring key and cert files"
    assert messages == [
        "ignoring peer auto TLS since certs given",
        "ignoring client auto TLS since certs given",
        "starting with peer TLS",
        ignoring,
        ignoring,
        "scheme is HTTP while --client-cert-auth is enabled; ignoring client cert auth for this URL",
    ]
    assert not (config.data_path / "fixtures").exists()
