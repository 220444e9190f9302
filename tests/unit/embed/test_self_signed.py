"""Certificates that a member makes for itself: once, for its hosts, readable by its owner alone."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from etcdpy.embed.errors import StartError
from etcdpy.embed.self_signed import ensure_self_signed

LOG = logging.getLogger("test")
HOSTS = ["127.0.0.1", "localhost"]


@pytest.mark.parametrize("is_for_peers", [False, True])
def test_what_is_made(tmp_path: Path, is_for_peers: bool) -> None:
    cert, key = ensure_self_signed(tmp_path / "a" / "b", HOSTS, years=2, is_for_peers=is_for_peers, log=LOG)

    assert (cert, key) == (str(tmp_path / "a" / "b" / "cert.pem"), str(tmp_path / "a" / "b" / "key.pem"))
    assert Path(key).stat().st_mode & 0o777 == 0o600
    made = x509.load_pem_x509_certificate(Path(cert).read_bytes())
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days == 2 * 365
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == HOSTS
    usages = list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert (ExtendedKeyUsageOID.CLIENT_AUTH in usages) is is_for_peers


def test_they_are_made_once(tmp_path: Path) -> None:
    cert, _ = ensure_self_signed(tmp_path, HOSTS, years=1, is_for_peers=False, log=LOG)
    before = Path(cert).read_bytes()

    ensure_self_signed(tmp_path, HOSTS, years=1, is_for_peers=False, log=LOG)

    assert Path(cert).read_bytes() == before


def test_no_time_is_no_validity(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="selfSignedCertValidity is invalid,it should be greater than 0"):
        ensure_self_signed(tmp_path, HOSTS, years=0, is_for_peers=False, log=LOG)
