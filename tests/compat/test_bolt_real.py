"""bbolt files, judged by the real etcd 3.5.1: it wrote what we read, and serves what we wrote."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.pb.auth_pb2 import User
from etcdpy.pb.kv_pb2 import KeyValue
from etcdpy.pb.rpc_pb2 import HashResponse
from etcdpy.storage.backend import Backend
from etcdpy.storage.bolt.pages import BoltError
from etcdpy.storage.bolt.reader import BoltReader
from etcdpy.storage.bolt.takeover import open_or_take_over
from etcdpy.storage.schema import buckets, meta
from etcdpy.storage.schema.records import decode_alarm, decode_lease, decode_lease_id, encode_alarm
from etcdpy.storage.schema.revisions import decode_revision, encode_revision, is_tombstone
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.reference import RunningEtcd, clean_environment, reference_binary, start_reference_etcd

pytestmark = pytest.mark.slow

KEYS = 20_000
PER_TXN = 100
LEASE_ID = 0x1234_5678_9ABC_DEF0
LONG_NAME = "u" * 700


class Filled:
    """What a real etcd had to say of itself, and the files that it left."""

    def __init__(self, data_dir: Path, peer_url: str, served: dict[bytes, bytes], hash_: int, hash_kv: int) -> None:
        self.data_dir = data_dir
        self.peer_url = peer_url
        self.served = served
        self.hash = hash_
        self.hash_kv = hash_kv

    @property
    def db(self) -> Path:
        return self.data_dir / "member" / "snap" / "db"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Gateway:
    """The JSON gateway of a running etcd."""

    def __init__(self, running: RunningEtcd) -> None:
        host, _, port = running.endpoint.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=60)

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def call(self, path: str, **request: Any) -> dict[str, Any]:
        self._connection.request("POST", f"/v3/{path}", json.dumps(request))
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, (path, body[:300])
        answer: dict[str, Any] = json.loads(body)
        return answer

    def puts(self, items: list[tuple[bytes, bytes]], lease: int = 0) -> None:
        requests = [{"request_put": {"key": b64(k), "value": b64(v), "lease": str(lease)}} for k, v in items]
        self.call("kv/txn", success=requests)

    def everything(self) -> dict[bytes, bytes]:
        answer = self.call("kv/range", key="AA==", range_end="AA==")
        return {base64.b64decode(kv["key"]): base64.b64decode(kv.get("value", "")) for kv in answer.get("kvs", [])}


def hash_of_everything(running: RunningEtcd) -> int:
    """The Hash RPC; in 3.5.1 the gateway's path of that name leads to HashKV."""
    channel = BlockingChannel(running.endpoint)
    try:
        answer = channel.unary(b"/etcdserverpb.Maintenance/Hash", b"", timeout=60.0)
        return HashResponse.FromString(answer).hash
    finally:
        channel.close()


def fill(gateway: Gateway) -> None:
    gateway.call("lease/grant", ID=str(LEASE_ID), TTL="7200")
    gateway.call("lease/grant", ID="77", TTL="600")
    for first in range(0, KEYS, PER_TXN):
        items = [(b"key/%06d" % n, b"v%d" % n * (n % 40)) for n in range(first, first + PER_TXN)]
        gateway.puts(items, LEASE_ID if first == 0 else 0)
    for number, size in enumerate((4000, 4096, 5000, 9000, 100_000, 1_000_000)):
        gateway.puts([(b"big/%d" % number, bytes([65 + number]) * size)])
    gateway.puts([(b"k" * 3000, b"long key"), (b"\x00\xff", b"\x00\xff\x00")])
    for _ in range(3):
        gateway.puts([(b"often", b"again")])
    gateway.call("kv/deleterange", key=b64(b"key/005000"), range_end=b64(b"key/006000"))
    gateway.call("kv/compaction", revision="150", physical=True)
    gateway.call("auth/user/add", name="root", password="secret")
    gateway.call("auth/user/add", name=LONG_NAME, password="secret")
    gateway.call("auth/role/add", name="r" * 600)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    directory = tmp_path_factory.mktemp("real")
    with start_reference_etcd(directory) as running, Gateway(running) as gateway:
        fill(gateway)
        served = gateway.everything()
        hash_kv = int(gateway.call("maintenance/hash")["hash"])
        hash_ = hash_of_everything(running)
    yield Filled(running.data_dir, running.peer_url, served, hash_, hash_kv)


@pytest.fixture
def backend(filled: Filled, tmp_path: Path) -> Iterator[Backend]:
    """Our store, taken over from the real etcd's folder."""
    member = tmp_path / "member"
    (member / "snap").mkdir(parents=True)
    shutil.copy(filled.db, member / "snap" / "db")
    opened = open_or_take_over(member)
    yield opened
    opened.close()


def etcdutl(*arguments: str | Path) -> str:
    command = [str(reference_binary("etcdutl")), *map(str, arguments)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def status_of(db: Path) -> dict[str, int]:
    """What our reader makes of the numbers of `etcdutl snapshot status`."""
    crc, revision, total = 0, 0, 0
    with BoltReader(db) as reader:
        for name in reader.bucket_names():
            crc = google_crc32c.extend(crc, name)
            for items in reader.iterate(name):
                for key, value in items:
                    crc = google_crc32c.extend(google_crc32c.extend(crc, key), value)
                    total += 1
                    if name == b"key":
                        revision = decode_revision(key)[0]
    return {"hash": crc, "revision": revision, "totalKey": total, "totalSize": db.stat().st_size}


def live_keys(items: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    live: dict[bytes, bytes] = {}
    for revision, value in items:
        kv = KeyValue.FromString(value)
        if is_tombstone(revision):
            live.pop(kv.key, None)
        else:
            live[kv.key] = kv.value
    return live


def export(backend: Backend, path: Path) -> Path:
    job = backend.start_export(path)
    while not job.poll():
        backend.poll(time.monotonic())
    assert job.size == path.stat().st_size
    assert job.index == backend.consistent_index
    return path


def restore(snapshot: Path, filled: Filled, data_dir: Path) -> None:
    etcdutl(
        "snapshot", "restore", snapshot, "--skip-hash-check", "--data-dir", data_dir,
        "--initial-cluster", f"default={filled.peer_url}", "--initial-advertise-peer-urls", filled.peer_url,
    )  # fmt: skip


def start_on(data_dir: Path, filled: Filled, tmp_path: Path) -> RunningEtcd:
    return start_reference_etcd(tmp_path, data_dir=data_dir, peer_port=int(filled.peer_url.rpartition(":")[2]))


def test_our_reader_sees_what_etcd_serves(filled: Filled) -> None:
    with BoltReader(filled.db) as reader:
        assert reader.bucket_names() == list(buckets.NAMES)
        revisions = [item for items in reader.iterate(b"key") for item in items]
        leases = {decode_lease_id(key): decode_lease(value).TTL for key, value in next(reader.iterate(b"lease"))}
        users = [key for key, _ in next(reader.iterate(b"authUsers"))]
        conf_state = reader.get(b"meta", meta.CONF_STATE)
    assert live_keys(revisions) == filled.served
    assert len(filled.served) == KEYS - 1000 + 6 + 2 + 1
    assert leases == {LEASE_ID: 7200, 77: 600}
    assert users == [b"root", LONG_NAME.encode()]
    assert conf_state is not None
    assert meta.encode_conf_state(meta.decode_conf_state(conf_state)) == conf_state


def test_our_reader_counts_as_etcdutl_does(filled: Filled) -> None:
    assert status_of(filled.db) == json.loads(etcdutl("snapshot", "status", filled.db, "-w", "json"))


def test_hash_after_take_over_is_the_real_one(filled: Filled, backend: Backend) -> None:
    assert backend.hash() == filled.hash
    assert live_keys(backend.scan(buckets.KEY, b"", None)) == filled.served
    user = backend.get(buckets.AUTH_USERS, LONG_NAME.encode())
    assert user is not None and User.FromString(user).name == LONG_NAME.encode()


def test_an_export_right_after_take_over_is_the_same_data(filled: Filled, backend: Backend, tmp_path: Path) -> None:
    path = export(backend, tmp_path / "export.db")
    ours, theirs = status_of(path), status_of(filled.db)
    assert json.loads(etcdutl("snapshot", "status", path, "-w", "json")) == ours
    assert {**ours, "totalSize": 0} == {**theirs, "totalSize": 0}


def test_a_real_etcd_serves_our_export(filled: Filled, backend: Backend, tmp_path: Path) -> None:
    """Restored, started, defragmented, started again: same keys, same HashKV, and it takes writes."""
    snapshot = export(backend, tmp_path / "export.db")
    data_dir = tmp_path / "restored"
    restore(snapshot, filled, data_dir)

    with start_on(data_dir, filled, tmp_path) as running, Gateway(running) as gateway:
        assert gateway.everything() == filled.served
        assert int(gateway.call("maintenance/hash")["hash"]) == filled.hash_kv
        assert {int(lease["ID"]) for lease in gateway.call("lease/leases")["leases"]} == {LEASE_ID, 77}
        for first in range(0, 2000, PER_TXN):
            gateway.puts([(b"key/%06d" % n, b"new" * 30) for n in range(first, first + PER_TXN)])
        gateway.call("kv/deleterange", key=b64(b"big/"), range_end=b64(b"big0"))
        served = gateway.everything()
    etcdutl("defrag", "--data-dir", data_dir)
    with start_on(data_dir, filled, tmp_path) as running, Gateway(running) as gateway:
        assert gateway.everything() == served
    with BoltReader(data_dir / "member" / "snap" / "db") as reader:
        assert live_keys([item for items in reader.iterate(b"key") for item in items]) == served


def test_writes_of_ours_reach_the_export_and_the_real_etcd(filled: Filled, backend: Backend, tmp_path: Path) -> None:
    last = backend.scan(buckets.KEY, b"", None, 1, True)[0][0]
    main, _ = decode_revision(last)
    values = {}
    for number in range(1, 3001):
        key, value = b"ours/%05d" % number, b"x" * (number % 700)
        kv = KeyValue(key=key, value=value, create_revision=main + number, mod_revision=main + number, version=1)
        backend.put(buckets.KEY, encode_revision(main + number, 0), kv.SerializeToString())
        backend.end_entry(backend.consistent_index + 1, backend.term)
        values[key] = value
    snapshot = export(backend, tmp_path / "export.db")
    assert json.loads(etcdutl("snapshot", "status", snapshot, "-w", "json")) == status_of(snapshot)
    data_dir = tmp_path / "restored"
    restore(snapshot, filled, data_dir)

    with start_on(data_dir, filled, tmp_path) as running, Gateway(running) as gateway:
        assert gateway.everything() == {**filled.served, **values}


def test_a_running_etcd_keeps_its_file_to_itself(tmp_path: Path) -> None:
    with start_reference_etcd(tmp_path) as running, Gateway(running) as gateway:
        db = running.data_dir / "member" / "snap" / "db"
        with pytest.raises(BoltError, match="in use by another process"):
            BoltReader(db)
        gateway.call("maintenance/alarm", action="ACTIVATE", memberID="9", alarm="NOSPACE")
    with BoltReader(db) as reader:
        ((key, value),) = next(reader.iterate(b"alarm"))
    assert (key, value) == (encode_alarm(member_id=9, alarm=1), b"")
    assert decode_alarm(key).memberID == 9


def test_a_db_newer_than_our_store_is_refused(filled: Filled, tmp_path: Path) -> None:
    member = tmp_path / "member"
    (member / "snap").mkdir(parents=True)
    Backend.open(member).close()
    shutil.copy(filled.db, member / "snap" / "db")
    with pytest.raises(StorageError, match="newer than our store at 0"):
        open_or_take_over(member)
