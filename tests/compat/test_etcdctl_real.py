"""The real etcdctl 3.5.1 judges ours: the same command line, the same server, the same bytes and exit code.

Three ways to compare:
  * READS: one server, seeded once; each line is run by both.
  * WRITES: a scenario is played by each on a server of its own; the servers have the same name, URLs and token and
    run one after the other, so that even ids, revisions and Raft indexes agree.
  * WATCHES: run until the expected lines came, then killed.

What may differ, and is levelled before comparing: time stamps, pointers, durations, the version, sizes that depend on
when a batch was written, and the wording of help pages (their layout, flags and defaults are compared).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.reference import RunningEtcd, clean_environment, free_port, reference_binary, start_reference_etcd

RUN_SECONDS_MAX: Final = 30
OURS: Final = (sys.executable, "-m", "etcdpy.cli.etcdctl.main")


class Outcome(NamedTuple):
    """What a run left behind."""

    code: int
    out: bytes
    err: bytes


class Line(NamedTuple):
    """A command line, what it reads, and extra environment."""

    text: str
    stdin: bytes = b""
    env: Mapping[str, str] = {}

    def __str__(self) -> str:
        parts = [self.text, *(f"{name}={value}" for name, value in self.env.items())]
        return " ".join(parts) + (f" < {self.stdin!r}" if self.stdin else "")


def real() -> list[str]:
    return [str(reference_binary("etcdctl"))]


def run(command: Sequence[str], line: Line, endpoint: str | None) -> Outcome:
    prefix = [f"--endpoints={endpoint}"] if endpoint else []
    # Arguments in the tables are latin-1 bytes: \xff on the command line is one byte.
    words = [word.encode("latin-1") for word in shlex.split(line.text)]
    done = subprocess.run(
        [*map(os.fsencode, [*command, *prefix]), *words],
        input=line.stdin,
        capture_output=True,
        env=clean_environment(line.env),
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    return Outcome(done.returncode, level(done.stdout), level(done.stderr))


def level(output: bytes) -> bytes:
    """Replace what differs between two runs of one and the same program."""
    output = re.sub(rb'"ts":("[^"]*"|[0-9.]+)', b'"ts":TIME', output)
    output = re.sub(rb"etcd-endpoints://0x[0-9a-f]+", b"etcd-endpoints://POINTER", output)
    output = re.sub(rb"\b[0-9.]+(ms|\xc2\xb5s)\b", b"DURATION", output)
    output = re.sub(rb',"stacktrace":"[^"]*"', b"", output)
    output = re.sub(rb"\b3\.5\.(1|33)\b(?=\n)", b"VERSION", output)
    output = re.sub(rb"(?s)NAME:\n.*?--write-out=\"simple\"[^\n]*\n\n", lambda page: level_help(page[0]), output)
    if b"| ENDPOINT" in output or b"ENDPOINT     | HEALTH" in output:
        # The width of a column follows the width of a duration.
        output = re.sub(rb"-{3,}", b"---", re.sub(rb" +", b" ", output)) if b"TOOK" in output else output
    return output


def level_help(page: bytes) -> bytes:
    """Keep the layout of a help page: headings, names, flags, defaults and the tab stops between them."""
    kept = []
    in_description = False
    # The root's list of commands is left out: not all of etcdctl's are ours yet.
    start = (b"DESCRIPTION:", b"COMMANDS:") if page.startswith(b"NAME:\n\tetcdctl -") else (b"DESCRIPTION:",)
    for line in page.split(b"\n"):
        in_description = line in start or (in_description and line != b"OPTIONS:")
        flag = re.match(rb"  (-\w, |    )--[^\t]+\t+", line)
        command = re.match(rb"\t[a-z][a-z -]*\t+", line) or re.match(rb"\t.*? - ", line)
        if not in_description:
            kept.append((flag or command or [line])[0])
    return b"\n".join(kept)


def lines(text: str) -> list[Line]:
    return [Line(line.strip()) for line in text.strip().splitlines()]


TREE: Final = lines(r"""
    version
    version extra
    vers
    version -w json
    version -w bogus
    --version
    version --help
    -d x version
    bogus
    gett
    watchx
    delete
    status
    --endpoints get b
    --prefix get foo
    -- get foo
    get --help
    put --help
    del --help
    txn --help
    compaction --help
    alarm --help
    alarm list --help
    endpoint
    endpoint bogus
    endpoint health --help
    endpoint status --help
    endpoint hashkv --help
    endpoint --cluster
    move-leader --help
    watch --help
    lease
    lease bogus
    lease bogus x
    lease lst
    lease help
    lease -x
    lease bogus --bogus
    lease --once keep-alive 1
    lease gran
    lease grant --help
    lease keep-alive --help
    lease timetolive -h
    help get
    help lease grant
    help put bogus
    alarm -w json
    get a --rev=abc
    get a --rev
    get a --limit=99999999999999999999
    get a --nosuch
    get a --p
    get a -x
    get a -w
    get a -hw
    get a --=x
    get a ---x
    get a --prefix=xx
    get a --endpoints
    put x --lease
    put k -5
    lease grant -5
    -w
    --debug=xx version
    --hex=maybe version
    --dial-timeout=5 version
    --dial-timeout=xx version
    --dial-timeout=1.5.2s version
    --dial-timeout= version
    --command-timeout=1h2x version
    --command-timeout=1h2m3.5s version
    txn -i=maybe
""")

ARGUMENTS: Final = lines(r"""
    get
    get --prefix
    get a b --prefix
    get a b --from-key
    get a --prefix --from-key
    get a --keys-only --count-only
    get a --order=foo
    get a --sort-by=foo
    get a --consistency=x
    get a --consistency=L
    get a -w bogus
    put
    put a
    put a b --lease=zz
    put a b --lease=""
    put a b --lease=0x12
    put a b --lease=8000000000000000
    put a b --ignore-value
    del
    del a b c
    del a b --prefix
    del a --prefix --from-key
    txn x
    compaction
    compaction abc
    compaction 0x3
    compaction 1 2
    lease grant
    lease grant abc
    lease grant 1_0
    lease grant 1 2
    lease revoke
    lease revoke zz
    lease revoke FFFFFFFFFFFFFFFF
    lease timetolive
    lease timetolive zz
    lease keep-alive
    lease keep-alive zz
    alarm list x
    alarm disarm x
    move-leader
    move-leader zz
    move-leader 1 2
    snapshot save
    snapshot save a b
    snapshot save /nonexistent/dir/x
    snapshot status
    snapshot status /nonexistent
    snapshot status /etc/passwd
    watch
    watch a z --prefix
    watch -- echo x
    watch foo --
    get a --cert=
    get a --key=
    get a --cacert=
    get a --cacert=/nonexistent
    get a --cert=/nonexistent
    get a --key=/nonexistent
    get a --cert=/nonexistent --key=/nonexistent2
""") + [
    Line("get a", env={"ETCDCTL_API": "4"}),
    Line("watch foo", env={"ETCDCTL_WATCH_KEY": "foo"}),
    Line("watch foo z", env={"ETCDCTL_WATCH_RANGE_END": "fooz"}),
    Line("get a -w json", env={"ETCDCTL_WRITE_OUT": "json"}),
]

READS: Final = lines(r"""
    get foo
    get nope
    get foo bar baz
    get a c
    get fo ""
    get ""
    get "" --prefix --keys-only
    get "" --from-key --keys-only
    get b --from-key -w fields
    get a --prefix
    get a --prefix -w json
    get a --prefix -w fields
    get a --prefix -w protobuf
    get a --prefix -w table
    get a --prefix --hex
    get a --prefix --hex -w json
    get a --prefix --hex -w fields
    get a --prefix --print-value-only
    get a --prefix --print-value-only --hex
    get a --prefix --print-value-only -w json
    get a --prefix --keys-only -w json
    get a --prefix --count-only
    get a --prefix --count-only -w fields
    get a --prefix --count-only -w json
    get a --prefix --limit=1 -w json
    get a --prefix --limit 1 -w fields
    get a --prefix --order=descend
    get a --prefix --sort-by=modify --order=DESCEND
    get "" --prefix --sort-by=create --keys-only
    get "" --prefix --sort-by=key --order=ascend --keys-only
    get a --consistency=s -w json
    get a --rev=3 --prefix -w fields
    get a --rev=1000
    get a --rev=-1
    get a --rev=1
    get a --limit=0x10 -w json
    get a --limit=1_0 -w fields
    get a --prefix=T
    get a --prefix false
    get -- --prefix
    get a -wjson
    get a -w=json
    get -w json a
    -w json get a
    --hex get a
    --hex=false get a
    get a --hex --hex=false
    get nope -w json
    get nope -w fields
    get nope -w protobuf
    get \xff\xfe -w json
    get leased -w json
    get leased -w fields
    get a --command-timeout=0s
    get a --command-timeout=-1s
    get a --insecure-skip-tls-verify
    get a --user=root:pw
    get a --user=root --password=pw
    get a --user=
    get a --password=x
    member list
    member list -w json
    member list -w fields
    member list -w table
    member list -w protobuf
    member list --hex
    member list --hex -w json
    member list --hex -w fields
    member list x
    endpoint status
    endpoint status -w json
    endpoint status -w fields
    endpoint status -w table
    endpoint status -w protobuf
    endpoint status --cluster
    endpoint --cluster status
    endpoint health
    endpoint health -w json
    endpoint health -w fields
    endpoint health -w table
    endpoint health -w protobuf
    endpoint health --cluster
    endpoint hashkv
    endpoint hashkv -w json
    endpoint hashkv -w fields
    endpoint hashkv -w table
    endpoint hashkv --rev 4
    endpoint hashkv --rev 1000
    endpoint hashkv --cluster -w json
    alarm list
    alarm list -w json
    alarm list -w fields
    alarm list -w table
    alarm list -w protobuf
    alarm disarm -w json
    alarm disarm
    lease list
    lease list -w json
    lease list -w fields
    lease list -w protobuf
    lease list -w table
    lease timetolive 123
    lease timetolive 123 -w json
    lease timetolive 123 -w fields
    lease timetolive -- -1
    lease revoke 123
    lease keep-alive 123
    lease keep-alive 123 -w json
    lease keep-alive 123 --once
    lease keep-alive 123 --once -w json
    lease grant 10000000000
    compaction 10000
    move-leader 8211f1d0f64f3269
    watch z a
    put "" v
    put a b --lease=123
    put nope --ignore-value
    put nope v --ignore-lease
    put --lease=1 --ignore-lease a b
    put a b -w bogus
""") + [
    Line("put k"),
    Line("put big", stdin=b"x" * (2 * 1024 * 1024 + 10)),
    Line("put big", stdin=b"x" * (1600 * 1024)),
    Line("get foo", env={"ETCDCTL_WRITE_OUT": "json"}),
    Line("get foo", env={"ETCDCTL_HEX": "true"}),
    Line("get foo", env={"ETCDCTL_HEX": "maybe", "ETCDCTL_COMMAND_TIMEOUT": "abc"}),
    Line("get foo", env={"ETCDCTL_BOGUS": "json", "ETCDCTLX": "1"}),
    Line("get foo", env={"ETCDCTL_HEX": "", "ETCDCTL_WATCH_KEY": "k"}),
    Line("get foo", env={"ETCDCTL_API": "3"}),
]

COMPARES: Final = [
    Line("txn", stdin=compare + b"\n\nget foo\n\nget a --keys-only\n\n")
    for compare in (
        b'mod("foo") > "0"',
        b'mod("foo") > "1" x',
        b'mod( "foo")\t<\t"1"',
        b"mod(`foo`) > `0`",
        b'c("foo") = "2"\ncreate("foo") != "3"\nm("foo") > "1"\nver("foo") > "0"\nversion("foo") = "1"',
        b'val("foo") = "bar"\nvalue("foo") < "a\\nb\\x41\\u00e9"',
        b'mod("fo\\x6f") > "1"',
        b"foo",
        b"mod foo > 1",
        b"mod(foo) > abc",
        b'mod("foo)',
        b'mod("foo" > 1',
        b'mod("foo" ) > "0"',
        b'mod("foo")>"0"',
        b'mod("foo") >"0"',
        b'mod("foo") > 0',
        b'mod("foo") > "1',
        b'mod("foo") > "abc"',
        b'mod("foo") ~ 1',
        b"mod('foo') > '1'",
        b' mod("foo")  =  1 ',
        b'MOD("foo") > "1"',
        b'l("foo") = "0"',
        b'mod("f(o)") > 1',
        b'mod("") > "0"',
        b"lease(foo) = zz",
    )
]

OPERATIONS: Final = [
    Line("txn", stdin=b"\n" + operation + b"\n\n\n")
    for operation in (
        b"bogus",
        b"get",
        b"help",
        b"watch a",
        b"put a",
        b"put a --prev-kv",
        b"put a b --lease=zz",
        b"del a b c",
        b"get a --prefix --from-key",
        b"get --prefix a b",
        b"get a --order=x",
        b"get a --consistency=q",
        b'get "a\\qb"',
        b'get "a\\x31"',
        b"get  a1 ",
        b'get "a1"b',
        b"put foo a\nput foo b",
        b"del a --prefix\nput ab c",
        b"get a --prefix\nget nope\nget foo --count-only\nget foo --print-value-only",
    )
]

TRANSACTIONS: Final = (
    COMPARES
    + OPERATIONS
    + [
        Line("txn"),
        Line("txn", stdin=b"\n\n\n"),
        Line("txn", stdin=b"\nput a b"),
        Line("txn", stdin=b"\nget a\n"),
        Line("txn", stdin=b"\r\nget foo\r\n\r\n\r\n"),
        Line("txn -i", stdin=b'mod("foo") > "0"\n\nget foo\n\nget a\n\n'),
        Line("txn --interactive", stdin=b"\nget foo\n\n"),
        Line("txn -w json", stdin=b"\nget foo\nget a --prefix --keys-only\nget nope\ndel nope --prev-kv\n\n\n"),
        Line("txn -w fields", stdin=b"\nget foo\nget a --prefix\nget nope\ndel nope --prev-kv\n\n\n"),
        Line("txn -w protobuf", stdin=b"\nget foo\nget a --prefix\nget nope\n\n\n"),
        Line("txn -w table", stdin=b"\nget foo\n\n\n"),
        Line("txn --hex", stdin=b"\nget foo\nget nope\n\n\n"),
        Line("txn -w json", stdin=b'val("foo") > "x"\n\n\n\n'),
    ]
)

INTERACTIVE_WATCHES: Final = [
    Line("watch -i", stdin=stdin)
    for stdin in (b"", b"\n", b"put \n", b"bogus\n", b"watch\n", b"progress x\n", b"watch foo --bogus\n")
] + [Line("watch -i", stdin=b"watch foo --rev=x\n"), Line("watch -i x", stdin=b"cancel 0\n")]

DEAD: Final = lines("""
    get foo
    put a b
    del a
    endpoint health
    endpoint health --cluster
    endpoint status
    endpoint status -w json
    endpoint status -w table
    endpoint hashkv
    member list
    alarm list
    defrag
    lease grant 10
    lease revoke 12
    compaction 5
    move-leader 12
""")

SEED: Final[Sequence[tuple[bytes, bytes]]] = (
    (b"foo", b"bar"),
    (b"a1", b'<&>\xc3\xa9"\\'),
    (b"a2", b"x\xff\x01\n\t\x7f\xe2\x80\xa8\xc2\xa0\xef\xbf\xbd\xf0\x9f\x98\x80\xc2\xad\xcc\x81\xed\xa0\x80"),
    (b"\xff\xfe", b""),
    (b"a1", b"again"),
    (b"b", b'<&>\xc3\xa9"\\'),
)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEtcd]:
    with start_reference_etcd(tmp_path_factory.mktemp("seeded")) as server:
        for key, value in SEED:
            assert run(real(), Line(f"put {shlex.quote(key.decode('latin-1'))}", stdin=value or b"-"), server.endpoint)
        granted = run(real(), Line("lease grant 1000"), server.endpoint)
        lease = granted.out.split()[1].decode()
        assert run(real(), Line(f"put leased v --lease={lease}"), server.endpoint).code == 0
        yield server


def check_equal(line: Line, endpoint: str | None) -> None:
    expected = run(real(), line, endpoint)
    actual = run(OURS, line, endpoint)
    # In full: what differs is often at the end of a long line.
    assert expected == actual, f"\nreal {expected}\nours {actual}"


@pytest.mark.slow
@pytest.mark.parametrize("line", TREE, ids=str)
def test_words_and_flags_are_understood_alike(line: Line) -> None:
    check_equal(line, None)


@pytest.mark.slow
@pytest.mark.parametrize("line", ARGUMENTS, ids=str)
def test_wrong_arguments_are_refused_alike(line: Line, seeded: RunningEtcd) -> None:
    check_equal(line, seeded.endpoint)


@pytest.mark.slow
@pytest.mark.parametrize("line", READS, ids=str)
def test_answers_are_printed_alike(line: Line, seeded: RunningEtcd) -> None:
    check_equal(line, seeded.endpoint)


@pytest.mark.slow
@pytest.mark.parametrize("line", TRANSACTIONS + INTERACTIVE_WATCHES, ids=str)
def test_standard_input_is_understood_alike(line: Line, seeded: RunningEtcd) -> None:
    check_equal(line, seeded.endpoint)


@pytest.mark.slow
@pytest.mark.parametrize("line", DEAD, ids=str)
def test_a_dead_endpoint_is_reported_alike(line: Line) -> None:
    check_equal(Line(f"{line.text} --command-timeout=200ms"), f"127.0.0.1:{free_port()}")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["{dead},{alive}", "{alive},{dead}", "http://{alive}", "{alive} --endpoints={dead}"])
def test_a_living_endpoint_is_found_among_dead_ones(form: str, seeded: RunningEtcd) -> None:
    endpoints = form.format(dead=f"127.0.0.1:{free_port()}", alive=seeded.endpoint)
    check_equal(Line(f"get foo --endpoints={endpoints}"), None)


WATCHES: Final = [
    (Line("watch foo --rev=2"), 3),
    (Line("watch a --prefix --rev=2 --hex"), 9),
    (Line("watch a --prefix --rev=2 --prev-kv"), 12),
    (Line("watch a --prefix --rev=2 -w json"), 1),
    (Line("watch a --prefix --rev=2 --prev-kv -w json"), 1),
    (Line("watch a --prefix --rev=2 --prev-kv -w fields"), 31),
    (Line("watch '' --prefix --rev=6 -w fields"), 18),
    (Line("watch a c --rev=2 -- sh -c 'echo $0 $1; env | grep ETCD_ | sort' x y"), 12 + 4 * 5),
    (Line("watch a z --rev=2 -- false"), 12),
    (Line("watch a z --rev=2 -- nonexistent-command with args"), 12),
    (Line("watch --rev=2", env={"ETCDCTL_WATCH_KEY": "a", "ETCDCTL_WATCH_RANGE_END": "b"}), 9),
]


@pytest.mark.slow
@pytest.mark.parametrize(("line", "count"), WATCHES, ids=str)
def test_events_are_printed_alike(line: Line, count: int, seeded: RunningEtcd) -> None:
    assert watch(real(), line, seeded.endpoint, count) == watch(OURS, line, seeded.endpoint, count)


@pytest.mark.slow
def test_interactive_watches_print_events_and_progress_alike(seeded: RunningEtcd) -> None:
    line = Line("watch -i", stdin=b"watch foo --rev=2\n")
    expected, actual = (watch(command, line, seeded.endpoint, 4, then=(3, b"progress\n")) for command in (real(), OURS))
    assert expected == actual


def watch(
    command: Sequence[str], line: Line, endpoint: str, count: int, then: tuple[int, bytes] | None = None
) -> list[bytes]:
    """Return the first `count` lines; write `then`'s text after its number of lines came."""
    process = subprocess.Popen(
        [*command, f"--endpoints={endpoint}", *shlex.split(line.text)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment(line.env),
    )
    assert process.stdin is not None and process.stdout is not None
    too_late = threading.Timer(RUN_SECONDS_MAX, process.kill)
    too_late.start()
    try:
        process.stdin.write(line.stdin)
        process.stdin.flush()
        came: list[bytes] = []
        while len(came) < count and (came_now := process.stdout.readline()):
            came.append(came_now)
            if then is not None and len(came) == then[0]:
                process.stdin.write(then[1])
                process.stdin.flush()
        return came
    finally:
        too_late.cancel()
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_snapshots_are_equal_and_described_alike(seeded: RunningEtcd, tmp_path: Path) -> None:
    theirs, mine = tmp_path / "theirs.db", tmp_path / "mine.db"
    assert run(real(), Line(f"snapshot save {theirs}"), seeded.endpoint).code == 0
    assert run(OURS, Line(f"snapshot save {mine}"), seeded.endpoint).code == 0
    assert mine.read_bytes() == theirs.read_bytes()
    assert mine.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.db", "theirs.db"]
    for form in ("simple", "json", "fields", "table", "protobuf"):
        check_equal(Line(f"snapshot status {mine} -w {form}"), None)


WRITES: Final = lines(r"""
    put foo bar
    put foo bar2 --prev-kv
    put foo bar3 --prev-kv -w json
    put foo bar4 --prev-kv -w fields
    put foo bar5 --prev-kv -w protobuf
    put foo b --hex --prev-kv
    put foo b --hex --prev-kv -w fields
    put -w table foo b
    put foo --ignore-value
    put foo -- -v
    put -- foo -w
    put foo b c
    put \xff\xfe \xfd
    put k1 v1
    put k2 v2
    put k3 v3
    del k1
    del nope
    del k2 --prev-kv
    del k3 --prev-kv -w json
    put k1 v1
    put k2 v2
    del k --prefix --prev-kv -w fields
    put k1 v1
    del k1 --prev-kv -w protobuf
    put k1 v1
    del k1 --prev-kv --hex
    del k1 -w table
    put k1 v1
    del k0 k9
    lease grant 100
    lease grant 100 -w json
    lease grant 100 -w fields
    lease grant 100 -w table
    lease grant 100 -w protobuf
    put leased v --lease=LEASE
    get leased -w fields
    put leased w --ignore-lease --prev-kv -w json
    lease timetolive LEASE
    lease timetolive LEASE --keys
    lease timetolive LEASE --keys -w json
    lease timetolive LEASE --keys -w fields
    lease timetolive LEASE --keys -w protobuf
    lease timetolive LEASE -w table
    lease keep-alive LEASE --once
    lease keep-alive LEASE --once -w json
    lease keep-alive LEASE --once -w fields
    lease keep-alive LEASE --once -w protobuf
    lease revoke LEASE
    lease timetolive LEASE
    get leased -w json
    compaction 5
    compaction 5
    compaction 6 --physical
    get foo --rev 3
    get foo --rev=8 -w json
    watch foo --rev=-1
    watch foo --rev=2
    watch foo --rev=2 -w json
    watch foo --rev=2 -w fields
    compact 7 -w json
    endpoint hashkv -w json
    endpoint status
    endpoint status -w json
    defrag
    defrag x -w json
    defrag --cluster
    snapshot save SNAPSHOT
    snapshot save SNAPSHOT -w bogus
""") + [
    Line("put k", stdin=b"from standard input\n"),
    Line("get k"),
    Line("txn", stdin=b'mod("k") > "0"\n\nput k 1 --prev-kv\nget k\nput l "a b"\n\ndel k\n\n'),
    Line("txn", stdin=b'mod("k") < "0"\n\nput k 1\n\ndel k --prev-kv\ndel k --prefix\n\n'),
    Line("txn -w json", stdin=b"\nput k 1\nput m 2 --prev-kv\nget k\nget k --count-only\ndel l --prev-kv\n\n\n"),
    Line("txn -w fields", stdin=b"\nput k 1 --prev-kv\nget k\ndel m --prev-kv\n\n\n"),
    Line("txn -w protobuf", stdin=b"\nput k 1 --prev-kv\nget k\ndel m --prev-kv\n\n\n"),
    Line("txn --hex", stdin=b"\nput k 1 --prev-kv\nget k\ndel m --prev-kv\n\n\n"),
    Line("endpoint status -w fields"),
    # These expire soon, which moves the Raft index: nothing that shows it may come after them.
    Line("lease grant 0"),
    Line("lease grant +5"),
    Line("lease grant -- -5"),
]


@pytest.mark.slow
def test_writes_have_the_same_effects_and_answers(tmp_path: Path) -> None:
    ports = (free_port(), free_port())
    expected = play(real(), tmp_path / "real", ports)
    actual = play(OURS, tmp_path / "ours", ports)
    for line, theirs, mine in zip(WRITES, expected, actual, strict=True):
        assert (str(line), theirs) == (str(line), mine)


def play(command: Sequence[str], directory: Path, ports: tuple[int, int]) -> list[Outcome]:
    """Run all writes against a fresh server; lease ids, which servers invent, are named instead of shown."""
    directory.mkdir()
    snapshot = str(directory / "snapshot.db")
    outcomes = []
    lease = b"?"
    with start_reference_etcd(directory, client_port=ports[0], peer_port=ports[1]) as server:
        for line in WRITES:
            text = line.text.replace("LEASE", lease.decode()).replace("SNAPSHOT", snapshot)
            outcome = run(command, line._replace(text=text), server.endpoint)
            granted = re.match(rb"lease ([0-9a-f]{16}) granted with TTL\(100s\)$", outcome.out)
            lease = granted[1] if granted else lease
            shown = [level_lease(part, lease).replace(snapshot.encode(), b"SNAPSHOT") for part in outcome[1:]]
            outcomes.append(Outcome(outcome.code, *shown))
    return outcomes


def level_lease(output: bytes, lease: bytes) -> bytes:
    if lease != b"?":
        output = output.replace(b"%d" % int(lease, 16), b"LEASE")
    output = re.sub(rb"lease [0-9a-f]{16}", b"lease LEASE", output)
    output = re.sub(rb"remaining\(\d+s\)", b"remaining(TIME)", output)
    output = re.sub(rb'("ttl":|"TTL" : )(99|98)\b', rb"\g<1>TIME", output)
    output = re.sub(rb'("dbSize(InUse)?":|"DBSize" : )\d+', rb"\g<1>SIZE", output)
    output = re.sub(rb"(?<=, )\d+ kB(?=, true)", b"SIZE", output)
    # Lease ids are part of what is hashed.
    output = re.sub(rb'"hash":\d+', b'"hash":HASH', output)
    return re.sub(rb'"ID"( : |:)\d+', rb'"ID"\1LEASE', output)
