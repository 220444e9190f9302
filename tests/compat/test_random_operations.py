"""The same random operations against the real etcd 3.5.1 and ours: answers, codes and texts, field by field.

Both servers run one after the other with the same name, ports and token, so that ids, headers and Hash() agree too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.errors import OUT_OF_RANGE
from etcdpy.pb import rpc_pb2 as pb
from tests.compat.operations import Operation, generate
from tests.compat.transcript import Reply, record
from tests.ours import ours_binary
from tests.reference import free_port, start_reference_etcd

SEEDS = (1, 2, 3, 4, 5)
SEEDS_OF_HASH = (6, 7)
OPERATIONS_PER_SEED = 600
HASH_KV = Operation(b"/etcdserverpb.Maintenance/HashKV", b"", "HashKV")
HASH = Operation(b"/etcdserverpb.Maintenance/Hash", b"", "Hash")


def _run(tmp_path: Path, ports: tuple[int, int], operations: list[Operation], binary: Path | None) -> list[Reply]:
    tmp_path.mkdir()
    with start_reference_etcd(tmp_path, client_port=ports[0], peer_port=ports[1], binary=binary) as server:
        return record(server.endpoint, operations)


def _is_known_difference(operation: Operation, expected: Reply, actual: Reply) -> bool:
    """HashKV of exactly the compacted revision: 3.5.1 refuses it, 3.5.33 and ours answer (as Range does)."""
    return (
        operation.path.endswith(b"HashKV")
        and expected.code == OUT_OF_RANGE
        and actual.message is not None
        and actual.message.compact_revision == pb.HashKVRequest.FromString(operation.message).revision
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_same_answers_as_the_real_etcd(tmp_path: Path, seed: int) -> None:
    _compare(tmp_path, seed, [*generate(seed, OPERATIONS_PER_SEED), HASH_KV])


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS_OF_HASH)
def test_the_whole_store_has_the_same_hash(tmp_path: Path, seed: int) -> None:
    """Hash() counts every bucket. Without compactions: 3.5.1 removes a tombstone of exactly the compacted revision,
    3.5.16 and ours keep it (HashKV counts it nowhere, and is compared after compactions too).
    """
    _compare(tmp_path, seed, [*generate(seed, OPERATIONS_PER_SEED, compactions=False), HASH_KV, HASH])


def _compare(tmp_path: Path, seed: int, operations: list[Operation]) -> None:
    ports = free_port(), free_port()

    theirs = _run(tmp_path / "real", ports, operations, None)
    ours = _run(tmp_path / "ours", ports, operations, ours_binary("etcd"))

    for number, (operation, expected, actual) in enumerate(zip(operations, theirs, ours, strict=True)):
        assert actual == expected or _is_known_difference(operation, expected, actual), (
            f"seed {seed}, operation {number}: {operation.text}\n--- real ---\n{expected}\n--- ours ---\n{actual}"
        )


def test_the_operations_reach_every_corner() -> None:
    """A generator that only ever makes errors, or none, would compare nothing."""
    operations = generate(1, OPERATIONS_PER_SEED)
    paths = {operation.path for operation in operations}

    assert len(operations) * len(SEEDS) >= 2000
    assert len(paths) >= 10
    nested = [pb.TxnRequest.FromString(op.message) for op in operations if op.path.endswith(b"Txn")]
    assert any(op.HasField("request_txn") for txn in nested for op in txn.success)
