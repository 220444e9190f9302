"""The real etcdutl 3.5.1 judges ours, and etcdctl's offline commands: the same lines on copies of the same files.

Help pages are compared by their layout: names, flags, defaults. Ours has no `backup` and, as the later 3.5, a
`completion`. What is not compared: the stack that 3.5.1 prints into a log line, and its panics beyond the exit code.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.reference import RunningEtcd, clean_environment, reference_binary, start_reference_etcd

OURS: Final = (sys.executable, "-m", "etcdpy.cli.etcdutl.main")
OURS_CTL: Final = (sys.executable, "-m", "etcdpy.cli.etcdctl.main")
RUN_SECONDS_MAX: Final = 30

M0: Final = "http://127.0.0.1:1"
THREE: Final = f"m0={M0},m1=http://127.0.0.1:2,m2=http://127.0.0.1:3,m2=http://127.0.0.1:4"


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


WORDS: Final = lines("""
    version
    version x
    version -w json
    version -w bogus
    vers
    bogus
    snapsho
    snapshot
    snapshot bogus
    snapshot --help
    snapshot restore --help
    snapshot status --help
    snapshot save
    snapshot save x
    snapshot save --help
    defrag
    defrag --help
    defrag --data-dir
    defrag --data-dir=x --bogus
    help snapshot
    help version
    help help
    --version
    -x
    -w
    snapshot status
    snapshot status a b
    snapshot status /nonexistent
    snapshot status /nonexistent -w bogus
    snapshot restore
    snapshot restore x
    snapshot restore --nosuch
    snapshot restore --data-dir=x
    snapshot restore a b --data-dir=x
    snapshot restore a --data-dir=x --skip-hash-check=maybe
""")

STATUS: Final = lines("""
    snapshot status saved.db
    snapshot status saved.db -w json
    snapshot status saved.db -w fields
    snapshot status saved.db -w table
    snapshot status saved.db -w protobuf
    snapshot status saved.db -w bogus
    snapshot status no-hash.db
    snapshot status data/member/snap/db -w json
    snapshot status short.db
    snapshot status tiny.db
    snapshot status empty.etcd
    snapshot status bad-hash.db
""")

RESTORES: Final = [
    "snapshot restore saved.db --data-dir=new",
    "snapshot restore saved.db --data-dir=empty.etcd",
    "snapshot restore saved.db --data-dir=new --wal-dir=wal",
    "snapshot restore saved.db --data-dir=a/b/c --wal-dir=w/a/l",
    "snapshot restore saved.db --data-dir=",
    "snapshot restore saved.db --data-dir=new/ -w bogus",
    "snapshot restore no-hash.db --data-dir=new --skip-hash-check",
    "snapshot restore saved.db --data-dir=new --skip-hash-check",
    "snapshot restore bad-hash.db --data-dir=new --skip-hash-check",
    f"snapshot restore saved.db --data-dir=new --name=m0 --initial-cluster={THREE} --initial-advertise-peer-urls={M0} "
    "--initial-cluster-token=token",
    f"snapshot restore saved.db --data-dir=new --name=m2 --initial-cluster={THREE} "
    "--initial-advertise-peer-urls=http://127.0.0.1:4,http://127.0.0.1:3",
]

REFUSED: Final = [
    "snapshot restore saved.db --data-dir=data",
    "snapshot restore saved.db --data-dir=short.db",
    "snapshot restore saved.db --data-dir=new --wal-dir=empty.etcd",
    "snapshot restore bad-hash.db --data-dir=new",
    "snapshot restore no-hash.db --data-dir=new",
    "snapshot restore nonexistent.db --data-dir=new",
    "snapshot restore saved.db --data-dir=/proc/x/y",
    "snapshot restore saved.db --data-dir=new --name=x",
    "snapshot restore saved.db --data-dir=new --initial-cluster=",
    "snapshot restore saved.db --data-dir=new --initial-cluster=default=x",
    "snapshot restore saved.db --data-dir=new --initial-cluster=default",
    "snapshot restore saved.db --data-dir=new --initial-advertise-peer-urls=x",
    "snapshot restore saved.db --data-dir=new --initial-advertise-peer-urls=",
    "snapshot restore saved.db --data-dir=new --initial-advertise-peer-urls=http://1.2.3.4:5",
    f"snapshot restore saved.db --data-dir=new --name=m2 --initial-cluster={THREE} --initial-advertise-peer-urls={M0}",
    f"snapshot restore saved.db --data-dir=new --initial-cluster=default={M0},x={M0} "
    f"--initial-advertise-peer-urls={M0}",
]

DEFRAGS: Final = lines("""
    defrag --data-dir=data
    defrag --data-dir=data/ extra
    defrag --data-dir=data -w json
""")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a saved snapshot, spoilt copies of it, and the data directory of a stopped etcd."""
    folder = tmp_path_factory.mktemp("files")
    with start_reference_etcd(folder, name="data") as server:
        fill(server, folder)
    (folder / "data.etcd").rename(folder / "data")
    (folder / "data.log").unlink()
    saved = (folder / "saved.db").read_bytes()
    (folder / "no-hash.db").write_bytes(saved[:-32])
    (folder / "short.db").write_bytes(saved[:5000])
    (folder / "tiny.db").write_bytes(saved[:100])
    (folder / "bad-hash.db").write_bytes(saved[:-1] + bytes([saved[-1] ^ 1]))
    (folder / "empty.etcd").mkdir()
    yield folder


def fill(server: RunningEtcd, folder: Path) -> None:
    for arguments in (
        *(["put", f"key-{number}", "v" * 3000] for number in range(20)),
        ["del", "key-1", "key-9"],
        ["lease", "grant", "10000"],
        ["snapshot", "save", str(folder / "saved.db")],
        # Two thirds of the file are free afterwards.
        ["compaction", "22"],
    ):
        subprocess.run(
            [str(reference_binary("etcdctl")), f"--endpoints={server.endpoint}", *arguments],
            check=True,
            capture_output=True,
            env=clean_environment(),
        )


class Outcome:
    """What a run left behind: exit code, the two outputs, and the files."""

    def __init__(self, done: subprocess.CompletedProcess[bytes], folder: Path) -> None:
        self.seen = (done.returncode, level(done.stdout), level(done.stderr))
        self.folder = folder

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


def level(output: bytes) -> bytes:
    output = re.sub(rb"(?m)^\d{4}-\d\d-\d\dT[0-9:]+(Z|[+-][0-9:]+)\t", b"TIME\t", output)
    output = re.sub(rb', "stack": "[^"]*"', b"", output)
    output = re.sub(rb'"took": [0-9.e-]+', b'"took": TOOK', output)
    output = re.sub(rb"\b3\.5\.(1|33)\b", b"VERSION", output)
    return re.sub(rb"(?s)Usage:\n.*", lambda page: level_help(page[0]), output)


def level_help(page: bytes) -> bytes:
    """Keep names, flags and defaults of a help page, not its sentences."""
    kept = []
    for line in page.split(b"\n"):
        if re.match(rb"  (backup|completion) ", line):
            continue
        flag = re.match(rb"  (-\w, |    )--\S+( string)? +", line)
        command = re.match(rb"  [a-z]+ +(?=[A-Z])", line)
        default = re.search(rb' \(default ("[^"]*"|true)\)$', line)
        kept.append((flag or command or [line])[0] + (default[0] if default else b""))
    return b"\n".join(kept)


def run(command: Sequence[str], line: str, files: Path, folder: Path) -> Outcome:
    """Run one line in a copy of the files."""
    # The log is 64 MB of zeros for the most part, and no command reads it.
    shutil.copytree(files, folder, ignore=shutil.ignore_patterns("*.wal"))
    done = subprocess.run(
        [*command, *line.split()],
        capture_output=True,
        cwd=folder,
        env=clean_environment(),
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    return Outcome(done, folder)


def both(line: str, files: Path, tmp_path: Path, *, tool: str = "etcdutl") -> tuple[Outcome, Outcome]:
    ours = OURS if tool == "etcdutl" else OURS_CTL
    theirs = [str(reference_binary(tool))]
    return run(theirs, line, files, tmp_path / "theirs"), run(ours, line, files, tmp_path / "ours")


@pytest.mark.slow
@pytest.mark.parametrize("line", WORDS + STATUS)
def test_words_are_understood_and_files_described_alike(line: str, files: Path, tmp_path: Path) -> None:
    expected, actual = both(line, files, tmp_path)
    assert expected.seen == actual.seen


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["etcdutl", "etcdctl"])
@pytest.mark.parametrize("line", RESTORES)
def test_a_restore_says_and_makes_the_same(line: str, tool: str, files: Path, tmp_path: Path) -> None:
    expected, actual = both(line, files, tmp_path, tool=tool)
    assert expected.seen == actual.seen
    assert expected.seen[0] == 0
    assert expected.files() == actual.files()


@pytest.mark.slow
@pytest.mark.parametrize("line", REFUSED)
def test_a_restore_is_refused_alike_and_leaves_nothing(line: str, files: Path, tmp_path: Path) -> None:
    expected, actual = both(line, files, tmp_path)
    # Go names the pairs in the order of a map, another each time.
    named = re.compile(rb"--initial-cluster has (\S+)")
    theirs, ours = (
        named.sub(lambda found: b",".join(sorted(found[1].split(b","))), side.seen[2]) for side in (expected, actual)
    )
    assert (expected.seen[:2], theirs) == (actual.seen[:2], ours)
    assert not (actual.folder / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["defrag --data-dir=nonexistent", "snapshot restore short.db --data-dir=x --skip-hash-check"]
)
def test_where_the_real_one_panics_ours_says_why_with_the_same_code(line: str, files: Path, tmp_path: Path) -> None:
    expected, actual = both(line, files, tmp_path)
    assert expected.seen[0] == actual.seen[0] == 2
    assert b"panic: failed to open database" in expected.seen[2]
    assert b"Error: failed to open database: " in actual.seen[2]


@pytest.mark.slow
@pytest.mark.parametrize("line", DEFRAGS)
def test_a_bolt_file_is_defragmented_alike(line: str, files: Path, tmp_path: Path) -> None:
    expected, actual = both(line, files, tmp_path)
    # How full pages get is the writer's own affair.
    theirs, ours = (
        re.sub(rb'("[a-z-]*size[a-z-]*": )("[^"]*"|-?\d+)', rb"\1SIZE", out.seen[2]) for out in (expected, actual)
    )
    assert (expected.seen[:2], theirs) == (actual.seen[:2], ours)
    before = (files / "data/member/snap/db").stat().st_size
    assert (actual.folder / "data/member/snap/db").stat().st_size < before / 2
    assert describe(expected) == describe(actual)
    assert expected.files() == actual.files()


def describe(outcome: Outcome) -> bytes:
    """Return hash, revision and keys, as the real etcdutl sees them."""
    done = subprocess.run(
        [str(reference_binary("etcdutl")), "snapshot", "status", str(outcome.folder / "data/member/snap/db")],
        capture_output=True,
        check=True,
    )
    return done.stdout.rpartition(b",")[0]


@pytest.mark.slow
def test_defragmentation_waits_for_a_running_member(tmp_path: Path) -> None:
    with start_reference_etcd(tmp_path) as server:
        process = subprocess.Popen(
            [*OURS, "defrag", f"--data-dir={server.data_dir}"], stderr=subprocess.PIPE, env=clean_environment()
        )
        assert process.stderr is not None
        first = process.stderr.readline()
        server.stop()
        rest = process.communicate(timeout=RUN_SECONDS_MAX)[1]

    # The text of 3.5.1, which nothing else here makes it say.
    assert (
        first
        == (
            f'waiting for etcd to close and release its lock on "{server.data_dir}/member/snap/db". '
            "To defrag a running etcd instance, omit --data-dir.\n"
        ).encode()
    )
    assert process.returncode == 0 and b"finished defragmenting directory" in rest
