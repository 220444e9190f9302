"""The address under which this machine speaks to the world, found without speaking to it."""

from __future__ import annotations

import socket
from typing import Final

# Reserved for documentation (RFC 5737): connecting a datagram socket to it only asks the routing table.
FAR_AWAY: Final = ("192.0.2.1", 9)


def find_default_host() -> str:
    """Return the source address of the default route; empty when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(FAR_AWAY)
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return address
