"""Whether a peer's certificate may come from where its connection comes from.

127.0.0.1 is localhost on every machine.
"""

from __future__ import annotations

import pytest

from etcdpy.transport.tls.addresses import check_address, check_in_dns
from etcdpy.transport.tls.connection import TlsRefused


def certificate(*, dns: tuple[str, ...] = (), addresses: tuple[str, ...] = ()) -> dict[str, object]:
    return {"subjectAltName": (*(("DNS", name) for name in dns), *(("IP Address", each) for each in addresses))}


def test_nothing_said_is_nothing_to_check() -> None:
    assert check_address({}, "10.0.0.1") is None


def test_addresses_decide_without_dns() -> None:
    assert check_address(certificate(addresses=("10.0.0.1",), dns=("no.invalid",)), "10.0.0.1") is None
    assert check_address(certificate(addresses=("10.0.0.1",)), "::ffff:10.0.0.1") is None
    with pytest.raises(TlsRefused, match=r"x509: certificate is valid for 10\.0\.0\.1, not 10\.0\.0\.2"):
        check_address(certificate(addresses=("10.0.0.1",)), "10.0.0.2")


def test_names_are_looked_up_later() -> None:
    later = check_address(certificate(addresses=("10.0.0.1",), dns=("localhost",)), "127.0.0.1")

    assert later is not None
    later()


def test_a_name_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(TlsRefused, match=r'"127\.0\.0\.1" does not match any of DNSNames \["no\.invalid"\] \(lookup'):
        check_in_dns(["no.invalid"], "127.0.0.1")
