"""WAL, `.snap` and v2 store, judged by the real etcd 3.5.1: it wrote what we read, and starts from what we wrote."""

from __future__ import annotations

import base64
import http.client
import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from google.protobuf.message import DecodeError

from etcdpy.base.invariant import StorageError
from etcdpy.pb import raft_pb2
from etcdpy.pb.etcdserver_pb2 import Metadata, Request
from etcdpy.pb.raft_internal_pb2 import InternalRaftRequest
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, Entry, HardState, Snapshot
from etcdpy.state.v2store import V2Error, V2Store
from etcdpy.state.v2store.codec import decode_time, encode_event
from etcdpy.state.v2store.requests import apply_request
from etcdpy.storage.snap import Snapshotter
from etcdpy.storage.snap.snapshotter import decode_snapshot_file, encode_snapshot_file
from etcdpy.storage.wal import Wal, WalSnapshot, read_contents, valid_snapshot_entries
from etcdpy.storage.wal.encoder import Encoder
from etcdpy.storage.wal.record import ENTRY, SNAPSHOT, STATE, decode_entry, decode_hard_state, decode_snapshot
from etcdpy.storage.wal.segment import Segment
from tests.reference import RunningEtcd, clean_environment, reference_binary, start_reference_etcd

pytestmark = pytest.mark.slow

PUTS = 60
V2_STEPS = 700
SEED = 20_240_607
FLAGS = ("--snapshot-count=50", "--enable-v2", "--max-snapshots=0", "--max-wals=0")


class Http:
    """The client port of a running etcd: the JSON gateway and the v2 API."""

    def __init__(self, running: RunningEtcd) -> None:
        host, _, port = running.endpoint.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=30)

    def put(self, key: bytes, value: bytes) -> None:
        self.call("/v3/kv/put", {"key": b64(key), "value": b64(value)})

    def get(self, key: bytes) -> bytes | None:
        kvs = self.call("/v3/kv/range", {"key": b64(key)}).get("kvs", [])
        return base64.b64decode(kvs[0]["value"]) if kvs else None

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._connection.request("POST", path, json.dumps(body))
        response = self._connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        answer: dict[str, Any] = json.loads(content)
        return answer

    def v2(self, method: str, key: str, parameters: dict[str, str]) -> tuple[dict[str, Any], int]:
        """Return the JSON answer and X-Etcd-Index."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        in_body = method in ("PUT", "POST")
        target = f"/v2/keys{key}" + ("" if in_body or not parameters else "?" + urlencode(parameters))
        self._connection.request(method, target, urlencode(parameters) if in_body else None, form if in_body else {})
        response = self._connection.getresponse()
        content = response.read()
        answer: dict[str, Any] = json.loads(content)
        return answer, int(response.headers.get("X-Etcd-Index") or 0)

    def close(self) -> None:
        self._connection.close()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Written:
    """What a real etcd left behind, and how its v2 answers differed from ours while it ran."""

    def __init__(self, data_dir: Path, member_id: int, differences: list[str]) -> None:
        self.data_dir = data_dir
        self.member_id = member_id
        self.differences = differences

    @property
    def wal(self) -> Path:
        return self.data_dir / "member" / "wal"

    @property
    def snap(self) -> Path:
        return self.data_dir / "member" / "snap"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    folder = tmp_path_factory.mktemp("real")
    with start_reference_etcd(folder, flags=FLAGS) as running:
        client = Http(running)
        members = client.call("/v3/cluster/member/list", {})["members"]
        store = mirror_of_a_new_member(client, members[0])
        for number in range(PUTS):
            client.put(b"key%d" % number, b"value%d" % number * (number + 1))
        differences = compare_v2(client, store)
        client.close()
    yield Written(running.data_dir, int(members[0]["ID"]), differences)


def mirror_of_a_new_member(client: Http, member: dict[str, Any]) -> V2Store:
    """Return our store in the state in which a member begins to serve: its membership and the cluster version."""
    store = V2Store()
    path = f"/0/members/{int(member['ID']):x}"
    store.create(f"{path}/raftAttributes", json.dumps({"peerURLs": member["peerURLs"]}, separators=(",", ":")))
    store.set(f"{path}/attributes", "set by the member")
    store.set("/0/version", "3.5.0")
    # The version is decided just after the member becomes healthy.
    for _ in range(10_000):
        if client.v2("GET", "/", {})[1] == store.current_index:
            return store
    raise AssertionError("the cluster version was not decided")


def random_v2_step(rng: random.Random, index: int) -> tuple[str, str, dict[str, str]]:
    """Return a request over few keys, so that files and directories meet."""
    key = "/" + "/".join(rng.choice(["a", "b", "c", "_d"]) for _ in range(rng.randint(1, 3)))
    method = rng.choice(["PUT", "PUT", "PUT", "PUT", "GET", "POST", "DELETE", "DELETE"])
    parameters: dict[str, str] = {}
    if method in ("PUT", "POST"):
        if rng.random() < 0.25:
            parameters["dir"] = "true"
        else:
            parameters["value"] = rng.choice(["x", "y", "", "<&>", "\u20ac"])
        if rng.random() < 0.2:
            parameters["ttl"] = "1000"
    if method == "PUT" and rng.random() < 0.3:
        parameters["prevExist"] = rng.choice(["true", "false"])
    if method in ("PUT", "DELETE") and rng.random() < 0.3:
        parameters["prevValue"] = rng.choice(["x", "y", "<&>"])
    if method in ("PUT", "DELETE") and rng.random() < 0.2:
        parameters["prevIndex"] = str(rng.choice([index, index - 1, max(1, index - 2)]))
    if method == "DELETE":
        parameters |= rng.choice([{}, {}, {"dir": "true"}, {"recursive": "true"}])
    if method == "GET":
        parameters |= {"sorted": "true"} | rng.choice([{}, {"recursive": "true"}])
    return method, key, parameters


def compare_v2(client: Http, store: V2Store) -> list[str]:
    """Do the same random requests there and here; return what differs."""
    rng = random.Random(SEED)
    differences: list[str] = []
    for step in range(V2_STEPS):
        method, key, parameters = random_v2_step(rng, store.current_index)
        theirs, _ = client.v2(method, key, parameters)
        ours = do_locally(store, method, key, parameters, theirs)
        if ours != without_ttl(theirs):
            differences.append(f"step {step} {method} {key} {parameters}: ours {ours}, theirs {theirs}")
    return differences


def do_locally(
    store: V2Store, method: str, key: str, parameters: dict[str, str], theirs: dict[str, Any]
) -> dict[str, Any]:
    request = Request(Method=b"QGET" if method == "GET" else method.encode(), Path=b"/1" + key.encode())
    request.Val = parameters.get("value", "").encode()
    request.Dir = "dir" in parameters
    request.Recursive = "recursive" in parameters
    request.PrevValue = parameters.get("prevValue", "").encode()
    request.PrevIndex = int(parameters.get("prevIndex", 0))
    if "prevExist" in parameters:
        request.PrevExist = parameters["prevExist"] == "true"
    if "ttl" in parameters and "node" in theirs:
        # The server turned the ttl into a time by its clock: take it from there.
        request.Expiration = decode_time(theirs["node"]["expiration"])
    try:
        event = apply_request(store, request)
    except V2Error as error:
        cause = error.cause.removeprefix("/1") or "/"
        return {"errorCode": error.code, "message": error.message, "cause": cause, "index": error.index}
    assert event is not None
    answer: dict[str, Any] = strip_namespace(without_ttl(json.loads(encode_event(event))))
    return answer


def strip_namespace(answer: Any) -> Any:
    """Take /1 off the keys, as the v2 API does."""
    if isinstance(answer, list):
        return [strip_namespace(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    stripped = {name: strip_namespace(value) for name, value in answer.items()}
    if "key" in stripped:
        stripped["key"] = stripped["key"].removeprefix("/1")
        if not stripped["key"]:
            del stripped["key"]
    return stripped


def without_ttl(answer: Any) -> Any:
    """Leave out what depends on the moment of the answer."""
    if isinstance(answer, list):
        return [without_ttl(item) for item in answer]
    if isinstance(answer, dict):
        return {name: without_ttl(value) for name, value in answer.items() if name != "ttl"}
    return answer


def apply_to_v2(store: V2Store, entry: Entry) -> None:
    """Do to the v2 store what a 3.5 member does on this entry."""
    if entry.type == ENTRY_CONF_CHANGE:
        change = raft_pb2.ConfChange.FromString(entry.data)
        urls = json.loads(change.context)["peerURLs"]
        path = f"/0/members/{change.node_id:x}/raftAttributes"
        store.create(path, json.dumps({"peerURLs": urls}, separators=(",", ":")))
        return
    if not entry.data:
        return
    try:
        InternalRaftRequest.FromString(entry.data)
    except DecodeError:
        try:
            apply_request(store, Request.FromString(entry.data))
        except V2Error:
            return


def test_v2_answers_and_errors_are_equal(written: Written) -> None:
    assert not written.differences, "\n".join(written.differences[:10])


def test_we_read_its_log(written: Written) -> None:
    contents = read_contents(str(written.wal), WalSnapshot())
    assert [entry.index for entry in contents.entries] == list(range(1, len(contents.entries) + 1))
    assert contents.hard_state.commit == len(contents.entries)
    assert contents.hard_state.vote == written.member_id
    assert Metadata.FromString(contents.metadata).NodeID == written.member_id
    puts = [request.put for request in map(internal_request, contents.entries) if request and request.HasField("put")]
    assert [(put.key, put.value) for put in puts] == [
        (b"key%d" % number, b"value%d" % number * (number + 1)) for number in range(PUTS)
    ]


def internal_request(entry: Entry) -> InternalRaftRequest | None:
    try:
        return InternalRaftRequest.FromString(entry.data) if entry.type == 0 else None
    except DecodeError:
        return None


def test_we_start_from_each_of_its_snapshots(written: Written) -> None:
    noted = valid_snapshot_entries(str(written.wal))
    everything = read_contents(str(written.wal), WalSnapshot()).entries
    assert len(noted) > 5
    for snapshot in noted:
        assert read_contents(str(written.wal), snapshot).entries == everything[snapshot.index :]
    newest = Snapshotter(str(written.snap)).load_newest_available(noted)
    assert newest is not None and newest.index == noted[-1].index
    assert noted[-1].conf_state is not None and newest.conf_state == noted[-1].conf_state
    assert newest.conf_state.voters == [written.member_id]


def test_our_encoder_makes_the_bytes_of_its_log(written: Written) -> None:
    [path] = written.wal.glob("*.wal")
    data = path.read_bytes()
    segment = Segment(data, path.name, chain_crc=0, is_last=True)
    records = list(segment.records())
    encoder = Encoder(records[0][1], segment_bytes=1 << 40)
    ours = encoder.encode_segment_head()
    for kind, payload in records[1:]:
        if kind == ENTRY:
            ours += encoder.encode([decode_entry(payload)], None).data
        elif kind == STATE:
            ours += encoder.encode([], decode_hard_state(payload)).data
        else:
            assert kind == SNAPSHOT
            ours += encoder.encode_snapshot(decode_snapshot(payload)).data
    assert ours == data[: segment.end]


def test_our_snapshot_files_are_its_bytes(written: Written) -> None:
    paths = sorted(written.snap.glob("*.snap"))
    assert len(paths) > 5
    for path in paths:
        snapshot = decode_snapshot_file(path.read_bytes())
        assert encode_snapshot_file(snapshot) == path.read_bytes()
        store = V2Store()
        store.recovery(snapshot.data)
        store.check_invariants()
        assert store.save() == snapshot.data


def test_our_v2_store_replays_its_log_to_each_of_its_snapshots(written: Written) -> None:
    """All but the statistics, which count local reads, and the ttl of events, which depends on its clock."""
    entries = read_contents(str(written.wal), WalSnapshot()).entries
    paths = {decode_snapshot_file(path.read_bytes()).index: path for path in written.snap.glob("*.snap")}
    store = V2Store()
    compared = 0
    for entry in entries:
        apply_to_v2(store, entry)
        if entry.index in paths:
            theirs = json.loads(decode_snapshot_file(paths[entry.index].read_bytes()).data)
            ours = json.loads(store.save())
            for state in (theirs, ours):
                for name in ("getsSuccess", "getsFail"):
                    del state["Stats"][name]
            assert without_ttl(ours) == without_ttl(theirs), entry.index
            compared += 1
    assert compared > 5


def test_it_starts_from_our_log_and_snapshot(written: Written, tmp_path: Path) -> None:
    """Our snapshot at its last entry, entries of ours after that, over several segments of ours."""
    data_dir = tmp_path / "copy"
    shutil.copytree(written.data_dir, data_dir)
    wal_dir, snap_dir = data_dir / "member" / "wal", data_dir / "member" / "snap"
    newest = Snapshotter(str(snap_dir)).load_newest_available(valid_snapshot_entries(str(wal_dir)))
    assert newest is not None
    wal, contents = Wal.open(str(wal_dir), WalSnapshot(newest.index, newest.term), segment_bytes=3000)
    store = V2Store()
    store.recovery(newest.data)
    for entry in contents.entries:
        apply_to_v2(store, entry)
    store.set("/1/ours", "from our snapshot")
    state = contents.hard_state
    for path in snap_dir.glob("*.snap"):
        path.unlink()
    snapshot = Snapshot(store.save(), state.commit, contents.entries[-1].term, newest.conf_state)
    Snapshotter(str(snap_dir)).save(snapshot)
    wal.persist(wal.encode_snapshot(WalSnapshot(snapshot.index, snapshot.term, snapshot.conf_state)))
    for number in range(1, 101):
        request = InternalRaftRequest()
        request.header.ID = number
        request.put.key, request.put.value = b"ours%d" % number, b"written by us %d" % number
        index = snapshot.index + number
        entry = Entry(state.term, index, 0, request.SerializeToString())
        wal.persist(wal.encode([entry], HardState(state.term, state.vote, index)))
    wal.close()
    assert len(list(wal_dir.glob("*.wal"))) > 3

    with start_reference_etcd(tmp_path, data_dir=data_dir, flags=FLAGS) as running:
        client = Http(running)
        assert client.get(b"ours1") == b"written by us 1"
        assert client.get(b"ours100") == b"written by us 100"
        assert client.get(b"key59") == b"value59" * 60
        assert client.v2("GET", "/ours", {})[0]["node"]["value"] == "from our snapshot"
        client.put(b"theirs", b"again")
        client.close()
    after = read_contents(str(wal_dir), WalSnapshot(snapshot.index, snapshot.term))
    assert after.entries[0].data.find(b"written by us 1") > 0
    assert any(entry.data.find(b"theirs") > 0 for entry in after.entries)


def test_either_program_keeps_the_other_out(written: Written, tmp_path: Path) -> None:
    data_dir = tmp_path / "copy"
    shutil.copytree(written.data_dir, data_dir)
    wal_dir = str(data_dir / "member" / "wal")
    wal, _ = Wal.open(wal_dir, WalSnapshot())
    command = [str(reference_binary("etcd")), f"--data-dir={data_dir}", "--listen-client-urls=http://127.0.0.1:0"]
    command += ["--advertise-client-urls=http://127.0.0.1:0", "--listen-peer-urls=http://127.0.0.1:0"]
    refused = subprocess.run(command, capture_output=True, env=clean_environment(), timeout=60, check=False)
    assert refused.returncode != 0
    assert b"file already locked" in refused.stderr + refused.stdout
    wal.close()
    with start_reference_etcd(tmp_path, data_dir=data_dir, flags=FLAGS):
        with pytest.raises(StorageError, match="locked by another process"):
            Wal.open(wal_dir, WalSnapshot())
