"""TLS settings from etcdctl's flags. Only imported when TLS is wanted: `ssl` is a large part of a short run."""

from __future__ import annotations

import ssl

from etcdpy.cli.etcdctl.exits import BAD_ARGS, Exit


def client_context(*, cert: str, key: str, authority: str, verify: bool) -> ssl.SSLContext:
    """Return a client's context; unusable files end the program with etcdctl's text."""
    if bool(cert) != bool(key):
        raise Exit(BAD_ARGS, f"KeyFile and CertFile must both be present[key: {key}, cert: {cert}]")
    for path in (cert, key, authority):
        _check_readable(path)
    try:
        context = ssl.create_default_context(cafile=authority or None)
        if cert:
            context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        reason = "private key does not match public key" if reason == "key values mismatch" else reason
        raise Exit(BAD_ARGS, f"tls: {reason}") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check_readable(path: str) -> None:
    if not path:
        return
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise Exit(BAD_ARGS, f"open {path}: {(error.strerror or '').lower()}") from None
