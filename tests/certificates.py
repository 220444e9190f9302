"""Certificates made for one test: an authority, and what it signs.

authority = Authority(tmp_path, "ca")
pair = authority.issue("server")                      # for localhost and 127.0.0.1
pair.cert, pair.key                                   # paths
authority.revoke(tmp_path / "crl.pem", [pair])
"""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE: Final = ("localhost", "127.0.0.1")
_DAY: Final = datetime.timedelta(days=1)
_serials = itertools.count(1000)


@dataclass(frozen=True)
class Pair:
    cert: Path
    key: Path
    serial: int

    def flags(self, prefix: str = "") -> list[str]:
        """As the server's flags."""
        return [f"--{prefix}cert-file={self.cert}", f"--{prefix}key-file={self.key}"]

    def move_to(self, other: Pair) -> None:
        """Put this pair into the place of another, as an operator would: each file at once."""
        os.replace(self.key, other.key)
        os.replace(self.cert, other.cert)


class Authority:
    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(next(_serials))
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.cert = folder / f"{name}.crt"
        self.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        common_name: str | None = None,
        hosts: Sequence[str] = HERE,
        days: tuple[float, float] = (-1, 30),
    ) -> Pair:
        """Sign a certificate that is valid between so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        serial = next(_serials)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name if common_name is None else common_name))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(now + days[0] * _DAY)
            .not_valid_after(now + days[1] * _DAY)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key", serial)
        pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        return pair

    def revoke(self, path: Path, pairs: Sequence[Pair], *, der: bool = False) -> Path:
        """Write a list of revoked certificates."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - _DAY)
            .next_update(now + 30 * _DAY)
        )
        for pair in pairs:
            entry = x509.RevokedCertificateBuilder().serial_number(pair.serial).revocation_date(now - _DAY).build()
            builder = builder.add_revoked_certificate(entry)
        encoding = serialization.Encoding.DER if der else serialization.Encoding.PEM
        temporary = path.with_suffix(".new")
        temporary.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(encoding))
        os.replace(temporary, path)
        return path


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
