"""Cipher suites by Go's names. Which handshakes they let in stands in tests/compat/test_tls_real.py."""

from __future__ import annotations

import ssl

from etcdpy.transport.tls.ciphers import DEFAULT_SUITES, find_unknown_suite, lacks_http2_suite, openssl_names


def test_unknown_names_are_found() -> None:
    assert find_unknown_suite(DEFAULT_SUITES) is None
    assert find_unknown_suite(["TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_SHA"]) is None
    assert find_unknown_suite(["TLS_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"]) == "ECDHE-RSA-AES128-SHA"


def test_openssl_has_every_suite_that_is_offered() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(":".join(openssl_names(DEFAULT_SUITES)))

    offered = {each["name"] for each in context.get_ciphers()}

    assert set(openssl_names(DEFAULT_SUITES)) <= offered


def test_what_nobody_has_any_more_gives_nothing() -> None:
    assert openssl_names(["TLS_RSA_WITH_RC4_128_SHA", "TLS_AES_128_GCM_SHA256"]) == []


def test_http2_asks_for_one_of_two_suites() -> None:
    assert not lacks_http2_suite([])
    assert lacks_http2_suite(["TLS_RSA_WITH_AES_128_CBC_SHA"])
    assert not lacks_http2_suite(["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"])
