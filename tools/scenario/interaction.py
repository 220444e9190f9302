"""Scenarios of a cluster: each command does one thing to it, and prints what happened."""

from __future__ import annotations

from dataclasses import replace

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ConfState, Snapshot
from etcdpy.raft.change_codec import (
    TRANSITION_AUTO,
    TRANSITION_JOINT_EXPLICIT,
    TRANSITION_JOINT_IMPLICIT,
    AnyConfChange,
)
from etcdpy.raft.config import LEASE_BASED, SAFE
from etcdpy.raft.constants import MESSAGE_NAMES
from etcdpy.raft.describe import describe_entries
from etcdpy.raft.errors import LogError, RaftError
from etcdpy.raft.tracker import describe_progress
from tools.scenario.changes import parse_changes
from tools.scenario.cluster import Cluster, Node, default_config
from tools.scenario.output import Output
from tools.scenario.script import Directive, ScriptError

_TRANSITIONS = {
    "auto": TRANSITION_AUTO,
    "implicit": TRANSITION_JOINT_IMPLICIT,
    "explicit": TRANSITION_JOINT_EXPLICIT,
}
_READ_ONLY = {"safe": SAFE, "lease-based": LEASE_BASED}


class InteractionRunner:
    def __init__(self) -> None:
        self.output = Output()
        self.cluster = Cluster(self.output)

    def run(self, directive: Directive) -> str:
        try:
            self._dispatch(directive)
        except (RaftError, LogError, ScriptError) as error:
            if self.output.is_quiet():
                return str(error)
            self.output.write(str(error))
        self.cluster.check_invariants()
        return self.output.take() or "ok"

    def _dispatch(self, directive: Directive) -> None:
        command = directive.command
        if command == "_breakpoint":
            return
        if command == "add-nodes":
            self._add_nodes(directive)
        elif command == "deliver-msgs":
            self._deliver(directive)
        elif command == "stabilize":
            with self.output.level(directive.text("log-level", "") or None):
                self.cluster.stabilize(self._nodes(directive) or self.cluster.nodes)
        elif command == "log-level":
            self.output.set_level(directive.words()[0])
        elif command == "raft-state":
            self._print_state()
        elif command in ("process-ready", "process-append-thread", "process-apply-thread"):
            self._process(directive)
        elif command == "transfer-leadership":
            leader = self.cluster.node(int(directive.text("from", "0")))
            leader.raw.transfer_leader(int(directive.text("to", "0")))
        else:
            self._dispatch_to_node(directive)

    def _dispatch_to_node(self, directive: Directive) -> None:
        """The commands whose first word is a node."""
        command = directive.command
        node = self._first_node(directive)
        if command == "campaign":
            node.raw.campaign()
        elif command == "propose":
            node.raw.propose(directive.words()[1].encode())
        elif command == "propose-conf-change":
            node.raw.propose_conf_change(_parse_change(directive))
        elif command == "compact":
            node.storage.compact(int(directive.words()[1]))
            self._print_log(node)
        elif command == "raft-log":
            self._print_log(node)
        elif command == "status":
            self.output.write(describe_progress(node.raw.status().progress))
        elif command == "tick-election":
            self._tick(node, node.config.election_tick)
        elif command == "tick-heartbeat":
            self._tick(node, node.config.heartbeat_tick)
        elif command == "forget-leader":
            node.raw.forget_leader()
        elif command == "report-unreachable":
            node.raw.report_unreachable(int(directive.words()[1]))
        elif command == "send-snapshot":
            self.cluster.send_snapshot(node, int(directive.words()[1]))
        elif command == "set-randomized-election-timeout":
            node.raw.raft.randomized_election_timeout = int(directive.text("timeout", "0"))
        else:
            raise ScriptError(f"unknown command {command}")

    def _first_node(self, directive: Directive) -> Node:
        words = directive.words()
        if not words or not words[0].isdigit():
            raise ScriptError(f"line {directive.line}: {directive.command} needs a node")
        return self.cluster.node(int(words[0]))

    def _nodes(self, directive: Directive) -> list[Node]:
        return [self.cluster.node(int(word)) for word in directive.words()]

    # The commands that take more than a line

    def _add_nodes(self, directive: Directive) -> None:
        config = default_config(self.output)
        read_only = directive.text("read-only", "safe")
        if read_only not in _READ_ONLY:
            raise ScriptError(f"invalid read-only option {read_only!r}")
        committed_size = directive.find("max-committed-size-per-ready")
        config = replace(
            config,
            async_storage_writes=directive.flag("async-storage-writes"),
            pre_vote=directive.flag("prevote"),
            check_quorum=directive.flag("checkquorum"),
            disable_conf_change_validation=directive.flag("disable-conf-change-validation"),
            step_down_on_removal=directive.flag("step-down-on-removal"),
            read_only=_READ_ONLY[read_only],
            max_inflight_messages=int(directive.text("inflight", str(config.max_inflight_messages))),
            max_committed_size_per_ready=None if committed_size is None else int(committed_size.value),
        )
        for _ in range(int(directive.words()[0])):
            conf_state = ConfState(voters=_ids(directive, "voters"), learners=_ids(directive, "learners"))
            data = directive.text("content", "").encode()
            snapshot = Snapshot(data, int(directive.text("index", "0")), 0, conf_state)
            self.cluster.add_node(config, snapshot)

    def _deliver(self, directive: Directive) -> None:
        name = directive.text("type", "")
        if name and name not in MESSAGE_NAMES:
            raise ScriptError(f"unknown message type {name}")
        kind = MESSAGE_NAMES.index(name) if name else None
        count = 0
        for argument in directive.arguments:
            if not argument.values:
                count += self.cluster.deliver(int(argument.key), kind)
            elif argument.key == "drop":
                for member in argument.values:
                    count += self.cluster.deliver(int(member), kind, drop=True)
        if not count:
            self.output.write("no messages\n")

    def _process(self, directive: Directive) -> None:
        nodes = self._nodes(directive)
        for node in nodes:
            if len(nodes) == 1:
                self._process_one(directive.command, node)
                return
            heading = "handling Ready" if directive.command == "process-ready" else _thread_heading(directive.command)
            self.output.write(f"> {node.id} {heading}\n")
            with self.output.indented():
                self._process_one(directive.command, node)

    def _process_one(self, command: str, node: Node) -> None:
        if command == "process-ready":
            self.cluster.process_ready(node)
        elif command == "process-append-thread":
            self.cluster.process_append_thread(node)
        else:
            self.cluster.process_apply_thread(node)

    def _print_state(self) -> None:
        for node in self.cluster.nodes:
            status = node.raw.status()
            voter = "(Voter)" if status.membership.is_voter(node.id) else "(Non-Voter)"
            self.output.write(f"{node.id}: {status.role_name} {voter} Term:{status.term} Lead:{status.leader_id}\n")

    def _print_log(self, node: Node) -> None:
        first, last = node.storage.first_index(), node.storage.last_index()
        if last < first:
            self.output.write(f"log is empty: first index={first}, last index={last}")
        else:
            self.output.write(describe_entries(node.storage.entries(first, last + 1)))

    def _tick(self, node: Node, count: int) -> None:
        for _ in range(count):
            node.raw.tick()


def _thread_heading(command: str) -> str:
    return "processing " + command.removeprefix("process-").replace("-", " ")


def _ids(directive: Directive, key: str) -> list[int]:
    argument = directive.find(key)
    return [] if argument is None else [int(value) for value in argument.values]


def _parse_change(directive: Directive) -> AnyConfChange:
    changes = parse_changes(directive.input)
    transition = directive.text("transition", "auto")
    if transition not in _TRANSITIONS:
        raise ScriptError(f"unknown transition {transition}")
    if directive.flag("v1"):
        if len(changes) != 1 or transition != "auto":
            raise ScriptError("v1 conf change can only have one operation and no transition")
        kind, member = changes[0]
        return raft_pb2.ConfChange(type=kind, node_id=member)  # type: ignore[arg-type]
    return raft_pb2.ConfChangeV2(
        transition=_TRANSITIONS[transition],  # type: ignore[arg-type]
        changes=[
            raft_pb2.ConfChangeSingle(type=kind, node_id=member)  # type: ignore[arg-type]
            for kind, member in changes
        ],
    )
