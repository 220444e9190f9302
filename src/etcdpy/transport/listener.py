"""Listening sockets: TCP over IPv4 and IPv6, `localhost`, all addresses, unix sockets.

    listener = Listener("127.0.0.1", 2379, mux.connection, loop=loop)
    await listener.start()          # raises OSError, as etcd would refuse to start
    listener.close()

Rules
  * Options that accepted sockets inherit (TCP_NODELAY, keepalive) are set on the listening socket: no system call per
    connection.
  * An empty host means all addresses, IPv4 and IPv6 by one socket where the system can. `localhost` means IPv4's, as
    in Go.
  * Running out of file descriptors is the event loop's affair: asyncio waits a second, libuv turns the surplus away;
    neither spins. The mux's limit keeps it from happening.
  * The file of a unix socket is removed before use, should one be left behind, and after. Go removes whatever file
    has that name; we only sockets: a mistyped flag must not cost data. What somebody else has put in our socket's
    place meanwhile stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable
from typing import Final

BACKLOG: Final = 1024
# etcd's keepalive listener: a client that vanished without a word is noticed in a minute or two.
TCP_KEEPALIVE_SECONDS: Final = 30

Factory = Callable[[], asyncio.BaseProtocol]


class Listener:
    """One address on which connections are accepted."""

    def __init__(
        self,
        host: str,
        port: int,
        factory: Factory,
        *,
        loop: asyncio.AbstractEventLoop,
        unix_path: str = "",
        reuse_port: bool = False,
        reuse_address: bool = True,
        backlog: int = BACKLOG,
    ) -> None:
        self._host = host
        self._port = port
        self._factory = factory
        self._loop = loop
        self._unix_path = unix_path
        self._reuse_port = reuse_port
        self._reuse_address = reuse_address
        self._backlog = backlog
        self._server: asyncio.AbstractServer | None = None
        self._sock: socket.socket | None = None
        self._file: tuple[int, int] | None = None  # Device and inode of our socket's file.

    async def start(self) -> None:
        """Bind and accept. Raises OSError when the address is taken or not ours."""
        self.bind()
        assert self._sock is not None
        if self._unix_path:
            self._server = await self._loop.create_unix_server(self._factory, sock=self._sock, backlog=self._backlog)
        else:
            self._server = await self._loop.create_server(self._factory, sock=self._sock, backlog=self._backlog)

    def bind(self) -> None:
        """Take the address without accepting yet, so that a start which cannot succeed fails early."""
        if self._sock is not None:
            return
        sock = self._unix_socket() if self._unix_path else self._tcp_socket()
        sock.listen(self._backlog)
        sock.setblocking(False)
        self._sock = sock

    @property
    def port(self) -> int:
        """The port, also when 0 was asked for."""
        assert self._sock is not None
        return 0 if self._unix_path else int(self._sock.getsockname()[1])

    def close(self) -> None:
        """Accept no more; connections stay."""
        if self._server is not None:
            self._server.close()
        if self._sock is not None:
            self._sock.close()
        self._server = self._sock = None
        ours, self._file = self._file, None
        with contextlib.suppress(FileNotFoundError):
            if ours is not None and _identify(self._unix_path) == ours:
                os.unlink(self._unix_path)

    def _unix_socket(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(self._unix_path).st_mode):
                os.unlink(self._unix_path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(self._unix_path)
            self._file = _identify(self._unix_path)
        except OSError as error:
            sock.close()
            reason = (error.strerror or str(error)).lower()
            raise OSError(f"listen unix {self._unix_path}: bind: {reason}") from None
        return sock

    def _tcp_socket(self) -> socket.socket:
        family, address = self._resolve()
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if self._reuse_address:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if self._host == "" else 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, TCP_KEEPALIVE_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, TCP_KEEPALIVE_SECONDS)
            sock.bind(address)
        except OSError:
            sock.close()
            raise
        return sock

    def _resolve(self) -> tuple[socket.AddressFamily, tuple[str, int]]:
        if self._host == "":
            if socket.has_dualstack_ipv6():
                return socket.AF_INET6, ("::", self._port)
            return socket.AF_INET, ("0.0.0.0", self._port)
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # Go listens on the IPv4 address of a name that has both.
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        family, _, _, _, address = found[0]
        return family, (str(address[0]), int(address[1]))


def _identify(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino
