"""gRPC over our HTTP/2 session: server, asynchronous client (`channel`), blocking client (`blocking`).

Only light modules are imported here: a command line tool that needs `blocking` must not pay for asyncio.
"""

from etcdpy.transport.grpc.call import Call, StreamHandler
from etcdpy.transport.grpc.server import GrpcServer
from etcdpy.transport.http2._nghttp2 import StreamMethod, UnaryMethod

__all__ = ["Call", "GrpcServer", "StreamHandler", "StreamMethod", "UnaryMethod"]
