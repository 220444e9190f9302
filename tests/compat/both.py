"""One script, two servers: the real etcd 3.5.1 first, then ours, with the same name, ports and token.

So ids, headers and hashes may be compared as they are. A script gets the running server and returns what it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from etcdpy.base.errors import EtcdError
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.ours import ours_binary
from tests.reference import RunningEtcd, free_port, start_reference_etcd

Seen = TypeVar("Seen")
CALL_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Both(Generic[Seen]):
    """What the script saw of each."""

    theirs: Seen
    ours: Seen


class Starter(Protocol):
    """Starts the member of a script; the same data directory each time."""

    def __call__(self, *flags: str, wait: bool = True) -> RunningEtcd: ...


def run_restarting(tmp_path: Path, script: Callable[[Starter], Seen]) -> Both[Seen]:
    """Run `script`, which starts and stops a member as it likes, with each kind."""
    ports = free_port(), free_port()
    seen: list[Seen] = []
    for name, binary in (("real", None), ("ours", ours_binary("etcd"))):
        folder = tmp_path / name
        folder.mkdir()

        def start(*flags: str, wait: bool = True, folder: Path = folder, binary: Path | None = binary) -> RunningEtcd:
            return start_reference_etcd(
                folder, client_port=ports[0], peer_port=ports[1], binary=binary, flags=flags, wait=wait
            )

        seen.append(script(start))
    return Both(*seen)


def run_on_both(tmp_path: Path, script: Callable[[RunningEtcd], Seen], *, flags: Sequence[str] = ()) -> Both[Seen]:
    """Run `script` on a new member of each kind."""

    def once(start: Starter) -> Seen:
        with start(*flags) as server:
            return script(server)

    return run_restarting(tmp_path, once)


class Client:
    """Calls by method name, with messages of `etcdpy.pb`; a failed call gives its status instead of raising."""

    def __init__(self, endpoint: str) -> None:
        self.channel = BlockingChannel(endpoint)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.channel.close()

    def call(self, method: str, request: Any, response_type: Any) -> Any:
        """Return the answer, decoded. Raise EtcdError."""
        answer = self.channel.unary(path_of(method), request.SerializeToString(), timeout=CALL_SECONDS)
        return response_type.FromString(answer)

    def status(self, method: str, message: bytes) -> tuple[int, str]:
        """Return code and text of a call; (0, "") of one that went well."""
        try:
            self.channel.unary(path_of(method), message, timeout=CALL_SECONDS)
        except EtcdError as error:
            return error.code, error.text
        return 0, ""


def path_of(method: str) -> bytes:
    """`KV/Put` is short for `/etcdserverpb.KV/Put`."""
    return method.encode() if method.startswith("/") else b"/etcdserverpb." + method.encode()
