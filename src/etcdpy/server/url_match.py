"""Whether two lists of peer URLs mean the same addresses, with host names looked up where the texts differ.

Upstream: pkg/netutil.URLStringsEqual.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

# As long as upstream waits for names.
RESOLVE_SECONDS_MAX: Final = 30.0


def find_difference(mine: Sequence[str], theirs: Sequence[str], resolved: Mapping[str, str] | None = None) -> str:
    """Return in which respect the two differ, in etcd's words; nothing when they are the same.

    `resolved` has, for URLs with a host name, those with its address.
    """
    if len(mine) != len(theirs):
        return f"len({_list(mine)}) != len({_list(theirs)})"
    addresses = resolved or {}
    pairs = zip(_sorted(mine, addresses), _sorted(theirs, addresses), strict=True)
    for (address, url), (other_address, other_url) in pairs:
        if address != other_address:
            return f"{_shown(address, url)} != {_shown(other_address, other_url)}"
    return ""


async def wait_difference(mine: Sequence[str], theirs: Sequence[str]) -> str:
    """Return what `find_difference` does, with host names looked up where that may help."""
    difference = find_difference(mine, theirs)
    if not difference or len(mine) != len(theirs):
        return difference
    try:
        async with asyncio.timeout(RESOLVE_SECONDS_MAX):
            resolved = {url: await _resolve(url) for url in {*mine, *theirs}}
    except (OSError, ValueError) as error:
        return str(error) or "names could not be resolved in time"
    return find_difference(mine, theirs, resolved)


async def _resolve(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme in ("unix", "unixs"):
        return url  # a file, not a host
    host, port = parts.hostname or "", parts.port
    if host == "localhost" or is_address(host):
        return url
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1, proto=6)
    # Go prefers IPv4 where a name has both.
    address = sorted((str(each[4][0]) for each in found), key=lambda address: ":" in address)[0]
    shown = f"[{address}]" if ":" in address else address
    return f"{parts.scheme}://{shown}:{port}"


def is_address(host: str) -> bool:
    """Return whether `host` needs no looking up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _sorted(urls: Sequence[str], resolved: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted((resolved.get(url, url), url) for url in urls)


def _list(urls: Sequence[str]) -> str:
    return "[" + " ".join(map(json.dumps, urls)) + "]"


def _shown(address: str, url: str) -> str:
    return f"{json.dumps(address)}(resolved from {json.dumps(url)})"
