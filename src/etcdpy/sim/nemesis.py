"""The nemesis: brings trouble of the kinds that the seed chose, at moments that the seed chose, and ends it.

A majority may be gone for a while, never for ever: after `stop` everything is whole again, and the cluster has to be.
"""

from __future__ import annotations

import random
from typing import Final

from etcdpy.sim.cluster import Cluster
from etcdpy.sim.process import Process
from etcdpy.sim.settings import CAMPAIGN, CRASH, MEMBERS, PARTITION, PAUSE, SLOW_DISK, STORM, TORN_WRITE, TRANSFER
from etcdpy.state.members.change import promote_change, remove_change

# Members at once: removals and additions go on between these.
VOTERS_MIN: Final = 3
MEMBERS_MAX: Final = 6
# A learner this many entries behind is ready to vote; etcd asks for nine tenths of the log.
PROMOTION_LAG_MAX: Final = 20
STORM_LOSS: Final = 0.4


class Nemesis:
    """See the top of the file."""

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self._cluster = cluster
        self._rng = rng
        self._is_stopped = False
        self._partition = 0  # the present one; the end of an earlier one must not end it

    def start(self) -> None:
        if self._cluster.settings.troubles:
            self._wait()

    def stop(self) -> None:
        """End all trouble."""
        cluster = self._cluster
        self._is_stopped = True
        cluster.network.heal()
        cluster.restart_seconds = (0.1,)
        for member in sorted(cluster.disks):
            process = cluster.processes.get(member)
            if process is None:
                cluster.start(member)
            else:
                process.sync_factor = 1.0
                process.wal.tear = None
                process.loop.resume()
        cluster.trace.add(0, "heal")

    def _wait(self) -> None:
        cluster = self._cluster
        cluster.schedule.call_later(self._rng.expovariate(1 / cluster.settings.trouble_seconds), self._act)

    def _later(self, seconds: float) -> float:
        return self._rng.expovariate(1 / seconds)

    def _act(self) -> None:
        if self._is_stopped:
            return
        self._wait()
        kind = self._rng.choice(self._cluster.settings.troubles)
        if kind == CRASH:
            self._crash()
        elif kind == TORN_WRITE:
            self._tear()
        elif kind == PARTITION:
            self._cut()
        elif kind == PAUSE:
            self._pause()
        elif kind == SLOW_DISK:
            self._slow_down()
        elif kind == TRANSFER:
            self._transfer()
        elif kind == MEMBERS:
            self._change_members()
        elif kind == STORM:
            self._storm()
        elif kind == CAMPAIGN:
            self._campaign()

    def _victim(self) -> Process | None:
        """A member that runs: the leader more often than others."""
        leader = self._cluster.leader()
        if leader is not None and self._rng.random() < 0.4:
            return leader
        running = list(self._cluster.running())
        return self._rng.choice(running) if running else None

    # -- the kinds

    def _crash(self) -> None:
        cluster, rng = self._cluster, self._rng
        if rng.random() < 0.15:
            victims = list(cluster.running())
        else:
            victims = [victim for victim in [self._victim()] if victim is not None]
        power = rng.random() < 0.7
        for victim in victims:
            cluster.crash(victim.member_id, power=power)
            cluster.schedule.call_later(self._later(rng.choice((0.05, 1.0))), cluster.start, victim.member_id)

    def _tear(self) -> None:
        """Let a member die in one of its next writes; perhaps its machine follows, soon after it runs again."""
        victim = self._victim()
        if victim is None:
            return
        victim.wal.tear = self._rng.randrange(4)
        self._cluster.trace.add(victim.member_id, "tear", f"after {victim.wal.tear} steps")
        if self._rng.random() < 0.5:
            self._cluster.schedule.call_later(self._later(0.4), self._cut_power, victim)

    def _cut_power(self, victim: Process) -> None:
        cluster, member = self._cluster, victim.member_id
        if not self._is_stopped and cluster.find(member) not in (None, victim):
            cluster.crash(member, power=True)
            cluster.schedule.call_later(self._later(0.5), cluster.start, member)

    def _cut(self) -> None:
        cluster, rng = self._cluster, self._rng
        members = sorted(cluster.processes)
        if len(members) < 2:
            return
        leader = cluster.leader()
        if leader is not None and rng.random() < 0.5:
            one_side = {leader.member_id}
        else:
            one_side = set(rng.sample(members, rng.randrange(1, len(members))))
        pairs = [(a, b) for a in members for b in members if (a in one_side) != (b in one_side)]
        if rng.random() < 0.3:  # one way only
            pairs = [(a, b) for a, b in pairs if a in one_side]
        elif rng.random() < 0.2:  # and some get through
            pairs = rng.sample(pairs, (len(pairs) + 1) // 2)
        cluster.network.cut = set(pairs)
        self._partition += 1
        cluster.trace.add(0, "cut", " ".join([f"{a}>{b}" for a, b in sorted(pairs)]))
        cluster.schedule.call_later(self._later(2.5), self._join, self._partition)

    def _join(self, partition: int) -> None:
        if partition == self._partition:
            self._cluster.network.cut.clear()
            self._cluster.trace.add(0, "join")

    def _pause(self) -> None:
        victim = self._victim()
        if victim is not None:
            self._cluster.trace.add(victim.member_id, "pause")
            victim.loop.pause()
            self._cluster.schedule.call_later(self._later(1.5), self._resume, victim)

    def _resume(self, victim: Process) -> None:
        self._cluster.trace.add(victim.member_id, "resume")
        victim.loop.resume()

    def _slow_down(self) -> None:
        victim = self._victim()
        if victim is not None:
            victim.sync_factor = self._rng.choice((10.0, 50.0))
            self._cluster.trace.add(victim.member_id, "slow", f"{victim.sync_factor}")
            self._cluster.schedule.call_later(self._later(1.5), self._speed_up, victim)

    def _speed_up(self, victim: Process) -> None:
        victim.sync_factor = 1.0

    def _transfer(self) -> None:
        leader = self._cluster.leader()
        if leader is None:
            return
        transferee = self._rng.choice(leader.member.conf_state.voters)
        self._cluster.trace.add(leader.member_id, "transfer", f"to {transferee}")
        leader.member.transfer_leader(transferee)
        leader.driver.schedule()

    def _campaign(self) -> None:
        """Some members lose patience at once: clocks are nothing that safety may hang on."""
        running = list(self._cluster.running())
        for process in self._rng.sample(running, min(len(running), self._rng.randrange(1, 3))):
            self._cluster.trace.add(process.member_id, "campaign")
            process.member.campaign()
            process.driver.schedule()

    def _change_members(self) -> None:
        cluster, rng = self._cluster, self._rng
        leader = cluster.leader()
        if leader is None:
            return
        conf_state = leader.member.conf_state
        voters, learners = sorted(conf_state.voters), sorted(conf_state.learners)
        if learners and rng.random() < 0.6:
            self._settle_learner(leader, learners[0])
        elif len(voters) + len(learners) < MEMBERS_MAX and (len(voters) <= VOTERS_MIN or rng.random() < 0.5):
            cluster.add_member(is_learner=rng.random() < 0.6)
        elif len(voters) > VOTERS_MIN:
            self._remove(rng.choice(voters))

    def _settle_learner(self, leader: Process, learner: int) -> None:
        """Give a learner its vote when it has caught up, else send it away."""
        progress = leader.member.status().progress[learner]
        if progress.match and progress.match + PROMOTION_LAG_MAX >= leader.member.committed_index:
            self._cluster.propose_change(promote_change(learner))
        elif self._rng.random() < 0.3:
            self._remove(learner)

    def _remove(self, member: int) -> None:
        self._cluster.propose_change(remove_change(member))

    def _storm(self) -> None:
        network = self._cluster.network
        network.loss, network.duplication, network.reordering = STORM_LOSS, 0.2, 0.3
        self._cluster.trace.add(0, "storm")
        self._cluster.schedule.call_later(self._later(1.0), self._calm)

    def _calm(self) -> None:
        if not self._is_stopped:
            self._cluster.network.calm()
            self._cluster.trace.add(0, "calm")
