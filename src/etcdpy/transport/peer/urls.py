"""The URLs of one peer, and which of them is tried now: the one that last worked, the next one after a failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

# What the scheme of a peer URL may be: with TLS or without, over TCP or a unix socket (then the address is a path).
_SCHEMES = ("http", "https", "unix", "unixs")


class BadUrl(ValueError):
    """Not the URL of a peer."""


@dataclass(frozen=True, slots=True)
class PeerUrl:
    """One address of a peer."""

    scheme: str
    host: str  # without brackets; of unix sockets, the path
    port: int

    @property
    def is_unix(self) -> bool:
        return self.scheme in ("unix", "unixs")

    @property
    def is_secure(self) -> bool:
        return self.scheme in ("https", "unixs")

    @property
    def authority(self) -> str:
        """What stands in the Host header."""
        if self.is_unix:
            return self.host
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_peer_url(text: str) -> PeerUrl:
    """Return the URL's parts, or raise BadUrl."""
    if any(not " " < letter < "\x7f" for letter in text):
        raise BadUrl(f"{text!r}: a URL of plain letters is needed")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadUrl(f"{text}: {error}") from None
    if parts.scheme not in _SCHEMES:
        raise BadUrl(f"{text}: the scheme must be one of {', '.join(_SCHEMES)}")
    if parts.scheme in ("unix", "unixs"):
        return PeerUrl(parts.scheme, parts.netloc + parts.path, 0)
    if not host or port is None:
        raise BadUrl(f"{text}: a host and a port are needed")
    return PeerUrl(parts.scheme, host, port)


class UrlPicker:
    """Never empty. Shared by all connections to one peer."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.update(urls)

    def update(self, urls: Sequence[str]) -> None:
        """Take other URLs. Raise BadUrl and change nothing where one of them is none, or there is none."""
        parsed = [parse_peer_url(text) for text in urls]
        if not parsed:
            raise BadUrl("a peer without URLs")
        self.urls = parsed
        self._picked = 0

    def pick(self) -> PeerUrl:
        return self.urls[self._picked]

    def unreachable(self, url: PeerUrl) -> None:
        """Pick the next one, if this is still the one picked."""
        if self.urls[self._picked] == url:
            self._picked = (self._picked + 1) % len(self.urls)
