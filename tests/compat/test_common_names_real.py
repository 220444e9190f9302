"""The common name of a client's certificate as a user: ours and the real etcd 3.5.1 let in the same."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.certificates import Authority, Pair
from tests.compat.auth_matrix import CHEAP, delete, get, put, set_up, txn
from tests.compat.auth_operations import Player, Step
from tests.compat.test_auth_matrix_real import ask_stream
from tests.compat.test_tls_real import IO_SECONDS_MAX, SecureEtcd

pytestmark = pytest.mark.slow

# Common names; passless can log in no other way, and nobody has no name at all.
NAMES: Final = ("reader", "writer", "root", "passless", "unheard-of", "")
# A token beside the certificate, which counts more, whoever shows it.
TOKENS: Final = (b"", b"reader", b"root", b"stranger", b"expired")
REQUESTS: Final[list[tuple[str, Any]]] = [
    ("KV/Range", get(b"a")),
    ("KV/Range", get(b"x")),
    ("KV/Range", get(b"a", b"\0")),
    ("KV/Put", put(b"a")),
    ("KV/Put", put(b"x")),
    ("KV/DeleteRange", delete(b"aaa", prev_kv=True)),
    ("KV/Txn", txn(get(b"a"), put(b"b"))),
    ("Auth/UserGet", pb.AuthUserGetRequest(name=b"reader")),
    ("Auth/UserList", pb.AuthUserListRequest()),
    ("Auth/AuthStatus", pb.AuthStatusRequest()),
    ("Cluster/MemberRemove", pb.MemberRemoveRequest(ID=1)),
    ("Maintenance/Hash", pb.HashRequest()),
]
GATEWAY_PATHS: Final = ("/v3/kv/range", "/v3beta/kv/range", "/v3", "/v3/", "/v3/nothing", "/version", "/nothing")
RANGE_BODY: Final = json.dumps({"key": "YQ=="})


class World:
    """One server, and clients with certificates."""

    def __init__(self, folder: Path, whose: str, flags: tuple[str, ...]) -> None:
        self.authority = Authority(folder, "ca")
        self.pairs = {
            name: self.authority.issue(f"client-{name or 'nameless'}", common_name=name) for name in (*NAMES, "founder")
        }
        own = self.authority.issue("server", common_name="root")  # its gateway calls with this one
        given = [flag.replace("AUTHORITY", str(self.authority.cert)) for flag in flags]
        self.etcd = SecureEtcd(folder, whose, [*own.flags(), *CHEAP, *given])
        self.founder = self.player("founder")

    def context(self, pair: Pair) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        context.load_cert_chain(pair.cert, pair.key)
        context.check_hostname = False
        return context

    def player(self, name: str) -> Player:
        player = Player(f"127.0.0.1:{self.etcd.port}")
        context = self.context(self.pairs[name])
        context.set_alpn_protocols(["h2"])
        player.channel = BlockingChannel(f"127.0.0.1:{self.etcd.port}", ssl_context=context)
        return player

    def __enter__(self) -> World:
        try:
            set_up(self.founder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.founder.close()
        self.etcd.stop()


def ask_by_name(world: World) -> dict[tuple[str, bytes, str], tuple[int, str]]:
    seen = {}
    for name in NAMES:
        player = world.player(name)
        player.tokens.update({user: world.founder.tokens[user] for user in TOKENS if user in world.founder.tokens})
        for user in TOKENS:
            for method, request in REQUESTS:
                answer = player.play(Step(user, method, request))
                seen[name, user, f"{method} {request}"] = answer.code, answer.text
        # Refused or not: 3.5.1 has one reason for everything.
        refusal = ask_stream(player, "Watch/Watch", pb.WatchCreateRequest(key=b"a"), b"")[1]
        seen[name, b"", "watch"] = 0, "refused" if refusal else ""
        player.close()
    return seen


def ask_the_gateway(world: World) -> dict[tuple[str, str, bool], tuple[int, str]]:
    seen = {}
    token = world.founder.tokens[b"root"].decode()
    for name in NAMES:
        for path in GATEWAY_PATHS:
            for has_token in (False, True):
                headers = {"Authorization": token} if has_token else {}
                status, body = post(world, name, path, {"Accept": "*/*", **headers})
                seen[name, path, has_token] = status, "" if status == 200 else body
    return seen


def post(world: World, name: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", world.etcd.port, timeout=IO_SECONDS_MAX, context=world.context(world.pairs[name])
    )
    try:
        connection.request("POST", path, RANGE_BODY, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def assert_alike(theirs: dict[Any, Any], ours: dict[Any, Any]) -> None:
    differences = [f"{case}: real {theirs[case]}, ours {ours[case]}" for case in theirs if ours[case] != theirs[case]]
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize(
    "flags", [("--client-cert-auth", "--trusted-ca-file=AUTHORITY"), ("--trusted-ca-file=AUTHORITY",)]
)
def test_names_are_users_where_asked_for(tmp_path: Path, flags: tuple[str, ...]) -> None:
    seen = []
    for whose in ("real", "ours"):
        folder = tmp_path / whose
        folder.mkdir()
        with World(folder, whose, flags) as world:
            seen.append((ask_by_name(world), ask_the_gateway(world)))

    for theirs, ours in zip(*seen, strict=True):
        assert_alike(theirs, ours)
    by_name, gateway = seen[1]
    texts = {by_name[name, b"", f"KV/Range {get(b'a')}"] for name in NAMES}
    if "--client-cert-auth" in flags:
        assert {(0, ""), (7, "etcdserver: permission denied"), (3, "etcdserver: user name is empty")} >= texts
        assert by_name["root", b"", f"KV/Range {get(b'x')}"] == (0, "")
        assert gateway["root", "/v3/kv/range", True][0] == 400
    else:
        assert texts == {(3, "etcdserver: user name is empty")}
        assert gateway["root", "/v3/kv/range", True][0] == 200


def test_the_gateway_lends_its_own_name_to_nobody(tmp_path: Path) -> None:
    """The server's certificate says root. 3.5.1 takes a nameless client without an Accept header for that."""
    with World(tmp_path, "ours", ("--client-cert-auth", "--trusted-ca-file=AUTHORITY")) as world:
        status, body = post(world, "", "/v3/kv/range", {})

    assert status == 400
    assert json.loads(body)["message"] == "etcdserver: user name is empty"
