"""The v2 store: the tree that a 3.5 member keeps its membership in, and v2 clients their keys."""

from etcdpy.state.v2store.errors import V2Error
from etcdpy.state.v2store.event import Event, NodeView
from etcdpy.state.v2store.store import V2Store

__all__ = ["Event", "NodeView", "V2Error", "V2Store"]
