"""Contexts of the moment: the same while the files stay, another when they change."""

from __future__ import annotations

import logging
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from etcdpy.transport.tls import Credentials, TlsFilesError, TlsSettings
from tests.certificates import Authority
from tests.unit.transport.tls.secure import kept_log

LOG = logging.getLogger("test")


@pytest.fixture
def settings(tmp_path: Path) -> TlsSettings:
    pair = Authority(tmp_path, "ca").issue("server")
    return TlsSettings(cert_file=str(pair.cert), key_file=str(pair.key), trusted_ca_file=str(tmp_path / "ca.crt"))


def refusal(settings: TlsSettings) -> str:
    with pytest.raises(TlsFilesError) as refused:
        Credentials(settings, LOG).check()
    return str(refused.value)


def test_a_context_lives_as_long_as_its_files(settings: TlsSettings, tmp_path: Path) -> None:
    credentials = Credentials(settings, LOG)
    credentials.check()
    first = credentials.server_context()
    assert credentials.server_context() is first

    Authority(tmp_path, "other").issue("server")

    assert credentials.server_context() is not first


def test_bad_files_leave_the_old_context(settings: TlsSettings) -> None:
    with kept_log() as (log, messages):
        credentials = Credentials(settings, log)
        first = credentials.server_context()

        Path(settings.key_file).write_text("half written")

        assert credentials.server_context() is first
        assert credentials.server_context() is first
    assert messages == ["failed to create cert"]


def test_refusals_in_gos_words(settings: TlsSettings, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("junk")
    other = Authority(tmp_path, "other").issue("other")
    missing = str(tmp_path / "nope")

    assert refusal(replace(settings, key_file="")).startswith("KeyFile and CertFile must both be present[key: , cert: ")
    assert refusal(replace(settings, cert_file=missing)) == f"open {missing}: no such file or directory"
    assert refusal(replace(settings, trusted_ca_file=missing)) == f"open {missing}: no such file or directory"
    assert refusal(replace(settings, cert_file=str(junk))) == "tls: failed to find any PEM data in certificate input"
    assert refusal(replace(settings, key_file=str(junk))) == "tls: failed to find any PEM data in key input"
    assert refusal(replace(settings, key_file=str(other.key))) == "tls: private key does not match public key"
    assert refusal(replace(settings, client_cert_file="c")) == (
        "ClientKeyFile and ClientCertFile must both be present or both absent: key: , cert: c]"
    )
    assert refusal(replace(settings, allowed_cn="a", allowed_hostname="b")) == (
        'AllowedCN and AllowedHostname are mutually exclusive (cn="a", hostname="b")'
    )


def test_an_authority_file_without_any_trusts_nobody(settings: TlsSettings, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("junk")
    credentials = Credentials(replace(settings, trusted_ca_file=str(junk)), LOG)

    credentials.check()

    assert credentials.server_context().verify_mode == ssl.CERT_REQUIRED
    assert credentials.server_context().get_ca_certs() == []


def test_versions_and_suites(settings: TlsSettings) -> None:
    context = Credentials(settings, LOG).server_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2

    old = Credentials(replace(settings, max_version="TLS1.2"), LOG).server_context()
    assert old.maximum_version == ssl.TLSVersion.TLSv1_2

    newer = Credentials(replace(settings, cipher_suites=("TLS_AES_128_GCM_SHA256",)), LOG).server_context()
    assert newer.minimum_version == ssl.TLSVersion.TLSv1_3


def test_what_we_made_ourselves_is_not_verified(settings: TlsSettings) -> None:
    assert Credentials(settings, LOG).client_context().verify_mode == ssl.CERT_REQUIRED
    own = Credentials(replace(settings, is_self_signed=True), LOG).client_context()
    assert own.verify_mode == ssl.CERT_NONE
