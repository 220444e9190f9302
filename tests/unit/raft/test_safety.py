"""Raft's promises (paper, figure 3) under a network and disks that do their worst, by seed.

Messages are lost, repeated and reordered, members are cut off, disks and state machines lag, nodes crash,
configurations change, logs are compacted. Checked after every step:
  * election safety: one leader a term;
  * leader completeness: a new leader's log holds everything that was ever applied anywhere;
  * state machine safety: no index is applied with two values (Network.note_applied);
  * linearizable reads: the index that a read gets covers all that had been applied anywhere when it was asked for.
In the end the network heals, and everybody must come to the same log.
"""

from __future__ import annotations

import pytest

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry
from etcdpy.raft.change_codec import encode_entry
from etcdpy.raft.constants import LEADER
from tests.unit.raft.network import Network, Peer

STEPS = 3000
MEMBERS_MAX = 6


class Chaos:
    def __init__(self, seed: int) -> None:
        settings = [
            {"check_quorum": check_quorum, "pre_vote": pre_vote, "election_tick": 5, "max_inflight_messages": 4}
            | {"step_down_on_removal": pre_vote}
            for check_quorum in (True, False)
            for pre_vote in (True, False)
        ][seed % 4]
        answers = seed % 8 < 4
        self.network = Network(3, seed, max_size_per_message=60, answer_bare_commits=answers, **settings)
        self.random = self.network.random
        self.leader_of_term: dict[int, int] = {}
        self.asked: dict[bytes, int] = {}
        self.answered = 0
        self.proposals = 0
        self.crash_weight = 0.5

    def run(self, steps: int) -> None:
        for _ in range(steps):
            peer = self.random.choice(list(self.network.peers.values()))
            self._act(peer)
            self._check(peer)

    def _act(self, peer: Peer) -> None:
        action = self.random.choices(
            (
                "deliver",
                "lose",
                "repeat",
                "tick",
                "write",
                "apply",
                "propose",
                "read",
                "crash",
                "compact",
                "change",
                "cut",
            ),
            (60, 3, 3, 18, 25, 20, 6, 6, self.crash_weight, 1, 1, 0.3),
        )[0]
        messages = self.network.messages
        if action in ("deliver", "lose", "repeat"):
            if messages:
                # Mostly the oldest few: an order that only chance makes would let nothing ever succeed.
                position = self.random.randrange(min(len(messages), 4))
                message = messages[position] if action == "repeat" else messages.pop(position)
                if action == "lose":
                    self.network.lose(message)
                else:
                    receiver = self.network.peers.get(message.to)
                    self.network.deliver(type(message).from_pb(message.to_pb()))
                    if receiver is not None:
                        self._check(receiver)
        elif action == "tick":
            peer.node.tick()
        elif action == "write":
            if peer.append_work:
                peer.write()
        elif action == "apply":
            if peer.apply_work:
                peer.apply()
        elif action == "propose":
            self.proposals += 1
            self.network.maybe_propose(peer.id, Entry(data=b"%d" % self.proposals))
        elif action == "read":
            context = b"read %d" % len(self.asked)
            self.asked[context] = max(self.network.applied, default=0)
            peer.node.read_index(context)
        elif action == "crash":
            peer.start()
        elif action == "compact":
            peer.compact()
        elif action == "cut":
            # One member at a time is cut off, until the next is drawn, or nobody.
            self.network.cut = {peer.id} if self.random.random() < 0.6 else set()
        else:
            self._change_configuration(peer)
        peer.take_ready()

    def _change_configuration(self, peer: Peer) -> None:
        if not peer.is_leader:
            return
        network = self.network
        changes: list[raft_pb2.ConfChangeSingle] = []
        for _ in range(self.random.choice((1, 1, 2))):
            kind = self.random.choice(("AddNode", "AddLearnerNode", "RemoveNode"))
            member = self.random.randint(1, MEMBERS_MAX)
            if kind == "RemoveNode" and len(network.peers) - len(changes) <= 3:
                kind = "AddNode"
            if member not in network.peers:
                network.add(member)
            changes.append(
                raft_pb2.ConfChangeSingle(type=raft_pb2.ConfChangeType.Value("ConfChange" + kind), node_id=member)
            )
        self._propose_change(peer, changes)

    def _propose_change(self, peer: Peer, changes: list[raft_pb2.ConfChangeSingle]) -> None:
        voters = set(peer.node.status().membership.incoming)
        for change in changes:
            if change.type == raft_pb2.ConfChangeAddNode:
                voters.add(change.node_id)
            else:
                voters.discard(change.node_id)
        # Keep two voters: the application must not ask for the impossible, raft stops the member for that.
        if len(voters) >= 2:
            self.network.maybe_propose(peer.id, encode_entry(raft_pb2.ConfChangeV2(changes=changes)))

    def _check(self, peer: Peer) -> None:
        status = peer.node.basic_status()
        if status.role == LEADER:
            known = self.leader_of_term.get(status.term)
            if known is None:
                self.leader_of_term[status.term] = peer.id
                self._check_complete(peer)
            else:
                assert known == peer.id, f"term {status.term} is led by {known} and by {peer.id}"
        for state in peer.reads:
            self.answered += 1
            assert state.index >= self.asked[state.context], f"stale read at {peer.id}"
        peer.reads.clear()

    def _check_complete(self, leader: Peer) -> None:
        log = leader.node.raft.log
        for index, (term, _, _) in self.network.applied.items():
            if index >= log.first_index():
                assert log.matches(index=index, term=term), f"leader {leader.id} lacks applied entry {index}"

    def heal(self) -> None:
        """Everything arrives from now on: a leader must come up, and all members must end equal."""
        network = self.network
        network.cut = set()
        network.settle()
        for _ in range(200):
            network.tick()
            self._stop_removed_leaders()
            leaders = network.leaders()
            if leaders and network.maybe_propose(leaders[-1], Entry(data=b"healed")):
                network.settle()
                network.tick(3)
                if self._is_healed(network.peers[leaders[-1]]):
                    return
        raise AssertionError("the cluster does not recover")

    def _stop_removed_leaders(self) -> None:
        """As an application does when a leader learns that it votes no more: else it goes on leading."""
        for member in self.network.leaders():
            membership = self.network.peers[member].node.status().membership
            if not membership.is_voter(member):
                self.network.peers[member].start()
                if member not in membership.learners:
                    self.network.cut.add(member)

    def _is_healed(self, leader: Peer) -> bool:
        if not leader.is_leader or leader.state.get(max(leader.state), (0, 0, b""))[2] != b"healed":
            return False
        progress = leader.node.status().progress
        return all(self.network.peers[member].state == leader.state for member in progress)


@pytest.mark.parametrize("seed", range(32))
def test_promises_hold_whatever_happens(seed: int) -> None:
    chaos = Chaos(seed)

    chaos.run(STEPS)
    chaos.heal()

    assert len(chaos.network.applied) > 1


def test_the_chaos_is_of_the_right_size() -> None:
    """So great that elections, changes and snapshots happen, so small that entries and reads get through."""
    runs = [Chaos(seed) for seed in range(4)]
    for chaos in runs:
        chaos.run(STEPS)

    applied = [entry for chaos in runs for entry in chaos.network.applied.values()]
    assert sum(len(chaos.leader_of_term) for chaos in runs) > 8
    assert len(applied) > 100
    assert any(kind != ENTRY_NORMAL for _, kind, _ in applied)
    assert sum(chaos.answered for chaos in runs) > 20
    assert any(chaos.network.snapshots_restored for chaos in runs)
