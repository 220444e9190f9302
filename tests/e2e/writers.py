"""Clients that write until the server is gone, and the ledger of what it acknowledged to them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client

WAIT_SECONDS: Final = 60.0


class Ledger:
    """What was acknowledged: key -> (value, revision)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.acknowledged: dict[bytes, tuple[bytes, int]] = {}

    def note(self, key: bytes, value: bytes, revision: int) -> None:
        with self._changed:
            self.acknowledged[key] = (value, revision)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= count, WAIT_SECONDS), "writers are stuck"

    def check(self, endpoint: str) -> None:
        """Everything that was acknowledged is there, at its revision."""
        with Client(endpoint) as client:
            for key, (value, revision) in self.acknowledged.items():
                found = client.call("KV/Range", pb.RangeRequest(key=key), pb.RangeResponse).kvs
                assert [(kv.value, kv.mod_revision) for kv in found] == [(value, revision)], key


class Writers:
    """Threads that each put keys of their own, one at a time, until a put fails. Join them by leaving the context."""

    def __init__(self, endpoint: str, ledger: Ledger, count: int, make_value: Callable[[int], bytes]) -> None:
        self._threads = [
            threading.Thread(target=_write, args=(endpoint, ledger, b"writer-%d/" % number, make_value))
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for thread in self._threads:
            thread.join()


def _write(endpoint: str, ledger: Ledger, prefix: bytes, make_value: Callable[[int], bytes]) -> None:
    with Client(endpoint) as client:
        for number in range(1 << 30):
            key, value = prefix + b"%d" % number, make_value(number)
            try:
                answer = client.call("KV/Put", pb.PutRequest(key=key, value=value), pb.PutResponse)
            except EtcdError:
                return
            ledger.note(key, value, answer.header.revision)
