"""The real etcdctl judges ours where there are several members: the same lines against one cluster of real etcds.

Ids of added members hold the time of their addition, so a change is made by each program in turn, undone in between,
and the ids (and what is sorted by them) are levelled.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.pb import rpc_pb2 as rpc
from tests.compat.test_etcdctl_real import OURS, Line, Outcome, lines, real, run
from tests.reference_cluster import RunningCluster, start_reference_cluster

# Nobody listens on these ports: members that are never started. One after the other, for an id does not come back.
PORTS: Final = itertools.count(100, 2)

ARGUMENTS: Final = lines("""
    member
    member bogus
    member add --help
    member remove --help
    member update --help
    member promote --help
    member list --help
    member add
    member add a
    member add a b --peer-urls=http://127.0.0.1:1
    member add a --peer-urls=
    member add a --peer-urls=xx
    member add a --peer-urls=http://127.0.0.1:1,xx
    member add a --peer-urls=http://a
    member add a --peer-urls=http://a:1/path
    member add a --peer-urls=http://a:b
    member add a --peer-urls=ftp://a:1
    member add a --learner=maybe
    member remove
    member remove zz
    member remove 0x12
    member remove 1 2
    member remove 11112222333344445
    member update
    member update zz
    member update 12
    member update 12 --peer-urls=bogus
    member update 1 2 --peer-urls=http://a:1
    member promote
    member promote zz
""")

READS: Final = lines("""
    endpoint status
    endpoint status -w fields
    endpoint status -w table
    endpoint status --cluster
    endpoint status --cluster -w json
    endpoint hashkv
    endpoint hashkv --cluster
    endpoint hashkv --cluster -w table
    endpoint hashkv -w json
    endpoint hashkv -w fields
    endpoint health -w protobuf
    member list
    member list -w table
    get foo
    put foo bar
    defrag
    defrag --cluster
    alarm list
    move-leader 1234
    member remove 1234
    member update 1234 --peer-urls=http://127.0.0.1:1
    member promote 1234
    snapshot save x
""")

HEALTH: Final = lines("""
    endpoint health
    endpoint health --cluster
    endpoint health -w json
    endpoint health -w table
    endpoint health -w fields
""")

# Slow ones: each waits for its time to run out.
DEGRADED: Final = lines("""
    endpoint status
    endpoint status --cluster
    endpoint status -w json
    endpoint hashkv
    endpoint health
    endpoint health --cluster
    defrag
    get foo
    put foo bar
    member list
    move-leader 1234
""")

CHANGES: Final = lines("""
    member add new --peer-urls=PEERS
    member add new --peer-urls=PEERS --learner
    member add '' --peer-urls=PEERS --learner
    member add 'a "b"' --peer-urls=PEERS --learner
    member add new --peer-urls=PEERS --learner -w json
    member add new --peer-urls=PEERS --learner -w protobuf
    member add new --peer-urls=PEERS --learner -w fields
    member add new --peer-urls=PEERS --learner -w table
    member add new --peer-urls=PEERS --learner -w bogus
""")

# What is done to a learner that is not running.
TO_A_LEARNER: Final = lines("""
    member update NEW --peer-urls=http://127.0.0.1:4
    member update NEW --peer-urls=http://127.0.0.1:4,http://127.0.0.1:5 -w json
    member update NEW --peer-urls=http://127.0.0.1:4 -w fields
    member update NEW --peer-urls=http://127.0.0.1:4 -w table
    member update NEW --peer-urls=http://127.0.0.1:4 -w protobuf
    member update NEW --peer-urls=EXISTING
    member promote NEW
    member promote NEW -w json
    member add more --peer-urls=http://127.0.0.1:6 --learner
    member add new --peer-urls=PEERS
    member list
    member list --hex -w json
    member remove NEW
    member remove NEW -w json
    member remove NEW -w fields
    member remove NEW -w table
    member remove NEW -w protobuf
""")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with start_reference_cluster(tmp_path_factory.mktemp("cluster"), 3) as running:
        # Members refuse changes until they have known each other for a while.
        add_learner(running, new_peers())
        remove_unstarted(running)
        yield running


def new_peers() -> str:
    port = next(PORTS)
    return f"http://127.0.0.1:{port + 1},http://127.0.0.1:{port}"


def add_learner(cluster: RunningCluster, peers: str) -> str:
    """Return the id of a new learner, in hex."""
    cluster.ctl_when_settled("member", "add", "new", "--learner", f"--peer-urls={peers}")
    return next(line.split(", ")[0] for line in unstarted(cluster))


def unstarted(cluster: RunningCluster) -> list[str]:
    return [line for line in cluster.ctl("member", "list").splitlines() if ", unstarted, " in line]


def remove_unstarted(cluster: RunningCluster) -> None:
    for line in unstarted(cluster):
        cluster.ctl("member", "remove", line.split(", ")[0])


def both(line: Line, endpoints: str) -> tuple[Outcome, Outcome]:
    return run(real(), line, endpoints), run(OURS, line, endpoints)


def check_equal(line: Line, endpoints: str) -> None:
    expected, actual = both(line, endpoints)
    assert expected == actual, f"\nreal {expected}\nours {actual}"


@pytest.mark.slow
@pytest.mark.parametrize("line", ARGUMENTS, ids=str)
def test_wrong_arguments_are_refused_alike(line: Line, cluster: RunningCluster) -> None:
    check_equal(line, cluster.endpoints)


@pytest.mark.slow
@pytest.mark.parametrize("line", READS, ids=str)
def test_several_endpoints_are_asked_and_printed_alike(line: Line, cluster: RunningCluster, tmp_path: Path) -> None:
    cluster.ctl("defrag")
    expected, actual = (drop_indexes(outcome) for outcome in both(line, cluster.endpoints))
    assert expected == actual, f"\nreal {expected}\nours {actual}"


@pytest.mark.slow
@pytest.mark.parametrize("line", HEALTH, ids=str)
def test_health_is_told_of_each_endpoint_whoever_answers_first(line: Line, cluster: RunningCluster) -> None:
    expected, actual = (sort_by_endpoint(outcome) for outcome in both(line, cluster.endpoints))
    assert expected == actual, f"\nreal {expected}\nours {actual}"


@pytest.mark.slow
@pytest.mark.parametrize("line", CHANGES, ids=str)
def test_members_are_added_alike(line: Line, cluster: RunningCluster) -> None:
    seen = []
    for command in (real(), OURS):
        peers = new_peers()
        outcome = run(command, line._replace(text=line.text.replace("PEERS", peers)), cluster.members[0].endpoint)
        new = [row.split(", ")[0] for row in unstarted(cluster)]
        assert len(new) == (line.text.split()[-1] != "bogus")
        seen.append(level_new(outcome, new[0] if new else "0", peers, line))
        remove_unstarted(cluster)

    assert seen[0] == seen[1], f"\nreal {seen[0]}\nours {seen[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("line", TO_A_LEARNER, ids=str)
def test_a_member_is_changed_and_removed_alike(line: Line, cluster: RunningCluster) -> None:
    seen = []
    for command in (real(), OURS):
        peers = new_peers()
        new = add_learner(cluster, peers)
        text = line.text.replace("NEW", new).replace("PEERS", peers).replace("EXISTING", cluster.members[1].peer_url)
        outcome = run(command, line._replace(text=text), cluster.members[0].endpoint)
        seen.append((level_new(outcome, new, peers, line), len(unstarted(cluster))))
        remove_unstarted(cluster)

    assert seen[0] == seen[1], f"\nreal {seen[0]}\nours {seen[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["simple", "json", "fields", "table", "protobuf"])
def test_leadership_is_moved_alike(form: str, cluster: RunningCluster) -> None:
    ids = cluster.member_ids()
    here, there = cluster.leader(), next(member for member in cluster.members if member is not cluster.leader())
    seen = []
    for command in (real(), OURS):
        outcome = run(command, Line(f"move-leader {ids[there.name]:x} -w {form}"), cluster.endpoints)
        assert cluster.leader() is there
        # Back, so that both begin alike.
        cluster.ctl("move-leader", f"{ids[here.name]:x}")
        seen.append(Outcome(outcome.code, re.sub(rb'"raft_term":\d+', b"TERM", outcome.out), outcome.err))

    assert seen[0] == seen[1]


@pytest.mark.slow
def test_leadership_is_not_moved_without_the_leader(cluster: RunningCluster) -> None:
    leader = cluster.leader()
    others = ",".join(member.endpoint for member in cluster.members if member is not leader)
    check_equal(Line(f"move-leader {cluster.member_ids()[leader.name]:x}"), others)


@pytest.mark.slow
def test_what_member_add_prints_starts_the_new_member_and_promote_lets_it_vote(tmp_path: Path) -> None:
    """The lines behind `member add` are the environment of the member's first start."""
    with start_reference_cluster(tmp_path, 1) as cluster:
        printed = []
        for command in (real(), OURS):
            joined = cluster.add_member(learner=True, ctl=command)
            wait_for_learner(cluster)
            member_id = f"{cluster.member_ids()[joined.name]:x}"
            outcome = run(command, Line(f"member promote {member_id}"), cluster.members[0].endpoint)
            joined.wait_until_healthy()
            printed.append(outcome._replace(out=outcome.out.replace(f"{member_id:>16}".encode(), b"NEW")))
        cluster.ctl("put", "k", "v")

        assert printed[0] == printed[1] and printed[0].code == 0
        assert run(OURS, Line("get k"), joined.endpoint) == (0, b"k\nv\n", b"")
        assert len(set(cluster.ctl("endpoint", "hashkv").split()[1::2])) == 1


def wait_for_learner(cluster: RunningCluster) -> None:
    """Wait until the learner has a name, which it publishes when it has caught up."""
    cluster.wait_until(lambda: not unstarted(cluster))


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [0, 2])
def test_a_stopped_member_is_reported_alike(stopped: int, cluster: RunningCluster) -> None:
    cluster.members[stopped].stop()
    try:
        # The others may have lost their leader.
        cluster.wait_until_healthy()
        for line in DEGRADED:
            line = Line(f"{line.text} --command-timeout=700ms")
            expected, actual = (sort_by_endpoint(drop_indexes(outcome)) for outcome in both(line, cluster.endpoints))
            assert (str(line), expected) == (str(line), actual)
    finally:
        cluster.members[stopped].restart()
        cluster.wait_until_healthy()


def drop_indexes(outcome: Outcome) -> Outcome:
    """Reads move the Raft index with 3.5.1, and so does what was done before."""
    out = re.sub(rb"(?<=, )\d+, \d+, (?=\n|etcd)", b"INDEX, ", outcome.out)
    out = re.sub(rb'("raft(Applied)?Index":|"Raft(Applied)?Index" : )\d+', rb"\1INDEX", out)
    out = re.sub(rb"\| +\d+ \| +\d+ \| +\|\n", b"| INDEX |\n", out)
    # Who answers is chance.
    return outcome._replace(out=out)


def sort_by_endpoint(outcome: Outcome) -> Outcome:
    out = re.sub(rb'"?(took|Took)"?( : |":)"?[^,"\n}]+"?', b"TOOK", outcome.out)
    out = re.sub(rb"took = \S+", b"TOOK", out)
    if b"ENDPOINT " in out:
        out = re.sub(rb" +[0-9.]+s |-{3,}| {2,}", b" ", out)
    if out.startswith(b"["):
        return outcome._replace(out=b",".join(sorted(out.strip()[1:-1].replace(b"},{", b"}\n{").split(b"\n"))))
    blocks = out.split(b"\n\n") if out.startswith(b'"') else out.split(b"\n")
    return Outcome(outcome.code, b"\n".join(sorted(blocks)), b"\n".join(sorted(outcome.err.split(b"\n"))))


def level_new(outcome: Outcome, new: str, peers: str, line: Line) -> Outcome:
    """Name the new member's id and URLs, and sort what is sorted by them."""
    out, err = outcome.out, outcome.err
    if "-w protobuf" in line.text and out:
        out = repr(level_message(line, out, int(new, 16))).encode()
    for number, url in enumerate(peers.split(",")):
        out, err = (text.replace(url.encode(), b"URL%d" % number) for text in (out, err))
    out, err = (text.replace(new.encode(), b"NEW").replace(b"%d" % int(new, 16), b"NEW") for text in (out, err))
    # Ids of fifteen digits have a blank before them.
    out = re.sub(rb"Member +NEW", b"Member NEW", out)
    out = re.sub(rb'(?<=ETCD_INITIAL_CLUSTER=")(.*)"', sort_by_name, out)
    out = re.sub(rb'("members":\[)(.*)\]', lambda m: m[1] + b"\n".join(sorted(re.split(rb"(?<=\}),", m[2]))), out)
    out = b"\n".join(sorted(out.split(b"\n"))) if "member list" in line.text else out
    # Twice within a second the same member is refused by its id, later by its URLs.
    err = err.replace(b"etcdserver: member ID already exist\n", b"etcdserver: Peer URLs already exists\n")
    err = err.replace(b'etcdserver: member ID already exist"', b'etcdserver: Peer URLs already exists"')
    return outcome._replace(out=out, err=err)


def sort_by_name(match: re.Match[bytes]) -> bytes:
    """Sort the members, but not the URLs of one."""
    return b",".join(sorted(match[1].split(b","), key=lambda item: item.partition(b"=")[0]))


def level_message(line: Line, data: bytes, new: int) -> list[str]:
    """Return the fields of a binary answer. That it is one, byte by byte, is checked, too."""
    kinds: dict[str, Any] = {
        "add": rpc.MemberAddResponse,
        "update": rpc.MemberUpdateResponse,
        "remove": rpc.MemberRemoveResponse,
    }
    message = kinds[line.text.split()[1]].FromString(data)
    assert message.SerializeToString() == data
    return sorted(str(message).replace(str(new), "NEW").split("members {"))
