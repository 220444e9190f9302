"""Locks and elections of the real etcd and ours: the same steps, the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etcdpy.pb import kv_pb2, rpc_pb2, v3election_pb2, v3lock_pb2
from tests.compat import queues
from tests.compat.both import Client, Starter, run_on_both, run_restarting
from tests.compat.queues import RandomQueues, ask, granted, outcome, revoke, start, wait_keys
from tests.reference import RunningEtcd

LockRequest, CampaignRequest = v3lock_pb2.LockRequest, v3election_pb2.CampaignRequest


def test_random_work_is_answered_alike(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client:
            return RandomQueues(client, seed=20).run(520)

    both = run_on_both(tmp_path, script)

    for step, (theirs, ours) in enumerate(zip(both.theirs, both.ours, strict=True)):
        assert ours == theirs, f"step {step}, after {both.theirs[max(0, step - 8) : step]}"


def test_waiters_get_the_lock_in_the_order_of_their_coming(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client:
            leases = [granted(client, 2000 + number) for number in range(8)]
            calls = []
            for count, lease in enumerate(leases, 1):
                calls.append(start(client, queues.LOCK, LockRequest(name=b"many", lease=lease)))
                wait_keys(client, b"many", count)
            seen: list[Any] = []
            for call in calls:
                answer = outcome(call, v3lock_pb2.LockResponse)
                seen.append(answer)
                request = v3lock_pb2.UnlockRequest(key=answer.key)
                seen.append(ask(client, queues.UNLOCK, request, v3lock_pb2.UnlockResponse))
            return seen

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert len(both.ours) == 16


def test_a_waiter_whose_lease_died_does_not_get_the_lock(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client:
            holder, waiter = granted(client, 1), granted(client, 2)
            seen = [ask(client, queues.LOCK, LockRequest(name=b"l", lease=holder), v3lock_pb2.LockResponse)]
            call = start(client, queues.LOCK, LockRequest(name=b"l", lease=waiter))
            wait_keys(client, b"l", 2)
            seen.append(revoke(client, waiter))
            seen.append(revoke(client, holder))
            seen.append(outcome(call, v3lock_pb2.LockResponse))
            return seen

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert both.ours[-1] == (2, "mutex: session is expired")


def test_nor_does_one_whose_place_another_has_taken(tmp_path: Path) -> None:
    """The lease came back, and with it a key of the same name: it is not the waiter's."""

    def script(server: RunningEtcd) -> Any:
        with Client(server.endpoint) as client:
            holder, waiter = granted(client, 1), granted(client, 2)
            ask(client, queues.LOCK, LockRequest(name=b"l", lease=holder), v3lock_pb2.LockResponse)
            call = start(client, queues.LOCK, LockRequest(name=b"l", lease=waiter))
            wait_keys(client, b"l", 2)
            revoke(client, waiter)
            granted(client, waiter)
            again = start(client, queues.LOCK, LockRequest(name=b"l", lease=waiter))
            wait_keys(client, b"l", 2)
            revoke(client, holder)
            return outcome(call, v3lock_pb2.LockResponse), outcome(again, v3lock_pb2.LockResponse).key

    both = run_on_both(tmp_path, script)

    assert both.ours == ((2, "mutex: session is expired"), b"l/2")  # 3.5.1 tells both that they have the lock


def test_a_candidate_whose_lease_died_does_not_lead(tmp_path: Path) -> None:
    """Where 3.5.1 tells it that it was elected."""

    def script(server: RunningEtcd) -> Any:
        with Client(server.endpoint) as client:
            first, second = granted(client, 1), granted(client, 2)
            ask(client, queues.CAMPAIGN, CampaignRequest(name=b"e", lease=first), v3election_pb2.CampaignResponse)
            call = start(client, queues.CAMPAIGN, CampaignRequest(name=b"e", lease=second))
            wait_keys(client, b"e", 2)
            revoke(client, second)
            revoke(client, first)
            return outcome(call, v3election_pb2.CampaignResponse)

    both = run_on_both(tmp_path, script)

    assert both.theirs.leader.key == b"e/2"
    assert both.ours == (2, "etcdserver: requested lease not found")


def test_who_brings_no_lease_gets_one_of_a_minute(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> Any:
        with Client(server.endpoint) as client:
            answer = ask(client, queues.LOCK, LockRequest(name=b"l"), v3lock_pb2.LockResponse)
            lease = int(answer.key.removeprefix(b"l/"), 16)
            ttl = client.call(
                "Lease/LeaseTimeToLive", rpc_pb2.LeaseTimeToLiveRequest(ID=lease), rpc_pb2.LeaseTimeToLiveResponse
            )
            return answer.header, ttl.grantedTTL

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert both.ours[1] == 60


def test_one_who_enters_again_with_another_value_proclaims_it(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client:
            lease = granted(client, 1)
            seen: list[Any] = []
            for value in (b"one", b"two", b"two", b""):
                request = CampaignRequest(name=b"e", lease=lease, value=value)
                seen.append(ask(client, queues.CAMPAIGN, request, v3election_pb2.CampaignResponse))
                leader = v3election_pb2.LeaderRequest(name=b"e")
                seen.append(ask(client, queues.LEADER, leader, v3election_pb2.LeaderResponse))
            return seen

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs


def test_observers_see_every_leader_and_every_proclamation(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client:
            observing = start(client, queues.OBSERVE, v3election_pb2.LeaderRequest(name=b"e"))
            seen: list[Any] = []

            def observe() -> None:
                message = observing.read(queues.WAIT_SECONDS_MAX)
                assert message is not None
                seen.append(v3election_pb2.LeaderResponse.FromString(message))

            put = rpc_pb2.PutRequest(key=b"e/by hand", value=b"0")
            client.call("KV/Put", put, rpc_pb2.PutResponse)
            observe()
            delete = rpc_pb2.DeleteRangeRequest(key=b"e/by hand")
            client.call("KV/DeleteRange", delete, rpc_pb2.DeleteRangeResponse)
            for lease in (granted(client, 1), granted(client, 2)):
                request = CampaignRequest(name=b"e", lease=lease, value=b"v%d" % lease)
                leader = ask(client, queues.CAMPAIGN, request, v3election_pb2.CampaignResponse).leader
                observe()
                for value in (b"a", b"b"):
                    proclaim = v3election_pb2.ProclaimRequest(leader=leader, value=value)
                    ask(client, queues.PROCLAIM, proclaim, v3election_pb2.ProclaimResponse)
                    observe()
                resign = v3election_pb2.ResignRequest(leader=leader)
                ask(client, queues.RESIGN, resign, v3election_pb2.ResignResponse)
            observing.cancel()
            return seen

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
    assert len(both.ours) == 7 and isinstance(both.ours[0].kv, kv_pb2.KeyValue)


def test_a_lock_survives_the_restart_of_its_member(tmp_path: Path) -> None:
    def script(starter: Starter) -> list[Any]:
        request = LockRequest(name=b"l", lease=1)
        with starter() as server, Client(server.endpoint) as client:
            granted(client, 1), granted(client, 2)
            seen: list[Any] = [ask(client, queues.LOCK, request, v3lock_pb2.LockResponse).key]
            start(client, queues.LOCK, LockRequest(name=b"l", lease=2))
            wait_keys(client, b"l", 2)
            server.kill()
        with starter() as server, Client(server.endpoint) as client:
            seen.append(ask(client, queues.LOCK, request, v3lock_pb2.LockResponse).key)
            waiting = start(client, queues.LOCK, LockRequest(name=b"l", lease=2))
            unlock = v3lock_pb2.UnlockRequest(key=b"l/1")
            seen.append(ask(client, queues.UNLOCK, unlock, v3lock_pb2.UnlockResponse).header.revision)
            seen.append(outcome(waiting, v3lock_pb2.LockResponse).key)
        return seen

    both = run_restarting(tmp_path, script)

    assert both.ours == both.theirs
    assert both.ours[-1] == b"l/2"


def test_messages_that_are_none(tmp_path: Path) -> None:
    methods = [queues.LOCK, queues.UNLOCK, queues.CAMPAIGN, queues.PROCLAIM, queues.LEADER, queues.RESIGN]

    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client:
            return [client.status(method, b"\x0a\xff")[0] for method in methods]

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
