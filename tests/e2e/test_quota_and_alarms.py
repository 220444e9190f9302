"""A database that reaches its quota, beside the real etcd 3.5.1: NOSPACE, what still works, and the way back.

When exactly the quota is reached differs, since LMDB and bbolt files grow differently: everything after is compared.
"""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.base.errors import RESOURCE_EXHAUSTED
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client, Starter, run_restarting
from tests.ours import ours_binary
from tests.reference import START_SECONDS_MAX, RunningEtcd, start_reference_etcd

pytestmark = pytest.mark.slow

QUOTA_BYTES: Final = 4 * 1024 * 1024
PUTS_MAX: Final = 200
VALUE: Final = b"x" * 100_000
NO_SPACE: Final = (RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
OK: Final = (0, "")


def put(key: bytes, value: bytes = b"v") -> bytes:
    return pb.PutRequest(key=key, value=value).SerializeToString()


def txn(*, success: bytes = b"", failure: bytes = b"") -> bytes:
    request = pb.TxnRequest()
    if success:
        request.success.add().request_put.ParseFromString(success)
    if failure:
        request.failure.add().request_put.ParseFromString(failure)
    return request.SerializeToString()


def fill(client: Client) -> tuple[int, str]:
    """Put until the server refuses; return how it does."""
    for number in range(PUTS_MAX):
        status = client.status("KV/Put", put(b"fill/%d" % number, VALUE))
        if status != OK:
            return status
    raise AssertionError("the quota was never reached")


def health(server: RunningEtcd) -> tuple[int, bytes]:
    host, _, port = server.endpoint.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_for_an_answer(server: RunningEtcd) -> None:
    """A member with an alarm serves, though it never calls itself healthy."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if health(server)[0] == 503:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(0.02)  # the pause between two looks; ends at once with the process
    raise AssertionError("the member does not answer")


def alarms(client: Client) -> list[Any]:
    return list(client.call("Maintenance/Alarm", pb.AlarmRequest(), pb.AlarmResponse).alarms)


def errors(client: Client) -> list[str]:
    return list(client.call("Maintenance/Status", pb.StatusRequest(), pb.StatusResponse).errors)


def refused_and_allowed(client: Client) -> list[tuple[int, str]]:
    """One of each kind: with the alarm raised, what takes room is refused and the rest goes on.

    Not transactions that take no room: 3.5.1 refuses them or not, as the file has grown; 3.5.7 and later let them pass.
    """
    return [
        client.status("KV/Put", put(b"a")),
        client.status("KV/Txn", txn(success=put(b"a"))),
        client.status("KV/Txn", txn(failure=put(b"a"))),
        client.status("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=5, TTL=600).SerializeToString()),
        client.status("KV/Range", pb.RangeRequest(key=b"fill/0").SerializeToString()),
        client.status("KV/DeleteRange", pb.DeleteRangeRequest(key=b"fill/0").SerializeToString()),
        client.status("Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=7).SerializeToString()),
        client.status("Lease/LeaseTimeToLive", pb.LeaseTimeToLiveRequest(ID=8).SerializeToString()),
    ]


def make_room(client: Client) -> list[tuple[int, str]]:
    """Delete, compact, defragment: the documented way back; the alarm stays until somebody lowers it."""
    delete = pb.DeleteRangeRequest(key=b"fill/", range_end=b"fill0")
    newest = client.call("KV/DeleteRange", delete, pb.DeleteRangeResponse).header.revision
    compaction = pb.CompactionRequest(revision=newest, physical=True)
    return [
        client.status("KV/Compact", compaction.SerializeToString()),
        client.status("Maintenance/Defragment", b""),
        client.status("KV/Put", put(b"a")),
    ]


def disarm(client: Client) -> list[Any]:
    request = pb.AlarmRequest(action=pb.AlarmRequest.DEACTIVATE, alarm=pb.NOSPACE)
    request.memberID = alarms(client)[0].memberID
    return list(client.call("Maintenance/Alarm", request, pb.AlarmResponse).alarms)


def script(start: Starter) -> list[Any]:
    quota = f"--quota-backend-bytes={QUOTA_BYTES}"
    seen: list[Any] = []
    with start(quota) as server, Client(server.endpoint) as client:
        for lease_id in (7, 8):
            client.call("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=lease_id, TTL=600), pb.LeaseGrantResponse)
        seen += [health(server), alarms(client), errors(client)]
        seen.append(fill(client))
        client.call("KV/Range", pb.RangeRequest(key=b"a"), pb.RangeResponse)  # the alarm was proposed before this
        seen += [alarms(client), errors(client), health(server), refused_and_allowed(client)]
    with start(quota, wait=False) as server, Client(server.endpoint) as client:
        wait_for_an_answer(server)
        seen += [alarms(client), client.status("KV/Put", put(b"a"))]
        seen += [make_room(client), alarms(client), disarm(client), alarms(client), errors(client), health(server)]
        seen += [client.status("KV/Put", put(b"a")), client.status("KV/Put", put(b"b", VALUE))]
        status = client.call("Maintenance/Status", pb.StatusRequest(), pb.StatusResponse)
        assert status.dbSize < QUOTA_BYTES
    return seen


def test_the_quota_is_reached_and_left_as_in_etcd(tmp_path: Path) -> None:
    both = run_restarting(tmp_path, script)

    assert both.ours == both.theirs
    assert both.ours[3] == NO_SPACE


def test_transactions_that_take_no_room_always_pass(tmp_path: Path) -> None:
    delete = pb.TxnRequest()
    delete.success.add().request_delete_range.key = b"fill/0"
    flags = [f"--quota-backend-bytes={QUOTA_BYTES}"]
    with (
        start_reference_etcd(tmp_path, binary=ours_binary("etcd"), flags=flags) as server,
        Client(server.endpoint) as client,
    ):
        assert fill(client) == NO_SPACE
        assert client.status("KV/Txn", txn()) == OK
        assert client.status("KV/Txn", delete.SerializeToString()) == OK
        assert client.status("KV/Txn", txn(failure=put(b"a"))) == NO_SPACE


def test_a_negative_quota_is_none(tmp_path: Path) -> None:
    def write_past(start: Starter) -> set[tuple[int, str]]:
        with start("--quota-backend-bytes=-1") as server, Client(server.endpoint) as client:
            return {client.status("KV/Put", put(b"fill/%d" % number, VALUE)) for number in range(30)}

    both = run_restarting(tmp_path, write_past)

    assert both.ours == both.theirs == {OK}


def test_a_request_larger_than_what_is_left_raises_the_alarm(tmp_path: Path) -> None:
    """The cost of the request counts before it is written, however empty the database is."""

    def one_large(start: Starter) -> list[Any]:
        with start("--quota-backend-bytes=1000000") as server, Client(server.endpoint) as client:
            seen: list[Any] = [client.status("KV/Put", put(b"small"))]
            seen.append(client.status("KV/Put", put(b"large", b"x" * 1_000_000)))
            client.call("KV/Range", pb.RangeRequest(key=b"a"), pb.RangeResponse)
            seen += [alarms(client), client.status("KV/Put", put(b"small"))]
            return seen

    both = run_restarting(tmp_path, one_large)

    assert both.ours == both.theirs
    assert [status for status in both.ours if status == NO_SPACE]
