"""What a member says of its data, to compare two programs that had the same data directory one after the other."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.both import Client, path_of
from tests.reference import RunningEtcd

LEASES: Final = (7, 8, 1 << 40)
SHA256_BYTES: Final = 32


@dataclass
class State:
    """The store of one member at one moment."""

    member_id: int
    cluster_id: int
    revision: int
    compact_revision: int
    hash_kv: int
    kvs: list[Any] = field(repr=False)
    members: list[Any] = field(repr=False)
    leases: dict[int, list[bytes]]
    raft_index: int = field(compare=False)  # a start alone moves it


def look(server: RunningEtcd) -> State:
    """Ask for everything that must survive a move."""
    with Client(server.endpoint) as client:
        everything = pb.RangeRequest(key=b"\0", range_end=b"\0")
        found = client.call("KV/Range", everything, pb.RangeResponse)
        hashed = client.call("Maintenance/HashKV", pb.HashKVRequest(), pb.HashKVResponse)
        members = client.call("Cluster/MemberList", pb.MemberListRequest(), pb.MemberListResponse)
        listed = client.call("Lease/LeaseLeases", pb.LeaseLeasesRequest(), pb.LeaseLeasesResponse)
        status = client.call("Maintenance/Status", pb.StatusRequest(), pb.StatusResponse)
        leases = {}
        for lease_id in sorted(lease.ID for lease in listed.leases):
            request = pb.LeaseTimeToLiveRequest(ID=lease_id, keys=True)
            leases[lease_id] = sorted(client.call("Lease/LeaseTimeToLive", request, pb.LeaseTimeToLiveResponse).keys)
        return State(
            member_id=found.header.member_id,
            cluster_id=found.header.cluster_id,
            revision=found.header.revision,
            compact_revision=hashed.compact_revision,
            hash_kv=hashed.hash,
            kvs=list(found.kvs),
            members=list(members.members),
            leases=leases,
            raft_index=status.raftIndex,
        )


def write(server: RunningEtcd, seed: int, count: int) -> None:
    """Puts, deletes, transactions, leases, now and then a compaction; one more compaction and puts at the end."""
    rng = random.Random(seed)
    with Client(server.endpoint) as client:
        for lease_id in LEASES:
            client.status("Lease/LeaseGrant", pb.LeaseGrantRequest(ID=lease_id, TTL=3600).SerializeToString())
        for number in range(count):
            _write_once(client, rng, number)
        newest = client.call("KV/Range", pb.RangeRequest(key=b"x"), pb.RangeResponse).header.revision
        compaction = pb.CompactionRequest(revision=newest - 5, physical=True)
        client.call("KV/Compact", compaction, pb.CompactionResponse)
        for number in range(10):
            client.call("KV/Put", pb.PutRequest(key=b"last/%d" % number, value=b"%d" % seed), pb.PutResponse)


def _write_once(client: Client, rng: random.Random, number: int) -> None:
    key = b"key/%02d" % rng.randrange(40)
    choice = rng.random()
    if choice < 0.6:
        lease_id = rng.choice([0, 0, 0, *LEASES])
        value = rng.randbytes(rng.choice([0, 10, 3000]))
        client.call("KV/Put", pb.PutRequest(key=key, value=value, lease=lease_id), pb.PutResponse)
    elif choice < 0.75:
        client.call("KV/DeleteRange", pb.DeleteRangeRequest(key=key), pb.DeleteRangeResponse)
    elif choice < 0.98:
        txn = pb.TxnRequest()
        txn.success.add().request_put.CopyFrom(pb.PutRequest(key=b"txn/a", value=b"%d" % number))
        txn.success.add().request_delete_range.key = key
        txn.success.add().request_put.CopyFrom(pb.PutRequest(key=b"txn/b", value=b"%d" % number))
        client.call("KV/Txn", txn, pb.TxnResponse)
    else:
        newest = client.call("KV/Range", pb.RangeRequest(key=key), pb.RangeResponse).header.revision
        compaction = pb.CompactionRequest(revision=max(2, newest - rng.randrange(30)), physical=True)
        client.status("KV/Compact", compaction.SerializeToString())  # an older one than the last is refused


def save_snapshot(server: RunningEtcd, path: Path) -> None:
    """Write the Snapshot stream to `path`, its trailing SHA-256 left out: a db file."""
    with Client(server.endpoint) as client:
        stream = client.channel.stream(path_of("Maintenance/Snapshot"))
        stream.write(pb.SnapshotRequest().SerializeToString())
        stream.finish_writing()
        content = bytearray()
        while (message := stream.read(30.0)) is not None:
            content += pb.SnapshotResponse.FromString(message).blob
    path.write_bytes(content[:-SHA256_BYTES])
