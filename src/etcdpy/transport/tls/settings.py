"""What the TLS flags of one side say: that of the clients, or that of the peers. Upstream: transport.TLSInfo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VERSION_DEFAULT: Final = "TLS1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    cert_file: str = ""
    key_file: str = ""
    # Where this member is itself a client; empty: the same as above.
    client_cert_file: str = ""
    client_key_file: str = ""
    trusted_ca_file: str = ""
    client_cert_auth: bool = False
    crl_file: str = ""
    allowed_cn: str = ""
    allowed_hostname: str = ""
    skip_client_san_verification: bool = False
    cipher_suites: tuple[str, ...] = ()
    min_version: str = VERSION_DEFAULT
    max_version: str = ""
    # Made by this member itself: nobody could verify it, so nobody does.
    is_self_signed: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no certificate is given. Upstream: TLSInfo.Empty."""
        return not self.cert_file and not self.key_file

    @property
    def wants_client_certificates(self) -> bool:
        return self.client_cert_auth or bool(self.trusted_ca_file)
