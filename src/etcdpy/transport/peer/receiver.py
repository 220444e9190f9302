"""What the peer transport asks of the member that it works for.

All calls come on the event loop. What `receive` is given has passed the transport's own checks: it is from another
member, meant for this one, of a kind that may cross the network, and its sender was not removed.
"""

from __future__ import annotations

from typing import Protocol

from etcdpy.pb.raft_values import Message


class SnapshotRefused(Exception):
    """A received snapshot is not taken. The sender is told the text."""


class Receiver(Protocol):
    """The member behind the transport. None of the plain calls may wait."""

    def receive(self, message: Message) -> None:
        """Step the message into raft, now or in this turn of the loop."""

    def is_removed(self, member_id: int) -> bool:
        """Whether that member once belonged to the cluster and was removed."""

    def report_unreachable(self, member_id: int) -> None:
        """A message to that member was lost. May be called in the middle of `PeerNetwork.send`."""

    def report_snapshot(self, member_id: int, ok: bool) -> None:
        """A snapshot was handed to that member, or could not be."""

    def on_removed_here(self) -> None:
        """A peer says that this member was removed from the cluster: it must stop. May be called more than once."""

    async def receive_snapshot(self, message: Message, path: str) -> None:
        """Give raft a MsgSnap whose database lies, whole and synced, at `path`.

        Return when raft has the message; the sender is told then. Raise SnapshotRefused where it is of no use here. The
        file is the receiver's from now on, whatever it decides.
        """
