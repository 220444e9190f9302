"""The v2 store: a tree of files and directories with one index that every change moves by one.

    /0  the cluster's own: members, removed_members, version      /1  the keys of v2 clients      / /0 /1 are read-only

A member of 3.5 keeps its membership here as well as in the backend, and every `.snap` carries this store as JSON; a Go
follower stops on a snapshot without it. So the store is deterministic: same entries, same JSON (but for statistics).

Errors are V2Error and leave tree and index as they were, but for directories made on the way to a name.
Time enters by `now_ns`, which the owner moves; it shows in the `ttl` of events only.

This file holds what changes and reads the tree; JSON is in `codec`, requests of the log in `requests`.

Upstream: server/etcdserver/api/v2store/store.go.
"""

from __future__ import annotations

import heapq
import posixpath
from typing import Final

from etcdpy.state.v2store.codec import StoreState, decode_state, encode_state
from etcdpy.state.v2store.errors import (
    DIR_NOT_EMPTY,
    KEY_NOT_FOUND,
    MESSAGES,
    NODE_EXIST,
    NOT_DIR,
    NOT_FILE,
    RAFT_INTERNAL,
    ROOT_READ_ONLY,
    TEST_FAILED,
    V2Error,
)
from etcdpy.state.v2store.event import (
    COMPARE_AND_DELETE,
    COMPARE_AND_SWAP,
    CREATE,
    DELETE,
    EXPIRE,
    GET,
    SET,
    UPDATE,
    Event,
    EventHistory,
    NodeView,
)
from etcdpy.state.v2store.node import Node
from etcdpy.state.v2store.stats import StoreStats

CLUSTER_NAMESPACE: Final = "/0"
KEYS_NAMESPACE: Final = "/1"

# 2000-01-01: what would expire before v2 existed is a zero time that went through JSON. It means "never".
_EXPIRE_NS_MIN: Final = 946_684_800 * 1_000_000_000


class V2Store:
    """The tree, its index, its last events."""

    def __init__(self, namespaces: tuple[str, ...] = (CLUSTER_NAMESPACE, KEYS_NAMESPACE)) -> None:
        self.current_index = 0
        self.now_ns = 0
        self.stats = StoreStats()
        self.recursive_gets = 0  # of stats.gets_success
        self.history = EventHistory()
        self.root = Node("/", 0, children={})
        assert self.root.children is not None
        for path in namespaces:
            self.root.children[path[1:]] = Node(path, 0, children={}, parent=self.root)
        self._read_only = frozenset((*namespaces, "/"))
        # (time, order, node); stale where the node is gone or expires at another time by now.
        self._expiring: list[tuple[int, int, Node]] = []
        self._expiring_count = 0

    def get(self, path: str, *, recursive: bool = False) -> Event:
        """Return the node at `path`, a directory with its children. Children come sorted, asked for or not."""
        path = clean_path(path)
        try:
            node = self._find(path)
        except V2Error:
            self.stats.gets_fail += 1
            raise
        self.stats.gets_success += 1
        self.recursive_gets += recursive
        view = node.view_listed(is_recursive=recursive, now_ns=self.now_ns)
        return Event(GET, view, etcd_index=self.current_index)

    def set(
        self, path: str, value: str = "", *, is_dir: bool = False, expire_ns: int = 0, is_refresh: bool = False
    ) -> Event:
        """Put a file or an empty directory at `path`, in the place of a file that is there."""
        path = clean_path(path)
        try:
            previous = self._find_or_none(path)
            if is_refresh:
                if previous is None:
                    previous = self._find(path)
                value = previous.value
            before = None if previous is None else previous.view_listed(is_recursive=False, now_ns=self.now_ns)
            event = self._insert(path, is_dir, value, expire_ns, action=SET, may_replace=True)
        except V2Error:
            self.stats.sets_fail += 1
            raise
        self.stats.sets_success += 1
        event.prev_node = before
        return self._notify(event, is_refresh)

    def create(
        self, path: str, value: str = "", *, is_dir: bool = False, is_unique: bool = False, expire_ns: int = 0
    ) -> Event:
        """Put a new file or directory at `path`, or, if `is_unique`, below it under a name that no other has."""
        if is_unique:
            path = f"{path}/{self.current_index + 1:020d}"
        try:
            event = self._insert(clean_path(path), is_dir, value, expire_ns, action=CREATE, may_replace=False)
        except V2Error:
            self.stats.create_fail += 1
            raise
        self.stats.create_success += 1
        return self._notify(event)

    def update(self, path: str, value: str, *, expire_ns: int = 0, is_refresh: bool = False) -> Event:
        """Change the value and the time to live of a file. (etcd means directories to get a new time, but fails.)"""
        path = clean_path(path)
        try:
            self._check_writable(path)
            node = self._find(path)
        except V2Error:
            self.stats.update_fail += 1
            raise
        # etcd's statistics take an update of a directory for a success, too.
        self.stats.update_success += 1
        if node.is_dir():
            if value:
                raise V2Error(NOT_FILE, path, self.current_index)
            raise V2Error(RAFT_INTERNAL, f"nodePath {path} : {MESSAGES[NOT_FILE]} ()", 0)
        if is_refresh:
            value = node.value
        event = self._begin(UPDATE, node)
        node.value = event.node.value = value
        node.modified_index = self.current_index
        self._set_expiration(node, expire_ns)
        node.show_expiration(event.node, self.now_ns)
        return self._notify(event, is_refresh)

    def delete(self, path: str, *, is_dir: bool = False, recursive: bool = False) -> Event:
        """Remove a file; a directory only if `is_dir`, one that is not empty only if `recursive`."""
        path = clean_path(path)
        try:
            self._check_writable(path)
            node = self._find(path)
            if node.is_dir() and not (is_dir or recursive):
                raise V2Error(NOT_FILE, path, self.current_index)
            if node.children and not recursive:
                raise V2Error(DIR_NOT_EMPTY, path, self.current_index)
        except V2Error:
            self.stats.delete_fail += 1
            raise
        event = self._begin(DELETE, node)
        event.node.is_dir = node.is_dir()
        node.detach()
        self.stats.delete_success += 1
        return self._notify(event)

    def compare_and_swap(
        self,
        path: str,
        *,
        prev_value: str,
        prev_index: int,
        value: str,
        expire_ns: int = 0,
        is_refresh: bool = False,
    ) -> Event:
        """Change the value of a file if it is as expected. An empty `prev_value` and a zero `prev_index` match all."""
        path = clean_path(path)
        try:
            node = self._find_compared(path, prev_value=prev_value, prev_index=prev_index)
        except V2Error:
            self.stats.compare_and_swap_fail += 1
            raise
        if is_refresh:
            value = node.value
        event = self._begin(COMPARE_AND_SWAP, node)
        node.value = event.node.value = value
        node.modified_index = self.current_index
        self._set_expiration(node, expire_ns)
        node.show_expiration(event.node, self.now_ns)
        self.stats.compare_and_swap_success += 1
        return self._notify(event, is_refresh)

    def compare_and_delete(self, path: str, *, prev_value: str, prev_index: int) -> Event:
        """Remove a file if it is as expected."""
        path = clean_path(path)
        try:
            node = self._find_compared(path, prev_value=prev_value, prev_index=prev_index)
        except V2Error as error:
            if error.code in (NOT_FILE, TEST_FAILED):
                # etcd's statistics take what is found, but not as expected, for a success.
                self.stats.compare_and_delete_success += 1
            else:
                self.stats.compare_and_delete_fail += 1
            raise
        event = self._begin(COMPARE_AND_DELETE, node)
        node.detach()
        self.stats.compare_and_delete_success += 1
        return self._notify(event)

    def has_ttl_keys(self) -> bool:
        """Return whether anything may expire: then the leader proposes SYNC entries."""
        self._drop_stale_expiring()
        return bool(self._expiring)

    def delete_expired_keys(self, cutoff_ns: int) -> list[Event]:
        """Remove what expires at or before the time that a SYNC entry carries, each under its own index."""
        events: list[Event] = []
        while self.has_ttl_keys() and self._expiring[0][0] <= cutoff_ns:
            node = heapq.heappop(self._expiring)[2]
            event = self._begin(EXPIRE, node)
            event.node.is_dir = node.is_dir()
            node.detach()
            self.stats.expire_count += 1
            events.append(self._notify(event))
        return events

    def find_value(self, path: str) -> str | None:
        """Return the value of the file at `path`, or None. The owner looks; no statistics."""
        node = self._find_or_none(clean_path(path))
        return None if node is None or node.is_dir() else node.value

    def list_children(self, path: str) -> list[str]:
        """Return the paths of what is in the directory `path`, hidden nodes too; none if there is no directory."""
        node = self._find_or_none(clean_path(path))
        return [] if node is None or not node.children else [node.children[name].path for name in sorted(node.children)]

    def save(self) -> bytes:
        """Return the whole store as the JSON that a `.snap` carries."""
        return encode_state(StoreState(self.root, self.history, self.current_index, self.stats))

    def recovery(self, data: bytes) -> None:
        """Become what `data`, saved here or by a Go member, says. Raise StorageError, unchanged, if it is no store."""
        state = decode_state(data)
        self.root = state.root
        self.history = state.history
        self.current_index = state.current_index
        self.stats = state.stats
        self._expiring = []
        for node in state.root.walk():
            self._watch_expiration(node)

    def check_invariants(self) -> None:
        for node in self.root.walk():
            assert node is self.root or (node.parent is not None and node.parent.children is not None)
            assert node.parent is None or node.parent.children[node.name()] is node  # type: ignore[index]
            assert node.created_index <= node.modified_index <= self.current_index, node
        assert self.history.last_index <= self.current_index

    def _find(self, path: str) -> Node:
        """Return the node at a clean path. Raise V2Error naming the first step that cannot be taken."""
        node = self.root
        for name in _split_path(path):
            if node.children is None:
                raise V2Error(NOT_DIR, node.path, self.current_index)
            child = node.children.get(name)
            if child is None:
                raise V2Error(KEY_NOT_FOUND, posixpath.join(node.path, name), self.current_index)
            node = child
        return node

    def _find_or_none(self, path: str) -> Node | None:
        try:
            return self._find(path)
        except V2Error as error:
            if error.code == KEY_NOT_FOUND:
                return None
            raise

    def _find_compared(self, path: str, *, prev_value: str, prev_index: int) -> Node:
        self._check_writable(path)
        node = self._find(path)
        if node.is_dir():
            raise V2Error(NOT_FILE, path, self.current_index)
        is_value_other = bool(prev_value) and node.value != prev_value
        is_index_other = bool(prev_index) and node.modified_index != prev_index
        if is_value_other or is_index_other:
            causes = []
            if is_value_other:
                causes.append(f"[{prev_value} != {node.value}]")
            if is_index_other:
                causes.append(f"[{prev_index} != {node.modified_index}]")
            raise V2Error(TEST_FAILED, " ".join(causes), self.current_index)
        return node

    def _check_writable(self, path: str) -> None:
        if path in self._read_only:
            raise V2Error(ROOT_READ_ONLY, "/", self.current_index)

    def _make_directories(self, path: str, index: int) -> Node:
        """Return the directory at `path`, having made what was missing of it."""
        node = self.root
        for name in _split_path(path):
            assert node.children is not None
            child = node.children.get(name)
            if child is None:
                child = Node(posixpath.join(node.path, name), index, children={}, parent=node)
                node.children[name] = child
            elif child.children is None:
                # etcd counts this as a failed set, whatever was asked for.
                self.stats.sets_fail += 1
                raise V2Error(NOT_DIR, child.path, self.current_index)
            node = child
        return node

    def _insert(self, path: str, is_dir: bool, value: str, expire_ns: int, *, action: str, may_replace: bool) -> Event:
        """Put a new node at a clean path; the index moves."""
        self._check_writable(path)
        index = self.current_index + 1
        directory_path, _, name = path.rpartition("/")
        directory = self._make_directories(directory_path, index)
        assert directory.children is not None
        existing = directory.children.get(name)
        if existing is not None:
            if not may_replace:
                raise V2Error(NODE_EXIST, path, self.current_index)
            if existing.is_dir():
                raise V2Error(NOT_FILE, path, self.current_index)
            existing.detach()
        node = Node(path, index, parent=directory)
        view = NodeView(path, modified_index=index, created_index=index)
        if is_dir:
            node.children = {}
            view.is_dir = True
        else:
            node.value = view.value = value
        directory.children[name] = node
        self._set_expiration(node, expire_ns if expire_ns >= _EXPIRE_NS_MIN else 0)
        node.show_expiration(view, self.now_ns)
        self.current_index = index
        return Event(action, view, etcd_index=index)

    def _begin(self, action: str, node: Node) -> Event:
        """Move the index and return the event of a change to `node`, which is still as it was."""
        self.current_index += 1
        view = NodeView(node.path, modified_index=self.current_index, created_index=node.created_index)
        before = node.view(is_recursive=False, now_ns=self.now_ns)
        return Event(action, view, before, self.current_index)

    def _notify(self, event: Event, is_refresh: bool = False) -> Event:
        event.is_refresh = is_refresh
        self.history.add(event)
        return event

    def _set_expiration(self, node: Node, expire_ns: int) -> None:
        node.expire_ns = expire_ns
        self._watch_expiration(node)

    def _watch_expiration(self, node: Node) -> None:
        if node.expire_ns:
            self._expiring_count += 1
            heapq.heappush(self._expiring, (node.expire_ns, self._expiring_count, node))

    def _drop_stale_expiring(self) -> None:
        """Take off the top what no longer expires at that time: the rest is looked at when it gets there."""
        heap = self._expiring
        while heap and (heap[0][2].parent is None or heap[0][2].expire_ns != heap[0][0]):
            heapq.heappop(heap)


def clean_path(path: str) -> str:
    """Return `path` absolute, without empty, `.` and `..` steps. Go's path.Clean of path.Join("/", path)."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _split_path(path: str) -> list[str]:
    return [name for name in path.split("/") if name]
