"""Membership changes on a member of one, real and ours: the same answers, refusals, buckets and log entries."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from etcdpy.pb import raft_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.wal import WalSnapshot
from etcdpy.storage.wal.reader import read_contents
from tests.compat.both import Client, run_on_both
from tests.reference import RunningEtcd, reference_binary

# Nobody listens there; ids of members that are added have the time in them, so they are named by these.
LEARNER, OTHER, THIRD = "http://127.0.0.1:4", "http://127.0.0.1:5", "http://127.0.0.1:6"
STRANGER = 0x1234


def change(client: Client, method: str, request: Any, response_type: Any) -> Any:
    """Make a change and let it settle: the real one drops a change that comes right behind another, and times out."""
    response = client.call(method, request, response_type)
    settle(client)
    return response


def settle(client: Client) -> None:
    client.status("KV/Put", pb.PutRequest(key=b"settled").SerializeToString())


def add(client: Client, *urls: str, is_learner: bool = True, settles: bool = True) -> Any:
    request = pb.MemberAddRequest(peerURLs=urls, isLearner=is_learner)
    response = client.call("Cluster/MemberAdd", request, pb.MemberAddResponse)
    if settles:
        settle(client)
    return response


def remove(client: Client, member_id: int) -> Any:
    return change(client, "Cluster/MemberRemove", pb.MemberRemoveRequest(ID=member_id), pb.MemberRemoveResponse)


def update(client: Client, member_id: int, *urls: str) -> Any:
    request = pb.MemberUpdateRequest(ID=member_id, peerURLs=urls)
    return change(client, "Cluster/MemberUpdate", request, pb.MemberUpdateResponse)


def refusal(client: Client, method: str, request: Any) -> tuple[int, str]:
    status = client.status(method, request.SerializeToString())
    if status[0]:
        settle(client)
    return status


def own_id(client: Client) -> int:
    members = client.call("Cluster/MemberList", pb.MemberListRequest(), pb.MemberListResponse).members
    return next(int(member.ID) for member in members if member.name)


def told(response: Any, names: dict[int, str]) -> list[object]:
    """An answer with members' ids replaced by names, in an order that the ids do not decide."""
    members = sorted(
        (
            names.get(member.ID, "?"),
            member.name,
            list(member.peerURLs),
            list(member.clientURLs),
            member.isLearner,
        )
        for member in response.members
    )
    header = response.header
    return [header.cluster_id, header.member_id, header.revision, header.raft_term, members]


def read_buckets(server: RunningEtcd, folder: Path, names: dict[int, str]) -> list[tuple[str, str, str]]:
    """What a snapshot holds of the membership, with names for the ids that have the time in them."""
    path = folder / "membership.db"
    command = [str(reference_binary("etcdctl")), "--endpoints", server.endpoint, "snapshot", "save", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    with BoltReader(path) as reader:
        found = [
            (bucket, key, value)
            for bucket in (b"members", b"members_removed", b"meta", b"cluster")
            for items in reader.iterate(bucket)
            for key, value in items
            if key not in (b"consistent_index", b"term")
        ]
    path.unlink()
    return sorted(
        (bucket.decode(), _rename(key.decode(), names), _rename(value.decode(), names)) for bucket, key, value in found
    )


def _rename(text: str, names: dict[int, str]) -> str:
    for member_id, name in names.items():
        text = text.replace(f"{member_id:x}", name).replace(str(member_id), name)
    return text


def refuse_everything(server: RunningEtcd) -> list[tuple[int, str]]:
    with Client(server.endpoint) as client:
        me = own_id(client)
        removed = add(client, THIRD).member.ID
        remove(client, removed)
        learner = add(client, LEARNER).member.ID
        refusals = [
            refusal(client, method, request)
            for method, request in [
                ("Cluster/MemberAdd", pb.MemberAddRequest()),
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=["bad"])),
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=["http://1.2.3.4"])),
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=["http://1.2.3.4:5/"])),
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=["localhost:1"])),
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=[OTHER, "ftp://a:1"])),
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=[OTHER, LEARNER])),
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=[server.peer_url], isLearner=True)),
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=[OTHER], isLearner=True)),
                ("Cluster/MemberRemove", pb.MemberRemoveRequest(ID=me)),
                ("Cluster/MemberRemove", pb.MemberRemoveRequest(ID=STRANGER)),
                ("Cluster/MemberRemove", pb.MemberRemoveRequest()),
                ("Cluster/MemberRemove", pb.MemberRemoveRequest(ID=removed)),
                ("Cluster/MemberUpdate", pb.MemberUpdateRequest(ID=STRANGER, peerURLs=[OTHER])),
                ("Cluster/MemberUpdate", pb.MemberUpdateRequest(ID=removed, peerURLs=[OTHER])),
                ("Cluster/MemberUpdate", pb.MemberUpdateRequest(ID=me, peerURLs=[LEARNER])),
                ("Cluster/MemberPromote", pb.MemberPromoteRequest(ID=me)),
                ("Cluster/MemberPromote", pb.MemberPromoteRequest(ID=STRANGER)),
                ("Cluster/MemberPromote", pb.MemberPromoteRequest(ID=removed)),
                ("Cluster/MemberPromote", pb.MemberPromoteRequest(ID=learner)),
                ("Maintenance/MoveLeader", pb.MoveLeaderRequest(targetID=me)),
                ("Maintenance/MoveLeader", pb.MoveLeaderRequest(targetID=STRANGER)),
                ("Maintenance/MoveLeader", pb.MoveLeaderRequest(targetID=learner)),
            ]
        ]
        # From here on there is no quorum: nothing may go through the log.
        add(client, OTHER, is_learner=False, settles=False)
        return refusals + [
            client.status(method, request.SerializeToString())
            for method, request in [
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=[THIRD])),
                ("Cluster/MemberRemove", pb.MemberRemoveRequest(ID=me)),
            ]
        ]


@pytest.mark.slow
def test_every_refusal(tmp_path: Path) -> None:
    both = run_on_both(tmp_path, refuse_everything)

    assert both.ours == both.theirs
    assert {code for code, _ in both.ours} == {0, 2, 3, 5, 9}


@pytest.mark.slow
def test_a_learner_comes_and_goes(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[object]:
        with Client(server.endpoint) as client:
            me = own_id(client)
            names = {me: "me"}
            added = add(client, OTHER, LEARNER, LEARNER)
            names[added.member.ID] = "learner"
            seen: list[object] = [
                ([added.member.name, list(added.member.peerURLs), added.member.isLearner], told(added, names)),
                read_buckets(server, tmp_path, names),
            ]
            seen.append(told(remove(client, added.member.ID), names))
            seen.append(read_buckets(server, tmp_path, names))
            # Not followed by a look into the buckets: 3.5.1 forgets to write new URLs there, 3.5.33 does not.
            seen.append(told(update(client, me, server.peer_url, "http://127.0.0.1:7"), names))
            return seen

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs


def _conf_changes(folder: Path, names: dict[int, str]) -> list[tuple[int, bool, str]]:
    contents = read_contents(str(folder / "member" / "wal"), WalSnapshot(0, 0))
    changes = [raft_pb2.ConfChange.FromString(entry.data) for entry in contents.entries if entry.type]
    return [(int(change.type), bool(change.id), _rename(change.context.decode(), names)) for change in changes]


@pytest.mark.slow
def test_the_log_carries_the_same_changes(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> tuple[list[tuple[int, bool, str]], list[str]]:
        with Client(server.endpoint) as client:
            me = own_id(client)
            learner = add(client, OTHER, LEARNER).member.ID
            names = {me: "me", learner: "learner"}
            for method, request in [
                ("Cluster/MemberUpdate", pb.MemberUpdateRequest(ID=me, peerURLs=[server.peer_url])),
                ("Cluster/MemberPromote", pb.MemberPromoteRequest(ID=learner)),
                ("Cluster/MemberRemove", pb.MemberRemoveRequest(ID=learner)),
            ]:
                refusal(client, method, request)
        server.stop()
        return _conf_changes(server.data_dir, names), _said(server.data_dir.parent / "default.log", names)

    both = run_on_both(tmp_path, script)

    assert both.ours[0] == both.theirs[0]
    # What 3.5.33 says in addition to 3.5.1.
    ours = [line.replace(',"added-peer-is-learner":false', "") for line in both.ours[1]]
    ours = [line.replace(',"added-peer-is-learner":true', "") for line in ours]
    ours = [line.replace(',"removed-remote-peer-is-learner":true', "") for line in ours]
    assert ours == both.theirs[1]


SAID = (
    "added member",
    "updated member",
    "removed member",
    "applied a configuration change through raft",
    "setting up initial cluster version using v2 API",
    "set initial cluster version",
    "cluster version is updated",
    "skipped leadership transfer for single voting member cluster",
)


def _said(path: Path, names: dict[int, str]) -> list[str]:
    lines = []
    for line in path.read_text().splitlines():
        record = json.loads(line) if line.startswith("{") else {}
        if record.get("msg") in SAID:
            kept = {name: value for name, value in record.items() if name not in ("ts", "caller")}
            lines.append(_rename(json.dumps(kept, separators=(",", ":")), names))
    return lines


@pytest.mark.slow
def test_a_member_list_over_http(tmp_path: Path) -> None:
    """What a joining member asks its peers for."""

    def script(server: RunningEtcd) -> list[Any]:
        with Client(server.endpoint) as client:
            learner = add(client, LEARNER).member.ID
        with urllib.request.urlopen(f"{server.peer_url}/members", timeout=20) as response:
            members = json.loads(response.read())
        return sorted((member | {"id": 0} if member["id"] == learner else member for member in members), key=str)

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs
