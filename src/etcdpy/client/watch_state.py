"""One watch as a value machine: what to ask the server for, and which responses the user sees.

Rules
  * After a lost stream the watch goes on where it stood: `create_request()` always names the next revision to see,
    so no event is lost and none is delivered twice. Before anything was seen it repeats the user's own revision;
    a watch from "now" is fixed to the revision at which the server created it.
  * The announcement `created` is not shown to the user, unless it is a refusal at the same time.
  * Fragments of one response are put together again.

Upstream: client/v3/watch.go.
"""

from __future__ import annotations

from etcdpy.pb import rpc_pb2 as rpc


class WatchState:
    """Invariant: every event with a revision below `next_revision` was delivered (when next_revision > 0)."""

    def __init__(self, request: rpc.WatchCreateRequest) -> None:
        self._request = request
        self._fragments: rpc.WatchResponse | None = None
        self.next_revision = request.start_revision
        self.canceled = False

    def create_request(self) -> rpc.WatchRequest:
        """Return what a (new) stream has to be told first; half-received fragments are forgotten."""
        self._fragments = None
        request = rpc.WatchCreateRequest()
        request.CopyFrom(self._request)
        request.start_revision = self.next_revision
        return rpc.WatchRequest(create_request=request)

    def take(self, response: rpc.WatchResponse) -> rpc.WatchResponse | None:
        """Take what the server said; return what the user is to see, if anything."""
        if response.canceled:
            self.canceled = True
            return response
        if response.created:
            if self.next_revision == 0:
                self.next_revision = response.header.revision + 1
            return None
        whole = self._join(response)
        if whole is not None and whole.events:
            self.next_revision = whole.events[-1].kv.mod_revision + 1
        elif whole is not None and whole.header.revision >= self.next_revision:
            # A progress notification: everything up to it was seen.
            self.next_revision = whole.header.revision + 1
        return whole

    def _join(self, response: rpc.WatchResponse) -> rpc.WatchResponse | None:
        if self._fragments is not None:
            self._fragments.events.extend(response.events)
            self._fragments.header.CopyFrom(response.header)
            whole = self._fragments
        else:
            whole = response
        if response.fragment:
            self._fragments = whole
            return None
        self._fragments = None
        whole.fragment = False
        return whole


def cancel_text(response: rpc.WatchResponse) -> str:
    """Return why a canceled response was canceled, in the words of etcd's client."""
    if response.compact_revision:
        return "etcdserver: mvcc: required revision has been compacted"
    return response.cancel_reason or "etcdserver: mvcc: required revision is a future revision"
