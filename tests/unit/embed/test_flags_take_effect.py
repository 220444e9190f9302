"""Flags that only hand a number on: one member with all of them set, and what its clients notice of each."""

from __future__ import annotations

import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.embed.config import Config
from etcdpy.embed.tls import _of_clients, _of_peers
from etcdpy.pb import rpc_pb2 as rpc
from etcdpy.transport.grpc.blocking import BlockingChannel
from etcdpy.transport.tls import TlsSettings
from tests.ours import ours_binary
from tests.reference import RunningEtcd, start_reference_etcd
from tests.unit.server.membership_world import Lines, logger_with
from tests.unit.transport.wire import connect, read_to_end, read_until

SECONDS_MAX = 30.0
FLAGS = (
    "--max-txn-ops=2",
    "--max-request-bytes=1000",
    "--max-concurrent-streams=7",
    "--enable-grpc-gateway=false",
    "--grpc-keepalive-interval=1s",
    "--grpc-keepalive-timeout=1s",
    "--grpc-keepalive-min-time=1h",
    "--experimental-max-learners=2",
    "--socket-reuse-port",
)
# RFC 9113
SETTINGS, PING, GOAWAY = 4, 6, 7
SETTINGS_MAX_CONCURRENT_STREAMS = 3


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEtcd]:
    with start_reference_etcd(tmp_path_factory.mktemp("set"), binary=ours_binary("etcd"), flags=FLAGS) as running:
        yield running


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEtcd]:
    """One without them: so that a test sees that it is the flag that does it."""
    with start_reference_etcd(tmp_path_factory.mktemp("usual"), binary=ours_binary("etcd")) as running:
        yield running


def port_of(running: RunningEtcd) -> int:
    return int(running.endpoint.rpartition(":")[2])


def outcome(running: RunningEtcd, path: bytes, request: rpc.TxnRequest | rpc.PutRequest | rpc.MemberAddRequest) -> str:
    """Return the error's text of a call, or nothing."""
    with BlockingChannel(running.endpoint) as channel:
        try:
            channel.unary(path, request.SerializeToString(), timeout=SECONDS_MAX)
        except EtcdError as error:
            return str(error)
    return ""


@pytest.mark.parametrize(("operations", "text"), [(2, ""), (3, "etcdserver: too many operations in txn request")])
def test_operations_of_a_transaction(member: RunningEtcd, operations: int, text: str) -> None:
    put = [rpc.RequestOp(request_put=rpc.PutRequest(key=b"%d" % number)) for number in range(operations)]
    assert outcome(member, b"/etcdserverpb.KV/Txn", rpc.TxnRequest(success=put)) == text


@pytest.mark.parametrize(("size", "text"), [(900, ""), (1100, "etcdserver: request is too large")])
def test_size_of_a_request(member: RunningEtcd, size: int, text: str) -> None:
    assert outcome(member, b"/etcdserverpb.KV/Put", rpc.PutRequest(key=b"k", value=bytes(size))) == text


def test_number_of_learners(member: RunningEtcd, usual: RunningEtcd) -> None:
    texts = {}
    for running in (member, usual):
        requests = [rpc.MemberAddRequest(peerURLs=[f"http://127.0.0.1:{port}"], isLearner=True) for port in (1, 2, 3)]
        texts[running] = [outcome(running, b"/etcdserverpb.Cluster/MemberAdd", request) for request in requests]
    refusal = "etcdserver: too many learner members in cluster"
    assert texts[member] == ["", "", refusal]
    assert texts[usual] == ["", refusal, refusal]


def test_number_of_streams(member: RunningEtcd, usual: RunningEtcd) -> None:
    announced = {}
    for running in (member, usual):
        with connect(port_of(running)) as sock:
            payload = read_until(sock, SETTINGS)[3]
        entries = dict(struct.iter_unpack(">HI", payload))
        announced[running] = entries[SETTINGS_MAX_CONCURRENT_STREAMS]
    assert announced == {member: 7, usual: 4_294_967_295}


def test_the_gateway(member: RunningEtcd, usual: RunningEtcd) -> None:
    assert (ask_gateway(member), ask_gateway(usual)) == (404, 200)


def ask_gateway(running: RunningEtcd) -> int:
    request = urllib.request.Request(f"{running.client_url}/v3/kv/range", data=b'{"key":"YQ=="}', method="POST")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_silent_connection_is_pinged_and_given_up(member: RunningEtcd) -> None:
    with connect(port_of(member)) as sock:
        read_until(sock, PING)
        read_to_end(sock)


def test_too_many_pings_end_a_connection(member: RunningEtcd) -> None:
    with connect(port_of(member)) as sock:
        sock.sendall((b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)) * 4)
        assert b"too_many_pings" in read_until(sock, GOAWAY)[3]


def test_a_port_that_is_shared(member: RunningEtcd, usual: RunningEtcd) -> None:
    """With the flag another socket that wants to share may have the port, too; without it nobody may."""
    for running, is_shared in ((member, True), (usual, False)):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            address = ("127.0.0.1", port_of(running))
            if is_shared:
                other.bind(address)
            else:
                with pytest.raises(OSError, match="in use"):
                    other.bind(address)


def test_each_flag_of_tls_has_its_place() -> None:
    """Settings with a value of their own for each flag: none of them lands elsewhere, or nowhere."""
    log = logger_with(Lines())
    common = {"cipher_suites": ("S",), "tls_min_version": "TLS1.3", "tls_max_version": "TLS1.3"}
    clients = Config(
        cert_file="1",
        key_file="2",
        client_cert_file="3",
        client_key_file="4",
        trusted_ca_file="5",
        client_cert_auth=True,
        client_crl_file="6",
        client_cert_allowed_hostname="7",
        **common,  # type: ignore[arg-type]
    )
    peers = Config(
        peer_cert_file="1",
        peer_key_file="2",
        peer_client_cert_file="3",
        peer_client_key_file="4",
        peer_trusted_ca_file="5",
        peer_client_cert_auth=True,
        peer_crl_file="6",
        peer_cert_allowed_hostname="7",
        peer_cert_allowed_cn="8",
        peer_skip_client_san_verification=True,
        **common,  # type: ignore[arg-type]
    )
    expected = TlsSettings(
        cert_file="1",
        key_file="2",
        client_cert_file="3",
        client_key_file="4",
        trusted_ca_file="5",
        client_cert_auth=True,
        crl_file="6",
        allowed_hostname="7",
        cipher_suites=("S",),
        min_version="TLS1.3",
        max_version="TLS1.3",
    )
    assert _of_clients(clients, log) == expected
    assert _of_peers(peers, log) == replace(expected, allowed_cn="8", skip_client_san_verification=True)
