"""--max-concurrent-streams, which 3.5.1 does not have yet: announced, and held to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.ours import ours_binary
from tests.reference import start_reference_etcd
from tests.unit.transport import wire

pytestmark = pytest.mark.slow

MAX_CONCURRENT_STREAMS: Final = 3
REFUSED_STREAM: Final = 7


def test_the_third_stream_of_a_connection_that_may_have_two_is_refused(tmp_path: Path) -> None:
    flags = ["--max-concurrent-streams=2"]
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd"), flags=flags) as server:
        with wire.connect(int(server.endpoint.rpartition(":")[2])) as connection:
            settings = wire.read_until(connection, wire.SETTINGS)[3]
            pairs = [settings[at : at + 6] for at in range(0, len(settings), 6)]
            limits = {int.from_bytes(pair[:2], "big"): int.from_bytes(pair[2:], "big") for pair in pairs}
            assert limits[MAX_CONCURRENT_STREAMS] == 2
            for stream_id in (1, 3, 5):
                connection.sendall(wire.headers(stream_id, wire.request_fields(b"/etcdserverpb.Watch/Watch")))
            reset = wire.read_until(connection, wire.RST_STREAM)
            assert (reset[2], int.from_bytes(reset[3], "big")) == (5, REFUSED_STREAM)
