"""Lists of URLs in flags: which texts are URLs, and in which words others are refused.

A member's URL is `scheme://host:port` with nothing behind it; `unix` and `unixs` ones name a socket. etcd parses with
Go's net/url and keeps the list sorted and without doubles: ids of members are computed over it.

Upstream: client/pkg/types.NewURLs, embed.checkBindURLs and checkHostURLs.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from etcdpy.base.socket_name import certificate_name

SCHEMES: Final = ("http", "https", "unix", "unixs")
SOCKET_SCHEMES: Final = ("unix", "unixs")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
# Go's shouldEscape in host mode: what may stand in a host name without being escaped.
_HOST: Final = re.compile(r"[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_PORT: Final = re.compile(r":\d*", re.ASCII)


class UrlError(ValueError):
    """The text is no URL of a member; `str()` is etcd's text."""


class Url(NamedTuple):
    scheme: str
    host: str  # with port, as written
    path: str

    @property
    def is_socket(self) -> bool:
        """Whether it names a socket of the file system."""
        return self.scheme in SOCKET_SCHEMES

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken there."""
        return self.scheme in ("https", "unixs")

    @property
    def address(self) -> str:
        """What is listened on: `host:port`, or the path of a socket (`unix://a:1` is the file `a:1`, as in etcd)."""
        return self.host + self.path if self.is_socket else self.host

    @property
    def hostname(self) -> str:
        """The host, or the name that the certificate of a socket bears: its file's, without what follows a colon."""
        if self.is_socket:
            return certificate_name(self.address)
        return split_host_port(self.host)[0]

    @property
    def port(self) -> str:
        return split_host_port(self.host)[1]


def parse_urls(text: str) -> tuple[str, ...]:
    """Return the comma-separated URLs of `text`, sorted and without doubles."""
    return tuple(sorted(set(read_urls(text.split(",")))))


def read_urls(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the URLs of a member as they are kept: sorted, doubles and all."""
    if not texts:
        raise UrlError("no valid URLs given")
    items = [text.strip() for text in texts]
    for item in items:
        check_url(item)
    return tuple(sorted(_with_lower_scheme(item) for item in items))


def _with_lower_scheme(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    return scheme.lower() + colon + rest


def check_url(text: str) -> None:
    """Raise UrlError unless `text` is the URL of a member."""
    url = parse_url(text)
    if url.scheme not in SCHEMES:
        raise UrlError(f"URL scheme must be http, https, unix, or unixs: {text}")
    if url.is_socket:
        if not url.address:
            raise UrlError(f'URL address does not have the form "host:port": {text}')
        return
    try:
        split_host_port(url.host)
    except ValueError:
        raise UrlError(f'URL address does not have the form "host:port": {text}') from None
    if url.path:
        raise UrlError(f"URL must not contain a path: {text}")


def parse_url(text: str) -> Url:
    """Return the parts of a URL, as far as they matter here. Raise UrlError in the words of Go's net/url."""
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise _parse_error(text, "net/url: invalid control character in URL")
    rest = text.partition("#")[0].partition("?")[0]
    if rest.startswith(":"):
        raise _parse_error(text, "missing protocol scheme")
    match = _SCHEME.match(rest)
    scheme = match[0][:-1].lower() if match else ""
    rest = rest[match.end() :] if match else rest
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme, "", "")  # opaque, as in localhost:2379
        if ":" in rest.partition("/")[0]:
            raise _parse_error(text, "first path segment in URL cannot contain colon")
        _check_path(text, rest)
        return Url("", "", rest)
    if not rest.startswith("//"):
        _check_path(text, rest)
        return Url(scheme, "", rest)
    authority, slash, path = rest[2:].partition("/")
    host = authority.rpartition("@")[2]
    _check_host(text, host)
    _check_path(text, path)
    return Url(scheme, host, slash + path)


def _check_host(text: str, host: str) -> None:
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            raise _parse_error(text, "missing ']' in host")
        port = host[end + 1 :]
    else:
        colon = host.rfind(":")
        port = host[colon:] if colon >= 0 else ""
    escape = host.find("%")
    if escape >= 0 and not host.startswith("["):
        raise _parse_error(text, f"invalid URL escape {json.dumps(host[escape : escape + 3])}")
    if port and not _PORT.fullmatch(port):
        raise _parse_error(text, f"invalid port {json.dumps(port)} after host")
    allowed = _HOST.match(host)
    if allowed is None or allowed.end() != len(host):
        bad = host[allowed.end() if allowed else 0]
        raise _parse_error(text, f"invalid character {json.dumps(bad)} in host name")


def _check_path(text: str, path: str) -> None:
    escape = _BAD_ESCAPE.search(path)
    if escape is not None:
        raise _parse_error(text, f"invalid URL escape {json.dumps(escape[0], ensure_ascii=False)}")


def _parse_error(text: str, reason: str) -> UrlError:
    return UrlError(f"parse {json.dumps(text, ensure_ascii=False)}: {reason}")


def split_host_port(host: str) -> tuple[str, str]:
    """Return host and port of `host:port` or `[v6]:port`. Raise ValueError when there is no port."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        if not bracket or not port.startswith(":"):
            raise ValueError(f"no port in {host}")
        return name, port[1:]
    name, colon, port = host.rpartition(":")
    if not colon or ":" in name:
        raise ValueError(f"no port in {host}")
    return name, port


def check_bind_urls(urls: Iterable[str]) -> None:
    """Raise UrlError when one cannot be listened on: its host must be an address, or localhost."""
    for text in urls:
        url = parse_url(text)
        if url.is_socket or url.hostname == "localhost":
            continue
        try:
            ipaddress.ip_address(url.hostname)
        except ValueError:
            raise UrlError(f"expected IP in URL for binding ({text})") from None


def check_host_urls(urls: Iterable[str]) -> None:
    """Raise UrlError when one names no host: nobody could connect to it."""
    for text in urls:
        url = parse_url(text)
        if not url.is_socket and not url.hostname:
            raise UrlError(f"unexpected empty host ({text})")
