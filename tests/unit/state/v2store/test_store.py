from __future__ import annotations

from collections.abc import Callable

import pytest

from etcdpy.state.v2store import Event, V2Error, V2Store
from etcdpy.state.v2store import errors as codes

SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND


@pytest.fixture
def store() -> V2Store:
    return V2Store()


def fails(code: int, cause: str, index: int) -> pytest.RaisesExc[V2Error]:
    return pytest.raises(V2Error, check=lambda error: (error.code, error.cause, error.index) == (code, cause, index))


def shape(event: Event) -> tuple[str, str, str | None, int, int]:
    node = event.node
    return event.action, node.key, node.value, node.modified_index, node.created_index


def test_a_new_store_has_its_namespaces_and_index_zero(store: V2Store) -> None:
    event = store.get("/")
    assert event.node.is_dir and event.etcd_index == 0
    assert [node.key for node in event.node.nodes or []] == ["/0", "/1"]


def test_every_change_moves_the_index_by_one(store: V2Store) -> None:
    assert shape(store.create("/1/a", "x")) == ("create", "/1/a", "x", 1, 1)
    assert shape(store.set("/1/a", "y")) == ("set", "/1/a", "y", 2, 2)
    assert shape(store.update("/1/a", "z")) == ("update", "/1/a", "z", 3, 2)
    swapped = store.compare_and_swap("/1/a", prev_value="z", prev_index=3, value="w")
    assert shape(swapped) == ("compareAndSwap", "/1/a", "w", 4, 2)
    assert swapped.prev_node is not None and swapped.prev_node.value == "z"
    deleted = store.compare_and_delete("/1/a", prev_value="w", prev_index=0)
    assert shape(deleted) == ("compareAndDelete", "/1/a", None, 5, 2)
    store.create("/1/a", "x")
    assert shape(store.delete("/1/a")) == ("delete", "/1/a", None, 7, 6)
    assert store.current_index == 7
    store.check_invariants()


def test_a_failed_change_leaves_the_index(store: V2Store) -> None:
    store.set("/1/dir/file", "x")
    with fails(codes.NODE_EXIST, "/1/dir/file", 1):
        store.create("/1/dir/file", "y")
    with fails(codes.NOT_FILE, "/1/dir", 1):
        store.set("/1/dir", "y")
    with fails(codes.NOT_DIR, "/1/dir/file", 1):
        store.set("/1/dir/file/below", "y")
    with fails(codes.KEY_NOT_FOUND, "/1/no", 1):
        store.update("/1/no/such", "y")
    with fails(codes.NOT_FILE, "/1/dir", 1):
        store.update("/1/dir", "y")
    with fails(codes.RAFT_INTERNAL, "nodePath /1/dir : Not a file ()", 0):
        store.update("/1/dir", "")
    with fails(codes.NOT_FILE, "/1/dir", 1):
        store.delete("/1/dir")
    with fails(codes.DIR_NOT_EMPTY, "/1/dir", 1):
        store.delete("/1/dir", is_dir=True)
    with fails(codes.TEST_FAILED, "[a != x] [9 != 1]", 1):
        store.compare_and_swap("/1/dir/file", prev_value="a", prev_index=9, value="b")
    with fails(codes.TEST_FAILED, "[9 != 1]", 1):
        store.compare_and_delete("/1/dir/file", prev_value="x", prev_index=9)
    with fails(codes.NOT_FILE, "/1/dir", 1):
        store.compare_and_delete("/1/dir", prev_value="", prev_index=1)
    assert store.current_index == 1
    assert store.find_value("/1/dir/file") == "x"
    stats = store.stats
    assert (stats.create_fail, stats.sets_fail, stats.update_fail, stats.delete_fail) == (1, 2, 1, 2)
    assert (stats.compare_and_swap_fail, stats.compare_and_delete_fail) == (1, 0)


@pytest.mark.parametrize("path", ["/", "/0", "/1", "//1/", "/x/.."])
def test_the_roots_are_read_only(store: V2Store, path: str) -> None:
    changes: list[Callable[[], Event]] = [
        lambda: store.set(path, "x"),
        lambda: store.create(path, is_dir=True),
        lambda: store.update(path, "x"),
        lambda: store.delete(path, recursive=True),
        lambda: store.compare_and_swap(path, prev_value="", prev_index=1, value=""),
        lambda: store.compare_and_delete(path, prev_value="", prev_index=1),
    ]
    for change in changes:
        with fails(codes.ROOT_READ_ONLY, "/", 0):
            change()


def test_a_removed_tree_is_gone(store: V2Store) -> None:
    store.set("/1/a/b/c", "x", expire_ns=NOW)
    event = store.delete("/1/a", recursive=True)
    assert event.node.is_dir and event.prev_node is not None and event.prev_node.nodes is None
    with fails(codes.KEY_NOT_FOUND, "/1/a", 2):
        store.get("/1/a/b/c")
    assert not store.has_ttl_keys()


def test_a_directory_replaces_a_file(store: V2Store) -> None:
    store.set("/1/a", "x")
    event = store.set("/1/a", is_dir=True)
    assert event.node.is_dir and event.prev_node is not None and event.prev_node.value == "x"
    store.set("/1/a/b", "y")
    store.check_invariants()


def test_unique_names_are_the_index(store: V2Store) -> None:
    store.set("/1/x", "")
    assert store.create("/1/queue", "a", is_unique=True).node.key == "/1/queue/00000000000000000002"
    assert store.create("/1/queue", "b", is_unique=True).node.key == "/1/queue/00000000000000000003"


def test_hidden_nodes_are_found_but_not_listed(store: V2Store) -> None:
    store.set("/1/_hidden/a", "x")
    store.set("/1/seen", "y")
    assert [node.key for node in store.get("/1", recursive=True).node.nodes or []] == ["/1/seen"]
    assert store.get("/1/_hidden/a").node.value == "x"
    assert [node.key for node in store.get("/1/_hidden").node.nodes or []] == ["/1/_hidden/a"]
    assert store.list_children("/1") == ["/1/_hidden", "/1/seen"]


def test_recursive_shows_what_is_below(store: V2Store) -> None:
    store.set("/1/a/b", "x")
    [flat] = store.get("/1").node.nodes or []
    assert flat.is_dir and flat.nodes is None
    [deep] = store.get("/1", recursive=True).node.nodes or []
    assert [node.value for node in deep.nodes or []] == ["x"]


def test_expiration_is_shown_and_carried_out_in_the_order_of_time(store: V2Store) -> None:
    store.now_ns = NOW
    late = store.set("/1/late", "x", expire_ns=NOW + 20 * SECOND)
    assert (late.node.ttl, late.node.expire_ns) == (20, NOW + 20 * SECOND)
    assert store.set("/1/early/dir", is_dir=True, expire_ns=NOW + 10 * SECOND + 1).node.ttl == 11
    store.set("/1/early/dir/child", "y")
    store.set("/1/renewed", "z", expire_ns=NOW + 5 * SECOND)
    store.update("/1/renewed", "z", expire_ns=NOW + 50 * SECOND)
    store.set("/1/kept", "z", expire_ns=NOW + 5 * SECOND)
    store.update("/1/kept", "z")
    assert store.delete_expired_keys(NOW + 10 * SECOND) == []
    events = store.delete_expired_keys(NOW + 30 * SECOND)
    assert [(event.action, event.node.key, event.node.is_dir) for event in events] == [
        ("expire", "/1/early/dir", True),
        ("expire", "/1/late", False),
    ]
    assert [event.node.modified_index for event in events] == [8, 9]
    assert store.find_value("/1/kept") == "z"
    assert store.has_ttl_keys()
    store.delete("/1/renewed")
    assert not store.has_ttl_keys()
    assert store.stats.expire_count == 2


def test_an_expiration_before_v2_existed_means_never(store: V2Store) -> None:
    assert store.set("/1/a", "x", expire_ns=1).node.expire_ns == 0
    assert not store.has_ttl_keys()


def test_a_refresh_keeps_the_value(store: V2Store) -> None:
    store.now_ns = NOW
    with fails(codes.KEY_NOT_FOUND, "/1/a", 0):
        store.set("/1/a", expire_ns=NOW, is_refresh=True)
    store.set("/1/a", "x", expire_ns=NOW + SECOND)
    event = store.update("/1/a", "", expire_ns=NOW + 9 * SECOND, is_refresh=True)
    assert event.is_refresh and event.node.value == "x" and event.node.ttl == 9
    assert store.set("/1/a", "", expire_ns=NOW + 3 * SECOND, is_refresh=True).node.value == "x"


def test_the_history_keeps_the_last_thousand(store: V2Store) -> None:
    for number in range(1203):
        store.set("/1/a", str(number))
    events = store.history.events()
    assert [event.node.modified_index for event in events] == list(range(204, 1204))
    assert (store.history.start_index, store.history.last_index) == (204, 1203)


def test_the_owner_looks_without_statistics(store: V2Store) -> None:
    store.set("/0/members/a/attributes", "{}")
    assert store.find_value("/0/members/a/attributes") == "{}"
    assert store.find_value("/0/members/a") is None
    assert store.find_value("/0/nothing/here") is None
    assert store.list_children("/0/members") == ["/0/members/a"]
    assert store.list_children("/0/nothing") == []
    assert (store.stats.gets_success, store.stats.gets_fail) == (0, 0)
