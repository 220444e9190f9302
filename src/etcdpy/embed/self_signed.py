"""Certificates that a member makes for itself: `--auto-tls` and `--peer-auto-tls`.

They stand below the data directory and are made once: fixtures/client and fixtures/peer, with cert.pem and key.pem.
Nobody could verify them, so they keep listeners-in away and nobody else. Upstream: transport.SelfCert.
"""

from __future__ import annotations

import datetime
import ipaddress
import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from etcdpy.base.log import log_info, log_warn
from etcdpy.embed.errors import StartError

CERT_NAME: Final = "cert.pem"
KEY_NAME: Final = "key.pem"
# etcd's years have 365 days.
DAYS_PER_YEAR: Final = 365
SERIAL_BITS: Final = 128


def ensure_self_signed(
    folder: Path, hosts: Sequence[str], *, years: int, is_for_peers: bool, log: logging.Logger
) -> tuple[str, str]:
    """Return the paths of certificate and key in `folder`; make them where missing. Raise StartError, OSError."""
    if years <= 0:
        reason = "selfSignedCertValidity is invalid,it should be greater than 0"
        log_warn(log, "cannot generate cert", error=reason)
        raise StartError(reason)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cert_path, key_path = folder / CERT_NAME, folder / KEY_NAME
    if not (cert_path.exists() and key_path.exists()):
        certificate, key = _make(hosts, years, is_for_peers=is_for_peers)
        _write(cert_path, certificate)
        log_info(log, "created cert file", path=str(cert_path))
        _write(key_path, key)
        log_info(log, "created key file", path=str(key_path))
    return str(cert_path), str(key_path)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _make(hosts: Sequence[str], years: int, *, is_for_peers: bool) -> tuple[bytes, bytes]:
    # Imported late: most members have certificates of their own, and the library is large.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP521R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "etcd")])
    begin = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if is_for_peers else [])]
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(SERIAL_BITS) | 1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=DAYS_PER_YEAR * years))
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
    )
