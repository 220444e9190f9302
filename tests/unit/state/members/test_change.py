"""Changes as they stand in the log, byte for byte those of a real member (3.5.1)."""

from __future__ import annotations

import pytest

from etcdpy.pb.raft_pb2 import ConfChange
from etcdpy.state.members import Member
from etcdpy.state.members.change import add_change, promote_change, remove_change, update_change

URL = ("http://b:1",)
CONTEXT = b'{"id":4660,"peerURLs":["http://b:1"]}'


@pytest.mark.parametrize(
    ("change", "data"),
    [
        (add_change(Member(id=4660, peer_urls=URL)), b"\x08\x07\x10\x00\x18\xb4$\x22%" + CONTEXT),
        (
            add_change(Member(id=4660, peer_urls=URL, is_learner=True)),
            b"\x08\x07\x10\x03\x18\xb4$\x226" + CONTEXT[:-1] + b',"isLearner":true}',
        ),
        (promote_change(4660), b'\x08\x07\x10\x00\x18\xb4$",{"id":4660,"peerURLs":null,"isPromote":true}'),
        (remove_change(4660), b"\x08\x07\x10\x01\x18\xb4$"),
        (update_change(4660, URL), b"\x08\x07\x10\x02\x18\xb4$\x22%" + CONTEXT),
    ],
)
def test_bytes_in_the_log(change: ConfChange, data: bytes) -> None:
    change.id = 7

    assert change.SerializeToString() == data
