"""What a scenario is: rows of the table, and how one contender's figures for them are made, once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from benchmarks import messages
from benchmarks.access import Access
from benchmarks.member import Contender, Member, running_member
from benchmarks.process import BenchError
from etcdpy.pb import rpc_pb2
from etcdpy.transport.grpc.blocking import BlockingChannel

# --quick: a fiftieth of everything, to see that all of it works.
QUICK_DIVISOR: Final = 50
# How many calls come before the measured ones: a tenth as many, so that caches are filled and heaps have grown.
WARM_UP_DIVISOR: Final = 10
CHECK_SECONDS_MAX: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    unit: str
    # Ours divided by etcd's; None: shown, not asked for.
    target: float | None
    lower_is_better: bool = False
    # The target is for our figure alone, whatever etcd's is.
    target_is_ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One contender's figure in one round. Times are microseconds of CPU per request (or event)."""

    value: float
    server_cpu_us: float | None = None
    # How busy the client was, 1.0 being one core: near that, it is the client that was measured.
    client_busy: float | None = None
    anonymous_mib: float | None = None


class Workbench:
    """Where measurements are made: a temporary folder, emptied after each, and how much is asked of them."""

    def __init__(self, folder: Path, *, quick: bool = False) -> None:
        self.folder = folder
        self.quick = quick

    def count(self, full: int) -> int:
        """Return how many of something to do."""
        return max(1, full // QUICK_DIVISOR) if self.quick else full

    def warm_up(self, count: int) -> int:
        return max(1, count // WARM_UP_DIVISOR)

    @contextmanager
    def fresh_folder(self) -> Iterator[Path]:
        """Yield an empty folder, and remove it. What earlier measurements wrote is on the disk before it is used."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            os.sync()
            yield Path(name)

    @contextmanager
    def fresh_member(self, contender: Contender) -> Iterator[Member]:
        """Start a member without data."""
        with self.fresh_folder() as folder, running_member(contender, folder) as member:
            yield member

    def body_file(self, message: bytes) -> Path:
        """Write what h2load posts."""
        path = self.folder / "body"
        path.write_bytes(messages.framed(message))
        return path


class Server(Protocol):
    """What is loaded: a member, or a cluster by its leader."""

    @property
    def address(self) -> str:
        """Where the calls go."""

    @property
    def access(self) -> Access:
        """What they bring."""

    def cpu_seconds(self) -> float:
        """Return what all of its processes have spent so far."""


class Scenario(Protocol):
    """Measures one or several rows at once."""

    @property
    def rows(self) -> tuple[Row, ...]: ...

    @property
    def rounds_max(self) -> int | None:
        """Fewer rounds than asked for, where one is long and its figures hardly vary."""

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        """Make one figure per row, by its name. Raises BenchError."""


@contextmanager
def asking(server: Server) -> Iterator[BlockingChannel]:
    """Yield a channel for preparations and checks."""
    channel = server.access.channel(server.address)
    try:
        yield channel
    finally:
        channel.close()


def revision_of(server: Server) -> int:
    with asking(server) as channel:
        answer = channel.unary(messages.RANGE_PATH, messages.range_one(serializable=False), CHECK_SECONDS_MAX)
    return int(rpc_pb2.RangeResponse.FromString(answer).header.revision)


def check_equal(what: str, *, expected: int, found: int) -> None:
    """A load that was not carried out has not been measured."""
    if expected != found:
        raise BenchError(f"{what}: {found} where {expected} were to be")
