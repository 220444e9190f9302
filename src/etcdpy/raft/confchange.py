"""Computing configurations: what a change makes of the present one, or why it may not.

    simple        at most one voter comes or goes: old and new majorities overlap, no joint state is needed
    enter_joint   any number: the old voters become `outgoing`, both groups decide until ...
    leave_joint   ... the outgoing voters go, and those of them that were demoted become learners
    restore       the configuration of a snapshot

Rules
  * Nothing is changed in place: each returns a new membership and new progress objects, or raises ConfChangeError.
  * Changes within one are applied in order; repeating one, removing somebody absent, or naming id 0 changes nothing.
  * A member that changes between voter and learner keeps its progress.

The texts of the errors are upstream's. Upstream: raft/confchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from etcdpy.pb.raft_values import ConfState
from etcdpy.raft.errors import ConfChangeError
from etcdpy.raft.membership import Membership
from etcdpy.raft.progress import Progress
from etcdpy.raft.tracker import Tracker

ADD_NODE: Final = 0
REMOVE_NODE: Final = 1
UPDATE_NODE: Final = 2
ADD_LEARNER_NODE: Final = 3

# (kind of change, member)
Change = tuple[int, int]


class Changer:
    """One configuration in the making. `last_index`: where a new member is first probed."""

    __slots__ = ("membership", "progress", "_tracker", "_last_index")

    def __init__(self, tracker: Tracker, last_index: int) -> None:
        self._tracker = tracker
        self._last_index = last_index
        self.membership = tracker.membership.copy()
        self.progress = {member: progress.copy() for member, progress in tracker.progress.items()}

    def simple(self, changes: Sequence[Change]) -> None:
        """Change at most one voter, and any number of learners."""
        if self.membership.is_joint():
            raise ConfChangeError("can't apply simple config change in joint config")
        before = set(self.membership.incoming)
        self._apply(changes)
        if len(before ^ self.membership.incoming) > 1:
            raise ConfChangeError("more than one voter changed without entering joint config")
        self.check_invariants()

    def enter_joint(self, changes: Sequence[Change], *, auto_leave: bool) -> None:
        """Go from one configuration to being between two."""
        membership = self.membership
        if membership.is_joint():
            raise ConfChangeError("config is already joint")
        if not membership.incoming:
            # Adding to nothing has no majority to agree: it is a bootstrap, and simple.
            raise ConfChangeError("can't make a zero-voter config joint")
        membership.outgoing = set(membership.incoming)
        self._apply(changes)
        membership.auto_leave = auto_leave
        self.check_invariants()

    def leave_joint(self) -> None:
        """Go on to the new configuration alone."""
        membership = self.membership
        if not membership.is_joint():
            raise ConfChangeError("can't leave a non-joint config")
        membership.learners |= membership.learners_next
        for member in membership.learners_next:
            self.progress[member].is_learner = True
        membership.learners_next = set()
        for member in membership.outgoing - membership.incoming - membership.learners:
            del self.progress[member]
        membership.outgoing = set()
        membership.auto_leave = False
        self.check_invariants()

    def restore(self, conf_state: ConfState) -> None:
        """Take the configuration of a snapshot, whatever was before. Nobody's log is known yet."""
        membership = self.membership = Membership.from_conf_state(conf_state)
        self.progress = {}
        for member in sorted(membership.incoming | membership.outgoing | membership.learners):
            self.progress[member] = self._new_progress(is_learner=member in membership.learners)
        self.check_invariants()

    def _apply(self, changes: Sequence[Change]) -> None:
        for kind, member in changes:
            if member == 0:
                # Left behind by proposals that were emptied after they had been checked.
                continue
            if kind == ADD_NODE:
                self._make_voter(member)
            elif kind == ADD_LEARNER_NODE:
                self._make_learner(member)
            elif kind == REMOVE_NODE:
                self._remove(member)
            elif kind != UPDATE_NODE:
                raise ConfChangeError(f"unexpected conf type {kind}")
        if not self.membership.incoming:
            raise ConfChangeError("removed all voters")

    def _make_voter(self, member: int) -> None:
        membership = self.membership
        progress = self.progress.get(member)
        if progress is None:
            self.progress[member] = self._new_progress(is_learner=False)
        else:
            progress.is_learner = False
        membership.incoming.add(member)
        membership.learners.discard(member)
        membership.learners_next.discard(member)

    def _make_learner(self, member: int) -> None:
        membership = self.membership
        progress = self.progress.get(member)
        if progress is None:
            progress = self.progress[member] = self._new_progress(is_learner=True)
        membership.incoming.discard(member)
        if member in membership.outgoing:
            # It still votes in the outgoing group: it learns when that is left.
            membership.learners_next.add(member)
        else:
            membership.learners.add(member)
            progress.is_learner = True

    def _remove(self, member: int) -> None:
        membership = self.membership
        membership.incoming.discard(member)
        membership.learners.discard(member)
        membership.learners_next.discard(member)
        if member not in membership.outgoing:
            self.progress.pop(member, None)

    def _new_progress(self, *, is_learner: bool) -> Progress:
        # The end of the log is the best guess for where to probe: most new members come from a fresh snapshot.
        progress = self._tracker.new_progress(match=0, next=max(self._last_index, 1), is_learner=is_learner)
        # Else the next check of the quorum could depose a leader before the newcomer was able to answer.
        progress.is_recently_active = True
        return progress

    def check_invariants(self) -> None:
        """Raise InvariantError unless membership and progress fit together."""
        result = Tracker(1)
        result.switch(self.membership, self.progress)
        result.check_invariants()
