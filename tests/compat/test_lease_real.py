"""Leases of the real etcd 3.5.1 and of ours: odd requests, keep-alives, attached keys, expiry, restarts.

Seconds that pass differ between runs: a remaining TTL is compared as "the granted one, or a little less".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.pb import kv_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingStream
from tests.compat.both import Client, Starter, path_of, run_on_both, run_restarting
from tests.reference import RunningEtcd

pytestmark = pytest.mark.slow

WAIT_SECONDS: Final = 20.0
# What a loaded machine may take between a grant and the question for its time.
SECONDS_PASSED_MAX: Final = 15
INT64_MAX: Final = (1 << 63) - 1
KEYS: Final = [b"m", b"a", b"z/9", b"z/10", b"\xff", b"\x00", b"aa"]


class Leases:
    """The Lease service of one server; every answer as a value, errors too."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def grant(self, lease_id: int, ttl: int) -> Any:
        return self._try("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=lease_id, TTL=ttl), pb.LeaseGrantResponse)

    def revoke(self, lease_id: int) -> Any:
        return self._try("Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=lease_id), pb.LeaseRevokeResponse)

    def list(self) -> Any:
        return self._try("Lease/LeaseLeases", pb.LeaseLeasesRequest(), pb.LeaseLeasesResponse)

    def time_to_live(self, lease_id: int, *, keys: bool = True) -> Any:
        request = pb.LeaseTimeToLiveRequest(ID=lease_id, keys=keys)
        response = self._try("Lease/LeaseTimeToLive", request, pb.LeaseTimeToLiveResponse)
        if response.TTL > 0:
            assert response.grantedTTL - SECONDS_PASSED_MAX <= response.TTL <= response.grantedTTL
            response.TTL = response.grantedTTL
        response.keys.sort()  # a set in Go
        return response

    def attach(self, lease_id: int, *keys: bytes) -> None:
        for key in keys:
            self.client.call("KV/Put", pb.PutRequest(key=key, value=b"v", lease=lease_id), pb.PutResponse)

    def _try(self, method: str, request: Any, response_type: Any) -> Any:
        try:
            return self.client.call(method, request, response_type)
        except EtcdError as error:
            return error.code, error.text


class KeepAlive:
    """One keep-alive stream."""

    def __init__(self, client: Client) -> None:
        self._stream: BlockingStream = client.channel.stream(path_of("Lease/LeaseKeepAlive"))

    def ask(self, *lease_ids: int) -> list[pb.LeaseKeepAliveResponse]:
        """Send all requests at once, then read all answers."""
        for lease_id in lease_ids:
            self._stream.write(pb.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
        answers = [self._stream.read(WAIT_SECONDS) for _ in lease_ids]
        return [pb.LeaseKeepAliveResponse.FromString(answer) for answer in answers if answer is not None]

    def end(self) -> bytes | None:
        """Say that nothing follows; return what the server then says, None for a regular end."""
        self._stream.finish_writing()
        return self._stream.read(WAIT_SECONDS)


def odd_requests(server: RunningEtcd) -> list[Any]:
    """Ids and TTLs at the edges; ids that the server chooses are only looked at."""
    with Client(server.endpoint) as client:
        leases = Leases(client)
        seen = [leases.grant(lease_id, ttl) for lease_id, ttl in [(1, 600), (1, 5), (2, 1), (3, 2), (4, 3), (5, 0)]]
        seen += [leases.grant(6, -1), leases.grant(7, -INT64_MAX), leases.grant(-8, 600), leases.grant(INT64_MAX, 700)]
        seen += [leases.grant(9, 9_000_000_000), leases.grant(10, 9_000_000_001), leases.grant(11, INT64_MAX)]
        chosen = leases.grant(0, 600)
        assert chosen.ID > 0
        seen += [leases.time_to_live(lease_id) for lease_id in (1, -8, 9, INT64_MAX, 0, 12345, -1)]
        seen += [leases.revoke(lease_id) for lease_id in (chosen.ID, chosen.ID, 0, -1, -8, -8)]
        listed = leases.list()
        seen.append(sorted(lease.ID for lease in listed.leases if not 2 <= lease.ID <= 7))  # those may expire any time
        seen.append(listed.header.member_id)
        return seen


def keys_of_leases(server: RunningEtcd) -> list[Any]:
    """A key belongs to the lease of its last put; transactions attach too; a revoke takes exactly what is attached."""
    with Client(server.endpoint) as client:
        leases = Leases(client)
        seen = [leases.grant(lease_id, 600) for lease_id in (1, 2, 3)]
        leases.attach(1, *KEYS)
        leases.attach(2, b"a", b"aa")
        leases.attach(0, b"m")
        write = pb.TxnRequest()
        for key, lease_id in [(b"t/1", 3), (b"t/2", 1), (b"z/9", 3)]:
            write.success.add().request_put.CopyFrom(pb.PutRequest(key=key, lease=lease_id))
        write.success.add().request_delete_range.key = b"\xff"
        client.call("KV/Txn", write, pb.TxnResponse)
        kept = pb.PutRequest(key=b"t/1", value=b"new", ignore_lease=True)
        client.call("KV/Put", kept, pb.PutResponse)
        seen += [leases.time_to_live(lease_id) for lease_id in (1, 2, 3)]
        seen.append(leases.time_to_live(1, keys=False))
        seen += [leases.revoke(1), leases.revoke(3), leases.time_to_live(1), leases.time_to_live(2)]
        everything = pb.RangeRequest(key=b"\0", range_end=b"\0")
        seen.append(client.call("KV/Range", everything, pb.RangeResponse))
        seen.append(client.call("Maintenance/HashKV", pb.HashKVRequest(), pb.HashKVResponse).hash)
        return seen


def keep_alives(server: RunningEtcd) -> list[Any]:
    """Answers in order, TTL 0 for what is unknown, and a regular end."""
    with Client(server.endpoint) as client:
        leases = Leases(client)
        seen: list[Any] = [leases.grant(1, 600), leases.grant(2, 60)]
        stream = KeepAlive(client)
        seen += stream.ask(1)
        seen += stream.ask(1, 2, 99, 1, 0, -1, 2)
        leases.attach(1, b"k")
        seen += stream.ask(1)
        leases.revoke(1)
        seen += stream.ask(1, 2)
        seen.append(stream.end())
        return seen


def broken_keep_alive(server: RunningEtcd) -> tuple[int, str]:
    with Client(server.endpoint) as client:
        stream = client.channel.stream(path_of("Lease/LeaseKeepAlive"))
        stream.write(b"\x08")
        with pytest.raises(EtcdError) as caught:
            stream.read(WAIT_SECONDS)
        return caught.value.code, caught.value.text


@pytest.mark.parametrize(
    "script", [odd_requests, keys_of_leases, keep_alives, broken_keep_alive], ids=lambda script: script.__name__
)
def test_answers_are_the_same(tmp_path: Path, script: Any) -> None:
    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs


def watch_everything(client: Client) -> BlockingStream:
    stream = client.channel.stream(path_of("Watch/Watch"))
    create = pb.WatchCreateRequest(key=b"\0", range_end=b"\0", filters=[pb.WatchCreateRequest.NOPUT])
    stream.write(pb.WatchRequest(create_request=create).SerializeToString())
    assert stream.read(WAIT_SECONDS) is not None
    return stream


def next_deletes(stream: BlockingStream) -> list[kv_pb2.Event]:
    message = stream.read(WAIT_SECONDS)
    assert message is not None
    return list(pb.WatchResponse.FromString(message).events)


def test_what_expires_goes_in_one_revision_in_the_order_of_keys(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client, Client(server.endpoint) as watching:
            leases = Leases(client)
            stream = watch_everything(watching)
            leases.grant(1, 1)
            leases.attach(1, *KEYS)
            leases.grant(2, 600)
            leases.attach(2, b"stays")
            events = next_deletes(stream)
            return [*events, leases.time_to_live(1), leases.time_to_live(2), leases.revoke(1)]

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert [event.kv.key for event in both.ours[: len(KEYS)]] == sorted(KEYS)
    assert len({event.kv.mod_revision for event in both.ours[: len(KEYS)]}) == 1


def test_leases_survive_a_restart(tmp_path: Path) -> None:
    """With their keys; the short one has all its time again and then expires."""

    def script(start: Starter) -> list[Any]:
        with start() as server, Client(server.endpoint) as client:
            leases = Leases(client)
            for lease_id, ttl in [(1, 600), (2, 700), (3, 800), (4, 2)]:
                leases.grant(lease_id, ttl)
            leases.attach(1, b"a", b"b")
            leases.attach(2, b"c")
            leases.attach(4, b"short")
            leases.revoke(3)
        with start() as server, Client(server.endpoint) as client, Client(server.endpoint) as watching:
            leases = Leases(client)
            stream = watch_everything(watching)
            seen: list[Any] = [leases.time_to_live(lease_id) for lease_id in (1, 2, 3)]
            seen.append(sorted(lease.ID for lease in leases.list().leases))
            seen += next_deletes(stream)
            seen += [leases.revoke(1), *next_deletes(stream), leases.time_to_live(2), leases.time_to_live(4)]
            return seen

    both = run_restarting(tmp_path, script)

    assert _without_terms(both.ours) == _without_terms(both.theirs)


def _without_terms(seen: list[Any]) -> list[Any]:
    """A restarted member may need another election."""
    for message in seen:
        if hasattr(message, "header"):
            message.header.raft_term = 0
    return seen
