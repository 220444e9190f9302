"""The log on a real disk: created, cut, reopened, repaired, purged, and refusing after any failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.pb.raft_values import ConfState, Entry, HardState
from etcdpy.storage.wal import SEGMENT_BYTES, Wal, WalSnapshot, read_contents, valid_snapshot_entries
from tests.unit.storage.wal.logs import decode_log

SMALL = 4096


def put(wal: Wal, index: int, size: int = 50, term: int = 1) -> Entry:
    entry = Entry(term, index, 0, bytes([index % 255 + 1]) * size)
    wal.persist(wal.encode([entry], HardState(term, 1, index - 1)))
    return entry


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.wal"))


def test_a_new_log_is_private_preallocated_and_whole(tmp_path: Path) -> None:
    directory = tmp_path / "member" / "wal"
    wal = Wal.create(str(directory), b"meta")
    [segment] = segments(directory)
    assert segment.name == "0000000000000000-0000000000000000.wal"
    assert segment.stat().st_size == SEGMENT_BYTES == 64_000_000
    assert segment.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "member" / "wal.tmp").exists()
    assert [(record.type, record.data) for record in decode_log(segment.read_bytes()[:4096])] == [
        (4, b""),
        (1, b"meta"),
        (5, b"\x08\x00\x10\x00"),
    ]
    wal.close()


def test_an_unfinished_creation_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "wal.tmp").mkdir()
    (tmp_path / "wal.tmp" / "0000000000000000-0000000000000000.wal").write_bytes(b"half")
    (tmp_path / "wal").mkdir()
    Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=SMALL).close()
    assert read_contents(str(tmp_path / "wal"), WalSnapshot()).metadata == b"meta"


def test_an_existing_log_is_not_created_over(tmp_path: Path) -> None:
    Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=SMALL).close()
    with pytest.raises(StorageError, match="holds a log already"):
        Wal.create(str(tmp_path / "wal"), b"other", segment_bytes=SMALL)


def test_a_directory_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "wal").mkdir()
    (tmp_path / "wal" / "precious").touch()
    with pytest.raises(StorageError, match="cannot create"):
        Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=SMALL)
    assert (tmp_path / "wal" / "precious").exists()


def test_a_log_is_locked_while_it_is_open(tmp_path: Path) -> None:
    directory = str(tmp_path / "wal")
    wal = Wal.create(directory, b"meta", segment_bytes=SMALL)
    with pytest.raises(StorageError, match="locked"):
        Wal.open(directory, WalSnapshot())
    wal.close()
    wal, _ = Wal.open(directory, WalSnapshot())
    with pytest.raises(StorageError, match="locked"):
        Wal.open(directory, WalSnapshot())
    wal.close()


def test_a_log_goes_on_after_being_reopened(tmp_path: Path) -> None:
    directory = str(tmp_path / "wal")
    wal = Wal.create(directory, b"meta", segment_bytes=SMALL)
    written = [put(wal, index) for index in range(1, 40)]
    wal.close()
    for round_begin in (40, 80, 120):
        wal, contents = Wal.open(directory, WalSnapshot(), segment_bytes=SMALL)
        assert contents.entries == written
        assert contents.hard_state == HardState(1, 1, len(written) - 1)
        written += [put(wal, index) for index in range(round_begin, round_begin + 40)]
        wal.close()
    data = segments(Path(directory))
    assert len(data) > 3
    crc = 0
    for segment in data:
        records = decode_log(segment.read_bytes(), crc)
        assert (records[0].type, records[0].crc) == (4, crc)
        crc = records[-1].crc
    # A finished segment is cut to what it holds.
    assert all(segment.stat().st_size % SMALL for segment in data[:-1])
    assert data[-1].stat().st_size == SMALL
    assert not list(Path(directory).glob("*.tmp"))


def test_a_segment_that_ends_early_is_cut_to_what_it_holds(tmp_path: Path) -> None:
    """It was preallocated under another segment size, for instance by etcd itself."""
    directory = tmp_path / "wal"
    Wal.create(str(directory), b"meta", segment_bytes=1 << 20).close()
    wal, _ = Wal.open(str(directory), WalSnapshot(), segment_bytes=SMALL)
    written = [put(wal, index, 500) for index in range(1, 20)]
    wal.close()
    assert SMALL <= segments(directory)[0].stat().st_size < 2 * SMALL
    assert read_contents(str(directory), WalSnapshot()).entries == written


def test_the_next_segment_is_prepared_before_it_is_needed(tmp_path: Path) -> None:
    directory = tmp_path / "wal"
    wal = Wal.create(str(directory), b"meta", segment_bytes=SMALL)
    index = 0
    while not (directory / "1.tmp").exists():
        index += 1
        assert index < 100
        put(wal, index)
    assert len(segments(directory)) == 1
    assert (directory / "1.tmp").stat().st_size == SMALL
    wal.close()
    assert not (directory / "1.tmp").exists()


def test_a_leftover_of_a_crash_does_no_harm(tmp_path: Path) -> None:
    directory = tmp_path / "wal"
    wal = Wal.create(str(directory), b"meta", segment_bytes=SMALL)
    put(wal, 1)
    wal.close()
    (directory / "1.tmp").write_bytes(b"\xff" * 10_000)
    wal, _ = Wal.open(str(directory), WalSnapshot(), segment_bytes=SMALL)
    written = [put(wal, index) for index in range(2, 100)]
    wal.close()
    assert read_contents(str(directory), WalSnapshot()).entries[1:] == written


def test_one_sync_per_batch_and_none_for_a_commit(tmp_path: Path) -> None:
    wal = Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=1 << 20)
    wal.persist(wal.encode([Entry(1, index, 0, b"x") for index in range(1, 200)], HardState(1, 1, 0)))
    assert wal.fsync_count == 1
    wal.persist(wal.encode([], HardState(1, 1, 199)))
    assert wal.fsync_count == 1
    wal.persist(wal.encode([], HardState(2, 1, 199)))
    assert wal.fsync_count == 2
    durations = wal.take_fsync_durations()
    assert len(durations) == 2 and all(duration >= 0 for duration in durations)
    assert wal.take_fsync_durations() == []
    wal.close()


def test_what_a_killed_process_left_is_synced_before_anybody_is_told_of_it(tmp_path: Path) -> None:
    wal = Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=SMALL)
    put(wal, 1)
    wal.close()
    wal, _ = Wal.open(str(tmp_path / "wal"), WalSnapshot(), segment_bytes=SMALL)
    assert wal.fsync_count == 1
    wal.close()


def test_without_fsync_nothing_is_synced(tmp_path: Path) -> None:
    wal = Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=SMALL, unsafe_no_fsync=True)
    written = [put(wal, index) for index in range(1, 150)]
    wal.close()
    assert wal.fsync_count == 0
    assert read_contents(str(tmp_path / "wal"), WalSnapshot()).entries == written


def test_batches_are_persisted_in_the_order_of_their_encoding(tmp_path: Path) -> None:
    wal = Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=SMALL)
    first = wal.encode([Entry(1, 1, 0, b"x")], None)
    second = wal.encode([Entry(1, 2, 0, b"y")], None)
    with pytest.raises(InvariantError, match="batch 3 persisted after batch 1"):
        wal.persist(second)
    wal.persist(first)
    wal.persist(second)
    wal.close()


def test_many_batches_may_be_encoded_ahead_even_over_cuts(tmp_path: Path) -> None:
    directory = tmp_path / "wal"
    wal = Wal.create(str(directory), b"meta", segment_bytes=SMALL)
    entries = [Entry(1, index, 0, b"e" * 100) for index in range(1, 301)]
    batches = [wal.encode(entries[begin : begin + 5], None) for begin in range(0, 300, 5)]
    assert sum(batch.cut is not None for batch in batches) > 5
    for batch in batches:
        wal.persist(batch)
    wal.close()
    assert read_contents(str(directory), WalSnapshot()).entries == entries


def test_released_segments_are_purged_and_needed_ones_never(tmp_path: Path) -> None:
    directory = tmp_path / "wal"
    wal = Wal.create(str(directory), b"meta", segment_bytes=SMALL)
    written = [put(wal, index) for index in range(1, 400)]
    all_segments = [path.name for path in segments(directory)]
    assert len(all_segments) > 8
    assert wal.purge(1) == []
    wal.persist(wal.encode_snapshot(WalSnapshot(200, 1, ConfState([1]))))
    wal.release_lock_to(200)
    assert wal.purge(len(all_segments)) == []
    removed = wal.purge(1)
    assert removed and all_segments[: len(removed)] == removed
    kept = [path.name for path in segments(directory)]
    assert kept == all_segments[len(removed) :]
    assert int(kept[0][17:33], 16) < 200 <= int(kept[1][17:33], 16)
    put(wal, 400)
    wal.close()
    wal, contents = Wal.open(str(directory), WalSnapshot(200, 1), segment_bytes=SMALL)
    assert contents.entries[:-1] == written[200:]
    wal.release_lock_to(1 << 60)
    assert wal.purge(1) == kept[:-1]
    wal.close()


def test_a_torn_tail_is_repaired_and_the_original_kept(tmp_path: Path) -> None:
    directory = tmp_path / "wal"
    wal = Wal.create(str(directory), b"meta", segment_bytes=SMALL)
    written = [put(wal, index) for index in range(1, 10)]
    whole = wal.encode([Entry(1, 10, 0, b"never acknowledged")], None)
    wal.close()
    [segment] = segments(directory)
    torn = segment.read_bytes()[: whole.offset] + whole.data[:-9]
    segment.write_bytes(torn)

    wal, contents = Wal.open(str(directory), WalSnapshot(), segment_bytes=SMALL)

    assert contents.entries == written
    broken = Path(f"{segment}.broken")
    assert broken.read_bytes() == torn
    assert broken.stat().st_mode & 0o777 == 0o600
    assert segment.stat().st_size == whole.offset
    written += [put(wal, index) for index in range(10, 100)]
    wal.close()
    assert read_contents(str(directory), WalSnapshot()).entries == written
    assert len(segments(directory)) > 1


def test_damage_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    directory = tmp_path / "wal"
    wal = Wal.create(str(directory), b"meta", segment_bytes=SMALL)
    for index in range(1, 10):
        put(wal, index)
    wal.close()
    [segment] = segments(directory)
    damaged = bytearray(segment.read_bytes())
    damaged[300] ^= 4
    segment.write_bytes(damaged)
    with pytest.raises(StorageError, match=rf"{segment.name} is damaged at offset \d+: "):
        Wal.open(str(directory), WalSnapshot())
    assert segment.read_bytes() == damaged
    assert [path.name for path in directory.iterdir()] == [segment.name]
    # The lock is gone with the failed attempt: the next one fails for the same reason.
    with pytest.raises(StorageError, match="is damaged"):
        Wal.open(str(directory), WalSnapshot())


def test_every_tenth_cut_of_a_real_file_is_repaired(tmp_path: Path) -> None:
    directory = tmp_path / "wal"
    wal = Wal.create(str(directory), b"meta", segment_bytes=SMALL)
    ends = []
    for index in range(1, 20):
        entry = Entry(1, index, 0, bytes([index]) * 60)
        batch = wal.encode([entry], HardState(1, 1, index - 1))
        wal.persist(batch)
        ends.append(batch.offset + len(batch.data))
    wal.close()
    [segment] = segments(directory)
    data = segment.read_bytes()
    for cut in range(ends[0], ends[-1], 10):
        segment.write_bytes(data[:cut])
        wal, contents = Wal.open(str(directory), WalSnapshot(), segment_bytes=SMALL)
        wal.close()
        known = sum(end <= cut for end in ends)
        # The entry of the cut batch may be there, its hard state after it not.
        assert known <= len(contents.entries) <= known + 1
        assert contents.entries == [
            Entry(1, index, 0, bytes([index]) * 60) for index in range(1, len(contents.entries) + 1)
        ]


def test_a_full_disk_stops_the_log_for_ever(tmp_path: Path) -> None:
    wal = Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=SMALL)
    written = [put(wal, index) for index in range(1, 4)]
    [tail] = [int(fd) for fd in os.listdir("/proc/self/fd") if _is_segment(fd, tmp_path)]
    keeper = os.dup(tail)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, tail)
    batch = wal.encode([Entry(1, 4, 0, b"x")], None)
    after = wal.encode([Entry(1, 5, 0, b"x")], None)
    with pytest.raises(StorageError, match="No space left"):
        wal.persist(batch)
    # The disk is well again, which must not help.
    os.dup2(keeper, tail)
    os.close(keeper)
    os.close(full)
    for attempt in (batch, after):
        with pytest.raises(StorageError, match="No space left"):
            wal.persist(attempt)
    with pytest.raises(StorageError, match="No space left"):
        wal.encode([Entry(1, 6, 0, b"x")], None)
    with pytest.raises(StorageError, match="No space left"):
        wal.encode_snapshot(WalSnapshot(1, 1, ConfState([1])))
    wal.close()
    assert read_contents(str(tmp_path / "wal"), WalSnapshot()).entries == written


def _is_segment(fd: str, directory: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(str(directory))
    except FileNotFoundError:
        return False


FILL_UNTIL_REFUSED = """
import resource, signal, sys
from etcdpy.base.invariant import StorageError
from etcdpy.pb.raft_values import Entry, HardState
from etcdpy.storage.wal import Wal
directory, limit, size, segment = sys.argv[1], *map(int, sys.argv[2:])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
wal = Wal.create(directory, b"meta", segment_bytes=segment)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for index in range(1, 1000):
    try:
        wal.persist(wal.encode([Entry(1, index, 0, bytes([index % 255 + 1]) * size)], HardState(1, 1, index - 1)))
    except StorageError as error:
        print(index - 1, error)
        break
try:
    wal.persist(wal.encode([Entry(1, index, 0, b"x")], None))
except StorageError:
    print("refused")
"""


@pytest.mark.parametrize(
    ("limit", "size", "segment"),
    [
        (6000, 100, 8192),
        (9000, 3000, 8192),
        (5000, 2000, 1 << 20),
        *((limit, 100, 1 << 20) for limit in range(5000, 5200, 40)),
    ],
    ids=[
        "no room for the next segment",
        "short write at the end",
        "short write in the middle",
        *(f"short write within a sector, {limit}" for limit in range(5000, 5200, 40)),
    ],
)
def test_every_acknowledged_entry_survives_a_full_disk(tmp_path: Path, limit: int, size: int, segment: int) -> None:
    """A file size limit stands in for the full disk: it gives short writes, and EFBIG for preallocation."""
    directory = str(tmp_path / "wal")
    command = [sys.executable, "-c", FILL_UNTIL_REFUSED, directory, str(limit), str(size), str(segment)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    first_line, second_line = result.stdout.splitlines()
    acknowledged = int(first_line.split()[0])
    assert second_line == "refused"
    assert acknowledged > 0
    wal, contents = Wal.open(directory, WalSnapshot(), segment_bytes=segment)
    assert len(contents.entries) >= acknowledged
    assert contents.entries == [
        Entry(1, index, 0, bytes([index % 255 + 1]) * size) for index in range(1, len(contents.entries) + 1)
    ]
    put(wal, len(contents.entries) + 1)
    wal.close()


def test_a_closed_log_takes_nothing_more(tmp_path: Path) -> None:
    wal = Wal.create(str(tmp_path / "wal"), b"meta", segment_bytes=SMALL)
    batch = wal.encode([Entry(1, 1, 0, b"x")], None)
    wal.close()
    wal.close()
    with pytest.raises(StorageError, match="closed"):
        wal.persist(batch)


class Model:
    """What raft would do: append, replace an uncommitted tail, commit, snapshot, reopen."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.state = HardState()
        self.snapshot = WalSnapshot()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_history_is_read_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    directory = str(tmp_path_factory.mktemp("history") / "wal")
    wal = Wal.create(directory, b"meta", segment_bytes=2000, unsafe_no_fsync=True)
    model = Model()
    for _ in range(data.draw(st.integers(1, 25))):
        step = data.draw(st.sampled_from(["append", "append", "append", "replace", "commit", "snapshot", "reopen"]))
        if step == "reopen":
            wal.close()
            wal, contents = Wal.open(directory, model.snapshot, segment_bytes=2000, unsafe_no_fsync=True)
            assert contents.entries == model.entries[model.snapshot.index :]
            assert contents.hard_state == model.state
        else:
            _do_step(wal, model, step, data)
    wal.close()
    contents = read_contents(directory, model.snapshot)
    assert contents.entries == model.entries[model.snapshot.index :]
    assert contents.hard_state == model.state
    assert model.snapshot in valid_snapshot_entries(directory)


def _do_step(wal: Wal, model: Model, step: str, data: st.DataObject) -> None:
    commit, last = model.state.commit, len(model.entries)
    term = max(model.state.term, 1)
    if step == "snapshot":
        if commit > model.snapshot.index:
            index = data.draw(st.integers(model.snapshot.index + 1, commit))
            model.snapshot = WalSnapshot(index, model.entries[index - 1].term, ConfState([1]))
            wal.persist(wal.encode_snapshot(model.snapshot))
        return
    if step == "commit":
        model.state = HardState(term, 1, data.draw(st.integers(commit, last)))
        wal.persist(wal.encode([], model.state))
        return
    kept = last
    if step == "replace" and commit < last:
        kept = data.draw(st.integers(commit, last - 1))
        term += 1
    sizes = data.draw(st.lists(st.integers(0, 700), min_size=1, max_size=6))
    entries = [Entry(term, kept + n, 0, b"%d" % n * size) for n, size in enumerate(sizes, 1)]
    model.entries[kept:] = entries
    model.state = HardState(term, 1, data.draw(st.integers(commit, len(model.entries))))
    wal.persist(wal.encode(entries, model.state))
