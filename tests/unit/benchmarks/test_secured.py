"""Members that do not let everybody in, and loads that get in all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import messages
from benchmarks.access import OPEN
from benchmarks.h2load import run_h2load
from benchmarks.member import Contender, running_member
from benchmarks.process import BenchError
from benchmarks.scenario import CHECK_SECONDS_MAX, asking, revision_of
from benchmarks.secured import log_in, over_tls, with_jwt
from etcdpy.base.errors import EtcdError

pytestmark = pytest.mark.slow

CALLS = 50


def body(folder: Path) -> Path:
    path = folder / "body"
    path.write_bytes(messages.framed(messages.put()))
    return path


@pytest.mark.parametrize("contender", list(Contender))
@pytest.mark.parametrize("is_jwt", [False, True], ids=["simple", "jwt"])
def test_a_token_gets_in_and_nothing_else(contender: Contender, is_jwt: bool, tmp_path: Path) -> None:
    with running_member(contender, tmp_path, with_jwt(tmp_path) if is_jwt else OPEN) as member:
        log_in(member)
        for access, is_done in ((member.access, True), (OPEN, False)):
            before = revision_of(member)
            run_h2load(
                member.address,
                messages.PUT_PATH,
                body(tmp_path),
                connections=5,
                streams=2,
                requests=CALLS,
                access=access,
            )
            assert revision_of(member) == before + (CALLS if is_done else 0)
        assert member.access.token.count(b".") == (2 if is_jwt else 1)
        with asking(member) as channel, pytest.raises(EtcdError, match="permission denied"):
            channel.unary(messages.PUT_PATH, messages.put(b"another"), CHECK_SECONDS_MAX)


@pytest.mark.parametrize("contender", list(Contender))
def test_calls_over_tls_are_carried_out(contender: Contender, tmp_path: Path) -> None:
    with running_member(contender, tmp_path, over_tls(tmp_path)) as member:
        before = revision_of(member)
        run_h2load(
            member.address,
            messages.PUT_PATH,
            body(tmp_path),
            connections=5,
            streams=2,
            requests=CALLS,
            access=member.access,
        )
        assert revision_of(member) == before + CALLS
        with pytest.raises(BenchError):
            run_h2load(member.address, messages.PUT_PATH, body(tmp_path), connections=1, streams=1, requests=1)
