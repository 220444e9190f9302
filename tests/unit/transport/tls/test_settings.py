"""What the TLS flags of one side say."""

from __future__ import annotations

from etcdpy.transport.tls import TlsSettings


def test_a_side_without_files_is_empty() -> None:
    assert TlsSettings().is_empty
    assert not TlsSettings(key_file="k").is_empty


def test_either_flag_asks_clients_for_certificates() -> None:
    assert not TlsSettings(cert_file="c", key_file="k").wants_client_certificates
    assert TlsSettings(client_cert_auth=True).wants_client_certificates
    assert TlsSettings(trusted_ca_file="ca").wants_client_certificates
