"""/leases and /leases/internal of the peer port: members that do not lead ask the leader about leases.

    POST /leases            LeaseKeepAliveRequest  ->  LeaseKeepAliveResponse, the lease has its TTL again
    POST /leases/internal   LeaseInternalRequest   ->  LeaseInternalResponse, what the lease has left
    404 no such lease    408 not enough applied yet    400 we do not lead, or that was no request

A 3.5 member that does not lead answers /leases/internal from what it knows, a remaining time that is none. Ours says
that it does not lead, and the asker goes on to look for the leader.

Source: facts 4.2. Upstream: lease/leasehttp.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from google.protobuf.message import DecodeError, Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from etcdpy.api.ops.app import ANY_METHOD
from etcdpy.api.ops.bodies import read_body
from etcdpy.api.ops.responses import METHOD_NOT_ALLOWED_TEXT, error_response
from etcdpy.base.errors import EtcdError, LeaseNotFound, TimeoutWaitAppliedIndex
from etcdpy.pb import lease_pb2, rpc_pb2

READING_FAILED_TEXT: Final = "error reading body"
MALFORMED_TEXT: Final = "error unmarshalling request"
NOT_FOUND_TEXT: Final = "lease not found"
LAGGING_TEXT: Final = "waiting for node to catch up its applied index has timed out"


class Leases(Protocol):
    """The leases of a member that leads: `server.lease_primary`."""

    async def renew(self, lease_id: int) -> int: ...

    async def time_to_live(self, request: rpc_pb2.LeaseTimeToLiveRequest) -> rpc_pb2.LeaseTimeToLiveResponse: ...


def lease_routes(leases: Leases) -> list[BaseRoute]:
    async def renew(body: bytes) -> Message:
        lease_id = rpc_pb2.LeaseKeepAliveRequest.FromString(body).ID
        return rpc_pb2.LeaseKeepAliveResponse(ID=lease_id, TTL=await leases.renew(lease_id))

    async def time_to_live(body: bytes) -> Message:
        request = lease_pb2.LeaseInternalRequest.FromString(body)
        if not request.HasField("LeaseTimeToLiveRequest"):
            raise DecodeError  # a 3.5 member hangs up
        response = await leases.time_to_live(request.LeaseTimeToLiveRequest)
        response.header.SetInParent()  # an empty one, as upstream sends it
        return lease_pb2.LeaseInternalResponse(LeaseTimeToLiveResponse=response)

    return [
        Route("/leases", _endpoint(renew), methods=ANY_METHOD),
        Route("/leases/internal", _endpoint(time_to_live), methods=ANY_METHOD),
    ]


def _endpoint(answer: Callable[[bytes], Awaitable[Message]]) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        if request.method != "POST":
            return error_response(METHOD_NOT_ALLOWED_TEXT, 405)  # without Allow, unlike its neighbours
        body = await read_body(request)
        if body is None:
            return error_response(READING_FAILED_TEXT, 400)
        try:
            response = await answer(body)
        except DecodeError:
            return error_response(MALFORMED_TEXT, 400)
        except LeaseNotFound:
            return error_response(NOT_FOUND_TEXT, 404)
        except TimeoutWaitAppliedIndex:
            return error_response(LAGGING_TEXT, 408)
        except EtcdError as error:
            return error_response(error.text, 400)
        return Response(response.SerializeToString(), headers={"Content-Type": "application/protobuf"})

    return handle
