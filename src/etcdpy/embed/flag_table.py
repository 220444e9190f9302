"""Every flag of the `etcd` command, as data: one row, one flag. Parsing, help text, docs/flags.md and refusals read it.

A row promises what happens to a value that is not the default:

    WORKS     it takes effect.
    HARMLESS  it is taken and changes nothing, because what it tunes does not exist here or cannot be seen.
    LATER     the start is refused with a plain text: nothing is taken and then silently not done.
    REFUSED   the same, and so it will stay; the note says why.

Single values of a WORKS flag that cannot be honoured yet are refused in `etcdpy.embed.support`.

Rows stand in the order of `etcd --help`. The flags are those of etcd 3.5, then what 3.6 added. Several rows may lead to
one field of Config: 3.6 dropped the prefix `experimental-` of many names; where both are given the one without wins.

One row is one line, however long: that is what makes it a table (hence the two switches below).
"""

# ruff: noqa: E501

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "string", "bool", "int", "int64", "uint", "uint32", "uint64", "float", "duration",
    "urls", "urls-or-star", "strings", "cipher-suites", "select", "ignored",
]  # fmt: skip
Support = Literal["works", "harmless", "later", "refused"]

WORKS: Final = "works"
HARMLESS: Final = "harmless"
LATER: Final = "later"
REFUSED: Final = "refused"

# A flag that no configuration file can set.
NO_KEY: Final = "-"

MEMBER: Final = "Member"
CLUSTERING: Final = "Clustering"
SECURITY: Final = "Security"
AUTH: Final = "Auth"
MONITORING: Final = "Profiling and Monitoring"
LOGGING: Final = "Logging"
TRACING: Final = "Experimental distributed tracing"
PROXY: Final = "v2 Proxy (to be deprecated in v3.6)"
EXPERIMENTAL: Final = "Experimental feature"
NEWER: Final = "Names and features of v3.6"
UNSAFE: Final = "Unsafe feature"
UNLISTED: Final = ""

SECTIONS: Final = (MEMBER, CLUSTERING, SECURITY, AUTH, MONITORING, LOGGING, TRACING, PROXY, EXPERIMENTAL, NEWER, UNSAFE)

LOG_ROTATION_DEFAULT: Final = '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}'


@dataclass(frozen=True, slots=True)
class Flag:
    name: str
    kind: Kind
    default: str  # As a user would type it. Invariant: parsing it gives the default of the field in Config.
    section: str
    support: Support
    help: str
    field: str = ""  # Of Config; empty: the name with underscores and, for quantities, the unit.
    key: str = ""  # In a configuration file; empty: the name. NO_KEY: none.
    choices: tuple[str, ...] = ()
    note: str = ""  # For docs/flags.md: which values are refused, or why it is harmless.

    @property
    def config_field(self) -> str:
        if self.field:
            return self.field
        unit = "_seconds" if self.kind == "duration" else ""
        return self.name.removeprefix("experimental-").replace("-", "_") + unit

    @property
    def shown_default(self) -> str:
        """The default as `--help` prints it."""
        return "${name}.etcd" if self.name == "data-dir" else self.default

    @property
    def file_key(self) -> str | None:
        if self.key == NO_KEY or self.kind == "ignored":
            return None
        return self.key or self.name

    @property
    def variable(self) -> str:
        return "ETCD_" + self.name.upper().replace("-", "_")

    @property
    def is_boolean(self) -> bool:
        """Booleans take no separate argument: `--pre-vote false` leaves `false` as a positional one."""
        return self.kind in ("bool", "ignored")


_SOCKETS = (
    "`unix://a:1` is the socket `a:1` of the working directory, `unix:///run/etcd.sock` a path; `unixs` is with TLS."
)
_PEER_SOCKETS = "`unix://a:1` is the socket `a:1` of the working directory; `unixs` is with TLS."
_V2 = "The v2 API comes later."
_TRACING = "It would take OpenTelemetry, which brings a gRPC stack of its own and costs every request. --metrics=extensive and --enable-pprof tell where time goes."
_TRACING_DETAIL = "Means nothing without tracing, and that is refused."
_NO_PINGS = "The connection lasts for one discovery only and is not pinged."
_MEMLOCK = "All memory of the process; needs CAP_IPC_LOCK or an infinite RLIMIT_MEMLOCK, or the start is refused."
_DEFRAG_SERVES = (
    "Service goes on during our defragmentation, so there is nothing to take the member out of service for."
)

# fmt: off
FLAGS: Final[tuple[Flag, ...]] = (
    # --- Member
    Flag("name", "string", "default", MEMBER, WORKS, "Name of this member, for humans and for --initial-cluster."),
    Flag("data-dir", "string", "", MEMBER, WORKS, "Directory of this member's data; empty means ${name}.etcd."),
    Flag("wal-dir", "string", "", MEMBER, WORKS, "Directory of the write-ahead log, when it is not to be inside the data directory."),
    Flag("snapshot-count", "uint64", "100000", MEMBER, WORKS, "Applied entries between two snapshots on disk."),
    Flag("heartbeat-interval", "uint", "100", MEMBER, WORKS, "Milliseconds between two heartbeats.", "heartbeat_interval_ms"),
    Flag("election-timeout", "uint", "1000", MEMBER, WORKS, "Milliseconds without a leader until an election.", "election_timeout_ms"),
    Flag("initial-election-tick-advance", "bool", "true", MEMBER, WORKS, "Skip most of the first election timeout after a start."),
    Flag("listen-peer-urls", "urls", "http://localhost:2380", MEMBER, WORKS, "Comma-separated URLs on which peers are served.", note=_PEER_SOCKETS),
    Flag("listen-client-urls", "urls", "http://localhost:2379", MEMBER, WORKS, "Comma-separated URLs on which clients are served.", note=_SOCKETS),
    Flag("listen-client-http-urls", "urls", "", MEMBER, WORKS, "URLs for clients that speak HTTP/1.1 only; the others then serve gRPC only.", note=_SOCKETS),
    Flag("max-snapshots", "uint", "5", MEMBER, WORKS, "Snapshot files to keep (0: all)."),
    Flag("max-wals", "uint", "5", MEMBER, WORKS, "Write-ahead log files to keep (0: all)."),
    Flag("quota-backend-bytes", "int64", "0", MEMBER, WORKS, "Size of the store at which the NOSPACE alarm rises (0: 2 GiB, negative: never)."),
    Flag("backend-bbolt-freelist-type", "string", "map", MEMBER, HARMLESS, "Free list of bbolt: map or array.", "bbolt_freelist_type", note="The live store is not bbolt."),
    Flag("backend-batch-interval", "duration", "0s", MEMBER, WORKS, "Longest time between two commits of the store (0s: 100ms)."),
    Flag("backend-batch-limit", "int", "0", MEMBER, WORKS, "Most operations between two commits of the store (0: 10000)."),
    Flag("max-txn-ops", "uint", "128", MEMBER, WORKS, "Most operations in one transaction."),
    Flag("max-request-bytes", "uint", "1572864", MEMBER, WORKS, "Largest request accepted from a client, in bytes."),
    Flag("max-concurrent-streams", "uint32", "4294967295", MEMBER, WORKS, "Streams that one client connection may have open at a time."),
    Flag("enable-grpc-gateway", "bool", "true", MEMBER, WORKS, "Serve the JSON form of the gRPC API."),
    Flag("grpc-keepalive-min-time", "duration", "5s", MEMBER, WORKS, "Shortest time that a client should leave between two pings."),
    Flag("grpc-keepalive-interval", "duration", "2h", MEMBER, WORKS, "Time between two pings from server to client (0s: none)."),
    Flag("grpc-keepalive-timeout", "duration", "20s", MEMBER, WORKS, "Time to wait for a ping's answer before the connection is closed (0s: for ever)."),
    Flag("socket-reuse-port", "bool", "false", MEMBER, WORKS, "Set SO_REUSEPORT, so that a port in use can be bound once more."),
    Flag("socket-reuse-address", "bool", "false", MEMBER, HARMLESS, "Set SO_REUSEADDR, so that an address in TIME_WAIT can be bound.", note="It is always set; that harms nobody: two listeners on one port are still refused."),
    Flag("raft-read-timeout", "duration", "5s", MEMBER, WORKS, "Read timeout of connections between peers, at least 5s.", key=NO_KEY),
    Flag("raft-write-timeout", "duration", "5s", MEMBER, WORKS, "Write timeout of connections between peers, at least 5s.", key=NO_KEY),
    # --- Clustering
    Flag("initial-advertise-peer-urls", "urls", "http://localhost:2380", CLUSTERING, WORKS, "URLs under which peers reach this member."),
    Flag("initial-cluster", "string", "default=http://localhost:2380", CLUSTERING, WORKS, "Members that found the cluster, as name=url pairs."),
    Flag("initial-cluster-state", "select", "new", CLUSTERING, WORKS, "'new' founds a cluster, 'existing' joins one.", choices=("existing", "new")),
    Flag("initial-cluster-token", "string", "etcd-cluster", CLUSTERING, WORKS, "Keeps clusters with equal URLs apart: it enters every id."),
    Flag("advertise-client-urls", "urls", "http://localhost:2379", CLUSTERING, WORKS, "URLs under which clients reach this member; they are told to clients."),
    Flag("discovery", "string", "", CLUSTERING, WORKS, "URL of a v2 discovery token.", note="`https` believes the authorities of the system; SSL_CERT_FILE names others."),
    Flag("discovery-fallback", "select", "proxy", CLUSTERING, HARMLESS, "What to do when discovery fails: 'exit' or 'proxy'.", key=NO_KEY, choices=("exit", "proxy"), note="There is no v2 proxy to fall back to: who comes too late ends, as with `exit`."),
    Flag("discovery-proxy", "string", "", CLUSTERING, WORKS, "HTTP proxy towards the discovery service.", note="An `https` service is reached by CONNECT."),
    Flag("discovery-srv", "string", "", CLUSTERING, WORKS, "Domain whose SRV records list the members."),
    Flag("discovery-srv-name", "string", "", CLUSTERING, WORKS, "Suffix of the SRV names that are asked for."),
    Flag("strict-reconfig-check", "bool", "true", CLUSTERING, WORKS, "Refuse membership changes that would lose the quorum."),
    Flag("pre-vote", "bool", "true", CLUSTERING, WORKS, "Ask before an election whether it could be won."),
    Flag("auto-compaction-retention", "string", "0", CLUSTERING, WORKS, "How much history to keep: a duration or a number of revisions (0: all)."),
    Flag("auto-compaction-mode", "string", "periodic", CLUSTERING, WORKS, "Meaning of the retention: 'periodic' is a duration, hours when no unit is given; 'revision' counts revisions."),
    Flag("enable-v2", "bool", "false", CLUSTERING, LATER, "Serve the v2 API.", note=_V2),
    Flag("v2-deprecation", "select", "not-yet", CLUSTERING, WORKS, "How far the v2 store is given up.", choices=("gone", "not-yet", "write-only", "write-only-drop-data"), note="From `write-only` on, a start is refused while there are keys of the v2 API, as in 3.5."),
    # --- Security
    Flag("cert-file", "string", "", SECURITY, WORKS, "Certificate shown to clients.", key=NO_KEY),
    Flag("key-file", "string", "", SECURITY, WORKS, "Key of the certificate shown to clients.", key=NO_KEY),
    Flag("client-cert-file", "string", "", SECURITY, WORKS, "Certificate used where this member is itself a client.", key=NO_KEY),
    Flag("client-key-file", "string", "", SECURITY, WORKS, "Key of that certificate.", key=NO_KEY),
    Flag("client-cert-auth", "bool", "false", SECURITY, WORKS, "Ask clients for certificates.", key=NO_KEY),
    Flag("client-crl-file", "string", "", SECURITY, WORKS, "Revoked client certificates.", key=NO_KEY),
    Flag("client-cert-allowed-hostname", "string", "", SECURITY, WORKS, "Host name that client certificates must bear.", key=NO_KEY),
    Flag("trusted-ca-file", "string", "", SECURITY, WORKS, "Authorities that sign client certificates.", key=NO_KEY),
    Flag("auto-tls", "bool", "false", SECURITY, WORKS, "Make a certificate for clients by itself.", key=NO_KEY),
    Flag("peer-cert-file", "string", "", SECURITY, WORKS, "Certificate shown to peers.", key=NO_KEY),
    Flag("peer-key-file", "string", "", SECURITY, WORKS, "Key of the certificate shown to peers.", key=NO_KEY),
    Flag("peer-client-cert-file", "string", "", SECURITY, WORKS, "Certificate used towards other peers.", key=NO_KEY),
    Flag("peer-client-key-file", "string", "", SECURITY, WORKS, "Key of that certificate.", key=NO_KEY),
    Flag("peer-client-cert-auth", "bool", "false", SECURITY, WORKS, "Ask peers for certificates.", key=NO_KEY),
    Flag("peer-trusted-ca-file", "string", "", SECURITY, WORKS, "Authorities that sign peer certificates.", key=NO_KEY),
    Flag("peer-cert-allowed-cn", "string", "", SECURITY, WORKS, "Common name that peer certificates must bear.", key=NO_KEY),
    Flag("peer-cert-allowed-hostname", "string", "", SECURITY, WORKS, "Host name that peer certificates must bear.", key=NO_KEY),
    Flag("peer-auto-tls", "bool", "false", SECURITY, WORKS, "Make a certificate for peers by itself.", key=NO_KEY),
    Flag("self-signed-cert-validity", "uint", "1", SECURITY, WORKS, "Years for which certificates made by itself are valid.", "self_signed_cert_validity_years"),
    Flag("peer-crl-file", "string", "", SECURITY, WORKS, "Revoked peer certificates.", key=NO_KEY),
    Flag("cipher-suites", "cipher-suites", "", SECURITY, WORKS, "Comma-separated cipher suites, by their IANA names."),
    Flag("tls-min-version", "string", "TLS1.2", SECURITY, WORKS, "Lowest version of TLS: TLS1.2 or TLS1.3."),
    Flag("tls-max-version", "string", "", SECURITY, WORKS, "Highest version of TLS; empty: the highest known."),
    Flag("cors", "urls-or-star", "*", SECURITY, WORKS, "Origins whose scripts may read our answers (empty or *: all)."),
    Flag("host-whitelist", "strings", "*", SECURITY, WORKS, "Host names under which HTTP clients may address us without TLS (empty or *: any)."),
    # --- Auth
    Flag("auth-token", "string", "simple", AUTH, WORKS, "Kind of token that users get, with its options: simple or jwt.", note="jwt: sign-method (RS, PS, ES or HS with 256, 384 or 512), pub-key, priv-key, ttl."),
    Flag("bcrypt-cost", "uint", "10", AUTH, WORKS, "Cost of the hashes of passwords, 4 to 31."),
    Flag("auth-token-ttl", "uint", "300", AUTH, WORKS, "Seconds for which a token is valid after it was last used.", "auth_token_ttl_seconds"),
    # --- Profiling and Monitoring
    Flag("enable-pprof", "bool", "false", MONITORING, WORKS, "Serve profiles below /debug/pprof/, to clients.", note="profile, goroutine (threads and tasks), heap (with PYTHONTRACEMALLOC), cmdline. On with --log-level=debug, too, as in etcd."),
    Flag("metrics", "string", "basic", MONITORING, WORKS, "'extensive' adds a histogram of handling times per gRPC method."),
    Flag("listen-metrics-urls", "urls", "", MONITORING, WORKS, "Further URLs that serve /metrics and the health endpoints only.", note=_SOCKETS),
    # --- Logging
    Flag("logger", "string", "zap", LOGGING, WORKS, "Shape of the log; only 'zap' exists."),
    Flag("log-outputs", "strings", "default", LOGGING, WORKS, "Comma-separated: 'stderr', 'stdout', 'default' (stderr), 'systemd/journal' or paths of files."),
    Flag("log-level", "string", "info", LOGGING, WORKS, "debug, info, warn, error, panic or fatal."),
    Flag("enable-log-rotation", "bool", "false", LOGGING, WORKS, "Rotate the log; needs exactly one file in --log-outputs."),
    Flag("log-rotation-config-json", "string", LOG_ROTATION_DEFAULT, LOGGING, WORKS, "maxsize (MB), maxage (days), maxbackups, localtime and compress of the rotation."),
    # --- Tracing
    Flag("experimental-enable-distributed-tracing", "bool", "false", TRACING, REFUSED, "Send traces to a collector.", note=_TRACING),
    Flag("experimental-distributed-tracing-address", "string", "localhost:4317", TRACING, HARMLESS, "Address of the collector.", note=_TRACING_DETAIL),
    Flag("experimental-distributed-tracing-service-name", "string", "etcd", TRACING, HARMLESS, "Name of the service in traces.", note=_TRACING_DETAIL),
    Flag("experimental-distributed-tracing-instance-id", "string", "", TRACING, HARMLESS, "Id of this member in traces.", note=_TRACING_DETAIL),
    Flag("experimental-distributed-tracing-sampling-rate", "int", "0", TRACING, HARMLESS, "Traces kept among a million.", note=_TRACING_DETAIL),
    # --- v2 proxy
    Flag("proxy", "select", "off", PROXY, LATER, "Be a v2 proxy: 'off', 'readonly' or 'on'.", choices=("off", "on", "readonly"), note=_V2),
    Flag("proxy-failure-wait", "uint", "5000", PROXY, HARMLESS, "Milliseconds for which a failed endpoint is left alone.", "proxy_failure_wait_ms", note=_V2),
    Flag("proxy-refresh-interval", "uint", "30000", PROXY, HARMLESS, "Milliseconds between two looks at the endpoints.", "proxy_refresh_interval_ms", note=_V2),
    Flag("proxy-dial-timeout", "uint", "1000", PROXY, HARMLESS, "Milliseconds to connect.", "proxy_dial_timeout_ms", note=_V2),
    Flag("proxy-write-timeout", "uint", "5000", PROXY, HARMLESS, "Milliseconds to write.", "proxy_write_timeout_ms", note=_V2),
    Flag("proxy-read-timeout", "uint", "0", PROXY, HARMLESS, "Milliseconds to read (0: no limit).", "proxy_read_timeout_ms", note=_V2),
    # --- Experimental
    Flag("experimental-initial-corrupt-check", "bool", "false", EXPERIMENTAL, WORKS, "Compare our data with the peers' before serving."),
    Flag("experimental-corrupt-check-time", "duration", "0s", EXPERIMENTAL, WORKS, "Time between two comparisons of the members' data (0s: never)."),
    Flag("experimental-compact-hash-check-enabled", "bool", "false", EXPERIMENTAL, WORKS, "Compare the members' hashes after compactions."),
    Flag("experimental-compact-hash-check-time", "duration", "1m", EXPERIMENTAL, WORKS, "Time between two such comparisons."),
    Flag("experimental-enable-v2v3", "string", "", EXPERIMENTAL, LATER, "Prefix in the v3 store under which the v2 API keeps its keys.", note=_V2),
    Flag("experimental-enable-lease-checkpoint", "bool", "false", EXPERIMENTAL, WORKS, "Replicate the remaining time of leases."),
    Flag("experimental-enable-lease-checkpoint-persist", "bool", "false", EXPERIMENTAL, WORKS, "Keep the replicated remaining time on disk."),
    Flag("experimental-compaction-batch-limit", "int", "1000", EXPERIMENTAL, WORKS, "Revisions that one step of a compaction deletes."),
    Flag("experimental-compaction-sleep-interval", "duration", "10ms", EXPERIMENTAL, WORKS, "Pause between two steps of a compaction."),
    Flag("experimental-peer-skip-client-san-verification", "bool", "false", EXPERIMENTAL, WORKS, "Do not compare peers' addresses with their certificates.", key="-"),
    Flag("experimental-watch-progress-notify-interval", "duration", "10m", EXPERIMENTAL, WORKS, "Time between two progress notifications of an idle watch."),
    Flag("experimental-downgrade-check-time", "duration", "5s", EXPERIMENTAL, WORKS, "Time between two looks whether a running downgrade is done; 0: never."),
    Flag("experimental-warning-apply-duration", "duration", "100ms", EXPERIMENTAL, WORKS, "Applying an entry for longer than this is worth a warning."),
    Flag("experimental-warning-unary-request-duration", "duration", "300ms", EXPERIMENTAL, WORKS, "Serving a request for longer than this is worth a warning."),
    Flag("experimental-txn-mode-write-with-shared-buffer", "bool", "true", EXPERIMENTAL, HARMLESS, "How a transaction's checks read the store.", note="Our transactions always read the one live buffer."),
    Flag("experimental-bootstrap-defrag-threshold-megabytes", "uint", "0", EXPERIMENTAL, WORKS, "Defragment at the start when that frees at least so much (0: never).", "bootstrap_defrag_threshold_megabytes"),
    Flag("experimental-memory-mlock", "bool", "false", EXPERIMENTAL, WORKS, "Lock the store in memory.", note=_MEMLOCK),
    Flag("experimental-snapshot-catchup-entries", "uint64", "5000", EXPERIMENTAL, WORKS, "Entries kept behind a snapshot for slow followers.", key="experimental-snapshot-catch-up-entries"),
    Flag("experimental-stop-grpc-service-on-defrag", "bool", "false", EXPERIMENTAL, HARMLESS, "Report as not serving while defragmenting.", note=_DEFRAG_SERVES),
    Flag("experimental-max-learners", "int", "1", EXPERIMENTAL, WORKS, "Most members without a vote."),
    # --- What 3.6 added
    Flag("snapshot-catchup-entries", "uint64", "5000", NEWER, WORKS, "Entries kept behind a snapshot for slow followers."),
    Flag("watch-progress-notify-interval", "duration", "10m", NEWER, WORKS, "Time between two progress notifications of an idle watch."),
    Flag("warning-apply-duration", "duration", "100ms", NEWER, WORKS, "Applying an entry for longer than this is worth a warning."),
    Flag("warning-unary-request-duration", "duration", "300ms", NEWER, WORKS, "Serving a request for longer than this is worth a warning."),
    Flag("compaction-batch-limit", "int", "1000", NEWER, WORKS, "Revisions that one step of a compaction deletes."),
    Flag("compaction-sleep-interval", "duration", "10ms", NEWER, WORKS, "Pause between two steps of a compaction."),
    Flag("compact-hash-check-time", "duration", "1m", NEWER, WORKS, "Time between two comparisons of hashes after compactions."),
    Flag("corrupt-check-time", "duration", "0s", NEWER, WORKS, "Time between two comparisons of the members' data (0s: never)."),
    Flag("downgrade-check-time", "duration", "5s", NEWER, WORKS, "Time between two looks whether a running downgrade is done; 0: never."),
    Flag("bootstrap-defrag-threshold-megabytes", "uint", "0", NEWER, WORKS, "Defragment at the start when that frees at least so much (0: never)."),
    Flag("memory-mlock", "bool", "false", NEWER, WORKS, "Lock the store in memory.", note=_MEMLOCK),
    Flag("max-learners", "int", "1", NEWER, WORKS, "Most members without a vote."),
    Flag("peer-skip-client-san-verification", "bool", "false", NEWER, WORKS, "Do not compare peers' addresses with their certificates.", key=NO_KEY),
    Flag("log-format", "select", "json", NEWER, WORKS, "Shape of log lines: 'json' or 'console'.", choices=("console", "json")),
    Flag("feature-gates", "string", "", NEWER, REFUSED, "Switches of 3.6, as name=true pairs.", note="We behave as 3.5, which has no gates but a flag for each of the features."),
    Flag("enable-distributed-tracing", "bool", "false", NEWER, REFUSED, "Send traces to a collector.", note=_TRACING),
    Flag("distributed-tracing-address", "string", "localhost:4317", NEWER, HARMLESS, "Address of the collector.", note=_TRACING_DETAIL),
    Flag("distributed-tracing-service-name", "string", "etcd", NEWER, HARMLESS, "Name of the service in traces.", note=_TRACING_DETAIL),
    Flag("distributed-tracing-instance-id", "string", "", NEWER, HARMLESS, "Id of this member in traces.", note=_TRACING_DETAIL),
    Flag("distributed-tracing-sampling-rate", "int", "0", NEWER, HARMLESS, "Traces kept among a million.", note=_TRACING_DETAIL),
    Flag("discovery-endpoints", "strings", "", NEWER, WORKS, "Endpoints of the etcd cluster that helps members find each other.", key=NO_KEY),
    Flag("discovery-token", "string", "", NEWER, WORKS, "Token that names the cluster to found.", key=NO_KEY),
    Flag("discovery-dial-timeout", "duration", "2s", NEWER, WORKS, "Time to connect to the discovery service.", key=NO_KEY),
    Flag("discovery-request-timeout", "duration", "5s", NEWER, WORKS, "Time for a request to the discovery service.", key=NO_KEY),
    Flag("discovery-keepalive-time", "duration", "2s", NEWER, HARMLESS, "Time between two pings to the discovery service.", key=NO_KEY, note=_NO_PINGS),
    Flag("discovery-keepalive-timeout", "duration", "6s", NEWER, HARMLESS, "Time to wait for the answer of such a ping.", key=NO_KEY, note=_NO_PINGS),
    Flag("discovery-insecure-transport", "bool", "true", NEWER, WORKS, "Speak to the discovery service without TLS.", key=NO_KEY, note="A file for TLS, or an `https` endpoint, asks for TLS anyway, as in 3.6."),
    Flag("discovery-insecure-skip-tls-verify", "bool", "false", NEWER, WORKS, "Do not check the discovery service's certificate.", key=NO_KEY),
    Flag("discovery-cert", "string", "", NEWER, WORKS, "Certificate shown to the discovery service.", key=NO_KEY),
    Flag("discovery-key", "string", "", NEWER, WORKS, "Key of that certificate.", key=NO_KEY),
    Flag("discovery-cacert", "string", "", NEWER, WORKS, "Authority that signed the discovery service's certificate.", key=NO_KEY),
    Flag("discovery-user", "string", "", NEWER, WORKS, "User (and password) at the discovery service.", key=NO_KEY, note="`name:password` gives both; there is no prompt."),
    Flag("discovery-password", "string", "", NEWER, WORKS, "Password at the discovery service.", key=NO_KEY),
    # --- Unsafe
    Flag("force-new-cluster", "bool", "false", UNSAFE, WORKS, "Make a cluster of one member out of what is left of a larger one."),
    Flag("unsafe-no-fsync", "bool", "false", UNSAFE, WORKS, "Do not wait for the disk. A crash then loses acknowledged writes."),
    # --- Not in the help text
    Flag("config-file", "string", "", UNLISTED, WORKS, "YAML or JSON file to take the whole configuration from.", key=NO_KEY),
    Flag("version", "bool", "false", UNLISTED, WORKS, "Print the version and exit.", key=NO_KEY),
    *(
        Flag(name, "ignored", "", UNLISTED, HARMLESS, "A name of etcd 0.4.", key=NO_KEY, note="etcd ignores it too.")
        for name in (
            "cluster-active-size", "cluster-remove-delay", "cluster-sync-interval", "config", "force",
            "max-result-buffer", "max-retry-attempts", "peer-heartbeat-interval", "peer-election-timeout",
            "retry-interval", "snapshot", "v", "vv", "test.coverprofile", "test.outputdir",
        )
    ),
)
# fmt: on

# Flags that steer the command itself and are no settings of a member.
COMMAND_FLAGS: Final = frozenset({"config-file", "version"})

BY_NAME: Final[dict[str, Flag]] = {flag.name: flag for flag in FLAGS}


def setting_flags() -> tuple[Flag, ...]:
    """Return the flags that lead to a field of Config."""
    return tuple(flag for flag in FLAGS if flag.kind != "ignored" and flag.name not in COMMAND_FLAGS)
