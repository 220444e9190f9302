"""Why a handshake failed, in Go's words."""

from __future__ import annotations

import ssl

from etcdpy.transport.tls.reasons import handshake_reason


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


def test_common_reasons() -> None:
    assert handshake_reason(ssl_error("PEER_DID_NOT_RETURN_A_CERTIFICATE")) == (
        "tls: client didn't provide a certificate"
    )
    assert handshake_reason(ssl_error("TLSV1_ALERT_UNKNOWN_CA")) == "remote error: tls: unknown ca"
    assert handshake_reason(ssl_error("SOMETHING_ELSE")) == "tls: something else"
    assert handshake_reason(EOFError("EOF")) == "EOF"
    assert handshake_reason(TimeoutError()) == "TimeoutError"


def test_certificates() -> None:
    error = ssl.SSLCertVerificationError(1, "bad")
    error.verify_code, error.verify_message = 10, "certificate has expired"

    assert handshake_reason(error) == (
        "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
    )
