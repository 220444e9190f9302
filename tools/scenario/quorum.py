"""Scenarios of majorities: `committed` (with cfg, cfgj, idx) and `vote` (with cfg, cfgj, votes).

`cfgj=zero` is the empty second group. Indexes and votes stand in the order of cfg, then of what cfgj adds to it.
Every result is computed in the other possible ways too; a disagreement fails the scenario.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.raft.quorum import (
    INFINITE_INDEX,
    VOTE_RESULT_NAMES,
    joint_committed,
    joint_vote,
    majority_committed,
    majority_vote,
)
from tools.scenario.script import Directive, ScriptError

COMMANDS = ("committed", "vote")


class QuorumRunner:
    def run(self, directive: Directive) -> str:
        incoming = _parse_ids(directive, "cfg")
        outgoing = _parse_ids(directive, "cfgj")
        ids = list(dict.fromkeys([*incoming, *outgoing]))
        if directive.command == "committed":
            return _committed(incoming, outgoing, _parse_indexes(directive, ids))
        if directive.command == "vote":
            return _vote(incoming, outgoing, _parse_votes(directive, ids))
        return "unknown command"


def _parse_ids(directive: Directive, key: str) -> list[int]:
    argument = directive.find(key)
    if argument is None or argument.values == ["zero"]:
        return []
    return [int(value) for value in argument.values]


def _parse_values(directive: Directive, key: str, count: int) -> list[str]:
    argument = directive.find(key)
    values = argument.values if argument is not None else []
    if len(values) != count:
        raise ScriptError(f"line {directive.line}: {count} voters, {len(values)} {key}")
    return values


def _parse_indexes(directive: Directive, ids: list[int]) -> dict[int, int]:
    values = _parse_values(directive, "idx", len(ids))
    return {voter: int(value) for voter, value in zip(ids, values, strict=True) if value != "_"}


def _parse_votes(directive: Directive, ids: list[int]) -> dict[int, bool]:
    values = _parse_values(directive, "votes", len(ids))
    return {voter: value == "y" for voter, value in zip(ids, values, strict=True) if value != "_"}


def _committed(incoming: list[int], outgoing: list[int], acked: dict[int, int]) -> str:
    index = joint_committed(incoming, outgoing, acked)
    _check_same(index, joint_committed(outgoing, incoming, acked), "groups exchanged")
    if not outgoing:
        _check_same(index, majority_committed(incoming, acked), "one group")
        _check_same(index, joint_committed(incoming, incoming, acked), "the group twice")
    text = "∞" if index == INFINITE_INDEX else str(index)
    return describe_indexes(sorted({*incoming, *outgoing}), acked) + text


def _vote(incoming: list[int], outgoing: list[int], votes: dict[int, bool]) -> str:
    result = joint_vote(incoming, outgoing, votes)
    _check_same(result, joint_vote(outgoing, incoming, votes), "groups exchanged")
    if not outgoing:
        _check_same(result, majority_vote(incoming, votes), "one group")
        _check_same(result, joint_vote(incoming, incoming, votes), "the group twice")
    return VOTE_RESULT_NAMES[result]


def _check_same(expected: int, found: int, way: str) -> None:
    if expected != found:
        raise InvariantError(f"{expected}, but with {way}: {found}")


def describe_indexes(voters: list[int], acked: dict[int, int]) -> str:
    """Return a bar for each voter: as long as there are voters below its index."""
    if not voters:
        return "<empty majority quorum>"
    width = len(voters)
    lines = [" " * width + "    idx\n"]
    for voter in voters:
        below = sum(acked.get(other, 0) < acked.get(voter, 0) for other in voters)
        bar = ("x" * below + ">").ljust(width + 1) if voter in acked else "?".ljust(width + 1)
        lines.append(f"{bar} {acked.get(voter, 0):5d}    (id={voter})\n")
    return "".join(lines)
