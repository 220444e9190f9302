"""What an operator reads when discovery failed. Against the real one: tests/compat/test_bootstrap_real.py."""

from __future__ import annotations

import json

import pytest

from etcdpy.base.log import close_logger, logger_to
from etcdpy.cli.etcd.discovery_report import log_discovery_failed
from etcdpy.embed.config import Config
from etcdpy.embed.discovery import BAD_SIZE, DUPLICATE_ID, DUPLICATE_NAME, FULL
from etcdpy.embed.errors import DiscoveryFailed


class Kept:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def close(self) -> None:
        pass


def report(reason: str, fallback: str = "exit") -> list[str]:
    kept = Kept()
    log = logger_to(kept)
    log_discovery_failed(log, Config(discovery_fallback=fallback), DiscoveryFailed(reason, token="t"))
    close_logger(log)
    return [json.loads(line)["msg"] for line in kept.lines]


REUSE = "do not reuse discovery token; generate a new one to bootstrap a cluster"
USED = "failed to bootstrap; discovery token was already used"


@pytest.mark.parametrize(
    ("reason", "messages"),
    [
        (BAD_SIZE, ["failed to start etcd", USED, REUSE]),
        (FULL, [USED, REUSE]),
        (
            DUPLICATE_NAME,
            [
                "failed to start etcd",
                "member with duplicated name has already been registered",
                "cURL the discovery token URL for details",
                REUSE,
            ],
        ),
        (
            DUPLICATE_ID,
            [
                "failed to start etcd",
                "member has been registered with discovery service",
                "but could not find valid cluster configuration",
                "check data dir if previous bootstrap succeeded",
                "or use a new discovery token if previous bootstrap failed",
            ],
        ),
    ],
)
def test_what_is_said(reason: str, messages: list[str]) -> None:
    assert report(reason) == messages


def test_a_proxy_is_refused_with_the_reason() -> None:
    first, *rest = report(FULL, "proxy")

    assert "there is no v2 proxy to fall back to" in first
    assert rest == [USED, REUSE]
