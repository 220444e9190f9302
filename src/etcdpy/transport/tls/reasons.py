"""Why a handshake failed, for the log: in Go's words where OpenSSL's reason is a common one."""

from __future__ import annotations

import ssl
from typing import Final

_WORDS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "tls: client didn't provide a certificate",
    "NO_SHARED_CIPHER": "tls: no cipher suite supported by both client and server",
    "UNSUPPORTED_PROTOCOL": "tls: client offered only unsupported versions",
    "HTTP_REQUEST": "tls: first record does not look like a TLS handshake",
    "WRONG_VERSION_NUMBER": "tls: first record does not look like a TLS handshake",
    "UNEXPECTED_EOF_WHILE_READING": "EOF",
}
_VERIFY_WORDS: Final = {
    10: "x509: certificate has expired or is not yet valid",
    9: "x509: certificate has expired or is not yet valid",
    18: "x509: certificate signed by unknown authority",
    19: "x509: certificate signed by unknown authority",
    20: "x509: certificate signed by unknown authority",
    21: "x509: certificate signed by unknown authority",
}


def handshake_reason(error: BaseException) -> str:
    """Return what the log says of it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = _VERIFY_WORDS.get(error.verify_code, f"x509: {error.verify_message}")
        return f"tls: failed to verify certificate: {words}"
    if not isinstance(error, ssl.SSLError):
        return str(error) or type(error).__name__
    reason = error.reason or str(error)
    if reason in _WORDS:
        return _WORDS[reason]
    head, alert, rest = reason.lower().replace("_", " ").partition(" alert ")
    return f"remote error: tls: {rest}" if alert else f"tls: {head}"
