"""Names in certificates, compared as Go compares them."""

from __future__ import annotations

import pytest

from etcdpy.transport.tls.names import alternative_names, common_name, is_name_valid

CERTIFICATE = {
    "subject": ((("commonName", "first"),), (("organizationName", "o"), ("commonName", "last"))),
    "subjectAltName": (
        ("DNS", "a.example"),
        ("DNS", "*.b.example"),
        ("IP Address", "10.0.0.1"),
        ("IP Address", "0:0:0:0:0:0:0:1"),
        ("email", "x@y"),
    ),
}


def test_the_last_common_name_counts() -> None:
    assert common_name(CERTIFICATE) == "last"
    assert common_name({}) == ""


def test_alternative_names() -> None:
    names = alternative_names(CERTIFICATE)

    assert names.dns == ("a.example", "*.b.example")
    assert names.addresses == ("10.0.0.1", "0:0:0:0:0:0:0:1")


@pytest.mark.parametrize(
    "host", ["a.example", "A.Example.", "x.b.example", "10.0.0.1", "::1", "[::1]", "::ffff:10.0.0.1"]
)
def test_good_hosts(host: str) -> None:
    assert is_name_valid(CERTIFICATE, host)


@pytest.mark.parametrize(
    "host", ["b.example", "x.y.b.example", ".b.example", "last", "10.0.0.2", "", "a.example.x", "*", "::2"]
)
def test_bad_hosts(host: str) -> None:
    assert not is_name_valid(CERTIFICATE, host)
