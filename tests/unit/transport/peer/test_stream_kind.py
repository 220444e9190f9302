"""The two kinds of stream, each with its own path, codec and limit."""

from __future__ import annotations

from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_APP
from etcdpy.transport.peer.stream_kind import MESSAGE_STREAM, MSGAPP_STREAM, STREAM_KINDS


def test_paths_and_names_are_etcds() -> None:
    assert [(kind.path, kind.name) for kind in STREAM_KINDS] == [
        ("/raft/stream/msgapp", "stream MsgApp v2"),
        ("/raft/stream/message", "stream Message"),
    ]


def test_what_one_side_of_a_kind_encodes_the_other_decodes() -> None:
    for kind in STREAM_KINDS:
        encode, frames = kind.encoder(), kind.decoder(local=1, remote=2)
        got = [
            message
            for data in (
                encode(Message(MSG_APP, 1, 2, 3, 3, 4)),
                kind.link_heartbeat,
                encode(Message(MSG_APP, 1, 2, 3, 3, 4)),
            )
            for message in frames.feed(data)
        ]
        assert [(message.to, message.from_, message.index) for message in got] == [(1, 2, 4)] * 2


def test_each_connection_has_an_encoder_of_its_own() -> None:
    """What one peer was sent says nothing about what another has."""
    message = Message(MSG_APP, 1, 2, 3, 3, 4)
    first, second = MSGAPP_STREAM.encoder(), MSGAPP_STREAM.encoder()

    assert first(message)[0] == second(message)[0] == 2 and first(message)[0] == 1


def test_heartbeats_wait_behind_less_than_appends_do() -> None:
    assert MESSAGE_STREAM.waiting_bytes_max < MSGAPP_STREAM.waiting_bytes_max
