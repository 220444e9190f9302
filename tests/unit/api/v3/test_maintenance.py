"""The Maintenance service, on a real node."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from etcdpy.pb.rpc_pb2 import (
    CORRUPT,
    NOSPACE,
    AlarmRequest,
    AlarmResponse,
    DefragmentRequest,
    DowngradeRequest,
    DowngradeResponse,
    HashKVRequest,
    HashKVResponse,
    HashRequest,
    HashResponse,
    MoveLeaderRequest,
    PutRequest,
    PutResponse,
    SnapshotRequest,
    SnapshotResponse,
    StatusRequest,
    StatusResponse,
)
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.api.v3.unary_call import Api, open_api
from tests.unit.server.spine import run, until


async def raise_alarm(api: Api, alarm: int) -> AlarmResponse:
    request = AlarmRequest(action=AlarmRequest.ACTIVATE, memberID=7, alarm=alarm)  # type: ignore[arg-type]
    return await api.ask(api.maintenance.alarm, request, AlarmResponse)


async def put(api: Api, key: bytes = b"a", value: bytes = b"v") -> None:
    await api.ask(api.kv.put, PutRequest(key=key, value=value), PutResponse)


def test_status(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await put(api)
            status = await api.ask(api.maintenance.status, StatusRequest(), StatusResponse)

            member = api.node.member
            assert (status.leader, status.raftTerm, status.version) == (api.node.member_id, 2, "3.5.33")
            assert (status.raftIndex, status.raftAppliedIndex) == (member.applied_index, member.applied_index)
            assert 0 < status.dbSizeInUse <= status.dbSize
            assert (list(status.errors), status.isLearner, status.header.revision) == ([], False, 2)
            assert status.dbSizeQuota == 2 << 30

    run(scenario())


def test_downgrades(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await put(api)
            api.node.roster.set_version("3.5.0", mirror=True)

            async def downgrade(action: int, version: str = "") -> DowngradeResponse:
                request = DowngradeRequest(action=action, version=version)  # type: ignore[arg-type]
                return await api.ask(api.maintenance.downgrade, request, DowngradeResponse)

            for action in (DowngradeRequest.VALIDATE, DowngradeRequest.ENABLE):
                answer = await downgrade(action, "3.4")
                assert (answer.version, answer.header.revision) == ("3.5.0", 2)
            info = (await api.ask(api.maintenance.status, StatusRequest(), StatusResponse)).downgradeInfo
            assert (info.enabled, info.targetVersion) == (True, "3.4.0")
            await downgrade(DowngradeRequest.CANCEL)
            info = (await api.ask(api.maintenance.status, StatusRequest(), StatusResponse)).downgradeInfo
            assert (info.enabled, info.targetVersion) == (False, "")
            refused = await api.refusal(api.maintenance.downgrade, DowngradeRequest(action=3))  # type: ignore[arg-type]
            assert refused == (2, "etcdserver: unknown method")

    run(scenario())


def test_status_tells_of_alarms_and_of_a_missing_leader(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await raise_alarm(api, NOSPACE)
            status = await api.ask(api.maintenance.status, StatusRequest(), StatusResponse)
            assert list(status.errors) == ["memberID:7 alarm:NOSPACE "]
        async with open_api(tmp_path, elect=False) as api:
            status = await api.ask(api.maintenance.status, StatusRequest(), StatusResponse)
            assert (list(status.errors), status.leader) == (["etcdserver: no leader", "memberID:7 alarm:NOSPACE "], 0)

    run(scenario())


def test_alarms_go_through_the_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            log_end = api.node.member.last_index
            response = await raise_alarm(api, NOSPACE)

            assert [(alarm.memberID, alarm.alarm) for alarm in response.alarms] == [(7, NOSPACE)]
            assert api.node.member.last_index == log_end + 1
            assert await api.refusal(api.kv.put, PutRequest(key=b"a")) == (
                8,
                "etcdserver: mvcc: database space exceeded",
            )

    run(scenario())


def test_hashes_say_what_was_hashed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await put(api)
            await put(api)
            whole = await api.ask(api.maintenance.hash, HashRequest(), HashResponse)
            assert (whole.hash, whole.header.revision) == (api.node.backend.hash(), 3)
            now = await api.ask(api.maintenance.hash_kv, HashKVRequest(), HashKVResponse)
            before = await api.ask(api.maintenance.hash_kv, HashKVRequest(revision=2), HashKVResponse)
            assert (now.hash_revision, now.compact_revision, now.header.revision) == (3, -1, 3)
            assert (before.hash_revision, before.header.revision) == (2, 3)
            assert now.hash == api.node.store.hash_kv(3).hash != before.hash
            future = await api.refusal(api.maintenance.hash_kv, HashKVRequest(revision=9))
            assert future == (11, "etcdserver: mvcc: required revision is a future revision")

    run(scenario())


def test_defragmentation_answers_without_a_header_and_keeps_everything(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await put(api)
            before = api.node.store.hash_kv().hash
            call = await api.call(api.maintenance.defragment, DefragmentRequest().SerializeToString())

            assert (call.response, call.status) == (b"", None)
            assert api.node.store.hash_kv().hash == before
            assert api.node.metrics.defrag_inflight == 0
            await put(api)

    run(scenario())


@pytest.mark.parametrize(
    ("elect", "refusal"),
    [(True, (9, "etcdserver: bad leader transferee")), (False, (9, "etcdserver: not leader"))],
)
def test_a_stranger_is_no_leader(tmp_path: Path, elect: bool, refusal: tuple[int, str]) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path, elect=elect) as api:
            assert await api.refusal(api.maintenance.move_leader, MoveLeaderRequest(targetID=1)) == refusal

    run(scenario())


def test_a_leader_that_is_to_lead_does_so_already(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            request = MoveLeaderRequest(targetID=api.node.member_id)
            call = await api.call(api.maintenance.move_leader, request.SerializeToString())

            assert (call.response, call.status) == (b"", None)

    run(scenario())


def test_a_snapshot_waits_for_room_and_ends_with_the_hash_of_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await put(api, value=bytes(100_000))
            call = FakeCall(room=1)
            stream = api.maintenance.snapshot(call)
            stream.on_message(SnapshotRequest().SerializeToString())
            stream.on_message(b"a second one changes nothing")
            stream.on_end()
            written: list[bytes] = []
            while call.status is None:
                await until(lambda: bool(call.written) or call.status is not None)
                assert len(call.written) <= 1, "it waits for room after each blob"
                written += call.take()
                call.room = 1
                stream.on_drain()

            *blobs, last = [SnapshotResponse.FromString(message) for message in written]
            content = b"".join(response.blob for response in blobs)
            assert (call.status, last.blob) == ((0, ""), hashlib.sha256(content).digest())
            left = len(content)
            for response in blobs:
                left -= len(response.blob)
                assert (response.remaining_bytes, response.header.revision) == (left, 2)

    run(scenario())


def test_a_download_whose_client_has_gone_is_given_up_and_leaves_no_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await put(api, value=bytes(100_000))
            call = FakeCall(room=1)
            stream = api.maintenance.snapshot(call)
            stream.on_message(b"")
            await until(lambda: bool(call.written))
            call.closed = True
            stream.on_close(8)
            await until(lambda: not api.node.tasks._tasks)

            assert len(call.written) == 1 and call.status is None
            assert list(api.node.config.snap_path.iterdir()) == []

    run(scenario())


def test_a_corrupt_store_is_not_handed_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await raise_alarm(api, CORRUPT)
            call = FakeCall()
            api.maintenance.snapshot(call).on_message(b"")
            await until(lambda: call.status is not None)

            assert call.status == (15, "etcdserver: corrupt cluster")

    run(scenario())
