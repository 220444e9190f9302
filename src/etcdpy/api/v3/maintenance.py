"""The Maintenance service. Source: etcdserverpb.Maintenance."""

from __future__ import annotations

import asyncio
from typing import Final

from etcdpy.api.v3.dispatch import Dispatcher, caller_of, unary
from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.base.errors import ABORTED, UNKNOWN, EtcdError
from etcdpy.pb import rpc_pb2
from etcdpy.server.downgrade import Downgrades
from etcdpy.server.leadership import Leadership
from etcdpy.server.maintenance import Maintenance
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import Caller
from etcdpy.transport.grpc.call import Call, StreamHandler

# Each download is a whole copy of the store on disk: a reader who takes nothing may not keep it for ever.
STALL_SECONDS_MAX: Final = 60.0
# What etcd says of an action of a downgrade that it does not know.
UNKNOWN_ACTION_TEXT: Final = "etcdserver: unknown method"


class MaintenanceApi:
    """Handlers of Alarm, Status, Defragment, Hash, HashKV, Snapshot, MoveLeader and Downgrade."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        header: HeaderEncoder,
        maintenance: Maintenance,
        leadership: Leadership,
        downgrades: Downgrades,
        tasks: TaskOwner,
    ) -> None:
        self._leadership = leadership
        self._downgrades = downgrades
        self._dispatcher = dispatcher
        self._header = header
        self._maintenance = maintenance
        self._tasks = tasks
        self.alarm = unary(rpc_pb2.AlarmRequest.FromString, self._alarm)
        self.status = unary(rpc_pb2.StatusRequest.FromString, self._status)
        self.defragment = unary(rpc_pb2.DefragmentRequest.FromString, self._defragment)
        self.hash = unary(rpc_pb2.HashRequest.FromString, self._hash)
        self.hash_kv = unary(rpc_pb2.HashKVRequest.FromString, self._hash_kv)
        self.move_leader = unary(rpc_pb2.MoveLeaderRequest.FromString, self._move_leader)
        self.downgrade = unary(rpc_pb2.DowngradeRequest.FromString, self._downgrade)

    def _alarm(self, call: Call, request: rpc_pb2.AlarmRequest) -> None:
        self._dispatcher.propose(call, kinds.ALARM, request, call.message)

    def _status(self, call: Call, request: rpc_pb2.StatusRequest) -> None:
        call.respond(self._header.encode(0) + self._maintenance.status().SerializeToString())

    def _defragment(self, call: Call, request: rpc_pb2.DefragmentRequest) -> None:
        self._dispatcher.answer_later(call, self._defragment_now())

    async def _defragment_now(self) -> bytes:
        await self._maintenance.defragment()
        return b""  # no header at all (facts 1.4)

    def _hash(self, call: Call, request: rpc_pb2.HashRequest) -> None:
        self._dispatcher.answer_later(call, self._hash_now())

    async def _hash_now(self) -> bytes:
        revision = self._header.encode(0)
        return revision + rpc_pb2.HashResponse(hash=await self._maintenance.hash()).SerializeToString()

    def _hash_kv(self, call: Call, request: rpc_pb2.HashKVRequest) -> None:
        self._dispatcher.answer_later(call, self._hash_kv_now(request.revision))

    async def _hash_kv_now(self, revision: int) -> bytes:
        result = await self._maintenance.hash_kv(revision)
        response = rpc_pb2.HashKVResponse(
            hash=result.hash, compact_revision=result.compact_revision, hash_revision=result.hash_revision
        )
        return self._header.encode(result.revision) + response.SerializeToString()

    def _move_leader(self, call: Call, request: rpc_pb2.MoveLeaderRequest) -> None:
        self._dispatcher.answer_later(call, self._move_leader_now(request.targetID, call.deadline))

    async def _move_leader_now(self, transferee: int, deadline: float | None) -> bytes:
        await self._leadership.move_leader(transferee, deadline=deadline)
        return b""  # no header at all (facts 1.4)

    def _downgrade(self, call: Call, request: rpc_pb2.DowngradeRequest) -> None:
        self._dispatcher.answer_later(call, self._downgrade_now(request, caller_of(call)))

    async def _downgrade_now(self, request: rpc_pb2.DowngradeRequest, caller: Caller | None) -> bytes:
        if request.action == rpc_pb2.DowngradeRequest.VALIDATE:
            version = await self._downgrades.validate(request.version)
        elif request.action == rpc_pb2.DowngradeRequest.ENABLE:
            version = await self._downgrades.enable(request.version, caller)
        elif request.action == rpc_pb2.DowngradeRequest.CANCEL:
            version = await self._downgrades.cancel(caller)
        else:
            raise EtcdError(UNKNOWN_ACTION_TEXT, UNKNOWN)
        return self._header.encode(0) + rpc_pb2.DowngradeResponse(version=version).SerializeToString()

    # -- the snapshot stream

    def snapshot(self, call: Call) -> StreamHandler:
        return SnapshotStream(call, self._header, self._maintenance, self._tasks)


class SnapshotStream:
    """One download. The next blob is read when the transport has room for it."""

    def __init__(self, call: Call, header: HeaderEncoder, maintenance: Maintenance, tasks: TaskOwner) -> None:
        self._call = call
        self._header = header
        self._maintenance = maintenance
        self._tasks = tasks
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_started = False

    def on_message(self, message: bytes, /) -> None:
        if not self._is_started:
            self._is_started = True
            self._tasks.start(self._send())

    def on_end(self) -> None:
        """The request was the only message."""

    def on_drain(self) -> None:
        self._has_room.set()

    def on_close(self, error: int, /) -> None:
        self._has_room.set()

    async def _send(self) -> None:
        blobs = self._maintenance.snapshot()
        try:
            async for response in blobs:
                if self._call.closed:
                    break
                if not self._call.write(self._header.encode(0) + response.SerializeToString()):
                    self._has_room.clear()
                    await asyncio.wait_for(self._has_room.wait(), STALL_SECONDS_MAX)
            else:
                self._call.finish()
        except EtcdError as error:
            self._call.fail(error.code, error.text)
        except TimeoutError:
            self._call.fail(ABORTED, "the snapshot's reader has taken nothing for too long")
        finally:
            await blobs.aclose()  # type: ignore[attr-defined]
