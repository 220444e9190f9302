"""gRPC over our HTTP/2 session: server, asynchronous client (`channel`), blocking client (`blocking`).

Only light modules are imported here: a command line tool that needs `blocking` must not pay for the server or asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etcdpy.transport.grpc.call import Call, StreamHandler
from etcdpy.transport.http2._nghttp2 import StreamMethod, UnaryMethod

if TYPE_CHECKING:
    from etcdpy.transport.grpc.server import GrpcServer, ServerLimits

__all__ = ["Call", "GrpcServer", "ServerLimits", "StreamHandler", "StreamMethod", "UnaryMethod"]


def __getattr__(name: str) -> Any:
    if name in ("GrpcServer", "ServerLimits"):
        from etcdpy.transport.grpc import server

        return getattr(server, name)
    raise AttributeError(name)
