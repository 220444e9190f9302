"""`v1 l2 r3 u4`: configuration changes as scenarios write them (voter, learner, remove, update)."""

from __future__ import annotations

from etcdpy.raft.confchange import ADD_LEARNER_NODE, ADD_NODE, REMOVE_NODE, UPDATE_NODE, Change
from tools.scenario.script import ScriptError

_KINDS = {"v": ADD_NODE, "l": ADD_LEARNER_NODE, "r": REMOVE_NODE, "u": UPDATE_NODE}


def parse_changes(text: str) -> list[Change]:
    changes: list[Change] = []
    for word in text.split():
        if len(word) < 2 or word[0] not in _KINDS or not word[1:].isdigit():
            raise ScriptError(f"unknown input: {word}")
        changes.append((_KINDS[word[0]], int(word[1:])))
    return changes
