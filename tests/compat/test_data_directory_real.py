"""One data directory, two programs in turn: the real etcd 3.5.1 goes on where ours stopped, and ours where it stopped.

Both keep the log and the `.snap` files in the same format. The store differs: etcd's is `member/snap/db`, ours is
`member/store`. So ours takes a `db` over by itself, and a real etcd needs one exported: the Snapshot stream, taken
as the last thing, saved as `member/snap/db` without its trailing SHA-256. Nothing else is needed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.compat.directories import State, look, save_snapshot, write
from tests.ours import ours_binary
from tests.reference import RunningEtcd, free_port, start_reference_etcd

pytestmark = pytest.mark.slow

MANY_SNAPSHOTS: Final = ("--snapshot-count=50",)
NO_SNAPSHOT: Final = ("--snapshot-count=100000",)


class Home:
    """One data directory and the ports that belong to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "default.etcd"
        self._ports = free_port(), free_port()

    @property
    def snap(self) -> Path:
        return self.data_dir / "member" / "snap"

    def start_real(self, flags: Sequence[str] = ()) -> RunningEtcd:
        return self._start(None, flags)

    def start_ours(self, flags: Sequence[str] = ()) -> RunningEtcd:
        return self._start(ours_binary("etcd"), flags)

    def _start(self, binary: Path | None, flags: Sequence[str]) -> RunningEtcd:
        client, peer = self._ports
        return start_reference_etcd(self.folder, client_port=client, peer_port=peer, binary=binary, flags=flags)

    def prepare_for_the_real_one(self, exported: Path) -> None:
        """Put our export where etcd looks for its store, and take ours away."""
        shutil.copyfile(exported, self.snap / "db")
        shutil.rmtree(self.data_dir / "member" / "store")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("flags", [MANY_SNAPSHOTS, NO_SNAPSHOT], ids=["snapshots", "no snapshot"])
def test_the_real_one_goes_on_where_ours_stopped(home: Home, flags: tuple[str, ...]) -> None:
    with home.start_ours(flags) as server:
        write(server, seed=1, count=400)
        save_snapshot(server, home.folder / "exported")
        ours = look(server)
    assert bool(list(home.snap.glob("*.snap"))) == (flags == MANY_SNAPSHOTS)

    home.prepare_for_the_real_one(home.folder / "exported")
    with home.start_real(flags) as server:
        theirs = look(server)
        write(server, seed=2, count=200)
        after = look(server)

    assert theirs == ours
    assert theirs.raft_index >= ours.raft_index
    assert after.revision > ours.revision


def test_the_real_one_replays_our_log_over_an_older_export(home: Home) -> None:
    """What came after the export is in the log only."""
    with home.start_ours() as server:
        write(server, seed=1, count=100)
        save_snapshot(server, home.folder / "exported")
        write(server, seed=2, count=300)
        ours = look(server)

    home.prepare_for_the_real_one(home.folder / "exported")
    with home.start_real() as server:
        assert look(server) == ours


def test_the_real_one_replays_all_of_our_log(home: Home) -> None:
    """With no store at all and no snapshot, the log alone tells everything."""
    with home.start_ours(NO_SNAPSHOT) as server:
        write(server, seed=1, count=400)
        ours = look(server)

    shutil.rmtree(home.data_dir / "member" / "store")
    with home.start_real(NO_SNAPSHOT) as server:
        assert look(server) == ours


@pytest.mark.parametrize("flags", [MANY_SNAPSHOTS, NO_SNAPSHOT], ids=["snapshots", "no snapshot"])
@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_ours_takes_over_from_the_real_one(home: Home, flags: tuple[str, ...], end: str) -> None:
    with home.start_real(flags) as server:
        write(server, seed=1, count=400)
        theirs = look(server)
        if end == "killed":
            server.kill()
    assert bool(list(home.snap.glob("*.snap"))) == (flags == MANY_SNAPSHOTS)

    with home.start_ours(flags) as server:
        ours = look(server)
    assert ours == theirs

    states = _go_on(home, flags)
    assert states[0].revision > ours.revision
    assert states[1] == states[0]


def _go_on(home: Home, flags: tuple[str, ...]) -> list[State]:
    """Write more with ours, restart it, and ask both times."""
    with home.start_ours(flags) as server:
        write(server, seed=3, count=200)
        states = [look(server)]
    with home.start_ours(flags) as server:
        states.append(look(server))
    return states


def test_there_and_back_again(home: Home) -> None:
    """Real, ours, real, ours: each goes on with the other's work, and says the same of it."""
    with home.start_real(MANY_SNAPSHOTS) as server:
        write(server, seed=1, count=150)
        seen = look(server)
    with home.start_ours(MANY_SNAPSHOTS) as server:
        assert look(server) == seen
        write(server, seed=2, count=150)
        save_snapshot(server, home.folder / "exported")
        seen = look(server)
    home.prepare_for_the_real_one(home.folder / "exported")
    with home.start_real(MANY_SNAPSHOTS) as server:
        assert look(server) == seen
        write(server, seed=3, count=150)
        seen = look(server)
    with home.start_ours(MANY_SNAPSHOTS) as server:
        assert look(server) == seen


def test_ours_refuses_a_store_that_the_other_has_overtaken(home: Home) -> None:
    """The folder `store` was left while the real one went on: to serve it would take back what was acknowledged."""
    with home.start_ours() as server:
        write(server, seed=1, count=50)
        save_snapshot(server, home.folder / "exported")
    shutil.copyfile(home.folder / "exported", home.snap / "db")
    with home.start_real() as server:
        write(server, seed=2, count=50)
        seen = look(server)

    with pytest.raises(
        RuntimeError, match="(?s)exited with 1 while starting.*another etcd has run on this data directory"
    ):
        home.start_ours()
    shutil.rmtree(home.data_dir / "member" / "store")
    with home.start_ours() as server:
        assert look(server) == seen
