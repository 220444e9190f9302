"""Discovery by URL: a token is a directory of the v2 keys of another etcd.

    <url>/_config/size    how many members the cluster shall have
    <url>/<hex id>        one member: name=peer URL,...

Created once and never overwritten: a member that was started twice with lost data is told "duplicate id".

Upstream: server/etcdserver/api/v2discovery, client/v2.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.embed.discovery import BAD_ENDPOINT, BAD_SIZE, DUPLICATE_ID, FULL, SIZE_MAX, Backoff, Refused
from etcdpy.embed.discovery_dial import DiscoveryDialler, proxy_authorization
from etcdpy.embed.urls import UrlError, parse_url
from etcdpy.transport.peer_http import HttpAnswer, HttpFailed, fetch

# Upstream's client.DefaultRequestTimeout.
REQUEST_SECONDS_MAX: Final = 5.0
# A thousand members with long URLs.
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
REDIRECTIONS_MAX: Final = 10
NODE_EXISTS: Final = 105
EVENT_INDEX_CLEARED: Final = 401


class Unavailable(Exception):
    """The service did not answer, or not now."""


class V2Error(Exception):
    """The service's error answer. `str()` is as the v2 client words it."""

    def __init__(self, code: int, message: str, cause: str, index: int) -> None:
        super().__init__(f"{code}: {message} ({cause}) [{index}]")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One registered member."""

    key: str
    value: str
    created_index: int

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


class V2Discovery:
    """One member's way through one token."""

    def __init__(
        self, url: str, proxy: str, member_id: int, log: logging.Logger, *, backoff_unit_seconds: float = 1.0
    ) -> None:
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._directory = parts.path.rstrip("/")
        self._proxy = read_proxy(proxy)
        self._proxy_headers = proxy_authorization(urlsplit(self._proxy))
        self._dialler = DiscoveryDialler(log)
        self._own_name = format_id(member_id)
        self._log = log
        self._backoff = Backoff(log, url=self._base, unit_seconds=backoff_unit_seconds)

    async def join(self, registration: str) -> tuple[list[str], int]:
        """Register, wait for the others, return the registrations of all and the cluster's size. Raise Refused."""
        if self._proxy:
            log_info(self._log, "running proxy with discovery", proxy_url=self._proxy)
        try:
            # Not to register where there is no room.
            await self._look()
            await self._register(registration)
            nodes = await self._wait_nodes(*await self._look())
        except V2Error as error:
            raise Refused(str(error)) from None
        return [node.value for node in nodes], len(nodes)

    async def _register(self, registration: str) -> None:
        path = f"{self._directory}/{self._own_name}"
        try:
            await self._ask("PUT", path, {"prevExist": "false"}, {"value": registration})
        except V2Error as error:
            raise Refused(DUPLICATE_ID if error.code == NODE_EXISTS else str(error)) from None
        except Unavailable as error:
            # It may be registered or not; upstream gives up here, too.
            raise Refused(str(error)) from None

    async def _look(self) -> tuple[list[Node], int, int]:
        """Return who has registered so far, in their order, the size, and the index up to which that is true."""
        while True:
            path = f"{self._directory}/_config/size"
            try:
                size = _read_size(await self._ask("GET", path, {"quorum": "false"}))
                path = self._directory
                answer = await self._ask("GET", path, {"quorum": "false", "recursive": "false", "sorted": "false"})
                break
            except Unavailable as error:
                text = "failed to get from discovery server"
                log_warn(self._log, text, discovery_url=self._base, path=path, error=str(error))
            await self._backoff.wait("cluster status check")
        nodes = _read_nodes(answer)
        if self._own_name not in [node.name for node in nodes[:size]] and len(nodes) >= size:
            raise Refused(FULL)
        return nodes, size, int(answer.headers.get("x-etcd-index", "0"))

    async def _wait_nodes(self, nodes: list[Node], size: int, index: int) -> list[Node]:
        while True:
            for node in nodes[:size]:
                self._log_found(node)
            try:
                return await self._collect(nodes[:size], size, index)
            except Unavailable as error:
                log_warn(self._log, "error while waiting for peers", discovery_url=self._base, error=str(error))
            await self._backoff.wait("waiting for other nodes")
            nodes, size, index = await self._look()

    async def _collect(self, found: list[Node], size: int, index: int) -> list[Node]:
        while len(found) < size:
            text = "found peers from discovery server; waiting for more"
            needed = size - len(found)
            log_info(self._log, text, discovery_url=self._base, found_peers=len(found), needed_peers=needed)
            node = await self._next_change(index + 1)
            index = max(index + 1, node.created_index)
            is_member = self._directory.endswith(node.key.rpartition("/")[0])  # and not its size, say
            if is_member and node.value and node.name not in [known.name for known in found]:
                self._log_found(node)
                found.append(node)
        text = "found all needed peers from discovery server"
        log_info(self._log, text, discovery_url=self._base, found_peers=len(found))
        return found

    async def _next_change(self, index: int) -> Node:
        """Return the node of the first change at or after `index`, however long that takes."""
        query = {"wait": "true", "recursive": "true", "waitIndex": str(index)}
        try:
            answer = await self._ask("GET", self._directory, query, timeout_seconds=None)
        except V2Error as error:
            if error.code == EVENT_INDEX_CLEARED:
                raise Unavailable(str(error)) from None  # looked too late: look again from the beginning
            raise
        return _read_node(_record(answer)["node"], "modifiedIndex")

    def _log_found(self, node: Node) -> None:
        if node.name == self._own_name:
            log_info(self._log, "found self from discovery server", discovery_url=self._base, self=node.name)
        else:
            log_info(self._log, "found peer from discovery server", discovery_url=self._base, peer=node.name)

    # -- one request

    async def _ask(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        form: dict[str, str] | None = None,
        *,
        timeout_seconds: float | None = REQUEST_SECONDS_MAX,
    ) -> HttpAnswer:
        """Return the answer of success. Raise V2Error, Unavailable or Refused."""
        url = f"{self._base}{quote(path)}?{urlencode(query)}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        for _ in range(REDIRECTIONS_MAX):
            if urlsplit(url).scheme == "http":  # otherwise it is told when it is asked to CONNECT
                headers |= self._proxy_headers
            try:
                answer = await fetch(
                    url,
                    method=method,
                    body=urlencode(form).encode() if form else b"",
                    headers=headers,
                    timeout_seconds=timeout_seconds,
                    body_bytes_max=ANSWER_BYTES_MAX,
                    proxy=self._proxy,
                    dial=self._dialler.dial,
                )
            except HttpFailed as error:
                raise Unavailable(str(error)) from None
            except OSError as error:
                raise Unavailable(f"{url}: {str(error) or 'context deadline exceeded'}") from None
            if answer.status // 100 != 3 or "location" not in answer.headers:
                return _judge(answer)
            url = urljoin(url, answer.headers["location"])
        raise Unavailable("too many redirects")


def read_proxy(text: str) -> str:
    """Return the URL of the proxy that --discovery-proxy names; nothing when it names none. Raise Refused."""
    if not text:
        return ""
    with_scheme = f"http://{text}"
    try:
        return text if parse_url(text).scheme.startswith("http") else with_scheme
    except UrlError as error:
        with suppress(UrlError):
            parse_url(with_scheme)
            return with_scheme
        raise Refused(f"invalid proxy address {json.dumps(text, ensure_ascii=False)}: {error}") from None


def _judge(answer: HttpAnswer) -> HttpAnswer:
    if answer.status // 100 == 5:
        reason = "has no leader" if answer.status == 503 else f"returns server error [{answer.status}]"
        raise Unavailable(f"client: etcd cluster is unavailable or misconfigured; etcd member {reason}")
    record = _record(answer)
    if answer.status not in (200, 201):
        fields = [record.get(name, "") for name in ("message", "cause")]
        try:
            code, index = int(record.get("errorCode", 0)), int(record.get("index", 0))
        except (TypeError, ValueError):
            raise Refused(BAD_ENDPOINT) from None
        raise V2Error(code, str(fields[0]), str(fields[1]), index)
    if not isinstance(record.get("node"), dict):
        raise Refused(BAD_ENDPOINT)
    return answer


def _record(answer: HttpAnswer) -> dict[str, Any]:
    try:
        record = json.loads(answer.body)
    except ValueError:
        raise Refused(BAD_ENDPOINT) from None
    if not isinstance(record, dict):
        raise Refused(BAD_ENDPOINT)
    return record


def _read_size(answer: HttpAnswer) -> int:
    text = str(_record(answer)["node"].get("value", ""))
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= SIZE_MAX:
        raise Refused(BAD_SIZE)
    return int(text)


def _read_nodes(answer: HttpAnswer) -> list[Node]:
    """Return the registered members in the order in which they came."""
    records = _record(answer)["node"].get("nodes") or []
    if not isinstance(records, list):
        raise Refused(BAD_ENDPOINT)
    nodes = [_read_node(record, "createdIndex") for record in records]
    return sorted((node for node in nodes if node.name != "_config"), key=lambda node: node.created_index)


def _read_node(record: Any, index_name: str) -> Node:
    try:
        return Node(key=str(record["key"]), value=str(record.get("value", "")), created_index=int(record[index_name]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refused(BAD_ENDPOINT) from None
