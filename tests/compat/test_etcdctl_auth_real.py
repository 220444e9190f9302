"""etcdctl auth, user and role: the same lines by the real etcdctl and by ours, each on a real etcd of its own.

The servers have the same name, URLs and token, so that ids and revisions agree; every line sees what those before it
left. What `stty` says about a standard input that is no terminal is left out: only the real one runs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.compat.test_etcdctl_real import OURS, Line, Outcome, lines, real, run
from tests.reference import free_port, start_reference_etcd

pytestmark = pytest.mark.slow

USERS: Final = [
    *lines("""
        auth
        auth bogus
        auth enable --help
        user
        user add --help
        user get --help
        user passwd --help
        role
        role grant-permission --help
        role revoke-permission --help
        auth status
        auth status -w json
        auth status -w fields
        auth status -w table
        auth status -w protobuf
        auth status x
        auth enable x
        auth disable x
        auth enable
        auth disable
        user add
        user add a b
        user add ''
        user add a:pw
        user add a:pw
        user add :pw
        user add h::x
        user add d --new-user-password=x
        user add d2:pw --new-user-password=x
        user add e --no-password
        user add e2:pw --no-password
        user add f
        user add f --interactive=false
        user add g1:x -w json
        user add g2:x -w fields
        user add g3:x -w table
        user add g4:x -w protobuf
    """),
    Line("user add b", stdin=b"pw\npw\n"),
    Line("user add c", stdin=b"pw\npw2\n"),
    Line("user add c", stdin=b"\n\n"),
    Line("user add c1 --interactive=false", stdin=b"pw\n"),
    Line("user add c2 --interactive=false", stdin=b"  pw more\n"),
    Line("user passwd a", stdin=b"n\nn\n"),
    Line("user passwd a", stdin=b"n\nm\n"),
    Line("user passwd a --interactive=false -w json", stdin=b"n\n"),
    *lines("""
        user passwd
        user passwd nope --interactive=false
        user get
        user get nope
        user get a
        user get a -w json
        user get a -w fields
        user get a -w table
        user get a -w protobuf
        user list
        user list x
        user list -w json
        user list -w fields
        user list -w protobuf
    """),
]

ROLES: Final = lines(r"""
    role add
    role add r1
    role add r1
    role add r2 -w json
    role add r3 -w fields
    role add r4 -w protobuf
    role add r5 -w table
    role add ''
    role get
    role get nope
    role get r1
    role grant-permission r1
    role grant-permission r1 bogus k
    role grant-permission r1 READ k0
    role grant-permission r1 read k
    role grant-permission r1 write k z
    role grant-permission r1 readwrite pre --prefix
    role grant-permission r1 read fk --from-key
    role grant-permission r1 read '' --prefix
    role get r1
    role grant-permission r1 read '' --from-key
    role grant-permission r1 read ''
    role grant-permission r1 read a b --prefix
    role grant-permission r1 read a b --from-key
    role grant-permission r1 read a --from-key --prefix
    role grant-permission nope read a
    role grant-permission r1 read b a
    role grant-permission r1 read a b c
    role grant-permission r1 write q ''
    role grant-permission r1 write \xff --prefix
    role get r1
    role get r1 -w json
    role get r1 -w fields
    role get r1 -w table
    role get r1 -w protobuf
    role list
    role list x
    role list -w json
    role list -w fields
    role list -w table
    role list -w protobuf
    role grant-permission r2 read p -w json
    role grant-permission r2 read p -w fields
    role revoke-permission r1
    role revoke-permission r1 nope
    role revoke-permission r1 k
    role revoke-permission r1 k z
    role revoke-permission r1 pre --prefix
    role revoke-permission r1 fk --from-key
    role revoke-permission r1 a b --prefix
    role revoke-permission r1 a b c
    role revoke-permission r1 a --prefix --from-key
    role revoke-permission r1 '' --prefix
    role revoke-permission r2 p -w json
    role get r1
    user grant-role
    user grant-role a
    user grant-role a nope
    user grant-role nope r1
    user grant-role a r1
    user grant-role a r1
    user grant-role a r2 -w json
    user grant-role a r3 -w fields
    user get a
    user get a -w json
    user get a --detail
    user get a --detail -w json
    user get a --detail -w fields
    user get nope --detail
    user revoke-role a
    user revoke-role a nope
    user revoke-role a r1
    user revoke-role a r2 -w json
    role delete
    role delete nope
    role delete r4
    role delete r3 -w json
    role delete r5 -w table
    user delete
    user delete nope
    user delete d
    user delete e -w fields
""")

SWITCHED_ON: Final = [
    *lines("""
        user add root:rpw
        auth enable -w json
        role list
        put a b
        --user root:bad put a b
        --user root:rpw put a b
        --user root --password rpw get a
        --user root:rpw --password rpw get a
        --user a:n get a
        --user a:n user get a
        --user a:n auth status
        --user nope:x get a
        --user :x get a
        auth status
        --user root:rpw auth status -w json
    """),
    Line("--user root put a b", stdin=b"rpw\n"),
    Line("--user root put a b"),
    Line("get a", env={"ETCDCTL_USER": "root:rpw"}),
    *lines("""
        --user root:rpw auth disable -w fields
        auth disable -w table
    """),
]

ALL: Final = [*USERS, *ROLES, *SWITCHED_ON]


def play(command: Sequence[str], directory: Path, ports: tuple[int, int]) -> list[Outcome]:
    directory.mkdir()
    # A cheap hash: what a password costs is not compared.
    flags = ("--bcrypt-cost=4",)
    with start_reference_etcd(directory, client_port=ports[0], peer_port=ports[1], flags=flags) as server:
        outcomes = [run(command, line, server.endpoint) for line in ALL]
    return [outcome._replace(err=re.sub(rb"stty: [^\n]*\n", b"", outcome.err)) for outcome in outcomes]


def test_users_and_roles_are_managed_alike(tmp_path: Path) -> None:
    ports = (free_port(), free_port())
    expected = play(real(), tmp_path / "real", ports)
    actual = play(OURS, tmp_path / "ours", ports)

    different = [
        f"{line}\n  real {theirs}\n  ours {mine}"
        for line, theirs, mine in zip(ALL, expected, actual, strict=True)
        if theirs != mine
    ]
    assert not different, "\n".join(different)
