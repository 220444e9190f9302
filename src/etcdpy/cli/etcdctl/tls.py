"""TLS settings from etcdctl's flags. Only imported when TLS is wanted: `ssl` is a large part of a short run."""

from __future__ import annotations

import ssl

from etcdpy.cli.etcdctl.exits import BAD_ARGS, Exit


def client_context(*, cert: str, key: str, authority: str, verify: bool) -> ssl.SSLContext:
    """Return a client's context; unusable files end the program with etcdctl's text."""
    if bool(cert) != bool(key):
        raise Exit(BAD_ARGS, f"KeyFile and CertFile must both be present[key: {key}, cert: {cert}]")
    for path, kind in ((cert, "certificate"), (key, "key")):
        if path and not _holds_pem(path):
            raise Exit(BAD_ARGS, f"tls: failed to find any PEM data in {kind} input")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # As Go: a common name is no host name, and any certificate of the file ends a chain.
        context.hostname_checks_common_name = False
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        if not authority:
            context.load_default_certs()
        elif _holds_pem(authority):  # otherwise nobody is trusted, as in etcdctl
            context.load_verify_locations(authority)
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


def _holds_pem(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"-----BEGIN " in file.read()
    except OSError as error:
        raise Exit(BAD_ARGS, f"open {path}: {(error.strerror or '').lower()}") from None
