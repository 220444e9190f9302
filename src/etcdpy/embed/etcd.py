"""Etcd: one running member, as a program or inside another one.

    etcd = Etcd(config, log)
    await etcd.start()      # ready: the member has published itself and listens
    ...
    await etcd.stop()

Order of a start: bind (so that a port in use fails at once) -> ask who we are -> recover -> elect, publish -> listen.
Order of a stop: refuse new work, end the calls with status 14, let the last writes finish, put everything on disk.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any, Final

from starlette.routing import BaseRoute

from etcdpy.api.gateway.mount import SOCKET_PREFIXES, gateway_routes
from etcdpy.api.ops.app import build_metrics_app, build_ops_app
from etcdpy.api.ops.peer import build_peer_app
from etcdpy.base.errors import EtcdError, Stopped
from etcdpy.base.ids import format_id
from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.base.log import log_info, log_warn
from etcdpy.base.version import VERSION
from etcdpy.embed.banner import log_closed, log_listeners, log_serving, log_starting
from etcdpy.embed.bootstrap import decide_identity
from etcdpy.embed.config import Config
from etcdpy.embed.errors import MemberRemoved
from etcdpy.embed.grpc_methods import GrpcApi, build_grpc_api
from etcdpy.embed.memory_lock import lock_memory
from etcdpy.embed.node import Node, build_node
from etcdpy.embed.ops import NodeOps
from etcdpy.embed.tls import MemberTls
from etcdpy.embed.urls import parse_url
from etcdpy.server.loop import MemberLoop
from etcdpy.state.auth import AuthStore
from etcdpy.transport.grpc.server import GRPC_OVERHEAD_BYTES, GrpcServer, ServerLimits
from etcdpy.transport.http1 import BODY_BYTES_MAX, HttpServer
from etcdpy.transport.http_bridge import AsgiApp, BridgedGrpc, HttpBridge
from etcdpy.transport.listener import Listener
from etcdpy.transport.mux import Mux
from etcdpy.transport.peer import PeerServer

# Objects that survive a start live as long as the process: a collection that walks them finds nothing and takes
# 100 ms per million keys. So they are frozen. The young generation is what thousands of new streams leave, and its
# collection holds up everybody: about a microsecond an object.
GC_THRESHOLDS: Final = (5_000, 500, 100)
# How long a member lives on that was removed, so that others hear of it from it (upstream's number).
REMOVED_SECONDS: Final = 1.0
# How long the last writes may take at a stop before we give up waiting for the disk.
STOP_SECONDS_MAX: Final = 10.0


class Etcd:
    """One member and its listeners, on the running event loop."""

    def __init__(self, config: Config, log: logging.Logger) -> None:
        self.config = config
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Listener] = []
        self._muxes: list[Mux] = []
        self._http_servers: list[HttpServer] = []
        self._api: GrpcApi | None = None
        self._grpc: GrpcServer | None = None
        self._peer_server: PeerServer | None = None
        self._node: Node | None = None
        self._tls: MemberTls | None = None
        self._bridges: list[HttpBridge] = []
        self._is_stopped = False
        self._previous_exception_handler: Any = None
        self._is_watching_callbacks = False

    @property
    def node(self) -> Node:
        """The member's parts. Raises RuntimeError before `start`."""
        if self._node is None:
            raise RuntimeError("the member was not started")
        return self._node

    @property
    def client_endpoints(self) -> list[str]:
        """Return `host:port` (real ports where 0 was asked for) or `unix://...` of each client listener."""
        texts = self.config.listen_client_urls
        return [
            text if url.is_socket else f"{url.hostname}:{listener.port}"
            for text, url, listener in zip(texts, map(parse_url, texts), self._listeners[: len(texts)], strict=True)
        ]

    # -- start

    async def start(self) -> None:
        """Recover, become ready and listen.

        Raise StorageError, StartError when the cluster does not want this member, or OSError where a port is not to be
        had.
        """
        self._bind()
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        config, log = self.config, self._log
        log_starting(log, config, member_initialized=config.has_wal)
        if config.memory_mlock:
            lock_memory(log)
        tls = self._tls
        assert tls is not None
        identity = await decide_identity(config, log, tls.fetch)
        node = self._node = build_node(config, log, self._loop, identity, tls)
        log_info(
            log,
            "starting etcd server",
            local_member_id=format_id(node.member_id),
            local_server_version=VERSION,
            cluster_version=node.roster.version or "to_be_decided",
        )
        api = self._api = build_grpc_api(node, node.tasks, GuardedScheduler(self._loop, node.driver))
        node.housekeeper.watch_feed = api
        node.housekeeper.on_standing = api.gates.refresh
        self._build_servers(node, api)
        node.housekeeper.on_failed = self._refuse_all
        self._watch_over_callbacks(node.driver)
        await node.questions.check_before_serving(is_new=node.recovered.is_new)
        node.driver.start(node.service)
        node.housekeeper.start()
        node.tasks.start(self._end_when_removed(node))
        node.questions.start_monitor()
        if node.store.is_compacting:
            node.compactions.start()
        node.peers.start(node.recovered.remotes)
        await self._listen_to_peers()
        if config.initial_election_tick_advance:
            self._be_elected_soon(node)
        await self._publish(node)
        node.tasks.start(node.versions.run())
        node.tasks.start(node.downgrade_monitor.run())
        await self._listen_to_clients()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    def _refuse_all(self) -> None:
        """The member has failed: nobody is told anything more, for memory may hold what no disk does."""
        if self._api is not None:
            self._api.shut()
        if self._grpc is not None:
            self._grpc.end_calls(Stopped.text)

    def _watch_over_callbacks(self, driver: MemberLoop) -> None:
        """What a callback of this loop raises is logged and forgotten by default. Ours ends the member."""
        previous = self._loop.get_exception_handler()

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if isinstance(error, InvariantError | StorageError):
                driver.fail(error)
            if previous is not None:
                previous(loop, context)
            else:
                loop.default_exception_handler(context)

        self._loop.set_exception_handler(handle)
        self._is_watching_callbacks = True
        self._previous_exception_handler = previous

    async def _end_when_removed(self, node: Node) -> None:
        await node.housekeeper.was_removed.wait()
        await asyncio.sleep(REMOVED_SECONDS)
        fatal = node.housekeeper.fatal
        if not fatal.done():
            fatal.set_result(MemberRemoved())

    async def _publish(self, node: Node) -> None:
        publishing = self._loop.create_task(
            node.housekeeper.publish(self.config.name, list(self.config.advertise_client_urls))
        )
        failing = node.housekeeper.fatal
        failing.add_done_callback(lambda _: publishing.cancel())
        try:
            await publishing
        except asyncio.CancelledError:
            if failing.done():
                raise failing.result() from None
            raise

    def _be_elected_soon(self, node: Node) -> None:
        """A member that is alone in its cluster has nobody to wait for."""
        if node.recovered.is_alone:
            log_info(
                self._log,
                "started as single-node; fast-forwarding election ticks",
                local_member_id=format_id(node.member_id),
                election_ticks=self.config.election_ticks,
            )
            node.driver.campaign_when_applied()

    # -- listeners

    def _bind(self) -> None:
        log_listeners(self._log, self.config)
        self._tls = MemberTls(self.config, self._log, self._loop)
        urls = (
            *self.config.listen_client_urls,
            *self.config.listen_client_http_urls,
            *self.config.listen_peer_urls,
            *self.config.listen_metrics_urls,
        )
        try:
            for url in urls:
                listener = self._make_listener(url)
                self._listeners.append(listener)
                listener.bind()
        except OSError:
            for listener in self._listeners:
                listener.close()
            raise

    def _make_listener(self, text: str) -> Listener:
        url = parse_url(text)
        slot = len(self._muxes)
        self._muxes.append(Mux(loop=self._loop, http2=None, http1=None))
        return Listener(
            "" if url.is_socket else url.hostname,
            0 if url.is_socket else int(url.port),
            lambda: self._muxes[slot].connection(),
            loop=self._loop,
            unix_path=url.address if url.is_socket else "",
            reuse_port=self.config.socket_reuse_port,
            reuse_address=True,
        )

    def _build_servers(self, node: Node, api: GrpcApi) -> None:
        config = self.config
        ops = NodeOps(node, api.methods)
        grpc = self._grpc = GrpcServer(
            api.methods,
            loop=self._loop,
            limits=ServerLimits(
                message_bytes_max=config.max_request_bytes + GRPC_OVERHEAD_BYTES,
                streams_announced=config.max_concurrent_streams,
                ping_interval_seconds_min=config.grpc_keepalive_min_time_seconds,
                keepalive_seconds=config.grpc_keepalive_interval_seconds,
                keepalive_timeout_seconds=config.grpc_keepalive_timeout_seconds,
            ),
        )
        node.service.cork = grpc.endpoint.cork
        node.service.flush = grpc.endpoint.flush
        clients_app = self._client_app(ops, api, node.permissions.auth)
        clients = HttpServer(
            clients_app,
            loop=self._loop,
            body_bytes_max=self._client_body_bytes_max,
            socket_prefixes=SOCKET_PREFIXES if config.enable_grpc_gateway else (),
        )
        peers_app = build_peer_app(
            ops, format_id(node.cluster_id), node.questions.member_records, node.questions.routes()
        )
        asked_by_peers = HttpServer(peers_app, loop=self._loop)
        peers = self._peer_server = PeerServer(node.peers.network, others=asked_by_peers)
        metrics = HttpServer(build_metrics_app(ops, self._log), loop=self._loop)
        self._http_servers = [clients, asked_by_peers, metrics]
        separate = bool(config.listen_client_http_urls)
        tls, loop = self._tls, self._loop
        assert tls is not None
        muxes: list[Mux] = []
        for url in config.listen_client_urls:
            http1 = None if separate else clients
            secure = tls.client_server(url)
            # Without TLS requests by HTTP/2 that are no gRPC are refused, as in etcd.
            http2 = grpc if secure is None or separate else BridgedGrpc(grpc, self._bridge(clients_app))
            muxes.append(Mux(loop=loop, http2=http2, http1=http1, tls=secure))
        for url in config.listen_client_http_urls:
            muxes.append(Mux(loop=loop, http2=None, http1=clients, tls=tls.client_http_server(url)))
        for url in config.listen_peer_urls:
            # Up to 3.5 the peer port serves gRPC too (facts 1.1).
            secure = tls.peer_server(url)
            http2 = grpc if secure is None else BridgedGrpc(grpc, self._bridge(peers_app))
            muxes.append(Mux(loop=loop, http2=http2, http1=peers, tls=secure))
        for url in config.listen_metrics_urls:
            muxes.append(Mux(loop=loop, http2=None, http1=metrics, tls=tls.metrics_server(url)))
        self._muxes = muxes

    def _client_app(self, ops: NodeOps, api: GrpcApi, auth: AuthStore) -> AsgiApp:
        config = self.config
        has_gateway = config.enable_grpc_gateway
        message_bytes_max = config.max_request_bytes + GRPC_OVERHEAD_BYTES
        return build_ops_app(
            ops,
            self._log,
            origins=config.cors,
            hosts=config.host_whitelist,
            names_count=lambda: has_gateway and config.client_cert_auth and auth.is_enabled,
            more_routes=[
                *(gateway_routes(api.gateway, message_bytes_max=message_bytes_max) if has_gateway else ()),
                *self._pprof_routes(),
            ],
        )

    def _pprof_routes(self) -> list[BaseRoute]:
        """Profiles are for who asks for them; as in etcd that is also who wants to read everything in the log."""
        if not self.config.enable_pprof and self.config.log_level.lower() != "debug":
            return []
        # Imported late: nothing of it is there otherwise.
        from etcdpy.api.ops.pprof import PREFIX, pprof_routes

        log_info(self._log, "pprof is enabled", path=PREFIX)
        return pprof_routes()

    @property
    def _client_body_bytes_max(self) -> int:
        """In base64 a message grows by a third, and JSON stands around it."""
        return max(BODY_BYTES_MAX, 2 * (self.config.max_request_bytes + GRPC_OVERHEAD_BYTES))

    def _bridge(self, app: AsgiApp) -> HttpBridge:
        bridge = HttpBridge(app, loop=self._loop, body_bytes_max=self._client_body_bytes_max)
        self._bridges.append(bridge)
        return bridge

    async def _listen_to_peers(self) -> None:
        config = self.config
        first = len(config.listen_client_urls) + len(config.listen_client_http_urls)
        for url, listener in zip(
            config.listen_peer_urls, self._listeners[first : first + len(config.listen_peer_urls)], strict=True
        ):
            await listener.start()
            log_info(self._log, "serving peer traffic", address=parse_url(url).address)
        log_serving(self._log, config, local_member_id=format_id(self.node.member_id))

    async def _listen_to_clients(self) -> None:
        config = self.config
        last = len(config.listen_client_urls) + len(config.listen_client_http_urls)
        for listener in [*self._listeners[:last], *self._listeners[last + len(config.listen_peer_urls) :]]:
            await listener.start()
        log_info(self._log, "ready to serve client requests")
        for url in (*config.listen_client_urls, *config.listen_client_http_urls):
            if parse_url(url).is_secure:
                text = "serving client traffic securely"
            else:
                text = "serving client traffic insecurely; this is strongly discouraged!"
            log_info(self._log, text, address=parse_url(url).address)

    # -- stop

    async def wait_failed(self) -> BaseException:
        """Wait until the member cannot go on, or may not (MemberRemoved); return why."""
        return await asyncio.shield(self.node.housekeeper.fatal)

    async def stop(self) -> None:
        """End every call, put everything on disk, close the files. Idempotent."""
        if self._is_stopped:
            return
        self._is_stopped = True
        for listener in self._listeners:
            listener.close()
        for mux in self._muxes:
            mux.close()
        if self._node is None:
            return
        node = self._node
        await node.leadership.try_transfer_leadership()
        node.reconfiguration.stop()
        node.service.stop()
        if self._api is not None:
            self._api.end_local_calls()
        if self._grpc is not None:
            self._grpc.close_gracefully()
        for server in self._http_servers:
            server.close_gracefully()
        await node.tasks.close()
        node.housekeeper.stop()
        node.compactions.stop()
        await self._wait_quiet(node)
        await node.peers.close()
        for bridge in self._bridges:
            bridge.close()
        for server in self._http_servers:
            server.abort()
        if self._peer_server is not None:
            self._peer_server.abort()
        node.close()
        if self._is_watching_callbacks:
            self._loop.set_exception_handler(self._previous_exception_handler)
        log_closed(self._log, self.config)

    async def _wait_quiet(self, node: Node) -> None:
        give_up = self._loop.time() + STOP_SECONDS_MAX
        while not (node.driver.is_quiet or node.driver.has_failed):
            if self._loop.time() > give_up:
                log_warn(self._log, "the disk did not finish in time; a restart finds what it has")
                return
            await asyncio.sleep(0.001)


class GuardedScheduler:
    """Timers for parts of the member: what a callback raises ends the member instead of being logged only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, driver: MemberLoop) -> None:
        self._loop = loop
        self._driver = driver

    def call_soon(self, callback: Callable[[], None], /) -> object:
        return self._loop.call_soon(self._driver.guard, callback)

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> object:
        return self._loop.call_later(seconds, self._driver.guard, callback)


async def serve(config: Config, log: logging.Logger, *, on_ready: Callable[[], None], until: asyncio.Event) -> None:
    """Run a member until `until` is set.

    Raise what stopped it otherwise: StorageError, OSError, InvariantError, MemberRemoved.
    """
    etcd = Etcd(config, log)
    await etcd.start()
    on_ready()
    stopping = asyncio.ensure_future(until.wait())
    failing = asyncio.ensure_future(etcd.wait_failed())
    try:
        await asyncio.wait({stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            raise failing.result()
    finally:
        stopping.cancel()
        failing.cancel()
        try:
            await etcd.stop()
        except EtcdError as error:
            log_warn(log, "stopping failed", error=str(error))
