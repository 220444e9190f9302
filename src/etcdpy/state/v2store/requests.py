"""etcdserverpb.Request, the v2 API's entry of the log, carried out on the store.

    PUT     prevExist true: update, or compare-and-swap if more is expected; false: create; not given: swap or set
    POST    create under a unique name        DELETE  delete, or compare-and-delete
    QGET    a get that goes through the log   SYNC    the leader's clock: expire what is due

What a PUT below /0/members or to /0/version means for the membership is the applier's matter, not decided here.

Upstream: server/etcdserver/apply_v2.go.
"""

from __future__ import annotations

from etcdpy.pb import etcdserver_pb2
from etcdpy.state.v2store.event import Event
from etcdpy.state.v2store.store import V2Store


def apply_request(store: V2Store, request: etcdserver_pb2.Request) -> Event | None:
    """Carry out the request; None for SYNC and for a method that does not exist. Raise V2Error."""
    method = request.Method
    path = decode_text(request.Path)
    if method == b"PUT":
        return _apply_put(store, path, request)
    if method == b"POST":
        value = decode_text(request.Val)
        return store.create(path, value, is_dir=request.Dir, is_unique=True, expire_ns=request.Expiration)
    if method == b"DELETE":
        if request.PrevIndex > 0 or request.PrevValue:
            previous = decode_text(request.PrevValue)
            return store.compare_and_delete(path, prev_value=previous, prev_index=request.PrevIndex)
        return store.delete(path, is_dir=request.Dir, recursive=request.Recursive)
    if method == b"QGET":
        return store.get(path, recursive=request.Recursive)
    if method == b"SYNC":
        store.delete_expired_keys(request.Time)
    return None


def decode_text(data: bytes) -> str:
    """Return bytes of a request as the store keeps text: what is no UTF-8 survives."""
    return data.decode("utf-8", "surrogateescape")


def _apply_put(store: V2Store, path: str, request: etcdserver_pb2.Request) -> Event:
    value = decode_text(request.Val)
    expire_ns = request.Expiration
    is_refresh = request.Refresh
    is_compared = request.PrevIndex > 0 or bool(request.PrevValue)
    if request.HasField("PrevExist") and not request.PrevExist:
        return store.create(path, value, is_dir=request.Dir, expire_ns=expire_ns)
    if is_compared:
        return store.compare_and_swap(
            path,
            prev_value=decode_text(request.PrevValue),
            prev_index=request.PrevIndex,
            value=value,
            expire_ns=expire_ns,
            is_refresh=is_refresh,
        )
    if request.HasField("PrevExist"):
        return store.update(path, value, expire_ns=expire_ns, is_refresh=is_refresh)
    return store.set(path, value, is_dir=request.Dir, expire_ns=expire_ns, is_refresh=is_refresh)
