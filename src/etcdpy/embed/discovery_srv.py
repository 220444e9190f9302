"""Discovery by DNS: SRV records list the members' peer URLs.

    _etcd-server-ssl._tcp.<domain>    https            --discovery-srv-name=x asks for _etcd-server-ssl-x and
    _etcd-server._tcp.<domain>        http             _etcd-server-x

DNS knows no names of members: the one whose address this member advertises gets its name, the others are "0", "1" ...;
names only matter until members tell their own. Ids are computed from the URLs, so everybody must advertise just the
host names that the records have.

Upstream: client/pkg/srv, Config.GetDNSClusterNames.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from etcdpy.base.log import log_info, log_warn
from etcdpy.embed.config import Config
from etcdpy.embed.errors import StartError
from etcdpy.embed.initial_cluster import parse_initial_cluster
from etcdpy.embed.urls import parse_url
from etcdpy.server.url_match import is_address

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

# Go's resolver gives up after two attempts of 5 s at each of up to three servers.
LOOKUP_SECONDS_MAX: Final = 30.0

Address = tuple[str, int]


class Target(NamedTuple):
    host: str
    port: int


class LookupFailed(Exception):
    """DNS has no answer; `str()` is why."""


async def find_cluster_in_dns(
    config: Config, log: logging.Logger, dns: Dns | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the members that DNS lists, peer URLs by name. Raise StartError."""
    suffix = f"-{config.discovery_srv_name}" if config.discovery_srv_name else ""
    parts: list[str] = []
    faults: list[str] = []
    for scheme, service in (("https", f"etcd-server-ssl{suffix}"), ("http", f"etcd-server{suffix}")):
        found: list[str] = []
        fields: dict[str, str] = {}
        try:
            found = await _find_members(config, scheme, service, dns or Dns())
        except LookupFailed as error:
            faults.append(f"error querying DNS SRV records for _{service} {error}")
            fields = {"error": faults[-1]}
        log_info(
            log,
            f"get cluster for {'etcd-server-ssl' if scheme == 'https' else 'etcd-server'} SRV",
            service_scheme=scheme,
            service_name=service,
            server_name=config.name,
            discovery_srv=config.discovery_srv,
            advertise_peer_urls=config.initial_advertise_peer_urls,
            found_cluster=found,
            **fields,
        )
        parts += found
    return _read_cluster(config, parts, faults, log)


def _read_cluster(
    config: Config, parts: list[str], faults: list[str], log: logging.Logger
) -> dict[str, tuple[str, ...]]:
    fault = "; ".join(faults)
    if fault:
        log_warn(log, "failed to resolve during SRV discovery", error=fault)
    if not parts:
        raise StartError(f"error setting up initial cluster: {fault}")
    for part in parts:
        log_info(log, "got bootstrap from DNS for etcd-server", node=part)
    members = parse_initial_cluster(",".join(parts))
    if config.name not in members:
        text = f'cannot find local etcd member "{config.name}" in SRV records'
        raise StartError(f"error setting up initial cluster: {text}")
    return members


async def _find_members(config: Config, scheme: str, service: str, dns: Dns) -> list[str]:
    """Return `name=url` for each record of one service. Raise LookupFailed."""
    parsed = [(url, parse_url(url)) for url in config.initial_advertise_peer_urls]
    advertised = {await dns.find_address(each.hostname, int(each.port)): url for url, each in parsed}
    targets = await dns.find_targets(f"_{service}._tcp.{config.discovery_srv}")
    parts: list[str] = []
    fault = ""
    number = 0
    for target in targets:
        try:
            address = await dns.find_address(target.host, target.port)
        except LookupFailed as error:
            fault = str(error)
            continue
        url = f"{scheme}://{_join(target)}"
        own = advertised.get(address)
        if own is not None and parse_url(own).scheme != scheme:
            fault = f"bootstrap at {url} from DNS for {service} has scheme mismatch with expected peer {own}"
            continue
        parts.append(f"{config.name if own is not None else number}={url}")
        number += own is None
    if not parts:
        raise LookupFailed(fault or "no records")
    return parts


def _join(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{host}:{target.port}"


class Dns:
    """Asks name servers: those of the system, or those of a given resolver."""

    def __init__(self, resolver: Resolver | None = None, *, seconds_max: float = LOOKUP_SECONDS_MAX) -> None:
        self._resolver = resolver
        self._seconds_max = seconds_max

    async def find_targets(self, name: str) -> list[Target]:
        """Return the targets of an SRV name, the preferred ones first. Raise LookupFailed."""
        # Imported late: most members are not discovered, and the library is large.
        import dns.asyncresolver
        import dns.exception
        import dns.resolver

        try:
            resolver = self._resolver or dns.asyncresolver.Resolver()
            answer = await resolver.resolve(name, "SRV", lifetime=self._seconds_max)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            raise LookupFailed(f"lookup {name}: no such host") from None
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(f"lookup {name}: {str(error) or type(error).__name__}") from None
        records = sorted(answer, key=lambda record: (record.priority, -record.weight, str(record.target), record.port))
        return [Target(str(record.target).rstrip("."), record.port) for record in records]

    async def find_address(self, host: str, port: int) -> Address:
        """Return the address that a host name has, IPv4 where it has both. Raise LookupFailed."""
        import dns.exception

        try:
            if self._resolver is None or is_address(host):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1, proto=6)
                addresses = [str(each[4][0]) for each in found]
            else:
                answer = await self._resolver.resolve_name(host, lifetime=self._seconds_max)
                addresses = list(answer.addresses())
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(f"lookup {host}: {str(error) or type(error).__name__}") from None
        return sorted(addresses, key=lambda address: ":" in address)[0], port
