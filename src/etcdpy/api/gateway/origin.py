"""A request of the gateway as the handlers' origin: which of its headers become metadata of the call.

Authorization: <token>         authorization   (without the word Bearer)
Grpc-Metadata-<Name>: <value>  <name>
Grpc-Timeout: 5S               the deadline
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from etcdpy.base.errors import INVALID_ARGUMENT, EtcdError

METADATA_PREFIX: Final = b"grpc-metadata-"
BEARER: Final = b"Bearer "
_TIMEOUT = re.compile(rb"([0-9]{1,18})([HMSmun])")
_UNIT_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class HttpOrigin:
    """Implements `api.v3.local.Origin`."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> None:
        self.peer = peer
        self._metadata: dict[bytes, bytes] = {}
        self._timeout: bytes | None = None
        for name, value in headers:
            if name == b"authorization":
                self._metadata.setdefault(name, value.removeprefix(BEARER))
            elif name == b"grpc-timeout":
                self._timeout = value
            elif name.startswith(METADATA_PREFIX):
                self._metadata.setdefault(name[len(METADATA_PREFIX) :], value)

    def metadata(self, name: bytes) -> bytes | None:
        return self._metadata.get(name)

    def timeout_seconds(self) -> float | None:
        """Return how long the client wants to wait, or None: as long as it takes. Raise EtcdError."""
        if not self._timeout:
            return None
        match = _TIMEOUT.fullmatch(self._timeout)
        if match is None:
            shown = self._timeout.decode("utf-8", "replace")
            raise EtcdError(f"invalid grpc-timeout: {shown}", INVALID_ARGUMENT)
        return int(match[1]) * _UNIT_SECONDS[match[2]]
