"""TLS above plain connections, with the files of the moment. Source: facts 2.1, 5; upstream: client/pkg/transport."""

from etcdpy.transport.tls.client import TlsClient
from etcdpy.transport.tls.connection import TlsConnection
from etcdpy.transport.tls.credentials import Credentials, TlsFilesError
from etcdpy.transport.tls.gate import HandshakeGate
from etcdpy.transport.tls.server import TlsServer
from etcdpy.transport.tls.settings import TlsSettings

__all__ = [
    "Credentials",
    "HandshakeGate",
    "TlsClient",
    "TlsConnection",
    "TlsFilesError",
    "TlsServer",
    "TlsSettings",
]
