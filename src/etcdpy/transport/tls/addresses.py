"""Whether a peer's certificate may come from where its connection comes from.

    the certificate has addresses   one of them is the remote one: good. Otherwise, without DNS names: refused
    it has DNS names                a name of the remote address matches (`*.domain`: any below it), or a name of the
                                    certificate has the remote address
    it has neither                  good: nothing was said

DNS is asked on a thread: the answer may take seconds. Upstream: checkCertSAN and isHostInDNS in listener_tls.go.
"""

from __future__ import annotations

import functools
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etcdpy.transport.tls.connection import TlsRefused
from etcdpy.transport.tls.names import alternative_names, is_name_valid


def check_address(certificate: Mapping[str, Any], address: str) -> Callable[[], None] | None:
    """Raise TlsRefused, return None when all is well, or what is left to be checked where blocking is allowed."""
    names = alternative_names(certificate)
    address = address.removeprefix("::ffff:")
    if names.addresses:
        if is_name_valid(certificate, address):
            return None
        if not names.dns:
            shown = ", ".join(names.addresses)
            raise TlsRefused(f"x509: certificate is valid for {shown}, not {address}")
    if names.dns:
        return functools.partial(check_in_dns, names.dns, address)
    return None


def check_in_dns(dns_names: Sequence[str], address: str) -> None:
    """Raise TlsRefused when DNS knows of no connection between the two. Blocks."""
    wildcards = tuple(name[1:] for name in dns_names if name.startswith("*."))
    plain = [name for name in dns_names if not name.startswith("*.")]
    fault = ""
    try:
        host, aliases, _ = socket.gethostbyaddr(address)
    except OSError as error:
        fault = f" (lookup {address}: {(error.strerror or str(error)).lower()})"
    else:
        for name in (host, *aliases):
            name = name.removesuffix(".")
            if name in plain or name.endswith(wildcards):
                return
    for name in plain:
        try:
            found = {str(each[4][0]) for each in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError) as error:
            fault = f" (lookup {name}: {(getattr(error, 'strerror', None) or str(error)).lower()})"
            continue
        if address in found:
            return
    shown = "[" + " ".join(map(json.dumps, dns_names)) + "]"
    raise TlsRefused(f'tls: "{address}" does not match any of DNSNames {shown}{fault}')
