"""How the calls of a load get into a member: in the clear for everybody, over TLS, or with a user's token.

OPEN                      as without any flag
Access(authority=...)     https; `flags` name the certificates, the same files for both contenders
Access(token=...)         every call carries it
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etcdpy.transport.grpc.blocking import BlockingChannel
from etcdpy.transport.grpc.client_call import Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a member is started with, and what its clients have to bring."""

    flags: tuple[str, ...] = ()
    # Who signed the server's certificate; None: no TLS.
    authority: Path | None = None
    token: bytes = b""

    @property
    def scheme(self) -> str:
        return "http" if self.authority is None else "https"

    def ssl_context(self) -> ssl.SSLContext | None:
        return None if self.authority is None else ssl.create_default_context(cafile=str(self.authority))

    def channel(self, address: str) -> BlockingChannel:
        """Return a channel whose calls get in."""
        channel = _Channel(address, ssl_context=self.ssl_context())
        if self.token:
            channel.token = ((b"token", self.token),)
        return channel


OPEN: Final = Access()


class _Channel(BlockingChannel):
    """Adds the token to each call."""

    token: tuple[tuple[bytes, bytes], ...] = ()

    def unary(self, path: bytes, message: bytes, timeout: float | None = None, metadata: Metadata = ()) -> bytes:
        return super().unary(path, message, timeout, (*self.token, *metadata))
