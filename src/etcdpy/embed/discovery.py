"""Discovery: members that know one token, and a service, but not each other, found a cluster together.

Each registers itself under the token, as `name=url,...`, and waits until as many have registered as the token's size
says. The first of them, in the order in which they came, are the cluster; who comes later is told that it is full.

    --discovery URL                                   v2 keys of another etcd (`embed.discovery_v2`)
    --discovery-endpoints E --discovery-token T       v3 keys of another etcd, as of 3.6 (`embed.discovery_v3`)

The service is asked again and again while it does not answer, at growing intervals: there is nothing else to do.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from etcdpy.base.log import Duration, log_info
from etcdpy.embed.config import Config
from etcdpy.embed.errors import DiscoveryFailed, StartError
from etcdpy.embed.initial_cluster import pairs_text, parse_initial_cluster

INVALID_URL: Final = "discovery: invalid URL"
INVALID_PEER_URL: Final = "discovery: invalid peer URL"
BAD_SIZE: Final = "discovery: size key is bad"
NO_SIZE: Final = "discovery: size key not found"
DUPLICATE_ID: Final = "discovery: found duplicate id"
DUPLICATE_NAME: Final = "discovery: found duplicate name"
FULL: Final = "discovery: cluster is full"
BAD_ENDPOINT: Final = "discovery: bad discovery endpoint"

# Go's strconv reads sizes into 64 bits, v3's with a sign; nobody founds a cluster of a thousand (etcd advises seven).
SIZE_MAX: Final = 1_000


class Refused(Exception):
    """The discovery found that this member cannot be one of the cluster. `str()` is one of the texts above."""


class Backoff:
    """Waits between two attempts: 2, 4, 8 ... 256 seconds, and 256 from then on, as upstream."""

    SHIFT_MAX: Final = 8

    def __init__(self, log: logging.Logger, *, url: str, unit_seconds: float = 1.0) -> None:
        self._log = log
        self._url = url
        self._unit_seconds = unit_seconds
        self.count = 0

    async def wait(self, step: str) -> None:
        self.count += 1
        seconds = (1 << min(self.count, self.SHIFT_MAX)) * self._unit_seconds
        text = "retry connecting to discovery service"
        log_info(self._log, text, url=self._url, reason=step, backoff=Duration(seconds))
        await asyncio.sleep(seconds)


async def join_discovered_cluster(config: Config, member_id: int, log: logging.Logger) -> dict[str, tuple[str, ...]]:
    """Register this member and return the cluster's members, peer URLs by name. Raise DiscoveryFailed."""
    own = pairs_text({config.name: config.initial_advertise_peer_urls})
    try:
        if config.discovery:
            # Imported late: most members are not discovered.
            from etcdpy.embed.discovery_v2 import V2Discovery

            values, size = await V2Discovery(config.discovery, config.discovery_proxy, member_id, log).join(own)
            return read_registrations(values, size, is_v2=True)
        from etcdpy.embed.discovery_v3 import discover_v3

        values, size = await discover_v3(config, member_id, own, log)
        return read_registrations(values, size, is_v2=False)
    except Refused as error:
        raise DiscoveryFailed(str(error), token=config.cluster_token) from None


def read_registrations(values: list[str], size: int, *, is_v2: bool) -> dict[str, tuple[str, ...]]:
    """Return the members that registered with `values`. Raise Refused."""
    try:
        members = parse_initial_cluster(",".join(values))
    except StartError:
        raise Refused(INVALID_URL if is_v2 else INVALID_PEER_URL) from None
    if len(members) != size:
        raise Refused(DUPLICATE_NAME)
    return members
