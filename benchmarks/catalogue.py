"""Everything that is measured, in the table's order, with what is to be reached.

The counts make each measurement last some seconds on two cores; together, with five rounds, half an hour.
"""

from __future__ import annotations

from typing import Final

from benchmarks import messages
from benchmarks.cluster import OnCluster
from benchmarks.requests import DistinctPuts, H2loadReads, H2loadWrites, Shape
from benchmarks.scenario import Row, Scenario
from benchmarks.secured import OverTls, WithTokens
from benchmarks.stores import ManyKeys, MemoryAfterPuts
from benchmarks.watches import FanOut

PER_SECOND: Final = "req/s"
EVENTS: Final = "events/s"
MIB: Final = "MiB"


def request_row(name: str, title: str, target: float) -> Row:
    return Row(name=name, title=title, unit=PER_SECOND, target=target)


# What puts have to reach, one key or distinct ones.
PUT_SHAPES: Final = (
    (Shape(connections=1, streams=1, requests=10_000), 0.9),
    (Shape(connections=100, streams=1, requests=60_000), 1.3),
    (Shape(connections=100, streams=10, requests=120_000), 1.5),
)

PUTS: Final = tuple(
    H2loadWrites(
        row=request_row(f"put-{shape}", f"put 256 B, one key, {shape}", target),
        shape=shape,
        path=messages.PUT_PATH,
        message=messages.put(),
    )
    for shape, target in PUT_SHAPES
)

DISTINCT_PUTS: Final = tuple(
    DistinctPuts(row=request_row(f"distinct-{shape}", f"put 256 B, distinct keys, {shape}", target), shape=shape)
    for shape, target in PUT_SHAPES
)

READS: Final = (
    H2loadReads(
        row=request_row("range-linearizable", "range of one key, linearizable, 100x10", 1.0),
        shape=Shape(connections=100, streams=10, requests=150_000),
        keys=1,
        message=messages.range_one(serializable=False),
    ),
    H2loadReads(
        row=request_row("range-serializable", "range of one key, serializable, 100x10", 1.0),
        shape=Shape(connections=100, streams=10, requests=150_000),
        keys=1,
        message=messages.range_one(serializable=True),
    ),
    H2loadReads(
        row=request_row("range-1000", "range of 1,000 keys, linearizable, 10x1", 1.0),
        shape=Shape(connections=10, streams=1, requests=4_000),
        keys=messages.RANGE_KEYS,
        message=messages.range_all(),
    ),
)

TXN: Final = H2loadWrites(
    row=request_row("txn", "txn, compare and put 256 B, 100x10", 1.5),
    shape=Shape(connections=100, streams=10, requests=100_000),
    path=messages.TXN_PATH,
    message=messages.compare_and_put(),
)

# By a user with a token: what is left of the calls without.
WITH_TOKENS: Final = tuple(
    WithTokens(
        calls=H2loadWrites(
            row=Row(name=f"auth-{name}-{shape}", title=f"put 256 B, {title}, {shape}", unit=PER_SECOND, target=None),
            shape=shape,
            path=messages.PUT_PATH,
            message=messages.put(),
        ),
        share=Row(
            name=f"auth-{name}-{shape}-share",
            title=f"put 256 B, {title}, {shape}: of those without",
            unit="share",
            target=0.85,
            target_is_ours=True,
        ),
        is_jwt=name == "jwt",
    )
    for name, title, shape in (
        ("simple", "simple token", PUT_SHAPES[0][0]),
        ("simple", "simple token", PUT_SHAPES[-1][0]),
        ("jwt", "JSON Web Token", PUT_SHAPES[-1][0]),
    )
)

OVER_TLS: Final = (
    OverTls(
        calls=H2loadWrites(
            row=request_row("tls-put", "put 256 B over TLS, one key, 100x10", 1.5),
            shape=Shape(connections=100, streams=10, requests=100_000),
            path=messages.PUT_PATH,
            message=messages.put(),
        )
    ),
    OverTls(
        calls=H2loadReads(
            row=request_row("tls-range", "range of one key over TLS, serializable, 100x10", 3.0),
            shape=Shape(connections=100, streams=10, requests=120_000),
            keys=1,
            message=messages.range_one(serializable=True),
        )
    ),
)

# Three members: what the leader is asked for, everybody stores.
CLUSTER_PUTS: Final = tuple(
    OnCluster(
        calls=H2loadWrites(
            row=request_row(f"cluster-put-{shape}", f"three members, put 256 B, one key, {shape}", target),
            shape=shape,
            path=messages.PUT_PATH,
            message=messages.put(),
        )
    )
    for shape, target in (
        (Shape(connections=1, streams=1, requests=4_000), 0.9),
        (Shape(connections=100, streams=1, requests=40_000), 1.2),
        (Shape(connections=100, streams=10, requests=80_000), 1.3),
    )
)

CLUSTER_READS: Final = OnCluster(
    calls=H2loadReads(
        row=request_row("cluster-range", "three members, range of one key, linearizable, 100x10", 1.0),
        shape=Shape(connections=100, streams=10, requests=120_000),
        keys=1,
        message=messages.range_one(serializable=False),
    )
)

WATCHES: Final = (
    FanOut(
        row=Row(name="watch-one-stream", title="one put to 1,000 watchers on one stream", unit=EVENTS, target=1.0),
        connections=1,
        streams_per_connection=1,
        watchers_per_stream=1000,
        puts=500,
    ),
    FanOut(
        row=Row(name="watch-100-streams", title="one put to 100 streams x 10 watchers", unit=EVENTS, target=1.0),
        connections=10,
        streams_per_connection=10,
        watchers_per_stream=10,
        puts=500,
    ),
)

MEMORY_AFTER_PUTS: Final = MemoryAfterPuts(
    row=Row(
        name="memory-puts", title="memory after 300,000 puts of one key", unit=MIB, target=1.0, lower_is_better=True
    ),
    shape=Shape(connections=100, streams=10, requests=300_000),
)

MANY_KEYS: Final = ManyKeys(
    load=Row(name="load-keys", title="loading 1 M keys x 256 B, 100 a txn", unit="keys/s", target=None),
    memory=Row(name="memory-keys", title="memory with 1 M keys x 256 B", unit=MIB, target=1.0, lower_is_better=True),
    start=Row(name="start-keys", title="start on 1 M keys", unit="s", target=1.5, lower_is_better=True),
    keys=1_000_000,
)

SCENARIOS: Final[tuple[Scenario, ...]] = (
    *PUTS,
    *DISTINCT_PUTS,
    *READS,
    TXN,
    *WITH_TOKENS,
    *OVER_TLS,
    *CLUSTER_PUTS,
    CLUSTER_READS,
    *WATCHES,
    MEMORY_AFTER_PUTS,
    MANY_KEYS,
)


def all_rows() -> list[Row]:
    return [row for scenario in SCENARIOS for row in scenario.rows]


def select(names: list[str]) -> list[Scenario]:
    """Return the scenarios of these names; `put` stands for all rows that begin with `put-`. No names: all.

    Raises ValueError for a name that selects nothing.
    """
    if not names:
        return list(SCENARIOS)
    for name in names:
        if not any(matches(row, name) for row in all_rows()):
            raise ValueError(f"no scenario {name!r}; there are: {', '.join(row.name for row in all_rows())}")
    return [scenario for scenario in SCENARIOS if any(matches(row, name) for row in scenario.rows for name in names)]


def matches(row: Row, name: str) -> bool:
    return row.name == name or row.name.startswith(name + "-")
