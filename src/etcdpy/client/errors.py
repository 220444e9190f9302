"""The only place where a gRPC status becomes an error of the client.

status with one of etcd's own texts   > the class of that text (`except Compacted: ...`), code as it came
the caller's deadline or cancellation > "context deadline exceeded", "context canceled"
anything else                         > "rpc error: code = Unavailable desc = ..." as Go clients print it
"""

from __future__ import annotations

from typing import Final

from etcdpy.base.errors import CANCELED, CODE_NAMES, DEADLINE_EXCEEDED, UNAVAILABLE, EtcdError

DEADLINE_TEXT: Final = "context deadline exceeded"
CANCELED_TEXT: Final = "context canceled"
# What the first call of a client without endpoints fails with.
NO_ENDPOINTS_TEXT: Final = "etcdclient: no available endpoints"


def rpc_text(error: EtcdError) -> str:
    """Return code and text of a status in Go's notation."""
    return f"rpc error: code = {CODE_NAMES.get(error.code, f'Code({error.code})')} desc = {error.text}"


def client_error(error: EtcdError) -> EtcdError:
    """Return what the caller of the client gets to see for a status."""
    known = find_class(error.text)
    if known is not None:
        return known(error.text, error.code)
    if error.code == DEADLINE_EXCEEDED:
        return EtcdError(DEADLINE_TEXT, DEADLINE_EXCEEDED)
    if error.code == CANCELED:
        return EtcdError(CANCELED_TEXT, CANCELED)
    return EtcdError(rpc_text(error), error.code)


def find_class(text: str) -> type[EtcdError] | None:
    """Return the class whose wording is `text`: clients know etcd's errors by their text."""
    return next((kind for kind in EtcdError.__subclasses__() if kind.text == text), None)


def dial_error(address: str, network: str, cause: BaseException | None) -> EtcdError:
    """Return the error of a connection that could not be made, in the words of Go's dialer."""
    if cause is not None and hasattr(cause, "library") and hasattr(cause, "reason"):
        # An ssl.SSLError; the module itself is only there when TLS is used.
        reason = handshake_reason(cause.reason, getattr(cause, "verify_message", ""))
        return EtcdError(
            f'connection error: desc = "transport: authentication handshake failed: {reason}"', UNAVAILABLE
        )
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    if isinstance(cause, TimeoutError):
        reason = "i/o timeout"
    elif isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        reason = "connect: " + reason.lower()
    return EtcdError(
        f'connection error: desc = "transport: Error while dialing dial {network} {address}: {reason}"', UNAVAILABLE
    )


def handshake_reason(reason: str | None, verify_message: str) -> str:
    """Return why a TLS handshake failed, for the common reasons in Go's words."""
    if "issuer certificate" in verify_message or "self-signed" in verify_message:
        return "x509: certificate signed by unknown authority"
    if verify_message:
        return f"x509: {verify_message}"
    words = (reason or "handshake failure").lower().replace("_", " ")
    head, alert, rest = words.partition(" alert ")
    return f"remote error: tls: {rest}" if alert and head in ("sslv3", "tlsv1", "tlsv13") else f"tls: {words}"


def wait_error(last_dial: EtcdError | None) -> EtcdError:
    """Return the error of a call whose deadline passed before it found a connection."""
    if last_dial is None:
        return EtcdError(DEADLINE_TEXT, DEADLINE_EXCEEDED)
    return EtcdError(f"latest balancer error: last connection error: {last_dial.text}", DEADLINE_EXCEEDED)
