"""Discovery by endpoints: a token is a prefix of the v3 keys of another etcd, as 3.6 has it.

    /_etcd/registry/<token>/_config/size        how many members the cluster shall have
    /_etcd/registry/<token>/members/<hex id>    one member: name=peer URL,...

Here a registration may be written again: a member that was cut off while it waited comes back to its place.

Upstream: server/etcdserver/api/v3discovery.
"""

from __future__ import annotations

import logging
import ssl
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.client.aio import AsyncClient
from etcdpy.client.endpoint import TLS_ALWAYS, Endpoint
from etcdpy.client.request import watch_request
from etcdpy.embed.config import Config
from etcdpy.embed.discovery import BAD_SIZE, FULL, NO_SIZE, SIZE_MAX, Backoff, Refused
from etcdpy.embed.errors import StartError
from etcdpy.transport.tls import Credentials, TlsFilesError, TlsSettings

PREFIX: Final = "/_etcd/registry"

# Registrations by key, in the order in which they came.
Registrations = dict[str, str]


async def discover_v3(
    config: Config, member_id: int, registration: str, log: logging.Logger, *, backoff_unit_seconds: float = 1.0
) -> tuple[list[str], int]:
    """Register, wait for the others, return the registrations of all and the cluster's size. Raise Refused."""
    user, password = _read_user(config)
    url = ",".join(config.discovery_endpoints)

    def report(attempt: int, error: EtcdError) -> None:
        """What a call that fails at last does not say: why the service cannot be reached, say."""
        if attempt == 0:  # the others are much the same
            log_warn(log, "retrying of unary invoker failed", target=url, attempt=attempt, error=str(error))

    client = AsyncClient(
        config.discovery_endpoints,
        dial_timeout=config.discovery_dial_timeout_seconds,
        command_timeout=config.discovery_request_timeout_seconds,
        ssl_context=_ssl_context(config, log),
        user=user.encode(),
        password=password.encode(),
        report=report,
    )
    async with client:
        backoff = Backoff(log, url=url, unit_seconds=backoff_unit_seconds)
        discovery = V3Discovery(client, config.discovery_token, member_id, log, backoff)
        return await discovery.join(registration)


def _read_user(config: Config) -> tuple[str, str]:
    """Return name and password: `name:password` is one way to give both."""
    if config.discovery_password:
        return config.discovery_user, config.discovery_password
    user, _, password = config.discovery_user.partition(":")
    return user, password


def _ssl_context(config: Config, log: logging.Logger) -> ssl.SSLContext | None:
    """Return what TLS to speak with endpoints that do not say whether they want it; and with those that do.

    As in 3.6 a file alone asks for TLS, whatever --discovery-insecure-transport says. Raise StartError.
    """
    settings = TlsSettings(
        cert_file=config.discovery_cert, key_file=config.discovery_key, trusted_ca_file=config.discovery_cacert
    )
    has_https = any(Endpoint(text).tls == TLS_ALWAYS for text in config.discovery_endpoints)
    if settings == TlsSettings() and config.discovery_insecure_transport and not has_https:
        return None
    try:
        context = Credentials(settings, log).client_context()
    except TlsFilesError as error:
        raise StartError(str(error)) from None
    if config.discovery_insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class V3Discovery:
    """One member's way through one token."""

    def __init__(self, client: AsyncClient, token: str, member_id: int, log: logging.Logger, backoff: Backoff) -> None:
        self._client = client
        self._size_key = f"{PREFIX}/{token}/_config/size"
        self._members_prefix = f"{PREFIX}/{token}/members/"
        self._own_key = self._members_prefix + format_id(member_id)
        self._log = log
        self._backoff = backoff

    async def join(self, registration: str) -> tuple[list[str], int]:
        # Not to register where there is no room.
        await self._look()
        await self._register(registration)
        members, size, revision = await self._look()
        if len(members) < size:
            await self._wait_members(members, size, revision)
        return list(members.values())[:size], size

    async def _look(self) -> tuple[Registrations, int, int]:
        """Return who has registered so far, the size, and the revision at which that is true."""
        while True:
            try:
                size = await self._get_size()
                members, revision = await self._get_members()
                break
            except EtcdError as error:
                text = "failed to get cluster members from discovery service"
                log_warn(self._log, text, members_key_prefix=self._members_prefix, error=str(error))
            await self._backoff.wait("cluster status check")
        if self._own_key not in list(members)[:size] and len(members) >= size:
            raise Refused(FULL)
        return members, size, revision

    async def _get_size(self) -> int:
        answer = await self._client.kv.get(self._size_key.encode())
        if not answer.kvs:
            raise Refused(NO_SIZE)
        text = answer.kvs[0].value.decode("utf-8", "replace")
        if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= SIZE_MAX:
            raise Refused(BAD_SIZE)
        return int(text)

    async def _get_members(self) -> tuple[Registrations, int]:
        answer = await self._client.kv.get(self._members_prefix.encode(), prefix=True)
        members: Registrations = {}
        for pair in sorted(answer.kvs, key=lambda pair: pair.create_revision):
            self._add(members, pair.key, pair.value)
        return members, answer.header.revision

    def _add(self, members: Registrations, raw_key: bytes, raw_value: bytes) -> None:
        key, value = raw_key.decode("utf-8", "replace").strip(), raw_value.decode("utf-8", "replace").strip()
        if "=" not in value:
            text = "invalid peer info returned from discovery service"
            log_warn(self._log, text, member_key=key, member_info=value)
        elif key in members:
            log_warn(self._log, "found duplicate peer from discovery service", member_key=key, member_info=value)
        else:
            members[key] = value
            log_info(self._log, "found peer from discovery service", member_key=key, member_info=value)

    async def _register(self, registration: str) -> None:
        while True:
            try:
                await self._client.kv.put(self._own_key.encode(), registration.encode())
                break
            except EtcdError as error:
                text = "failed to register members itself to the discovery service"
                log_warn(self._log, text, member_key=self._own_key, error=str(error))
            await self._backoff.wait("register member itself")
        text = "register member itself successfully"
        log_info(self._log, text, member_key=self._own_key, member_info=registration)

    async def _wait_members(self, members: Registrations, size: int, revision: int) -> None:
        """Add who registers after `revision`, until the cluster is complete."""
        text = "waiting for peers from discovery service"
        log_info(self._log, text, cluster_size=size, found_peers=len(members))
        watcher = self._client.watch(
            watch_request(self._members_prefix.encode(), prefix=True, start_revision=revision + 1)
        )
        try:
            while len(members) < size:
                answer = await watcher.read()
                if answer is None:
                    raise Refused("discovery: the watch for members was canceled")
                for event in answer.events:
                    self._add(members, event.kv.key, event.kv.value)
        finally:
            watcher.close()
        text = "found all needed peers from discovery service"
        log_info(self._log, text, cluster_size=size, found_peers=len(members))
