"""Passwords and tokens go into a cluster at every door, and must be found nowhere afterwards.

Every secret carries a canary, a word of ASCII letters that no escaping changes, and that is looked for also in base64
and hexadecimal: in all that three members logged at the level debug, in their directories, in a snapshot, and in what
they tell of themselves by HTTP. Hashes of passwords stand in the database, as they must, but never in a log.

The letters of a simple token stand in the log of entries, for all members must know them: etcd's format says so, and
the token dies with the process. Nothing else may hold them.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.pb import auth_pb2
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.auth_operations import Player, Seen, Step
from tests.ours import ours_binary
from tests.reference import clean_environment
from tests.reference_cluster import RunningCluster, start_reference_cluster

pytestmark = pytest.mark.slow

# There are snapshots, and requests would be logged as slow where that is done.
FLAGS: Final = (
    "--bcrypt-cost=4",
    "--log-level=debug",
    "--snapshot-count=10",
    "--experimental-warning-apply-duration=1ns",
    "--metrics=extensive",
)
CALL_SECONDS: Final = 30.0
# How passwords look that programs stumble over; `@` is the canary.
SHAPES: Final = (
    "@",
    "two words @",
    "quo\"ted'@",
    "back\\slash@\\",
    "col:on:@:",
    "%s%d{}@{0}",
    "p\u00e4ssw\u00f6rd-\u2603-@",
    "line\nbreak@",
    "nul\0@",
    "$2a$10$@",
    "x" * 100 + "@",
)


class Canaries:
    """Hands out words and remembers them."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.words: list[bytes] = []
        self.hashes: list[bytes] = []  # what was sent as the hash of a password: it is kept, but not logged

    def new(self) -> str:
        word = f"cAnArY{next(self._numbers):03}oFtHiStEsT"
        self.words.append(word.encode())
        return word

    def hash(self) -> bytes:
        word = self.new().encode()
        self.hashes.append(self.words.pop())
        return word

    def shaped(self) -> list[str]:
        return [shape.replace("@", self.new()) for shape in SHAPES]


def forms(word: bytes) -> Iterator[bytes]:
    """How a word may look in a file: as it is, in hexadecimal, and in base64 at each offset."""
    yield word
    yield word.hex().encode()
    yield word.hex().upper().encode()
    for offset in range(3):
        padded = base64.b64encode(b"\0" * offset + word)
        # What depends on the neighbours at both ends is left out.
        yield padded[4 if offset else 0 : len(padded) // 4 * 4 - 4]


def find(words: Iterable[bytes], texts: dict[str, bytes]) -> list[str]:
    """Return where which word was found."""
    wanted = [(word, form) for word in words for form in forms(word)]
    return [f"{word!r} in {name}" for name, text in texts.items() for word, form in wanted if form in text]


def test_what_is_looked_for_would_be_found() -> None:
    word = b"cAnArY000oFtHiStEsT"
    for prefix in (b"", b"a", b"ab", b"abc"):
        secret = prefix + word + b"!"
        for planted in (secret, secret.hex().encode(), base64.b64encode(secret), json.dumps(secret.decode()).encode()):
            assert find([word], {"a log": b'{"level":"info","msg":"' + planted + b'"}'}), planted
    assert not find([word], {"a log": b"cAnArY000 oFtHiStEsT"})


# ---- the doors


class Household:
    """A cluster with users, and everything that somebody does wrong with passwords and tokens."""

    def __init__(self, cluster: RunningCluster, canaries: Canaries) -> None:
        self.cluster = cluster
        self.canaries = canaries
        self.players = [Player(member.endpoint) for member in cluster.members]
        self.root_password = canaries.new() + ":root"
        self.tokens: list[bytes] = []
        self._turns = itertools.cycle(self.players)

    def close(self) -> None:
        for player in self.players:
            player.close()

    def ask(self, method: str, request: Any, token: bytes = b"", name: bytes = b"token") -> Seen:
        """Ask the next member in turn."""
        player = next(self._turns)
        player.is_simple = False
        player.tokens = {b"this": token}
        player.metadata = lambda user: ((name, token),) if token else ()  # type: ignore[method-assign]
        seen = player.play(Step(b"this", method, request))
        if method == "Auth/Authenticate" and not seen.code:
            self.tokens.append(player.tokens[request.name])
        return seen

    def log_in(self, name: bytes, password: str) -> bytes:
        seen = self.ask("Auth/Authenticate", pb.AuthenticateRequest(name=name, password=password.encode()))
        assert seen.code == 0, (name, seen)
        return self.tokens[-1]

    def post(self, path: str, body: str, headers: dict[str, str] | None = None) -> bytes:
        host = next(self._turns).channel.address
        connection = http.client.HTTPConnection(host.host, host.port, timeout=CALL_SECONDS)
        connection.request("POST", path, body.encode(), headers or {})
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def ctl(self, *arguments: str, given: str = "", endpoints: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(ours_binary("etcdctl")), f"--endpoints={endpoints or self.cluster.endpoints}", *arguments]
        return subprocess.run(
            command, input=given, capture_output=True, text=True, env=clean_environment(), timeout=60, check=False
        )

    # -- who lives there

    def move_in(self) -> None:
        for name, password in ((b"root", self.root_password), (b"guest", self.canaries.new())):
            added = self.ask("Auth/UserAdd", pb.AuthUserAddRequest(name=name, password=password.encode()))
            assert added.code == 0, added
        assert self.ask("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"root", role=b"root")).code == 0
        assert self.ask("Auth/AuthEnable", pb.AuthEnableRequest()).code == 0

    def use_passwords(self) -> None:
        root = self.log_in(b"root", self.root_password)
        for number, password in enumerate(self.canaries.shaped()):
            name = b"user-%d" % number
            request = pb.AuthUserAddRequest(name=name, password=password.encode())
            for _ in range(2):  # the second one is refused
                self.ask("Auth/UserAdd", request, root)
            root = self.log_in(b"root", self.root_password)
            self.ask("Auth/Authenticate", pb.AuthenticateRequest(name=name, password=password.encode()))
            wrong = password + self.canaries.new()
            self.ask("Auth/Authenticate", pb.AuthenticateRequest(name=name, password=wrong.encode()))
            change = pb.AuthUserChangePasswordRequest(name=name, password=self.canaries.shaped()[number].encode())
            for token in (b"", root):  # not permitted, and permitted
                self.ask("Auth/UserChangePassword", change, token)
            root = self.log_in(b"root", self.root_password)
        stray = self.canaries.new().encode()
        self.ask("Auth/UserChangePassword", pb.AuthUserChangePasswordRequest(name=b"none", password=stray), root)
        self.ask("Auth/Authenticate", pb.AuthenticateRequest(name=b"none", password=stray))
        options = auth_pb2.UserAddOptions(no_password=True)
        self.ask("Auth/UserAdd", pb.AuthUserAddRequest(name=b"certified", password=stray, options=options), root)
        self.ask("Auth/Authenticate", pb.AuthenticateRequest(name=b"certified", password=stray))
        self.ask("Auth/UserAdd", pb.AuthUserAddRequest(name=b"", password=stray), root)
        self.ask("Auth/UserAdd", pb.AuthUserAddRequest(name=b"big", password=stray * 100_000), root)

    def use_tokens(self) -> None:
        root = self.log_in(b"root", self.root_password)
        invented = self.canaries.new().encode()
        for token in (root, invented, invented + b".1", invented + b".99999999999", b"Bearer " + invented):
            for name in (b"token", b"authorization"):
                self.ask("KV/Put", pb.PutRequest(key=b"k", value=b"v"), token, name)
                self.ask("KV/Range", pb.RangeRequest(key=b"k"), token, name)
                self.ask("Cluster/MemberList", pb.MemberListRequest(), token, name)
                self.ask("Watch/Watch", pb.WatchCreateRequest(key=b"k"), token, name)
        for shown in (root.decode(), invented.decode(), "Bearer " + invented.decode(), "Basic " + invented.decode()):
            headers = {"Authorization": shown, "Grpc-Metadata-Token": shown}
            self.post("/v3/kv/range", '{"key":"aw=="}', headers)
            self.post("/version", "", headers)

    def use_the_gateway(self) -> None:
        canaries = self.canaries
        login = json.dumps({"name": "root", "password": self.root_password})
        answer = json.loads(self.post("/v3/auth/authenticate", login))
        self.tokens.append(answer["token"].encode())
        headers = {"Authorization": answer["token"]}
        added = json.dumps({"name": "posted", "password": canaries.new()})
        assert b"error" not in self.post("/v3/auth/user/add", added, headers)
        for path, body in (
            ("authenticate", {"name": "root", "password": canaries.new()}),
            ("authenticate", {"name": "root", "password": [canaries.new()]}),
            ("user/changepw", {"name": "posted", "password": canaries.new()}),
            ("user/add", {"name": "hashed", "hashedPassword": base64.b64encode(canaries.hash()).decode()}),
            ("user/add", {"name": "posted", "password": canaries.new(), "unknown": canaries.new()}),
        ):
            self.post(f"/v3/auth/{path}", json.dumps(body), headers)
        self.post("/v3/auth/authenticate", f'{{"name":"root","password":"{canaries.new()}')
        self.post(f"/v3/auth/authenticate?password={canaries.new()}", login)

    def use_etcdctl(self, snapshot: Path) -> None:
        user = f"root:{self.root_password}"
        new = self.canaries.new()
        assert self.ctl("--user", user, "user", "add", f"typed:{self.canaries.new()}").returncode == 0
        assert (
            self.ctl("--user", user, "user", "passwd", "typed", "--interactive=false", given=f"{new}\n").returncode == 0
        )
        assert self.ctl("--user", "typed", "--password", new, "get", "k").returncode
        assert self.ctl("--user", f"root:{self.canaries.new()}", "put", "k", "v").returncode
        assert self.ctl("--user", user, "put", "k", "v").returncode == 0
        first = self.cluster.members[0].endpoint
        saved = self.ctl("--user", user, "snapshot", "save", str(snapshot), endpoints=first)
        assert saved.returncode == 0, saved.stderr


# ---- where it must not be


def told_by_http(cluster: RunningCluster) -> dict[str, bytes]:
    texts = {}
    for member in cluster.members:
        for path in ("/metrics", "/debug/vars", "/health", "/readyz?verbose"):
            host, _, port = member.endpoint.rpartition(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=CALL_SECONDS)
            connection.request("GET", path)
            texts[member.name + path] = connection.getresponse().read()
            connection.close()
    return texts


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("kind", ["simple", "jwt"])
def test_no_secret_is_found_anywhere(tmp_path: Path, kind: str) -> None:
    members, secret = tmp_path / "members", tmp_path / "jwt.key"
    members.mkdir()
    canaries = Canaries()
    secret.write_text(canaries.new() * 3)
    token_flag = "simple" if kind == "simple" else f"jwt,sign-method=HS256,priv-key={secret}"
    flags = (*FLAGS, f"--auth-token={token_flag}", f"--log-outputs=stderr,stdout,{members / 'more.log'}")
    with start_reference_cluster(members, 3, binaries=[ours_binary("etcd")] * 3, flags=flags) as cluster:
        household = Household(cluster, canaries)
        try:
            household.move_in()
            household.use_passwords()
            household.use_tokens()
            household.use_the_gateway()
            household.use_etcdctl(members / "saved.db")
        finally:
            household.close()
        told = told_by_http(cluster)
        running = written(members)  # the files of members at work, also what they will have tidied up
    everything = {**running, **{f"stopped {name}": text for name, text in written(members).items()}, **told}

    logs = {name: text for name, text in everything.items() if name.endswith(".log")}
    for kind_of_file in (".log", ".wal", ".snap", "db", "/metrics", "/debug/vars"):
        assert any(name.endswith(kind_of_file) for name in everything), f"no {kind_of_file} was looked at"
    for line in (b"invalid password", b"invalid auth token", b"invalid authentication was requested"):
        assert any(line in text for text in logs.values()), f"no log tells {line.decode()!r}"
    assert not find(canaries.words, everything)
    letters = [token.partition(b".")[0] if kind == "simple" else token for token in household.tokens]
    assert len(set(letters)) > len(SHAPES)
    known = {name: text for name, text in everything.items() if kind != "simple" or ".wal" not in name}
    assert not find(letters, known)
    assert not find(canaries.hashes, logs | told)
    assert not [name for name, text in logs.items() if b"$2a$" in text or b"$2b$" in text]
