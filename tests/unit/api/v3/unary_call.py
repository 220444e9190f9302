"""A unary call without a transport, and the v3 API of a real node to give it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message

from etcdpy.api.v3.cluster import ClusterApi
from etcdpy.api.v3.dispatch import Dispatcher
from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.api.v3.kv import KvApi
from etcdpy.api.v3.lease import LeaseApi
from etcdpy.api.v3.maintenance import MaintenanceApi
from etcdpy.embed.node import Node
from etcdpy.embed.urls import read_urls
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import until

Response = TypeVar("Response", bound=Message)


class UnaryCall:
    """Notes its one answer, and that there is only one."""

    connection: object = None
    is_crowded = False

    def __init__(self, message: bytes) -> None:
        self.user: object = None
        self.path = b"/etcdserverpb.KV/Put"
        self.message = message
        self.peer = "127.0.0.1:1"
        self.deadline: float | None = None
        self.closed = False
        self.response: bytes | None = None
        self.status: tuple[int, str] | None = None

    @property
    def is_answered(self) -> bool:
        return self.response is not None or self.status is not None

    def peer_common_name(self) -> bytes | None:
        return None

    def has_room(self, size: int) -> bool:
        return True

    def put_off(self) -> bool:
        return False

    def metadata(self, name: bytes) -> bytes | None:
        return None

    def respond(self, message: bytes | list[bytes]) -> None:
        assert not self.is_answered, "answered twice"
        self.response = b"".join(message) if isinstance(message, list) else message

    def fail(self, code: int, text: str) -> None:
        assert not self.is_answered, "answered twice"
        self.status = (code, text)

    def start(self) -> None:
        raise AssertionError("a unary call has no stream")

    def write(self, message: bytes | list[bytes]) -> bool:
        raise AssertionError("a unary call has no stream")

    def finish(self, code: int = 0, text: str = "") -> None:
        raise AssertionError("a unary call has no stream")

    def pause_reading(self) -> None:
        raise AssertionError("a unary call has no stream")

    def resume_reading(self) -> None:
        raise AssertionError("a unary call has no stream")


class Api:
    """The handlers of one node, each of which is given a call."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.header = HeaderEncoder(
            cluster_id=node.cluster_id,
            member_id=node.member_id,
            get_term=lambda: node.member.term,
            get_revision=lambda: node.store.current_revision,
        )
        self.dispatcher = Dispatcher(node.service, self.header, node.tasks)
        self.kv = KvApi(node.service, self.dispatcher, self.header, node.compactions, txn_ops_max=4)
        self.lease = LeaseApi(
            self.dispatcher,
            self.header,
            node.lessor,
            node.request_ids,
            node.clock,
            node.questions.renewer,
            node.permissions,
        )
        self.cluster = ClusterApi(
            node.service, self.dispatcher, self.header, node.roster, node.reconfiguration, read_urls
        )
        self.maintenance = MaintenanceApi(
            self.dispatcher, self.header, node.maintenance, node.leadership, node.downgrades, node.tasks
        )

    async def ask(self, handle: Callable[[Any], None], request: Message, kind: type[Response]) -> Response:
        """Return the response; an error fails the test."""
        call = await self.call(handle, request.SerializeToString())
        assert call.status is None and call.response is not None, call.status
        return kind.FromString(call.response)

    async def refusal(self, handle: Callable[[Any], None], request: Message) -> tuple[int, str]:
        call = await self.call(handle, request.SerializeToString())
        assert call.status is not None, call.response
        return call.status

    async def call(self, handle: Callable[[Any], None], message: bytes) -> UnaryCall:
        call = UnaryCall(message)
        handle(call)
        await until(lambda: call.is_answered)
        return call


@asynccontextmanager
async def open_api(directory: Path, *, elect: bool = True, **settings: Any) -> AsyncIterator[Api]:
    async with open_node(directory, elect=elect, **settings) as (node, _):
        yield Api(node)
