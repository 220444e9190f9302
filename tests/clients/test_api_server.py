"""The Kubernetes API server's calls are answered alike by the real etcd and by ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.client.client import Client
from etcdpy.client.watch import Watcher
from etcdpy.pb.kv_pb2 import KeyValue
from tests.clients.api_server import COMPACT_KEY, Compactor, Conflict, Page, Storage
from tests.compat.both import run_on_both
from tests.reference import RunningEtcd

pytestmark = pytest.mark.slow
READ_SECONDS = 20.0


def told(pair: KeyValue | None) -> str:
    return "nothing" if pair is None else str(pair).replace("\n", " ")


def refused(call: Callable[[], object]) -> str:
    """Return how a call is refused; one that is not is a failure."""
    try:
        call()
    except Conflict as conflict:
        return f"conflict: {told(conflict.found)}"
    except EtcdError as error:
        return f"{error.code} {error.text}"
    raise AssertionError("it was not refused")


def told_page(page: Page) -> str:
    return f"{[pair.key for pair in page.items]} at {page.revision}, then {page.next_key!r}, {page.remaining} more"


def read_events(watcher: Watcher, count: int) -> list[str]:
    """Return `count` events; how they are put into responses is the member's business."""
    events: list[str] = []
    while len(events) < count:
        response = watcher.read(READ_SECONDS)
        assert response is not None and not response.canceled
        events += [f"{event.type} {told(event.kv)} before: {told(event.prev_kv)}" for event in response.events]
    return events


def read_progress(watcher: Watcher) -> str:
    while True:
        response = watcher.read(READ_SECONDS)
        assert response is not None
        if not response.events and not response.created:
            return str(response)


def guarded_changes(storage: Storage, client: Client) -> list[str]:
    seen = [f"created {storage.create(b'pods/a', b'1')}", refused(lambda: storage.create(b"pods/a", b"2"))]
    seen.append(f"updated {storage.update(b'pods/a', lambda value: value + b'!')}")
    pair = storage.get(b"pods/a")
    assert pair is not None
    seen += [told(pair), refused(lambda: storage.delete(b"pods/a", pair.create_revision))]
    seen += [f"deleted {storage.delete(b'pods/a', pair.mod_revision)}", told(storage.get(b"pods/a"))]
    seen.append(refused(lambda: storage.delete(b"pods/a", pair.mod_revision)))
    seen.append(f"created again {storage.create(b'pods/a', b'3')}")
    seen.append(told(storage.get(b"pods/a", revision=pair.mod_revision)))
    return seen


def paged_lists(storage: Storage, client: Client) -> list[str]:
    for number in range(25):
        storage.create(b"pods/p%02d" % number, b"x" * number)
    storage.create(b"podtemplates/one", b"not a pod")
    seen = [f"{storage.count(b'pods/')} pods"]
    for page in storage.pages(b"pods/", 10):
        seen.append(told_page(page))
        # What happens between two pages is not in them.
        storage.create(b"pods/between%d" % len(seen), b"")
        if len(seen) == 2:
            storage.update(b"pods/p20", lambda value: b"changed")
    seen += [told_page(page) for page in storage.pages(b"none/", 10)]
    seen += [told_page(page) for page in storage.pages(b"pods/", 0)]
    seen.append(refused(lambda: storage.page(b"pods/", 10, revision=page.revision + 1000)))
    return seen


def watches(storage: Storage, client: Client) -> list[str]:
    storage.create(b"nodes/a", b"1")
    (page,) = storage.pages(b"nodes/", 500)
    with storage.watch(b"nodes/", page.revision) as watcher:
        storage.update(b"nodes/a", lambda value: b"2")
        storage.create(b"nodes/b", b"1")
        found = storage.get(b"nodes/a")
        assert found is not None
        storage.delete(b"nodes/a", found.mod_revision)
        storage.create(b"nodesets/a", b"not a node")
        seen = read_events(watcher, 3)
        with storage.watch(b"nodes/", page.revision) as late:
            assert read_events(late, 3) == seen
        seen.append(f"progress {read_progress(watcher)}")
    return seen


def vanishing_events(storage: Storage, client: Client) -> list[str]:
    (page,) = storage.pages(b"events/", 500)
    with storage.watch(b"events/", page.revision) as watcher:
        for number in range(4):
            storage.create(b"events/%d" % number, b"happened", ttl_seconds=600)
        leases = sorted(lease.ID for lease in client.lease.leases().leases)
        held = [sorted(client.lease.time_to_live(lease, keys=True).keys) for lease in leases]
        client.lease.revoke(leases[0])
        return [f"{leases} {held}", *read_events(watcher, 7), f"{storage.count(b'events/')} left"]


def compactions(storage: Storage, client: Client) -> list[str]:
    rivals = [Compactor(client), Compactor(client)]
    seen: list[str] = []
    for number in range(4):
        storage.create(b"compacted/%d" % number, b"")
        first = storage.page(b"compacted/", 1)
        seen += [f"{rival.compact()} {told(client.kv.get(COMPACT_KEY).kvs[0])}" for rival in rivals]
    first = storage.page(b"compacted/", 2)
    client.kv.compact(storage.create(b"compacted/last", b""), physical=True)
    seen.append(refused(lambda: storage.page(b"compacted/", 2, revision=first.revision, begin=first.next_key or b"")))
    with storage.watch(b"compacted/", first.revision - 1) as late:
        response = late.read(READ_SECONDS)
        while response is not None and response.created and not response.canceled:
            response = late.read(READ_SECONDS)
        seen.append(str(response))
    return seen


PARTS = guarded_changes, paged_lists, watches, vanishing_events, compactions


def test_the_api_servers_calls(tmp_path: Path) -> None:
    def script(server: RunningEtcd) -> list[tuple[str, list[str]]]:
        with Client([server.endpoint], command_timeout=READ_SECONDS) as client:
            storage = Storage(client)
            return [(part.__name__, part(storage, client)) for part in PARTS]

    seen = run_on_both(tmp_path, script, flags=["--experimental-watch-progress-notify-interval=1s"])
    for ours, theirs in zip(seen.ours, seen.theirs, strict=True):
        assert ours == theirs
