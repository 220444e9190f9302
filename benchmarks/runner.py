"""The rounds: for every scenario ours, etcd, ours, etcd ..., and the medians of what they did.

A scenario's rounds follow each other, so both contenders meet the same state of a machine that may be slower later.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from benchmarks.capacity import FACTOR_MIN, Capacity, measure_capacity
from benchmarks.member import Contender
from benchmarks.process import BenchError
from benchmarks.requests import DistinctPuts
from benchmarks.scenario import Row, Sample, Scenario, Workbench


@dataclass(slots=True, kw_only=True)
class Result:
    """All rounds of one row."""

    row: Row
    samples: dict[Contender, list[Sample]] = field(default_factory=lambda: {one: [] for one in Contender})
    failure: str | None = None
    # Why measurements had to be made again.
    repeated: list[str] = field(default_factory=list)

    def median(self, contender: Contender) -> float | None:
        return _median([sample.value for sample in self.samples[contender]])

    def median_cpu_us(self, contender: Contender) -> float | None:
        return _median([sample.server_cpu_us for sample in self.samples[contender]])

    def median_anonymous_mib(self, contender: Contender) -> float | None:
        return _median([sample.anonymous_mib for sample in self.samples[contender]])

    def median_client_busy(self, contender: Contender) -> float | None:
        return _median([sample.client_busy for sample in self.samples[contender]])

    @property
    def ratio(self) -> float | None:
        """Ours divided by etcd's."""
        ours, theirs = self.median(Contender.OURS), self.median(Contender.ETCD)
        return ours / theirs if ours is not None and theirs else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is; None: there is none."""
        if self.failure is not None:
            return False
        figure = self.median(Contender.OURS) if self.row.target_is_ours else self.ratio
        if self.row.target is None or figure is None:
            return None
        # As it is printed: two digits after the point.
        ratio = round(figure, 2)
        return ratio <= self.row.target if self.row.lower_is_better else ratio >= self.row.target


@dataclass(slots=True, kw_only=True)
class Run:
    """Everything one run of the benchmark found."""

    rounds: int
    results: list[Result] = field(default_factory=list)
    capacities: list[Capacity] = field(default_factory=list)

    def result_named(self, name: str) -> Result | None:
        return next((result for result in self.results if result.row.name == name), None)

    def capacity_factor(self, capacity: Capacity) -> float | None:
        """Return how much faster than the faster server the client was; below FACTOR_MIN, doubt the figures."""
        result = self.result_named(f"distinct-{capacity.shape}")
        medians = [result.median(one) for one in Contender] if result else []
        fastest = max((value for value in medians if value is not None), default=0.0)
        return capacity.requests_per_second / fastest if fastest else None


def run_all(bench: Workbench, scenarios: list[Scenario], rounds: int) -> Run:
    """Measure; what fails is noted in its row, and the others go on."""
    run = Run(rounds=rounds)
    for scenario in scenarios:
        if isinstance(scenario, DistinctPuts):
            run.capacities.append(_measure_capacity(bench, scenario))
        results = [Result(row=row) for row in scenario.rows]
        run.results.extend(results)
        try:
            _run_rounds(bench, scenario, results, min(rounds, scenario.rounds_max or rounds))
        except BenchError as error:
            say(f"  failed: {error}")
            for result in results:
                result.failure = str(error)
    return run


def _run_rounds(bench: Workbench, scenario: Scenario, results: list[Result], rounds: int) -> None:
    say(", ".join(row.title for row in scenario.rows))
    for number in range(1, rounds + 1):
        for contender in Contender:
            samples = _measure(bench, scenario, contender, results)
            for result in results:
                result.samples[contender].append(samples[result.row.name])
            figures = ", ".join(f"{samples[row.name].value:,.4g} {row.unit}" for row in scenario.rows)
            say(f"  round {number} {contender.value:7} {figures}")


def _measure(bench: Workbench, scenario: Scenario, contender: Contender, results: list[Result]) -> dict[str, Sample]:
    """Measure, a second time if need be (another program may have taken the port); the report tells of it."""
    try:
        return scenario.measure(bench, contender)
    except BenchError as error:
        say(f"  {contender.value} once more: {error}")
        for result in results:
            result.repeated.append(f"{contender.value}: {error}")
    return scenario.measure(bench, contender)


def _measure_capacity(bench: Workbench, scenario: DistinctPuts) -> Capacity:
    capacity = measure_capacity(bench, scenario.shape)
    say(
        f"our load client, {capacity.shape}, against an empty server: {capacity.requests_per_second:,.0f} req/s "
        f"(to be {FACTOR_MIN:.0f} times the faster server's)"
    )
    return capacity


def say(text: str) -> None:
    """Tell how far it is: the whole takes many minutes."""
    print(text, flush=True)


def _median(values: list[float] | list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
