"""Both Python clients against a real etcd 3.5.1: every noun, fail-over, resumed watches, renewed tokens."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdpy.base.errors import CANCELED, DEADLINE_EXCEEDED, UNAVAILABLE, Compacted, EmptyKey, EtcdError, LeaseNotFound
from etcdpy.client import AsyncClient, Client
from etcdpy.client.request import compare, put_request, range_request, watch_request
from etcdpy.pb import rpc_pb2 as rpc
from tests.ours import ours_binary
from tests.reference import RunningEtcd, clean_environment, free_port, reference_binary, start_reference_etcd

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEtcd]:
    with start_reference_etcd(tmp_path_factory.mktemp("client")) as running:
        yield running


def test_kv_of_the_synchronous_client(server: RunningEtcd) -> None:
    with Client([server.endpoint]) as client:
        client.kv.put(b"kv/a", b"1")
        assert client.kv.put(b"kv/a", b"2", prev_kv=True).prev_kv.value == b"1"
        client.kv.put(b"kv/b", b"3")
        found = client.kv.get(b"kv/", prefix=True, sort_order=rpc.RangeRequest.DESCEND)
        assert [kv.key for kv in found.kvs] == [b"kv/b", b"kv/a"]
        assert client.kv.get(b"kv/", prefix=True, count_only=True).count == 2
        assert client.kv.delete(b"kv/", prefix=True).deleted == 2
        with pytest.raises(EmptyKey):
            client.kv.get(b"")


def test_txn_takes_the_branch_that_holds(server: RunningEtcd) -> None:
    with Client([server.endpoint]) as client:
        fresh = compare("create", b"txn", "=", 0)
        first, second = (client.kv.txn([fresh], [put_request(b"txn", b"v")], [range_request(b"txn")]) for _ in "12")
        assert (first.succeeded, second.succeeded) == (True, False)
        assert second.responses[0].response_range.kvs[0].value == b"v"


def test_compaction_forgets(server: RunningEtcd) -> None:
    with Client([server.endpoint]) as client:
        before = client.kv.put(b"compact", b"1").header.revision
        client.kv.compact(client.kv.put(b"compact", b"2").header.revision, physical=True)
        with pytest.raises(Compacted):
            client.kv.get(b"compact", revision=before)
        with client.watch(watch_request(b"compact", start_revision=before)) as watcher:
            told = watcher.read(10)
            assert told is not None and told.canceled and told.compact_revision > before
            assert watcher.read(10) is None


def test_leases_live_and_end(server: RunningEtcd) -> None:
    with Client([server.endpoint]) as client:
        lease = client.lease.grant(60).ID
        client.kv.put(b"leased", b"v", lease=lease)
        assert client.lease.keep_alive_once(lease).TTL == 60
        assert next(client.lease.keep_alive(lease)).ID == lease
        assert list(client.lease.time_to_live(lease, keys=True).keys) == [b"leased"]
        assert lease in [each.ID for each in client.lease.leases().leases]
        client.lease.revoke(lease)
        assert list(client.lease.keep_alive(lease)) == []
        with pytest.raises(LeaseNotFound):
            client.lease.keep_alive_once(lease)


def test_maintenance_asks_the_member(server: RunningEtcd) -> None:
    with Client([server.endpoint]) as client:
        assert client.maintenance.status().version == "3.5.1"
        assert client.maintenance.hash_kv().hash
        assert not client.maintenance.alarms().alarms
        assert not client.maintenance.disarm().alarms
        client.maintenance.defragment()
        blobs = b"".join(part.blob for part in client.maintenance.snapshot())
        assert len(blobs) % 512 == 32
        assert [member.name for member in client.cluster.member_list().members] == ["default"]


def test_watch_delivers_and_reports_progress(server: RunningEtcd) -> None:
    with Client([server.endpoint]) as client:
        revision = client.kv.put(b"watched", b"1").header.revision
        with client.watch(watch_request(b"watched", start_revision=revision)) as watcher:
            seen = watcher.read(10)
            assert seen is not None and seen.events[0].kv.value == b"1"
            watcher.request_progress()
            progress = watcher.read(10)
            assert progress is not None and not progress.events and progress.header.revision == revision
            with pytest.raises(TimeoutError):
                watcher.read(0.01)


def test_a_dead_endpoint_is_passed_over(server: RunningEtcd) -> None:
    with Client([f"127.0.0.1:{free_port()}", server.endpoint]) as client:
        assert [client.kv.get(b"k").header.cluster_id > 0 for _ in range(4)] == [True] * 4


def test_without_any_server_the_deadline_is_kept() -> None:
    failures: list[tuple[int, EtcdError]] = []
    with Client([f"127.0.0.1:{free_port()}"], report=lambda *told: failures.append(told)) as client:
        with pytest.raises(EtcdError, match="^context deadline exceeded$") as caught:
            client.kv.get(b"k", timeout=0.05)
    assert caught.value.code == DEADLINE_EXCEEDED
    assert "connect: connection refused" in failures[0][1].text


def test_a_server_that_says_nothing_costs_the_commands_time_and_not_the_dials() -> None:
    said = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for program in (str(reference_binary("etcdctl")), str(ours_binary("etcdctl"))):
            endpoint = f"--endpoints=127.0.0.1:{silent.getsockname()[1]}"
            command = [program, endpoint, "--dial-timeout=1h", "--command-timeout=300ms", "get", "a"]
            done = subprocess.run(
                command, capture_output=True, text=True, env=clean_environment(), timeout=60, check=False
            )
            said.append((done.returncode, done.stdout, done.stderr.splitlines()[-1]))
    assert said[0] == said[1] == (1, "", "Error: context deadline exceeded")


def test_no_endpoints_are_refused() -> None:
    with pytest.raises(EtcdError, match="no available endpoints"):
        Client([])


def test_watch_goes_on_after_the_server_came_back(tmp_path: Path) -> None:
    ports = (free_port(), free_port())
    first = _start(tmp_path, ports)
    with Client([first.endpoint]) as client:
        revision = client.kv.put(b"k", b"1").header.revision
        with client.watch(watch_request(b"k", start_revision=revision)) as watcher:
            one = watcher.read(10)
            first.kill()
            with _start(tmp_path, ports):
                client.kv.put(b"k", b"2", timeout=20)
                two = watcher.read(20)
    assert one is not None and two is not None
    assert [event.kv.value for event in (*one.events, *two.events)] == [b"1", b"2"]


def test_a_void_token_is_renewed(tmp_path: Path) -> None:
    ports = (free_port(), free_port())
    with _start(tmp_path, ports) as running:
        for words in ("user add root:pw", "user grant-role root root", "auth enable"):
            _etcdctl(running, words)
        with Client([running.endpoint], user=b"root", password=b"pw") as client:
            client.kv.put(b"k", b"1")
            running.stop()
            with _start(tmp_path, ports):
                assert client.kv.get(b"k", timeout=20).kvs[0].value == b"1"
                with Client([running.endpoint], user=b"root", password=b"wrong") as wrong:
                    with pytest.raises(EtcdError, match="authentication failed, invalid user ID or password"):
                        wrong.kv.get(b"k")


def test_the_asynchronous_client_does_the_same(server: RunningEtcd) -> None:
    async def use() -> None:
        async with AsyncClient([f"127.0.0.1:{free_port()}", server.endpoint]) as client:
            revision = (await client.kv.put(b"async", b"1")).header.revision
            answers = await asyncio.gather(*(client.kv.get(b"async") for _ in range(20)))
            assert {answer.kvs[0].value for answer in answers} == {b"1"}
            with pytest.raises(EmptyKey):
                await client.kv.get(b"")
            fresh = compare("version", b"async", ">", 0)
            assert (await client.kv.txn([fresh], [put_request(b"async", b"2")])).succeeded
            await _check_watch(client, revision)
            await _check_leases(client)
            blobs = [part.blob async for part in client.maintenance.snapshot()]
            assert len(b"".join(blobs)) % 512 == 32
            assert (await client.maintenance.status()).version == "3.5.1"
            assert (await client.cluster.member_list()).members[0].name == "default"
            assert (await client.kv.delete(b"async")).deleted == 1
            assert not (await client.maintenance.disarm()).alarms

    asyncio.run(asyncio.wait_for(use(), 60))


async def _check_watch(client: AsyncClient, revision: int) -> None:
    watcher = client.watch(watch_request(b"async", start_revision=revision))
    values: list[bytes] = []
    async for response in watcher:
        values += [event.kv.value for event in response.events]
        if values[-1:] == [b"2"]:
            break
    assert values == [b"1", b"2"]
    await watcher.request_progress()
    progress = await watcher.read()
    assert progress is not None and not progress.events
    watcher.close()
    assert await watcher.read() is None


async def _check_leases(client: AsyncClient) -> None:
    lease = (await client.lease.grant(60)).ID
    assert (await client.lease.keep_alive_once(lease)).TTL == 60
    async for answer in client.lease.keep_alive(lease):
        assert answer.ID == lease
        break
    await client.lease.revoke(lease)
    assert [answer async for answer in client.lease.keep_alive(lease)] == []
    with pytest.raises(LeaseNotFound):
        await client.lease.keep_alive_once(lease)


def test_asynchronously_the_deadline_is_kept_too() -> None:
    async def use() -> EtcdError:
        async with AsyncClient([f"127.0.0.1:{free_port()}"]) as client:
            with pytest.raises(EtcdError) as caught:
                await client.kv.get(b"k", timeout=0.05)
            return caught.value

    error = asyncio.run(use())
    assert (error.code, error.text) == (DEADLINE_EXCEEDED, "context deadline exceeded")
    assert error.code not in (CANCELED, UNAVAILABLE)


def test_the_synchronous_client_brings_no_event_loop_in() -> None:
    """Start-up time is a feature of everything that stands on this client."""
    heavy = ("asyncio", "uvloop", "click", "ssl")
    code = f"import sys, etcdpy.client.client; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _start(directory: Path, ports: tuple[int, int]) -> RunningEtcd:
    return start_reference_etcd(directory, client_port=ports[0], peer_port=ports[1])


def _etcdctl(running: RunningEtcd, words: str) -> None:
    command = [str(reference_binary("etcdctl")), f"--endpoints={running.endpoint}", *words.split()]
    subprocess.run(command, check=True, capture_output=True, env=clean_environment())
