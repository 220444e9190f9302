"""Scenarios of configurations: `simple`, `enter-joint` and `leave-joint`, each applied to what the last one left.

The n-th command works as if the log ended at index n - 1: so `next` shows in which round a progress was made.
"""

from __future__ import annotations

from etcdpy.raft.confchange import Changer
from etcdpy.raft.errors import ConfChangeError
from etcdpy.raft.tracker import Tracker, describe_progress
from tools.scenario.changes import parse_changes
from tools.scenario.script import Directive

COMMANDS = ("simple", "enter-joint", "leave-joint")


class ConfChangeRunner:
    def __init__(self) -> None:
        self._tracker = Tracker(10)
        self._last_index = 0

    def run(self, directive: Directive) -> str:
        changer = Changer(self._tracker, self._last_index)
        self._last_index += 1
        changes = parse_changes(directive.input)
        try:
            if directive.command == "simple":
                changer.simple(changes)
            elif directive.command == "enter-joint":
                changer.enter_joint(changes, auto_leave=directive.flag("autoleave"))
            elif directive.command != "leave-joint":
                return "unknown command"
            elif changes:
                return "this command takes no input"
            else:
                changer.leave_joint()
        except ConfChangeError as error:
            return str(error)
        self._tracker.switch(changer.membership, changer.progress)
        self._tracker.check_invariants()
        return f"{changer.membership}\n{describe_progress(changer.progress)}"
