"""One seed, from the first event to the verdict.

    chaos      clients ask, watchers watch, the nemesis does its worst
    healing    everything is whole: within 10 virtual seconds there must be a leader, and answers from every member
    verdict    histories, watches, states and logs are measured against the model

The seed decides everything. A failure says what is wrong and has the whole trace.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from etcdpy.sim.agreement import check_logs_match
from etcdpy.sim.client import Client
from etcdpy.sim.clock import Schedule
from etcdpy.sim.cluster import Cluster
from etcdpy.sim.faults import NO_FAULTS, Faults
from etcdpy.sim.linearizability import HistoryCheck
from etcdpy.sim.model import Model
from etcdpy.sim.nemesis import Nemesis
from etcdpy.sim.process import Process
from etcdpy.sim.requests import ALL_KEYS, OK, Put, Range, Request, read_answer, to_proposal
from etcdpy.sim.settings import Settings, choose_settings
from etcdpy.sim.trace import Trace
from etcdpy.sim.watch_client import WatchClient

# What the cluster may take to be whole again; a few elections.
HEALING_SECONDS: Final = 10.0
# Clients go on for so long after that, undisturbed.
PEACE_SECONDS: Final = 1.0
# How many faults of one run are worth telling.
FAULTS_TOLD_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a seed. `fault` is empty when all was well."""

    seed: int
    fault: str
    digest: str
    tail: list[str]
    events: int
    operations: int
    counts: dict[str, int]


def run_seed(
    seed: int, *, faults: Faults = NO_FAULTS, settings: Settings | None = None, tail_lines: int = 60
) -> Outcome:
    """Run one seed; `settings` take the place of those that the seed would choose."""
    run = Run(seed, faults, settings)
    fault = run.find_fault()
    return Outcome(
        seed=seed,
        fault=fault,
        digest=run.trace.digest(),
        tail=run.trace.lines(tail_lines) if fault else [],
        events=run.schedule.number,
        operations=len(run.cluster.operations) if run.cluster is not None else 0,
        counts=dict(run.trace.counts),
    )


class Fault(Exception):
    """The run is over: this is wrong."""


class Run:
    """See the top of the file."""

    def __init__(self, seed: int, faults: Faults = NO_FAULTS, settings: Settings | None = None) -> None:
        self._rng = random.Random(seed)
        chosen = choose_settings(random.Random(self._rng.random()))
        self.settings = settings or chosen
        self.schedule = Schedule()
        self.trace = Trace(self.schedule)
        self._faults = faults
        self.cluster: Cluster | None = None

    def find_fault(self) -> str:
        """Run to the end; return what is wrong, or nothing."""
        try:
            self._run()
        except Fault as fault:
            return str(fault)
        except Exception as error:  # whatever a member or a check throws is a finding
            return f"{type(error).__name__}: {error}"
        return ""

    def _run(self) -> None:
        cluster = self.cluster = Cluster(
            self.settings, random.Random(self._rng.random()), self.schedule, self.trace, self._faults
        )
        self._add_clients(cluster)
        nemesis = Nemesis(cluster, random.Random(self._rng.random()))
        nemesis.start()
        self.schedule.run_until(self.settings.chaos_seconds)
        nemesis.stop()
        self._wait("no leader", lambda: self._is_led(cluster))
        self._drop_removed(cluster)
        self.schedule.run_until(self.schedule.now + PEACE_SECONDS)
        self._probe(cluster)
        self._settle(cluster)
        self._judge(cluster)

    def _add_clients(self, cluster: Cluster) -> None:
        for number in range(self.settings.clients):
            client = self._make_client(cluster, number)
            client.start()
        for number in range(self.settings.watchers):
            watcher = WatchClient(
                number,
                self.schedule,
                self.trace,
                random.Random(self._rng.random()),
                self.settings,
                connect=cluster.connect,
            )
            cluster.watchers.append(watcher)
            self.schedule.call_later(self._rng.random() * self.settings.chaos_seconds / 2, watcher.start_watching)

    def _make_client(self, cluster: Cluster, number: int) -> Client:
        client = Client(
            number,
            self.schedule,
            self.trace,
            random.Random(self._rng.random()),
            self.settings,
            cluster.operations,
            ask=cluster.ask,
            choose_member=cluster.choose_member,
        )
        cluster.clients.append(client)
        return client

    def _wait(self, what: str, is_done: Callable[[], bool]) -> None:
        """Let time pass until `is_done`; that it never is, is a fault."""
        if not is_done() and not self.schedule.run_until(self.schedule.now + HEALING_SECONDS, is_done):
            raise Fault(f"{what} within {HEALING_SECONDS:.0f} s of peace")

    # -- healing

    def _is_led(self, cluster: Cluster) -> bool:
        """Whether there is one leader whom its whole configuration follows."""
        leader = cluster.leader()
        if leader is None:
            return False
        conf_state = leader.member.conf_state
        for member in conf_state.voters + conf_state.learners:
            process = cluster.processes.get(member)
            if process is None or process.member.leader_id != leader.member_id:
                return False
        return True

    def _probe(self, cluster: Cluster) -> None:
        """Every member answers a write and a linearizable read."""
        for client in cluster.clients:
            client.is_stopped = True
        self._wait("clients without an answer", lambda: all(client.is_idle for client in cluster.clients))
        self._wait("no leader after all", lambda: self._is_led(cluster))
        self._drop_strangers(cluster)
        for member in sorted(cluster.processes):
            self._ask(cluster, member, Put(b"probe", b"%d" % member))
            self._ask(cluster, member, Range(ALL_KEYS, ALL_KEYS))

    def _drop_removed(self, cluster: Cluster) -> None:
        """Who was removed while it could not hear of it runs on, and disturbs elections; its operator would stop it."""
        leader = cluster.leader()
        assert leader is not None
        for member in sorted(cluster.processes):
            if leader.machine.roster.is_removed(member):
                self._drop(cluster, member)

    def _drop_strangers(self, cluster: Cluster) -> None:
        """Nothing is on its way any more: who is no member now was never added, or is removed."""
        leader = cluster.leader()
        assert leader is not None
        conf_state = leader.member.conf_state
        for member in sorted(cluster.processes):
            if member not in conf_state.voters + conf_state.learners:
                self._drop(cluster, member)

    def _drop(self, cluster: Cluster, member: int) -> None:
        cluster.removed.add(member)
        cluster.crash(member, power=False)

    def _ask(self, cluster: Cluster, member: int, request: Request) -> None:
        client = self._make_client(cluster, len(cluster.clients))
        client.is_stopped = True
        client.member = member
        operation = client.request(request)
        self._wait(f"member {member} gave no answer", lambda: operation.returned is not None)
        if operation.outcome != OK:
            raise Fault(f"in peace: {operation}")

    def _settle(self, cluster: Cluster) -> None:
        """Everybody has applied everything, every watcher knows it."""
        for watcher in cluster.watchers:
            watcher.is_steady = True
        processes = list(cluster.running())
        self._wait(
            "members did not apply everything",
            lambda: all(process.member.applied_index == cluster.book.last_index for process in processes),
        )
        revision = max(process.machine.store.current_revision for process in processes)
        self._wait(
            "watchers were not told everything",
            lambda: all(watcher.knows(revision) for watcher in cluster.watchers),
        )

    # -- the verdict

    def _judge(self, cluster: Cluster) -> None:
        history = HistoryCheck(cluster.operations)
        faults = history.run(cluster.book.order)
        for watcher in cluster.watchers:
            faults += watcher.check(history.model)
        processes = list(cluster.running())
        for process in processes:
            faults += self._check_state(process, history.model)
        for first, second in pairwise(processes):
            check_logs_match(first.storage, second.storage)
            if first.machine.store.hash_kv() != second.machine.store.hash_kv():
                faults.append(f"{first.member_id} and {second.member_id} have different hashes")
        if faults:
            raise Fault("\n".join(faults[:FAULTS_TOLD_MAX]))

    def _check_state(self, process: Process, model: Model) -> list[str]:
        store = process.machine.store
        while not store.compact_step():
            continue
        process.storage.check_invariants()
        request = Range(ALL_KEYS, ALL_KEYS)
        found = read_answer(request, store.range(to_proposal(request)[1]))
        if found != ("found", model.items()) or store.current_revision != model.revision:
            return [f"{process.member_id} holds {found} at {store.current_revision}, not {model.items()}"]
        if max(0, store.compact_revision) != max(0, model.compacted):
            return [f"{process.member_id} is compacted at {store.compact_revision}, not {model.compacted}"]
        return []
