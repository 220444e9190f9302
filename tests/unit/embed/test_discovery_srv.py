"""Discovery by DNS, with a name server of the test's own on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from etcdpy.base.log import silent_logger
from etcdpy.embed.config import Config
from etcdpy.embed.discovery_srv import Dns, find_cluster_in_dns
from etcdpy.embed.errors import StartError

DOMAIN = "example.test"
OWN = "http://127.0.0.2:2380"


class NameServer(asyncio.DatagramProtocol):
    """Answers from a table of `name type` to texts of records; other names are unknown."""

    def __init__(self, records: dict[str, list[str]]) -> None:
        self._records = records
        self.asked: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append(f"{name} {dns.rdatatype.to_text(question.rdtype)}")
        answer = dns.message.make_response(query)
        texts = self._records.get(self.asked[-1])
        if texts is not None:
            answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", question.rdtype, texts))
        elif not any(known.startswith(f"{name} ") for known in self._records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), address)


@asynccontextmanager
async def resolving(records: dict[str, list[str]]) -> AsyncIterator[tuple[dns.asyncresolver.Resolver, NameServer]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(records), local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        yield resolver, server
    finally:
        transport.close()


def find(records: dict[str, list[str]], **settings: Any) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    async def run() -> tuple[dict[str, tuple[str, ...]], list[str]]:
        config = Config(**{"name": "me", "discovery_srv": DOMAIN, "initial_advertise_peer_urls": (OWN,), **settings})
        async with resolving(records) as (resolver, server):
            return await find_cluster_in_dns(config, silent_logger(), Dns(resolver)), server.asked

    return asyncio.run(run())


HOSTS = {f"m{number}.{DOMAIN} A": [f"127.0.0.{number}"] for number in (1, 2, 3)}
PLAIN = f"_etcd-server._tcp.{DOMAIN} SRV"
SECURE = f"_etcd-server-ssl._tcp.{DOMAIN} SRV"


def srv(*numbers: int, port: int = 2380) -> list[str]:
    return [f"{number} 0 {port} m{number}.{DOMAIN}." for number in numbers]


def test_members_get_numbers_and_this_one_its_name() -> None:
    members, _ = find({PLAIN: srv(3, 1, 2), **HOSTS})

    assert members == {
        "0": (f"http://m1.{DOMAIN}:2380",),
        "me": (f"http://m2.{DOMAIN}:2380",),
        "1": (f"http://m3.{DOMAIN}:2380",),
    }


def test_of_equal_priority_the_heavier_comes_first() -> None:
    members, _ = find({PLAIN: [*srv(2), f"5 1 1 m1.{DOMAIN}.", f"5 9 1 m3.{DOMAIN}."], **HOSTS})

    assert members["0"] == (f"http://m3.{DOMAIN}:1",)


def test_both_kinds_of_records_count() -> None:
    members, _ = find({PLAIN: srv(2), SECURE: srv(1, port=2381), **HOSTS})

    assert members == {"me": (f"http://m2.{DOMAIN}:2380",), "0": (f"https://m1.{DOMAIN}:2381",)}


def test_the_suffix_of_the_service() -> None:
    records = {f"_etcd-server-x._tcp.{DOMAIN} SRV": srv(2), **HOSTS}

    members, asked = find(records, discovery_srv_name="x")

    assert members == {"me": (f"http://m2.{DOMAIN}:2380",)}
    assert f"_etcd-server-ssl-x._tcp.{DOMAIN} SRV" in asked


def test_a_host_that_has_no_address_is_left_out() -> None:
    members, _ = find({PLAIN: [*srv(1, 2), f"9 0 1 gone.{DOMAIN}."], **HOSTS})

    assert sorted(members) == ["0", "me"]


NO_HOST = (
    "error setting up initial cluster: "
    f"error querying DNS SRV records for _etcd-server-ssl lookup _etcd-server-ssl._tcp.{DOMAIN}: no such host; "
    f"error querying DNS SRV records for _etcd-server lookup _etcd-server._tcp.{DOMAIN}: no such host"
)


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ({}, NO_HOST),
        ({f"_etcd-server._tcp.{DOMAIN} A": ["127.0.0.1"]}, NO_HOST),
        (
            {PLAIN: srv(1), **HOSTS},
            'error setting up initial cluster: cannot find local etcd member "me" in SRV records',
        ),
    ],
)
def test_clusters_that_are_not_there(records: dict[str, list[str]], text: str) -> None:
    with pytest.raises(StartError) as caught:
        find(records)
    assert str(caught.value) == text


def test_this_member_with_another_scheme_than_it_advertises() -> None:
    with pytest.raises(StartError) as caught:
        find({SECURE: srv(2), **HOSTS})
    assert (
        f"bootstrap at https://m2.{DOMAIN}:2380 from DNS for etcd-server-ssl has scheme mismatch "
        f"with expected peer {OWN}"
    ) in str(caught.value)


def test_a_name_server_that_is_not_there() -> None:
    async def run() -> None:
        async with resolving({}) as (resolver, _):
            pass
        config = Config(name="me", discovery_srv=DOMAIN, initial_advertise_peer_urls=(OWN,))
        with pytest.raises(StartError, match="error querying DNS SRV records for _etcd-server"):
            await find_cluster_in_dns(config, silent_logger(), Dns(resolver, seconds_max=0.1))

    asyncio.run(run())
