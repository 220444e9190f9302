"""What is wrong with a Config, in etcd's words and in etcd's order.

    check_config   before anything is touched: `failed to verify flags`, exit 1
    check_start    before the data directory is touched: `failed to start etcd`, exit 1

Upstream: embed.Config.Validate and the checks spread over embed.StartEtcd.
"""

from __future__ import annotations

from typing import Final

from etcdpy.base.duration import format_duration
from etcdpy.base.log import silent_logger
from etcdpy.embed.auto_compaction import MODES, read_auto_compaction
from etcdpy.embed.config import Config
from etcdpy.embed.errors import AdvertiseUrlsUnset, ConfigError, StartError
from etcdpy.embed.initial_cluster import parse_initial_cluster
from etcdpy.embed.urls import UrlError, check_bind_urls, check_host_urls, parse_url
from etcdpy.state.auth.token_options import TokenOptionsError, make_tokens
from etcdpy.transport.tls.ciphers import find_unknown_suite

# Upstream's maxElectionMs: longer than any sane election.
ELECTION_TIMEOUT_MS_MAX: Final = 50_000
HEARTBEATS_PER_ELECTION_MIN: Final = 5
TLS_VERSIONS: Final = ("", "TLS1.2", "TLS1.3")


def check_config(config: Config) -> None:
    """Raise ConfigError when settings contradict themselves or each other."""
    _check_urls(config)
    _check_bootstrap_choice(config)
    _check_timeouts(config)
    # etcd looks here last of these, for a proxy may do without.
    if config.listen_client_urls and not config.advertise_client_urls:
        raise AdvertiseUrlsUnset
    if config.auto_compaction_mode not in MODES:
        raise ConfigError(f'unknown auto-compaction-mode "{config.auto_compaction_mode}"')
    if config.enable_lease_checkpoint_persist and not config.enable_lease_checkpoint:
        raise ConfigError(
            "setting experimental-enable-lease-checkpoint-persist requires experimental-enable-lease-checkpoint"
        )
    if config.compact_hash_check_time_seconds <= 0:
        shown = format_duration(config.compact_hash_check_time_seconds)
        raise ConfigError(f"--experimental-compact-hash-check-time must be >0 (set to {shown})")
    _check_tls_versions(config)


def _check_urls(config: Config) -> None:
    try:
        check_bind_urls(config.listen_peer_urls)
        check_bind_urls(config.listen_client_urls)
        check_bind_urls(config.listen_client_http_urls)
        check_bind_urls(config.listen_metrics_urls)
    except UrlError as error:
        raise ConfigError(str(error)) from None
    for flag, urls in (
        ("initial-advertise-peer-urls", config.initial_advertise_peer_urls),
        ("advertise-client-urls", config.advertise_client_urls),
    ):
        try:
            check_host_urls(urls)
        except UrlError as error:
            raise ConfigError(f'--{flag} "{",".join(urls)}" must be "host:port" ({error})') from None


def _check_bootstrap_choice(config: Config) -> None:
    if config.initial_cluster_state not in ("new", "existing"):
        raise ConfigError(f'unexpected clusterState "{config.initial_cluster_state}"')
    ways = (config.discovery, config.initial_cluster, config.discovery_srv, config.discovery_endpoints)
    if sum(map(bool, ways)) > 1:
        raise ConfigError(
            "multiple discovery or bootstrap flags are set. "
            'Choose one of "initial-cluster", "discovery" or "discovery-srv"'
        )
    _check_discovery(config)


def _check_discovery(config: Config) -> None:
    """What 3.6 says of its discovery by endpoints; 3.5 has none."""
    if config.discovery_proxy and (config.discovery_endpoints or config.discovery_token):
        raise ConfigError(
            "both v2 discovery settings (discovery, discovery-proxy) and v3 discovery settings (discovery-token, "
            "discovery-endpoints, discovery-cert, discovery-key, discovery-cacert, discovery-user, "
            "discovery-password) are set"
        )
    if bool(config.discovery_token) != bool(config.discovery_endpoints):
        raise ConfigError("both --discovery-token and --discovery-endpoints must be set")
    if any(not endpoint.strip() for endpoint in config.discovery_endpoints):
        raise ConfigError("--discovery-endpoints must not contain empty endpoints")


def _check_timeouts(config: Config) -> None:
    heartbeat, election = config.heartbeat_interval_ms, config.election_timeout_ms
    if heartbeat == 0:
        raise ConfigError(f"--heartbeat-interval must be >0 (set to {heartbeat}ms)")
    if election == 0:
        raise ConfigError(f"--election-timeout must be >0 (set to {election}ms)")
    if HEARTBEATS_PER_ELECTION_MIN * heartbeat > election:
        raise ConfigError(
            f"--election-timeout[{election}ms] should be at least as {HEARTBEATS_PER_ELECTION_MIN} times as "
            f"--heartbeat-interval[{heartbeat}ms]"
        )
    if election > ELECTION_TIMEOUT_MS_MAX:
        raise ConfigError(
            f"--election-timeout[{election}ms] is too long, and should be set less than {ELECTION_TIMEOUT_MS_MAX}ms"
        )


def _check_tls_versions(config: Config) -> None:
    lowest, highest = config.tls_min_version, config.tls_max_version
    for version in (lowest, highest):
        if version not in TLS_VERSIONS:
            raise ConfigError(f'unexpected TLS version "{version}"')
    if highest and lowest > highest:
        raise ConfigError(f"min version ({lowest}) is greater than max version ({highest})")
    if lowest == "TLS1.3" and config.cipher_suites:
        raise ConfigError("cipher suites cannot be configured when only TLS1.3 is enabled")


def check_start(config: Config) -> None:
    """Raise StartError when what the settings describe cannot be."""
    unknown = find_unknown_suite(config.cipher_suites)
    if unknown is not None:
        raise StartError(f'unexpected TLS cipher suite "{unknown}"')
    for text in config.listen_peer_urls:
        url = parse_url(text)
        if url.is_secure and not (config.peer_cert_file or config.peer_key_file or config.peer_auto_tls):
            raise StartError(f"cannot listen on TLS for {url.address}: KeyFile and CertFile are not presented")
    for text in (*config.listen_client_urls, *config.listen_client_http_urls):
        if parse_url(text).is_secure and not (config.cert_file or config.key_file or config.auto_tls):
            raise StartError(
                f"TLS key/cert (--cert-file, --key-file) must be provided for client url {text} with HTTPS scheme"
            )
    if not config.is_discovered:
        parse_initial_cluster(config.initial_cluster)
    read_auto_compaction(config)
    _check_auth_token(config.auth_token)


def _check_auth_token(text: str) -> None:
    try:
        make_tokens(text, ttl_seconds=0, clock=lambda: 0.0, log=silent_logger())
    except TokenOptionsError as error:
        raise StartError(str(error)) from None
