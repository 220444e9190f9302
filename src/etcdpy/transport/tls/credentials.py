"""Contexts of the moment: certificates, keys and authorities as the files have them now.

    credentials = Credentials(settings, log)
    credentials.check()                   raises TlsFilesError, in the words in which etcd refuses to start
    credentials.server_context()          for one handshake; the same object until a file changes

Rules
  * A context is never changed once it is in use: an authority could not be taken out of it again, and old sessions
    would resume. A file that changed makes a new one.
  * When the new files are no good (half written, key and certificate of different pairs), the old context goes on
    serving; that is logged once per change. The list of revoked certificates is another matter: see `revocation`.
  * Looking at the files is four system calls a handshake, which costs hundreds of microseconds anyway.

etcd re-reads certificates and keys, and keeps the authorities that it started with.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from typing import Final

from etcdpy.base.log import log_warn
from etcdpy.transport.tls.ciphers import DEFAULT_SUITES, openssl_names
from etcdpy.transport.tls.revocation import FileState, RevocationList, file_state
from etcdpy.transport.tls.settings import TlsSettings

VERSIONS: Final = {"TLS1.2": ssl.TLSVersion.TLSv1_2, "TLS1.3": ssl.TLSVersion.TLSv1_3}
# As etcd: nobody but HTTP/2 is offered, and who wants none of it speaks HTTP/1.1.
ALPN_HTTP2: Final = ("h2",)
_PEM_MARK: Final = b"-----BEGIN "

_States = tuple[FileState | None, ...]


class TlsFilesError(Exception):
    """The files are not there, or are no good. `str()` is Go's text."""


class Credentials:
    """What one side shows and whom it believes."""

    def __init__(self, settings: TlsSettings, log: logging.Logger, *, alpn: Sequence[str] = ALPN_HTTP2) -> None:
        """`alpn` are the protocols that we offer where we answer."""
        self.settings = settings
        self._alpn = list(alpn)
        self._log = log
        self._server = _Cached()
        self._client = _Cached()
        self.revoked = RevocationList(settings.crl_file) if settings.crl_file else None

    def check(self) -> None:
        """Load everything once. Raise TlsFilesError when that cannot be."""
        _check_settings(self.settings)
        if not self.settings.is_empty:
            self._server.context, self._server.states = self._make_server(), self._states()
        self._client.context, self._client.states = self._make_client(), self._states()

    def server_context(self) -> ssl.SSLContext:
        """Return the context for a connection that was accepted. Raise TlsFilesError if there never was a good one."""
        return self._of_the_moment(self._server, is_server=True)

    def client_context(self) -> ssl.SSLContext:
        """Return the context for a connection that we open. Raise TlsFilesError if there never was a good one."""
        return self._of_the_moment(self._client, is_server=False)

    def _of_the_moment(self, cached: _Cached, *, is_server: bool) -> ssl.SSLContext:
        states = self._states()
        if cached.context is None or cached.states != states:
            try:
                cached.context = self._make_server() if is_server else self._make_client()
            except TlsFilesError as error:
                if cached.context is None:
                    raise
                log_warn(self._log, "failed to create cert", error=str(error))
            cached.states = states
        return cached.context

    def _states(self) -> _States:
        settings = self.settings
        paths = (
            settings.cert_file,
            settings.key_file,
            settings.client_cert_file,
            settings.client_key_file,
            settings.trusted_ca_file,
        )
        return tuple(map(_state_or_none, paths))

    # -- making

    def _make_server(self) -> ssl.SSLContext:
        settings = self.settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._set_common(context)
        _load_pair(context, settings.cert_file, settings.key_file)
        context.set_alpn_protocols(self._alpn)
        # As Go: one ticket is enough for a client that comes back.
        context.num_tickets = 1
        if settings.wants_client_certificates:
            _load_authorities(context, settings.trusted_ca_file, ssl.Purpose.CLIENT_AUTH)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _make_client(self) -> ssl.SSLContext:
        settings = self.settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.hostname_checks_common_name = False
        self._set_common(context)
        if not settings.is_empty:
            _load_pair(
                context, settings.client_cert_file or settings.cert_file, settings.client_key_file or settings.key_file
            )
        if settings.is_self_signed:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            _load_authorities(context, settings.trusted_ca_file, ssl.Purpose.SERVER_AUTH)
        return context

    def _set_common(self, context: ssl.SSLContext) -> None:
        settings = self.settings
        context.minimum_version = VERSIONS.get(settings.min_version, ssl.TLSVersion.TLSv1_2)
        if settings.max_version:
            context.maximum_version = VERSIONS[settings.max_version]
        context.options |= ssl.OP_NO_RENEGOTIATION
        # An authority in the middle of a chain is as good as one at its end, as in Go.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        names = openssl_names(settings.cipher_suites or DEFAULT_SUITES)
        if not names:
            # Only suites of TLS 1.3 were named, or such as nobody has any more: nothing of 1.2 is left.
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            return
        try:
            context.set_ciphers(":".join(names))
        except ssl.SSLError as error:
            raise TlsFilesError(f"no cipher suite of {list(settings.cipher_suites)} can be used: {error}") from None


class _Cached:
    """A context and the files it was made of."""

    def __init__(self) -> None:
        self.context: ssl.SSLContext | None = None
        self.states: _States = ()


def _check_settings(settings: TlsSettings) -> None:
    cert, key = settings.client_cert_file, settings.client_key_file
    if not settings.is_empty and bool(cert) != bool(key):
        raise TlsFilesError(
            f"ClientKeyFile and ClientCertFile must both be present or both absent: key: {key}, cert: {cert}]"
        )
    if settings.allowed_cn and settings.allowed_hostname:
        raise TlsFilesError(
            "AllowedCN and AllowedHostname are mutually exclusive "
            f'(cn="{settings.allowed_cn}", hostname="{settings.allowed_hostname}")'
        )


def _state_or_none(path: str) -> FileState | None:
    try:
        return file_state(path) if path else None
    except OSError:
        return None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise TlsFilesError(f"open {path}: {(error.strerror or str(error)).lower()}") from None


def _load_pair(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    if not cert_file or not key_file:
        raise TlsFilesError(f"KeyFile and CertFile must both be present[key: {key_file}, cert: {cert_file}]")
    for path, kind in ((cert_file, "certificate"), (key_file, "key")):
        if _PEM_MARK not in _read(path):
            raise TlsFilesError(f"tls: failed to find any PEM data in {kind} input")
    try:
        # Never ask at a terminal: a key that wants a password is no good, as in Go.
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (ssl.SSLError, _PasswordWanted) as error:
        raise TlsFilesError(f"tls: {_pair_reason(error)}") from None
    except OSError as error:
        raise TlsFilesError(f"open {cert_file}: {error}") from None


class _PasswordWanted(Exception):
    pass


def _no_password() -> str:
    raise _PasswordWanted("failed to parse private key")


def _pair_reason(error: Exception) -> str:
    reason = str(getattr(error, "reason", None) or error)
    if reason == "KEY_VALUES_MISMATCH":
        return "private key does not match public key"
    return reason.lower().replace("_", " ")


def _load_authorities(context: ssl.SSLContext, path: str, purpose: ssl.Purpose) -> None:
    if not path:
        context.load_default_certs(purpose)
        return
    _read(path)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        if error.reason == "NO_CERTIFICATE_OR_CRL_FOUND":
            return  # As etcd: nobody is trusted, so nobody gets in.
        raise TlsFilesError(f"{path}: {_pair_reason(error)}") from None
