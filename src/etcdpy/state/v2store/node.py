"""A node of the v2 tree: a file with a value, or a directory with children.

Rules
  * `path` is absolute and clean; a child's is its parent's plus its name.
  * `children` is a dict for a directory and None for a file.
  * `expire_ns` is 0 for a node that stays; time is unix nanoseconds.
  * Names that begin with an underscore are hidden: listings of a directory pass them over.

Text is str; bytes that are no UTF-8 stand as lone surrogates (`surrogateescape`), as they cannot be dropped before a
snapshot replaces them, on every member alike.

Upstream: server/etcdserver/api/v2store/node.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from etcdpy.state.v2store.event import NodeView

_NS_PER_SECOND = 1_000_000_000


class Node:
    """One file or directory."""

    __slots__ = ("path", "created_index", "modified_index", "expire_ns", "value", "children", "parent")

    def __init__(
        self,
        path: str,
        index: int,
        *,
        value: str = "",
        children: dict[str, Node] | None = None,
        expire_ns: int = 0,
        parent: Node | None = None,
    ) -> None:
        self.path = path
        self.created_index = index
        self.modified_index = index
        self.expire_ns = expire_ns
        self.value = value
        self.children = children
        self.parent = parent  # None for the root and for what was removed

    def __repr__(self) -> str:
        return f"Node({self.path}, {'dir' if self.is_dir() else self.value!r})"

    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def is_dir(self) -> bool:
        return self.children is not None

    def is_hidden(self) -> bool:
        return self.name().startswith("_")

    def walk(self) -> Iterator[Node]:
        """Yield the node and all below it, children in the order of their names."""
        yield self
        if self.children:
            for name in sorted(self.children):
                yield from self.children[name].walk()

    def detach(self) -> None:
        """Take the node, with all below it, out of the tree."""
        if self.parent is not None:
            assert self.parent.children is not None
            del self.parent.children[self.name()]
        for node in self.walk():
            node.parent = None

    def view(self, *, is_recursive: bool, now_ns: int) -> NodeView:
        """Return what a client sees of the node; a directory shows its children only if `is_recursive`."""
        view = NodeView(self.path, modified_index=self.modified_index, created_index=self.created_index)
        if self.children is None:
            view.value = self.value
        else:
            view.is_dir = True
            if is_recursive:
                view.nodes = self._view_children(is_recursive=True, now_ns=now_ns)
        self.show_expiration(view, now_ns)
        return view

    def view_listed(self, *, is_recursive: bool, now_ns: int) -> NodeView:
        """Return the node as an answer to get shows it: a directory with its children, theirs only if recursive."""
        view = self.view(is_recursive=False, now_ns=now_ns)
        if self.children is not None:
            view.nodes = self._view_children(is_recursive=is_recursive, now_ns=now_ns)
        return view

    def show_expiration(self, view: NodeView, now_ns: int) -> None:
        """Fill in when the node goes, and in how many seconds (rounded up) that is."""
        if not self.expire_ns:
            return
        view.expire_ns = self.expire_ns
        left_ns = self.expire_ns - now_ns
        # Up for what is left and, as Go cuts towards zero, up for what is overdue.
        view.ttl = -(-left_ns // _NS_PER_SECOND)

    def _view_children(self, *, is_recursive: bool, now_ns: int) -> list[NodeView]:
        """Return the children that are not hidden, by name. etcd sorts on demand only; sorted is one of its orders."""
        assert self.children is not None
        return [
            child.view(is_recursive=is_recursive, now_ns=now_ns)
            for _, child in sorted(self.children.items())
            if not child.is_hidden()
        ]
