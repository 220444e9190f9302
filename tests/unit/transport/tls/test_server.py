"""Who gets in: what is checked after the handshake. See tests/compat/test_tls_real.py for the rest."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from etcdpy.transport.tls import TlsSettings
from tests.certificates import Authority
from tests.unit.transport.tls.secure import DEADLINE_SECONDS, LOG, Echo, Silent, kept_log, secure, settings_of


async def is_let_in(
    server: TlsSettings, client: TlsSettings, *, checks_addresses: bool = False, log: logging.Logger = LOG
) -> bool:
    async with secure(server, client=client, checks_addresses=checks_addresses, log=log) as made:
        try:
            app = await made.client.connect("127.0.0.1", made.port, Silent)
        except ConnectionError:
            return False
        app.transport.write(b"x")
        waiting = [asyncio.ensure_future(app.wait_received(1)), asyncio.ensure_future(app.lost.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=DEADLINE_SECONDS)
        for task in waiting:
            task.cancel()
        app.transport.abort()
        return bool(app.received)


def side(authority: Authority, name: str, **made: object) -> TlsSettings:
    pair = authority.issue(name, **made)  # type: ignore[arg-type]
    return TlsSettings(cert_file=str(pair.cert), key_file=str(pair.key), trusted_ca_file=str(authority.cert))


@pytest.mark.parametrize(
    ("changes", "made", "expected"),
    [
        ({"allowed_cn": "a"}, {"common_name": "a"}, True),
        ({"allowed_cn": "a"}, {"common_name": "b", "hosts": ("a",)}, False),
        ({"allowed_hostname": "a.example"}, {"hosts": ("*.example",)}, True),
        ({"allowed_hostname": "a.example"}, {"common_name": "a.example", "hosts": ()}, False),
    ],
)
def test_allowed_names(tmp_path: Path, changes: dict[str, str], made: dict[str, object], expected: bool) -> None:
    authority = Authority(tmp_path, "ca")
    server = replace(side(authority, "server"), **changes)  # type: ignore[arg-type]

    assert uvloop.run(is_let_in(server, side(authority, "client", **made))) is expected


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("10.9.8.7", False), ("localhost", True), ("no.invalid", False)]
)
def test_addresses_of_peers(tmp_path: Path, host: str, expected: bool) -> None:
    authority = Authority(tmp_path, "ca")
    server, client = side(authority, "server"), side(authority, "client", hosts=(host,))

    assert uvloop.run(is_let_in(server, client, checks_addresses=True)) is expected
    skipping = replace(server, skip_client_san_verification=True)
    assert uvloop.run(is_let_in(skipping, client, checks_addresses=True))


def test_refusals_are_logged(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    client = side(authority, "client", common_name="b")
    server = replace(side(authority, "server"), allowed_cn="a")

    with kept_log() as (log, messages):
        assert not uvloop.run(is_let_in(server, client, log=log))

    assert messages == ["rejected connection"]


def test_a_handshake_leaves_nothing_for_the_collector(tmp_path: Path) -> None:
    """Collections are rare in a member: what pointed to itself would pile up under a flood of handshakes."""

    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            (await made.client.connect("127.0.0.1", made.port, Echo)).transport.write(b"x")
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not made.served:
                    await asyncio.sleep(0)
            connection = made.served[0].transport
            assert all(connection is not value for value in vars(connection._party).values())

    uvloop.run(scenario())
