"""Random work on locks and elections, so that two servers can be told apart by what they answer.

One client decides everything from what the server has answered so far, one step after the other: a call that must wait
is started as a stream and read when its turn has come. So the same seed gives the same steps on servers that agree.
"""

from __future__ import annotations

import random
import time
from typing import Any, Final

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2, v3election_pb2, v3lock_pb2
from etcdpy.transport.grpc.blocking import BlockingStream
from tests.compat.both import Client

LOCK: Final = "/v3lockpb.Lock/Lock"
UNLOCK: Final = "/v3lockpb.Lock/Unlock"
CAMPAIGN: Final = "/v3electionpb.Election/Campaign"
PROCLAIM: Final = "/v3electionpb.Election/Proclaim"
LEADER: Final = "/v3electionpb.Election/Leader"
RESIGN: Final = "/v3electionpb.Election/Resign"
OBSERVE: Final = "/v3electionpb.Election/Observe"
WAIT_SECONDS_MAX: Final = 30.0


def granted(client: Client, lease: int, ttl: int = 5000) -> int:
    client.call("Lease/LeaseGrant", rpc_pb2.LeaseGrantRequest(ID=lease, TTL=ttl), rpc_pb2.LeaseGrantResponse)
    return lease


def revoke(client: Client, lease: int) -> tuple[int, str]:
    return client.status("Lease/LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=lease).SerializeToString())


def keys_of(client: Client, name: bytes) -> list[tuple[bytes, int]]:
    """Return the queue below a name: keys and when they were created, oldest first."""
    request = rpc_pb2.RangeRequest(
        key=name + b"/",
        range_end=name + b"0",
        sort_target=rpc_pb2.RangeRequest.CREATE,
        sort_order=rpc_pb2.RangeRequest.ASCEND,
    )
    response = client.call("KV/Range", request, rpc_pb2.RangeResponse)
    return [(kv.key, kv.create_revision) for kv in response.kvs]


def wait_keys(client: Client, name: bytes, count: int) -> list[tuple[bytes, int]]:
    """Wait until the queue has `count` keys."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while len(keys := keys_of(client, name)) != count:
        assert time.monotonic() < deadline, f"{keys} instead of {count} keys"
    return keys


def start(client: Client, method: str, request: Any) -> BlockingStream:
    """Start a call that may wait."""
    stream = client.channel.stream(method.encode())
    stream.write(request.SerializeToString())
    stream.finish_writing()
    return stream


def outcome(stream: BlockingStream, response_type: Any) -> Any:
    """Wait for the answer of such a call; its status where it failed."""
    try:
        message = stream.read(WAIT_SECONDS_MAX)
        assert message is not None
        assert stream.read(WAIT_SECONDS_MAX) is None
        return response_type.FromString(message)
    except EtcdError as error:
        return error.code, error.text


def ask(client: Client, method: str, request: Any, response_type: Any) -> Any:
    return outcome(start(client, method, request), response_type)


class RandomQueues:
    """Locks `l1`, `l2` and elections `e1`, `e2`, worked on by six leases."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client = client
        self.random = random.Random(seed)
        self.leases = [granted(client, 1000 + number) for number in range(6)]
        self.waiting: dict[tuple[bytes, int], BlockingStream] = {}
        self.leaders: list[v3election_pb2.LeaderKey] = [
            v3election_pb2.LeaderKey(),
            v3election_pb2.LeaderKey(name=b"e1", key=b"e1/3e8", rev=1, lease=1000),
        ]
        self.seen: list[Any] = []

    def run(self, count: int) -> list[Any]:
        """Do `count` operations and return all that was seen."""
        operations = [self.enter] * 6 + [self.leave] * 4 + [self.cancel, self.proclaim, self.proclaim]
        operations += [self.resign, self.resign, self.leader, self.lose_lease, self.bad_lease]
        for _ in range(count):
            operation = self.random.choice(operations)
            self.seen.append(operation.__name__)
            operation()
            self.collect()
        return self.seen

    def enter(self) -> None:
        name, lease = self.random.choice([b"l1", b"l2", b"e1", b"e2"]), self.random.choice(self.leases)
        if (name, lease) in self.waiting:
            return
        before = keys_of(self.client, name)
        mine = name + b"/%x" % lease
        is_new = mine not in [key for key, _ in before]
        stream = start(self.client, *self._request(name, lease))
        self.waiting[name, lease] = stream
        wait_keys(self.client, name, len(before) + is_new)

    def _request(self, name: bytes, lease: int) -> tuple[str, Any]:
        if name.startswith(b"l"):
            return LOCK, v3lock_pb2.LockRequest(name=name, lease=lease)
        value = b"always the same"
        return CAMPAIGN, v3election_pb2.CampaignRequest(name=name, lease=lease, value=value)

    def collect(self) -> None:
        """Read the answers of those whose turn it is."""
        for name in (b"l1", b"l2", b"e1", b"e2"):
            keys = keys_of(self.client, name)
            self.seen.append(keys)
            for lease in self.leases:
                if keys and keys[0][0] == name + b"/%x" % lease and (name, lease) in self.waiting:
                    self.read(name, lease)

    def read(self, name: bytes, lease: int) -> None:
        stream = self.waiting.pop((name, lease))
        if name.startswith(b"l"):
            self.seen.append(outcome(stream, v3lock_pb2.LockResponse))
            return
        answer = outcome(stream, v3election_pb2.CampaignResponse)
        self.seen.append(answer)
        if isinstance(answer, v3election_pb2.CampaignResponse):
            self.leaders = [*self.leaders[-5:], answer.leader]

    def leave(self) -> None:
        keys = keys_of(self.client, self.random.choice([b"l1", b"l2"]))
        key = keys[0][0] if keys else self.random.choice([b"", b"l1/nobody"])
        self.seen.append(ask(self.client, UNLOCK, v3lock_pb2.UnlockRequest(key=key), v3lock_pb2.UnlockResponse))

    def cancel(self) -> None:
        if not self.waiting:
            return
        name, lease = self.random.choice(sorted(self.waiting))
        count = len(keys_of(self.client, name))
        self.waiting.pop((name, lease)).cancel()
        wait_keys(self.client, name, count - 1)

    def proclaim(self) -> None:
        # The value is that of the campaign: one who enters twice must not have to proclaim, and wait, at once.
        request = v3election_pb2.ProclaimRequest(leader=self.random.choice(self.leaders), value=b"always the same")
        if self.random.random() < 0.1:
            request.ClearField("leader")
        self.seen.append(ask(self.client, PROCLAIM, request, v3election_pb2.ProclaimResponse))

    def resign(self) -> None:
        leader = self.random.choice(self.leaders)
        request = v3election_pb2.ResignRequest(leader=leader)
        if self.random.random() < 0.1:
            request.ClearField("leader")
        self.seen.append(ask(self.client, RESIGN, request, v3election_pb2.ResignResponse))

    def leader(self) -> None:
        request = v3election_pb2.LeaderRequest(name=self.random.choice([b"e1", b"e2", b"e3"]))
        self.seen.append(ask(self.client, LEADER, request, v3election_pb2.LeaderResponse))

    def lose_lease(self) -> None:
        """A lease dies that waits nowhere; its places go with it."""
        busy = {lease for _, lease in self.waiting}
        idle = [lease for lease in self.leases if lease not in busy]
        if idle:
            lease = self.random.choice(idle)
            self.seen.append(revoke(self.client, lease))
            granted(self.client, lease)

    def bad_lease(self) -> None:
        method, request = self._request(self.random.choice([b"l1", b"e1"]), self.random.choice([77, -77]))
        self.seen.append(ask(self.client, method, request, v3lock_pb2.LockResponse))
