"""Every command and flag of etcdctl, as data, in the order in which cobra would suggest them.

Names, shorthands, defaults and argument notations are etcdctl 3.5's; the descriptions are ours.
"""

from __future__ import annotations

from typing import Final

from etcdpy.cli.etcdctl.flags import BOOL, DURATION, INT, STRING, STRINGS, Flag, FlagSet
from etcdpy.cli.etcdctl.table_auth import AUTH, ROLE, USER
from etcdpy.cli.etcdctl.tree import Command
from etcdpy.cli.etcdutl.restore_flags import RESTORE_FLAGS

HELP_FLAG_SHORTHAND: Final = "h"

GLOBAL_FLAGS: Final = (
    Flag("cacert", STRING, "", "CA bundle (file) that the servers' certificates are verified with"),
    Flag("cert", STRING, "", "client certificate (file)"),
    Flag("command-timeout", DURATION, "5s", "how long a short command may take, without dialling"),
    Flag("debug", BOOL, "false", "print the settings and what the client does"),
    Flag("dial-timeout", DURATION, "2s", "how long connecting to an endpoint may take"),
    Flag("discovery-srv", STRING, "", "not supported: name the servers with --endpoints", "d"),
    Flag("discovery-srv-name", STRING, "", "not supported"),
    Flag("endpoints", STRINGS, "127.0.0.1:2379", "servers to talk to"),
    Flag("hex", BOOL, "false", "print keys and values as hexadecimal bytes"),
    Flag("insecure-discovery", BOOL, "true", "not supported"),
    Flag("insecure-skip-tls-verify", BOOL, "false", "do not verify the server's certificate (for tests only)"),
    Flag("insecure-transport", BOOL, "true", "connect without TLS when no certificate is given"),
    Flag("keepalive-time", DURATION, "2s", "time between two keep-alive pings"),
    Flag("keepalive-timeout", DURATION, "6s", "how long to wait for the answer to a ping"),
    Flag("key", STRING, "", "key of the client certificate (file)"),
    Flag("password", STRING, "", "password of --user, which then must not carry one"),
    Flag("user", STRING, "", "user[:password]; asks for the password when it is missing"),
    Flag("write-out", STRING, "simple", "output format: fields, json, protobuf, simple or table", "w"),
)

GET_FLAGS: Final = (
    Flag("consistency", STRING, "l", "l: linearizable, s: serializable (answered by one member alone)"),
    Flag("count-only", BOOL, "false", "only count"),
    Flag("from-key", BOOL, "false", "all keys from the given one on"),
    Flag("keys-only", BOOL, "false", "keys without values"),
    Flag("limit", INT, "0", "most results wanted (0: all)"),
    Flag("order", STRING, "", "ASCEND or DESCEND"),
    Flag("prefix", BOOL, "false", "all keys that begin with the given one"),
    Flag("print-value-only", BOOL, "false", "values without keys (simple format only)"),
    Flag("rev", INT, "0", "read as of this revision (0: now)"),
    Flag("sort-by", STRING, "", "CREATE, KEY, MODIFY, VALUE or VERSION"),
)

PUT_FLAGS: Final = (
    Flag("ignore-lease", BOOL, "false", "keep the key's lease"),
    Flag("ignore-value", BOOL, "false", "keep the key's value"),
    Flag("lease", STRING, "0", "lease (hexadecimal) to attach the key to"),
    Flag("prev-kv", BOOL, "false", "print what was there before"),
)

DEL_FLAGS: Final = (
    Flag("from-key", BOOL, "false", "all keys from the given one on"),
    Flag("prefix", BOOL, "false", "all keys that begin with the given one"),
    Flag("prev-kv", BOOL, "false", "print what was deleted"),
)

WATCH_FLAGS: Final = (
    Flag("interactive", BOOL, "false", "read watch commands from standard input", "i"),
    Flag("prefix", BOOL, "false", "all keys that begin with the given one"),
    Flag("prev-kv", BOOL, "false", "print what was there before each event"),
    Flag("progress-notify", BOOL, "false", "let the server report its revision from time to time"),
    Flag("rev", INT, "0", "first revision to watch (0: from now on)"),
)

CLUSTER_FLAG: Final = Flag("cluster", BOOL, "false", "ask all members of the cluster's member list")

PUT_DETAILS: Final = """A value that begins with '-' must stand behind '--':

$ put <key> -- <value>
$ put -- <key> <value>

Without a value on the command line it is read from standard input:

$ cat file | put <key>"""

LEASE: Final = Command(
    "lease",
    "<subcommand>",
    "Grant, renew, inspect and revoke leases",
    children=(
        Command("grant", "<ttl>", "Creates a lease", module="lease", function="run_grant"),
        Command("revoke", "<leaseID>", "Ends a lease and deletes its keys", module="lease", function="run_revoke"),
        Command(
            "timetolive",
            "<leaseID> [options]",
            "Shows the time a lease has left",
            flags=(Flag("keys", BOOL, "false", "also list the keys attached to it"),),
            module="lease",
            function="run_time_to_live",
        ),
        Command("list", "", "Lists all leases", module="lease", function="run_list"),
        Command(
            "keep-alive",
            "[options] <leaseID>",
            "Renews a lease until interrupted",
            flags=(Flag("once", BOOL, "false", "renew once, then exit"),),
            module="lease",
            function="run_keep_alive",
        ),
    ),
)

ENDPOINT: Final = Command(
    "endpoint",
    "<subcommand>",
    "Ask single members",
    flags=(CLUSTER_FLAG,),
    children=(
        Command(
            "health",
            "",
            "Tells which endpoints serve requests",
            module="endpoint",
            function="run_health",
        ),
        Command(
            "status",
            "",
            "Shows version, size and Raft state of each endpoint",
            details="The simple format lists: endpoint, member id, version, database size, leader?, learner?,\n"
            "Raft term, Raft index, Raft applied index, errors.",
            module="endpoint",
            function="run_status",
        ),
        Command(
            "hashkv",
            "",
            "Shows a hash of the key history of each endpoint",
            flags=(Flag("rev", INT, "0", "hash up to this revision (0: all)"),),
            module="endpoint",
            function="run_hash_kv",
        ),
    ),
)

MEMBER: Final = Command(
    "member",
    "<subcommand>",
    "Inspect and change the cluster's members",
    children=(
        Command(
            "add",
            "<memberName> [options]",
            "Makes a new member known, which is started afterwards",
            flags=(
                Flag("learner", BOOL, "false", "the member follows and does not vote until it is promoted"),
                Flag("peer-urls", STRING, "", "where the other members will reach it (comma separated)"),
            ),
            module="member",
            function="run_add",
        ),
        Command("remove", "<memberID>", "Takes a member out", module="member", function="run_remove"),
        Command(
            "update",
            "<memberID> [options]",
            "Changes where the other members reach a member",
            flags=(Flag("peer-urls", STRING, "", "its peer URLs from now on (comma separated)"),),
            module="member",
            function="run_update",
        ),
        Command(
            "list",
            "",
            "Lists all members",
            details="The simple format lists: id, status, name, peer URLs, client URLs, learner?.",
            module="member",
            function="run_list",
        ),
        Command(
            "promote",
            "<memberID>",
            "Lets a learner vote",
            details="A learner that has not caught up with the leader is refused.",
            module="member",
            function="run_promote",
        ),
    ),
)

SNAPSHOT: Final = Command(
    "snapshot",
    "<subcommand>",
    "Save and inspect snapshots, and begin with one",
    children=(
        Command("save", "<filename>", "Stores a member's database in a file", module="snapshot", function="run_save"),
        Command(
            "restore",
            "<filename> [options]",
            "Makes a member's data directory from a snapshot",
            details="Moved to `etcdutl snapshot restore`.",
            flags=RESTORE_FLAGS,
            module="snapshot",
            function="run_restore",
            deprecated="Use `etcdutl snapshot restore` instead.",
        ),
        Command(
            "status",
            "<filename>",
            "Shows hash, revision, number of keys and size of a snapshot file",
            details="Moved to `etcdutl snapshot status`.",
            module="snapshot",
            function="run_status",
            deprecated="Use `etcdutl snapshot status` instead.",
        ),
    ),
)

DOWNGRADE: Final = Command(
    "downgrade",
    "<TARGET_VERSION>",
    "Let the cluster go back by one minor version",
    children=(
        Command(
            "validate",
            "<TARGET_VERSION>",
            "Tells whether that is possible",
            module="downgrade",
            function="run_validate",
        ),
        Command("enable", "<TARGET_VERSION>", "Allows it", module="downgrade", function="run_enable"),
        Command("cancel", "", "Ends what was allowed", module="downgrade", function="run_cancel"),
    ),
)

ROOT: Final = Command(
    "etcdctl",
    "",
    "A command line client for etcd",
    children=(
        Command("get", "[options] <key> [range_end]", "Reads a key or a range", flags=GET_FLAGS, module="get"),
        Command(
            "put",
            "[options] <key> <value> (<value> can also be given from stdin)",
            "Writes a key",
            details=PUT_DETAILS,
            flags=PUT_FLAGS,
            module="put",
        ),
        Command("del", "[options] <key> [range_end]", "Deletes a key or a range", flags=DEL_FLAGS, module="delete"),
        Command(
            "txn",
            "[options]",
            "Does several things as one step, if comparisons hold",
            flags=(Flag("interactive", BOOL, "false", "prompt for each part", "i"),),
            module="txn",
        ),
        Command(
            "compaction",
            "[options] <revision>",
            "Forgets the history before a revision",
            flags=(Flag("physical", BOOL, "false", "wait until the old revisions are off the disk"),),
            module="compaction",
        ),
        Command(
            "alarm",
            "<subcommand>",
            "List and disarm alarms",
            children=(
                Command("disarm", "", "Disarms all alarms", module="alarm", function="run_disarm"),
                Command("list", "", "Lists the alarms that are raised", module="alarm", function="run_list"),
            ),
        ),
        Command(
            "defrag",
            "",
            "Gives unused space of members back",
            flags=(CLUSTER_FLAG, Flag("data-dir", STRING, "", "first, the data directory of a stopped member")),
            module="defrag",
        ),
        ENDPOINT,
        Command("move-leader", "<transferee-member-id>", "Makes another member the leader", module="move_leader"),
        Command(
            "watch",
            "[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]",
            "Prints events as they happen",
            flags=WATCH_FLAGS,
            module="watch",
        ),
        Command("version", "", "Prints the version", module="version"),
        LEASE,
        MEMBER,
        SNAPSHOT,
        AUTH,
        USER,
        ROLE,
        DOWNGRADE,
        Command("help", "[command]", "Explains a command", details="etcdctl help [path to command]", module="help"),
    ),
)


def own_flags(path: list[Command]) -> list[Flag]:
    """Return the flags of the last command alone, `--help` included."""
    command = path[-1]
    return [*command.flags, Flag("help", BOOL, "false", f"help for {command.name}", HELP_FLAG_SHORTHAND)]


def inherited_flags(path: list[Command]) -> list[Flag]:
    """Return the flags that the last command has from its groups and from etcdctl itself."""
    return [*GLOBAL_FLAGS, *(flag for group in path[:-1] for flag in group.flags)]


def flags_of(path: list[Command]) -> list[Flag]:
    """Return all flags a command knows."""
    return own_flags(path) + inherited_flags(path)


# What is known before the command is: enough to tell flags from commands.
ROOT_FLAGS: Final = FlagSet(flags_of([ROOT]))
