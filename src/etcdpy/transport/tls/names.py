"""Names in certificates: what `SSLObject.getpeercert()` says, compared as Go compares.

common name     the last one of the subject; never a host name (Go gave that up in 1.15, OpenSSL has not)
host names      DNS names of the certificate; `*` stands for the first label, and for one label only
addresses       compared as addresses, however they are written
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, NamedTuple

Certificate = Mapping[str, Any]


class AlternativeNames(NamedTuple):
    dns: tuple[str, ...]
    addresses: tuple[str, ...]


def common_name(certificate: Certificate) -> str:
    """Return the subject's common name, or nothing."""
    found = ""
    for group in certificate.get("subject", ()):
        for key, value in group:
            if key == "commonName":
                found = value
    return found


def alternative_names(certificate: Certificate) -> AlternativeNames:
    names = certificate.get("subjectAltName", ())
    return AlternativeNames(
        dns=tuple(value for kind, value in names if kind == "DNS"),
        addresses=tuple(value.strip() for kind, value in names if kind == "IP Address"),
    )


def is_name_valid(certificate: Certificate, host: str) -> bool:
    """Return whether the certificate is one of `host`, a name or an address. Upstream: x509's VerifyHostname."""
    names = alternative_names(certificate)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    address = _read_address(bare)
    if address is not None:
        return any(_read_address(each) == address for each in names.addresses)
    return any(_matches(pattern, host) for pattern in names.dns)


def _read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def _matches(pattern: str, host: str) -> bool:
    pattern, host = pattern.lower().removesuffix("."), host.lower().removesuffix(".")
    if not pattern or not host:
        return False
    patterns, labels = pattern.split("."), host.split(".")
    if len(patterns) != len(labels) or not all(labels):
        return False
    return patterns[1:] == labels[1:] and (patterns[0] == labels[0] or (patterns[0] == "*" and len(patterns) > 1))
