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


def add(client: Client, *urls: str, is_learner: bool = True) -> Any:
    request = pb.MemberAddRequest(peerURLs=urls, isLearner=is_learner)
    return client.call("Cluster/MemberAdd", request, pb.MemberAddResponse)


def refusal(client: Client, method: str, request: Any) -> tuple[int, str]:
    return client.status(method, request.SerializeToString())


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


def read_buckets(server: RunningEtcd, folder: Path, names: dict[int, str]) -> list[object]:
    """What a snapshot holds of the membership, with names for the ids that have the time in them."""
    path = folder / "membership.db"
    command = [reference_binary("etcdctl"), "--endpoints", server.endpoint, "snapshot", "save", path]
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
        learner = add(client, LEARNER).member.ID
        removed = learner
        client.call("Cluster/MemberRemove", pb.MemberRemoveRequest(ID=removed), pb.MemberRemoveResponse)
        learner = add(client, LEARNER).member.ID
        return [
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
                # Last, for it takes the quorum away; from then on nothing but refusals are answered.
                ("Cluster/MemberAdd", pb.MemberAddRequest(peerURLs=[OTHER])),
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
            own_urls = pb.MemberUpdateRequest(ID=me, peerURLs=[server.peer_url, "http://127.0.0.1:7"])
            seen.append(told(client.call("Cluster/MemberUpdate", own_urls, pb.MemberUpdateResponse), names))
            removal = pb.MemberRemoveRequest(ID=added.member.ID)
            seen.append(told(client.call("Cluster/MemberRemove", removal, pb.MemberRemoveResponse), names))
            own_urls = pb.MemberUpdateRequest(ID=me, peerURLs=[server.peer_url])
            client.call("Cluster/MemberUpdate", own_urls, pb.MemberUpdateResponse)
            hashed = client.call("Maintenance/Hash", pb.HashRequest(), pb.HashResponse).header.revision
            return [*seen, hashed]

    both = run_on_both(tmp_path, script)

    assert both.ours == both.theirs


def _conf_changes(folder: Path, names: dict[int, str]) -> list[tuple[int, int, bool, str]]:
    contents = read_contents(str(folder / "member" / "wal"), WalSnapshot(0, 0))
    changes = [raft_pb2.ConfChange.FromString(entry.data) for entry in contents.entries if entry.type]
    return [
        (change.type, len(change.SerializeToString()), bool(change.id), _rename(change.context.decode(), names))
        for change in changes
    ]


@pytest.mark.slow
def test_the_log_carries_the_same_changes(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> tuple[list[tuple[int, int, bool, str]], list[str]]:
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
        changes = [(kind, is_asked, text) for kind, _, is_asked, text in _conf_changes(server.data_dir, names)]
        return changes, _said(server.data_dir.parent / "default.log", names)

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
        record = json.loads(line)
        if record["msg"] in SAID:
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
