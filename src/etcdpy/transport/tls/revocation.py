"""The list of revoked certificates: serial numbers, compared after the handshake, as etcd does.

Who signed the list and how old it is are not asked, in etcd neither; OpenSSL's own check would want a current list of
every issuer. The file is looked at for each handshake and read when it has changed. A file that cannot be read lets
nobody in.
"""

from __future__ import annotations

import os
import ssl
from typing import Any, Final

# A list with a million entries has about 40 MB.
CRL_BYTES_MAX: Final = 64 * 1024 * 1024
_PEM_BEGIN: Final = b"-----BEGIN X509 CRL-----"

FileState = tuple[int, int, int, int]


def file_state(path: str) -> FileState:
    """Return what changes when a file does. Raise OSError."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


class Revoked(Exception):
    """The certificate may not be used any more, or nobody can tell. `str()` is for the log."""


class RevocationList:
    """The file of `--client-crl-file` or `--peer-crl-file`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._state: FileState | None = None
        self._serials: frozenset[int] = frozenset()

    def check(self, serials: list[int]) -> None:
        """Raise Revoked when one of `serials` is in the list, or the list cannot be read."""
        try:
            state = file_state(self._path)
            if state != self._state:
                self._serials = _read(self._path)
                self._state = state
        except OSError as error:
            raise Revoked(f"open {self._path}: {(error.strerror or str(error)).lower()}") from None
        except ValueError as error:
            raise Revoked(f"{self._path}: {error}") from None
        for serial in serials:
            if serial in self._serials:
                raise Revoked(f"transport: certificate serial {serial:x} revoked")


def _read(path: str) -> frozenset[int]:
    # Imported late: most members have no such list, and the library is large.
    from cryptography import x509

    with open(path, "rb") as file:
        content = file.read(CRL_BYTES_MAX + 1)
    if len(content) > CRL_BYTES_MAX:
        raise ValueError(f"larger than {CRL_BYTES_MAX} bytes")
    is_pem = content.startswith(_PEM_BEGIN)
    found = x509.load_pem_x509_crl(content) if is_pem else x509.load_der_x509_crl(content)
    return frozenset(entry.serial_number for entry in found)


def chain_serials(connection: ssl.SSLObject) -> list[int]:
    """Return the serial numbers of all certificates that the other side showed."""
    from cryptography import x509

    # Public from Python 3.13 on; before, the same is one step further down.
    inner: Any = connection if hasattr(connection, "get_unverified_chain") else connection._sslobj  # type: ignore[attr-defined]
    shown: list[Any] = inner.get_unverified_chain() or []
    encoded = [each if isinstance(each, bytes) else ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in shown]
    return [x509.load_der_x509_certificate(each).serial_number for each in encoded]
