"""Cipher suites by the names that `--cipher-suites` takes, which are Go's.

Only those of TLS 1.2 can be chosen, as in Go: the three of TLS 1.3 are always there and may be named without effect.

    default   what Go 1.16 offers, without what OpenSSL leaves out of its own accord (RC4, 3DES)
    named     just these; names of suites that no ordinary OpenSSL has any more are known but give nothing
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# Name -> OpenSSL's name; empty: no ordinary OpenSSL of today has it.
SUITES: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA": "",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA": "",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA": "",
    "TLS_RSA_WITH_RC4_128_SHA": "",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "",
}
TLS13_SUITES: Final = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
HTTP2_SUITES: Final = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
# Go offers no CBC suite with SHA-256 unless it is named.
DEFAULT_SUITES: Final = tuple(name for name, known in SUITES.items() if known and not name.endswith("_CBC_SHA256"))


def find_unknown_suite(names: Iterable[str]) -> str | None:
    """Return the first name that etcd does not know."""
    return next((name for name in names if name not in SUITES and name not in TLS13_SUITES), None)


def openssl_names(names: Iterable[str]) -> list[str]:
    """Return the names that OpenSSL has for the suites of TLS 1.2 among `names`; there may be none."""
    return [known for known in map(SUITES.get, names) if known]


def lacks_http2_suite(names: Iterable[str]) -> bool:
    """Return whether suites are chosen and none is among them that HTTP/2 asks for: Go then does not serve."""
    chosen = set(names)
    return bool(chosen) and chosen.isdisjoint(HTTP2_SUITES)
