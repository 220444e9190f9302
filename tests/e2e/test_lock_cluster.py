"""A lock asked for through all members of a cluster of ours: one at a time holds it, also when the leader dies."""

from __future__ import annotations

from pathlib import Path

from etcdpy.pb import v3lock_pb2
from tests.compat import queues
from tests.compat.both import Client
from tests.compat.queues import ask, granted, outcome, start, wait_keys
from tests.ours import ours_binary
from tests.reference_cluster import start_reference_cluster


def test_a_lock_goes_round_the_members_and_outlives_one(tmp_path: Path) -> None:
    with start_reference_cluster(tmp_path, 3, binaries=[ours_binary("etcd")] * 3) as cluster:
        clients = [Client(member.endpoint) for member in cluster.members]
        leases = [granted(clients[number % 3], 100 + number) for number in range(6)]
        calls = []
        for number, lease in enumerate(leases):
            request = v3lock_pb2.LockRequest(name=b"l", lease=lease)
            calls.append(start(clients[number % 3], queues.LOCK, request))
            wait_keys(clients[0], b"l", number + 1)

        for number in range(3):  # the order is that of their coming, whichever member they came through
            held = outcome(calls[number], v3lock_pb2.LockResponse)
            assert held.key == b"l/%x" % leases[number]
            unlock = v3lock_pb2.UnlockRequest(key=held.key)
            ask(clients[(number + 1) % 3], queues.UNLOCK, unlock, v3lock_pb2.UnlockResponse)

        cluster.members[0].kill()  # through which the fourth holds the lock
        cluster.members[1].wait_until_healthy()
        unlock = v3lock_pb2.UnlockRequest(key=b"l/%x" % leases[3])
        ask(clients[1], queues.UNLOCK, unlock, v3lock_pb2.UnlockResponse)
        assert outcome(calls[4], v3lock_pb2.LockResponse).key == b"l/%x" % leases[4]
        for client in clients:
            client.channel.close()
