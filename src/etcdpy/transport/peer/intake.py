"""What comes from the network, before raft sees it: only messages that a member may send to us pass.

    refused     from a removed member, or meant for another one: the sender is told
    dropped     of a kind that never crosses the network, or out of shape: a bug, or not one of us at all

raft believes its peers: entries with gaps or a message that claims to come from a storage thread would stop the member.

Upstream: etcdserver.EtcdServer.Process.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_warn
from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import LOCAL_MESSAGES, LOCAL_THREADS, MESSAGE_NAMES, MSG_APP, MSG_SNAP
from etcdpy.transport.peer.world import World


class Refusal(NamedTuple):
    """Why a message was not taken, as an HTTP answer says it."""

    status: int
    text: str

    def body(self) -> bytes:
        return json.dumps({"message": self.text}, separators=(",", ":")).encode()


REMOVED: Final = Refusal(403, "cannot process message from removed member")
NOT_OURS: Final = Refusal(403, "cannot process message to mismatch member")


class Intake:
    """The door to the receiver."""

    def __init__(self, world: World) -> None:
        self._world = world

    def take(self, message: Message) -> Refusal | None:
        """Give the message to the receiver, drop it, or return why it is refused."""
        refusal = self.check(message)
        if refusal is not None:
            return refusal
        if is_well_formed(message):
            self._world.receiver.receive(message)
        else:
            self._log("dropped a malformed Raft message", message)
        return None

    def check(self, message: Message) -> Refusal | None:
        """Return why the message is refused, whatever it says."""
        if self._world.receiver.is_removed(message.from_):
            self._log("rejected Raft message from removed member", message)
            return REMOVED
        if message.to != self._world.identity.member_id:
            self._log("rejected Raft message to mismatch member", message)
            return NOT_OURS
        return None

    def take_from_stream(self, message: Message, remote: int) -> None:
        """The same for a message that nobody waits to be answered for."""
        refusal = self.take(message)
        if refusal is not None:
            self._world.counters.received_failures[remote] += 1

    def _log(self, text: str, message: Message) -> None:
        log_warn(
            self._world.log,
            text,
            local_member_id=self._world.own_id,
            removed_member_id=format_id(message.from_),
            mismatch_member_id=format_id(message.to),
            message_type=name_of(message),
        )


def name_of(message: Message) -> str:
    return MESSAGE_NAMES[message.type] if message.type < len(MESSAGE_NAMES) else str(message.type)


def is_well_formed(message: Message) -> bool:
    """Whether raft may be given the message."""
    if message.type in LOCAL_MESSAGES or message.from_ in LOCAL_THREADS:
        return False
    if message.type == MSG_APP and message.entries:
        return _are_consecutive(message)
    if message.type == MSG_SNAP:
        return message.snapshot is not None and not message.snapshot.is_empty()
    return True


def _are_consecutive(message: Message) -> bool:
    """Whether the entries follow `index` one by one, their terms never falling nor passing the message's."""
    index, term = message.index, message.log_term
    for entry in message.entries:
        index += 1
        if entry.index != index or entry.term < term:
            return False
        term = entry.term
    return term <= message.term
