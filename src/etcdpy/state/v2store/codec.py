"""The v2 store as JSON, byte for byte as Go's encoder writes it, and back.

    {"Root": node, "WatcherHub": {"EventHistory": ...}, "CurrentIndex": n, "Stats": {...}, "CurrentVersion": 2}

This is the data of every `.snap` up to 3.6. Go members read what we write here, and compare nothing, but stop if it
does not decode.

Upstream: store.Save and store.Recovery, and Go's encoding/json.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from etcdpy.base.invariant import StorageError
from etcdpy.state.v2store.event import Event, EventHistory, NodeView
from etcdpy.state.v2store.node import Node
from etcdpy.state.v2store.stats import STATS_JSON_NAMES, StoreStats

CURRENT_VERSION: Final = 2
# Go's zero time: never expires.
_ZERO_TIME: Final = "0001-01-01T00:00:00Z"
_NS_PER_SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SPECIAL: Final = re.compile(r'[\x00-\x1f"\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
# Deeper trees than this come from no client: a path of the v2 API fits a request line.
_DEPTH_MAX: Final = 400


class StoreState(NamedTuple):
    """All that a snapshot of the store holds."""

    root: Node
    history: EventHistory
    current_index: int
    stats: StoreStats


def encode_state(state: StoreState) -> bytes:
    """Return the store as JSON."""
    stats = ",".join(f'"{name}":{getattr(state.stats, field)}' for field, name in STATS_JSON_NAMES.items())
    text = (
        f'{{"Root":{"".join(_encode_node(state.root))},'
        f'"WatcherHub":{{"EventHistory":{_encode_history(state.history)}}},'
        f'"CurrentIndex":{state.current_index},"Stats":{{{stats}}},"CurrentVersion":{CURRENT_VERSION}}}'
    )
    return text.encode()


def decode_state(data: bytes) -> StoreState:
    """Return what the JSON says. Raise StorageError where it is no v2 store."""
    try:
        fields = json.loads(data)
        root = _decode_node(fields["Root"], None, 0)
        history = _decode_history(fields["WatcherHub"]["EventHistory"])
        known = fields["Stats"]
        stats = StoreStats(**{field: int(known.get(name, 0)) for field, name in STATS_JSON_NAMES.items()})
        current_index = int(fields["CurrentIndex"])
        if not root.is_dir():
            raise ValueError("the root is a file")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StorageError(f"v2 store: the snapshot holds none: {error!r}") from error
    return StoreState(root, history, current_index, stats)


def encode_string(text: str) -> str:
    """Return `text` quoted as Go quotes it: safe inside HTML, and bytes that are no UTF-8 replaced."""
    return '"' + _SPECIAL.sub(_escape, text) + '"'


def encode_time(unix_ns: int) -> str:
    """Return a time as RFC 3339 in UTC, its fraction without trailing zeros."""
    if not unix_ns:
        return _ZERO_TIME
    seconds, nanoseconds = divmod(unix_ns, _NS_PER_SECOND)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def decode_time(text: str) -> int:
    """Return unix nanoseconds, 0 for Go's zero time, whatever zone it is given in. Raise ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    zone = "+00:00" if match[3] == "Z" else match[3]
    moment = datetime.datetime.fromisoformat(match[1] + zone)
    if moment.year == 1:
        return 0
    seconds = round((moment - _EPOCH).total_seconds())
    return seconds * _NS_PER_SECOND + int((match[2] or "").ljust(9, "0"))


def encode_event(event: Event) -> str:
    """Return an event as clients get it."""
    parts = [f'"action":{encode_string(event.action)}', f'"node":{encode_view(event.node)}']
    if event.prev_node is not None:
        parts.append(f'"prevNode":{encode_view(event.prev_node)}')
    if event.is_refresh:
        parts.append('"refresh":true')
    return "{" + ",".join(parts) + "}"


def encode_view(view: NodeView) -> str:
    """Return a node as clients get it: what is empty is left out, but for an empty value."""
    parts: list[str] = []
    if view.key:
        parts.append(f'"key":{encode_string(view.key)}')
    if view.value is not None:
        parts.append(f'"value":{encode_string(view.value)}')
    if view.is_dir:
        parts.append('"dir":true')
    if view.expire_ns:
        parts.append(f'"expiration":"{encode_time(view.expire_ns)}"')
    if view.ttl:
        parts.append(f'"ttl":{view.ttl}')
    if view.nodes:
        parts.append(f'"nodes":[{",".join(map(encode_view, view.nodes))}]')
    if view.modified_index:
        parts.append(f'"modifiedIndex":{view.modified_index}')
    if view.created_index:
        parts.append(f'"createdIndex":{view.created_index}')
    return "{" + ",".join(parts) + "}"


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if "\ud800" <= character <= "\udfff":
        return "\\ufffd"
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _encode_node(node: Node) -> Iterator[str]:
    yield (
        f'{{"Path":{encode_string(node.path)},"CreatedIndex":{node.created_index},'
        f'"ModifiedIndex":{node.modified_index},"ExpireTime":"{encode_time(node.expire_ns)}",'
        f'"Value":{encode_string(node.value)},"Children":'
    )
    if node.children is None:
        yield "null}"
        return
    separator = "{"
    for name, child in sorted(node.children.items(), key=_go_order):
        yield f"{separator}{encode_string(name)}:"
        yield from _encode_node(child)
        separator = ","
    yield "}}" if node.children else "{}}"


def _go_order(item: tuple[str, Node]) -> bytes:
    # Go sorts by bytes.
    return item[0].encode("utf-8", "surrogateescape")


def _encode_history(history: EventHistory) -> str:
    places = ",".join("null" if event is None else encode_event(event) for event in history.places)
    return (
        f'{{"Queue":{{"Events":[{places}],"Size":{history.size},"Front":{history.front},"Back":{history.back},'
        f'"Capacity":{len(history.places)}}},"StartIndex":{history.start_index},"LastIndex":{history.last_index}}}'
    )


def _decode_node(data: dict[str, Any], parent: Node | None, depth: int) -> Node:
    if depth > _DEPTH_MAX:
        raise ValueError("the tree is too deep")
    node = Node(str(data["Path"]), int(data["CreatedIndex"]), value=str(data["Value"]), parent=parent)
    node.modified_index = int(data["ModifiedIndex"])
    node.expire_ns = decode_time(data["ExpireTime"])
    children = data["Children"]
    if children is not None:
        node.children = {name: _decode_node(child, node, depth + 1) for name, child in children.items()}
    return node


def _decode_history(data: dict[str, Any]) -> EventHistory:
    queue = data["Queue"]
    capacity = int(queue["Capacity"])
    if capacity != len(queue["Events"]):
        raise ValueError(f"history has {len(queue['Events'])} places instead of {capacity}")
    history = EventHistory(capacity)
    history.places = [None if event is None else _decode_event(event) for event in queue["Events"]]
    history.size, history.front, history.back = int(queue["Size"]), int(queue["Front"]), int(queue["Back"])
    history.start_index, history.last_index = int(data["StartIndex"]), int(data["LastIndex"])
    if not (0 <= history.front < capacity and 0 <= history.back < capacity and 0 <= history.size <= capacity):
        raise ValueError("history points outside of its places")
    return history


def _decode_event(data: dict[str, Any]) -> Event:
    previous = data.get("prevNode")
    event = Event(str(data["action"]), _decode_view(data["node"]), None if previous is None else _decode_view(previous))
    event.is_refresh = bool(data.get("refresh"))
    return event


def _decode_view(data: dict[str, Any]) -> NodeView:
    view = NodeView(
        str(data.get("key", "")),
        modified_index=int(data.get("modifiedIndex", 0)),
        created_index=int(data.get("createdIndex", 0)),
        value=data.get("value"),
        is_dir=bool(data.get("dir")),
    )
    view.expire_ns = decode_time(data["expiration"]) if "expiration" in data else 0
    view.ttl = int(data.get("ttl", 0))
    nodes = data.get("nodes")
    view.nodes = None if nodes is None else [_decode_view(node) for node in nodes]
    return view
