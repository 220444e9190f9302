"""One kind of stream from a peer: we dial, the peer answers without end.

    dial --200--> read frames until the connection is lost or silent for the read timeout --> wait 100 ms --> dial

A peer that answers 410 says that we were removed from the cluster. Every other refusal may pass: it does not know us
yet, it is of another version, it is being replaced.

Upstream: rafthttp/stream.go, streamReader (facts 7.1, 7.2).
"""

from __future__ import annotations

import asyncio
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.transport.peer.client import (
    ANSWER_BODY_BYTES_MAX,
    ClientConnection,
    MemberRemoved,
    PeerFailure,
    dial,
    request_head,
)
from etcdpy.transport.peer.frames import FrameError
from etcdpy.transport.peer.intake import Intake
from etcdpy.transport.peer.status import PeerStatus
from etcdpy.transport.peer.stream_kind import StreamKind
from etcdpy.transport.peer.urls import PeerUrl, UrlPicker
from etcdpy.transport.peer.world import World

# The texts of a 412, and etcd's words for them in the log.
MISMATCHES: Final = {
    "incompatible version": "server version incompatibility",
    "cluster ID mismatch": "cluster ID mismatch",
}


class StreamReader:
    """See the top of the file."""

    def __init__(
        self,
        kind: StreamKind,
        member_id: int,
        *,
        world: World,
        picker: UrlPicker,
        status: PeerStatus,
        intake: Intake,
    ) -> None:
        self.kind = kind
        self._member_id = member_id
        self._world = world
        self._picker = picker
        self._status = status
        self._intake = intake
        self._path = f"{kind.path}/{world.own_id}"
        self._log_info("started stream reader with remote peer")
        self._task = world.start(self._run())

    def close(self) -> None:
        self._task.cancel()
        self._log_info("stopped stream reader with remote peer")

    async def _run(self) -> None:
        while True:
            await self._read_once()
            await asyncio.sleep(self._world.timeouts.redial_seconds)

    async def _read_once(self) -> None:
        """Dial, and read until that ends."""
        url = self._picker.pick()
        connection: ClientConnection | None = None
        try:
            connection = await dial(self._world, url)
            body = StreamBody(self.kind, self._member_id, world=self._world, intake=self._intake)
            headers = [("X-Raft-To", format_id(self._member_id))]
            connection.ask(request_head(self._world, url, "GET", self._path, headers), body)
            await self._wait_attached(body)
        except (PeerFailure, OSError) as error:
            self._dial_failed(error, url)
        else:
            self._status.activate()
            self._log_info("established TCP streaming connection with remote peer")
            self._lost(await self._wait_lost(body))
        finally:
            if connection is not None:
                connection.close()

    async def _wait_attached(self, body: StreamBody) -> None:
        """Return when the peer has begun to stream. Raise PeerFailure when it refuses."""
        try:
            async with asyncio.timeout(self._world.timeouts.read_seconds):
                await body.attached
                if body.status == 200:
                    return
                # The answer's text says why.
                error = await body.lost
        except TimeoutError:
            raise PeerFailure("i/o timeout while waiting for the stream") from None
        if body.status == 0 or not isinstance(error, EOFError):
            raise PeerFailure(str(error))
        self._log_mismatch(body)
        raise self._refusal(body)

    async def _wait_lost(self, body: StreamBody) -> Exception:
        """Return why the stream ended; a silent one ends after the read timeout."""
        timeout = self._world.timeouts.read_seconds
        while True:
            patience = body.heard_at + timeout - self._world.loop.time()
            if patience <= 0:
                return PeerFailure("i/o timeout")
            done, _ = await asyncio.wait((body.lost,), timeout=patience)
            if done:
                return body.lost.result()

    def _lost(self, error: Exception) -> None:
        log_warn(self._world.log, "lost TCP streaming connection with remote peer", **self._fields(), error=str(error))
        self._world.counters.received_failures[self._member_id] += 1
        # An orderly end is a restart or a newer connection: what comes next tells whether the peer is there.
        if not isinstance(error, EOFError):
            self._status.deactivate("read", self.kind.name, error)

    def _dial_failed(self, error: Exception, url: PeerUrl) -> None:
        # Another member may live at this URL now: the next one is tried.
        self._picker.unreachable(url)
        self._status.deactivate("dial", self.kind.name, error)
        if isinstance(error, MemberRemoved):
            self._world.receiver.on_removed_here()

    def _log_mismatch(self, body: StreamBody) -> None:
        reason = MISMATCHES.get(body.refusal_text)
        if body.status == 412 and reason:
            log_warn(
                self._world.log,
                f"request sent was ignored by remote peer due to {reason}",
                remote_peer_id=format_id(self._member_id),
                remote_peer_cluster_id=body.headers.get("x-etcd-cluster-id", ""),
                local_member_id=self._world.own_id,
                local_member_cluster_id=format_id(self._world.identity.cluster_id),
                error=body.refusal_text,
            )

    def _log_info(self, text: str) -> None:
        log_info(self._world.log, text, **self._fields())

    def _fields(self) -> dict[str, object]:
        return {
            "stream_reader_type": self.kind.name,
            "local_member_id": self._world.own_id,
            "remote_peer_id": format_id(self._member_id),
        }

    def _refusal(self, body: StreamBody) -> PeerFailure:
        """Return what an answer other than 200 means."""
        if body.status == 410:
            return MemberRemoved()
        if body.status == 404:
            return PeerFailure(f"peer {format_id(self._member_id)} failed to find local node {self._world.own_id}")
        if body.status == 412:
            return PeerFailure(body.refusal_text or "precondition failed")
        return PeerFailure(f"unhandled http status {body.status}")


class StreamBody:
    """The answer on one connection. `attached` is done when the peer streams or has refused; `lost` tells the end."""

    def __init__(self, kind: StreamKind, member_id: int, *, world: World, intake: Intake) -> None:
        self._member_id = member_id
        self._world = world
        self._intake = intake
        self._frames = kind.decoder(local=world.identity.member_id, remote=member_id)
        self._refusal = bytearray()
        self.attached: asyncio.Future[None] = world.loop.create_future()
        self.lost: asyncio.Future[Exception] = world.loop.create_future()
        self.heard_at = world.loop.time()
        self.headers: dict[str, str] = {}
        self.status = 0

    @property
    def refusal_text(self) -> str:
        return self._refusal.decode("utf-8", "replace").strip()

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.heard_at = self._world.loop.time()
        if status == 200:
            self._attach()

    def on_body(self, data: bytes) -> None:
        if self.lost.done():
            return
        if self.status != 200:
            self._refusal += data
            if len(self._refusal) > ANSWER_BODY_BYTES_MAX:
                self._end(PeerFailure("the response is too large"))
            return
        self._world.counters.received_bytes[self._member_id] += len(data)
        self.heard_at = self._world.loop.time()
        try:
            messages = self._frames.feed(data)
        except FrameError as error:
            self._end(error)
            return
        for message in messages:
            self._intake.take_from_stream(message, self._member_id)

    def on_end(self) -> None:
        self._end(EOFError("EOF"))

    def on_lost(self, error: Exception) -> None:
        self._end(error)

    def _end(self, error: Exception) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
        self._attach()

    def _attach(self) -> None:
        if not self.attached.done():
            self.attached.set_result(None)
