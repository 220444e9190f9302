"""Users, roles and permissions: ours and the real etcd 3.5.1 answer alike."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.auth_matrix import CHEAP, DENIED, get, put, set_up
from tests.compat.auth_operations import Player, Seen, Step, generate
from tests.compat.both import run_on_both
from tests.ours import ours_binary
from tests.reference import RunningEtcd, start_reference_etcd

pytestmark = pytest.mark.slow

STEPS_PER_SEED: Final = 700
SEEDS: Final = (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_of_several_users(tmp_path: Path, seed: int) -> None:
    steps = generate(seed, STEPS_PER_SEED)

    def script(server: RunningEtcd) -> list[Seen]:
        player = Player(server.endpoint)
        seen = [player.play(step) for step in steps]
        player.close()
        return seen

    seen = run_on_both(tmp_path, script, flags=CHEAP)
    for number, (step, theirs, ours) in enumerate(zip(steps, seen.theirs, seen.ours, strict=True)):
        assert ours == theirs, f"seed {seed}, step {number}: {step}"
    texts = Counter(answer.text for answer in seen.ours)
    assert texts[""] > STEPS_PER_SEED / 3
    for text in ("permission denied", "user name is empty", "invalid auth token", "invalid auth management"):
        assert texts[f"etcdserver: {text}"] > 0, texts


# -- --auth-token-ttl

# Each is asked once: asking keeps a token alive.
IDLE_TOKENS: Final = 400
POLL_SECONDS: Final = 0.05


def test_simple_tokens_end_when_nobody_uses_them(tmp_path: Path) -> None:
    """One that is used all the time lives on; of many that are not, one after the other is asked until one is void."""

    def ask(player: Player, token: bytes) -> tuple[int, str]:
        player.tokens[b"reader"] = token
        return player.play(Step(b"reader", "KV/Range", get(b"a")))[:2]

    def script(server: RunningEtcd) -> list[tuple[int, str]]:
        player = Player(server.endpoint)
        set_up(player)
        tokens = []
        for _ in range(IDLE_TOKENS):
            player.log_in(b"reader")
            tokens.append(player.tokens[b"reader"])
        used = tokens.pop(0)
        seen = (0, "")
        while seen == (0, ""):
            time.sleep(POLL_SECONDS)
            assert ask(player, used) == (0, "")
            assert tokens, "none of them ends"
            seen = ask(player, tokens.pop(0))
        answers = [seen, ask(player, used)]
        player.close()
        return answers

    both = run_on_both(tmp_path, script, flags=(*CHEAP, "--auth-token-ttl=2"))
    assert both.ours == both.theirs == [(16, "etcdserver: invalid auth token"), (0, "")]


# -- JSON Web Tokens


def test_each_believes_the_other_s_tokens(tmp_path: Path) -> None:
    """Same keys, same users: a token is good at both, until users change."""
    key = rsa.generate_private_key(65537, 2048)
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    flags = (*CHEAP, f"--auth-token=jwt,pub-key={public},priv-key={private},sign-method=RS256,ttl=10m")
    with (
        start_reference_etcd(tmp_path, name="real", flags=flags) as real,
        start_reference_etcd(tmp_path, name="ours", flags=flags, binary=ours_binary("etcd")) as ours,
    ):
        players = Player(real.endpoint), Player(ours.endpoint)
        for player in players:
            player.is_simple = False
            set_up(player)
        for player, other in (players, players[::-1]):
            for user in (b"reader", b"root"):
                player.log_in(user)
                other.tokens[user] = player.tokens[user]
                seen = [one.play(Step(user, "KV/Put", put(b"x"))) for one in (player, other)]
                expected = (0, "") if user == b"root" else DENIED
                assert [(answer.code, answer.text) for answer in seen] == [expected] * 2
        add = Step(b"root", "Auth/RoleAdd", pb.AuthRoleAddRequest(name=b"another"))
        assert [player.play(add).code for player in players] == [0, 0]
        # 3.5.1 forgot to translate that one.
        assert players[0].play(Step(b"root", "KV/Put", put(b"x")))[:2] == (2, "auth: revision in header is old")
        old = (3, "etcdserver: revision of auth store is old")
        assert players[1].play(Step(b"root", "KV/Put", put(b"x")))[:2] == old
        assert players[1].play(Step(b"root", "KV/Range", get(b"x")))[:2] == old
        for player in players:
            player.close()
