"""A log that a real etcd wrote while it served v2 clients too: ours takes it over."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.ours import ours_binary
from tests.reference import free_port, start_reference_etcd

CALL_SECONDS = 20.0


def _put_v2(url: str, key: str, value: str) -> None:
    request = urllib.request.Request(f"{url}/v2/keys/{key}", data=f"value={value}".encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=CALL_SECONDS) as response:
        assert response.status in (200, 201)


@pytest.mark.slow
def test_ours_starts_where_v2_clients_have_written(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    put = pb.PutRequest(key=b"v3", value=b"stays").SerializeToString()
    with start_reference_etcd(tmp_path, client_port=ports[0], peer_port=ports[1], flags=["--enable-v2"]) as real:
        _put_v2(real.client_url, "v2", "one")
        with BlockingChannel(real.endpoint) as channel:
            channel.unary(b"/etcdserverpb.KV/Put", put, timeout=CALL_SECONDS)
        _put_v2(real.client_url, "v2", "two")

    ours = ours_binary("etcd")
    with start_reference_etcd(tmp_path, client_port=ports[0], peer_port=ports[1], binary=ours) as server:
        with BlockingChannel(server.endpoint) as channel:
            question = pb.RangeRequest(key=b"v3").SerializeToString()
            answer = channel.unary(b"/etcdserverpb.KV/Range", question, timeout=CALL_SECONDS)

    assert [kv.value for kv in pb.RangeResponse.FromString(answer).kvs] == [b"stays"]
