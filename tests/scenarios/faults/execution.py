"""Running the cases: side by side where they do not disturb each other, within a bound of time."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from kubernetes.client.exceptions import ApiException

from ingestion_operator.errors import ClusterError
from testcluster.errors import TestClusterError
from testcluster.progress import show, step
from testing.fake_openmetadata_client import FakeServerError
from tests.scenarios.faults import report
from tests.scenarios.faults.case import SETTLE_SECONDS, Case, Result, problems_of
from tests.scenarios.faults.environment import Environment
from tests.scenarios.faults.target import FaultTarget
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Counts

_FAILURES: Final = (AssertionError, TestClusterError, ClusterError, ApiException, FakeServerError, OSError)

SHARED_AT_ONCE: Final = 3
"""Cases that disturb nothing: more interpreters that start at once would slow each other down on two cores."""

OWN_AT_ONCE: Final = 8
"""Cases on installations of their own: their pods are light, and mostly they wait."""


@dataclass(frozen=True)
class Phase:
    """Cases that run at the same time."""

    cases: tuple[Case, ...]
    at_once: int

    @property
    def about_seconds(self) -> float:
        """How long it takes, about: each case begins as soon as one of those before it has ended."""
        lanes = [0.0] * self.at_once
        for case in self.cases:
            lanes[lanes.index(min(lanes))] += case.about_seconds
        return max(lanes)


def phases(cases: Sequence[Case]) -> list[Phase]:
    """Return the order of a round: what disturbs nothing, what has its own target, what must be alone."""
    by_length = sorted(cases, key=lambda case: -case.about_seconds)
    found = [
        Phase(tuple(case for case in by_length if case.place == "shared"), SHARED_AT_ONCE),
        Phase(tuple(case for case in by_length if case.place == "own"), OWN_AT_ONCE),
        Phase(tuple(case for case in cases if case.place == "exclusive"), 1),
    ]
    return [phase for phase in found if phase.cases]


def run_case(target: FaultTarget, case: Case, number: int) -> tuple[Trial, Result]:
    """Run a case once; whatever goes wrong is in the result."""
    trial = Trial(target, f"{case.name}-{number}", case.expected, case.able_within)
    begin, restarts = time.monotonic(), target.restarts()
    with step(f"{case.name}, round {number}"):
        try:
            case.act(trial)
        except _FAILURES as error:
            trial.problems.append(f"it could not be run to its end: {error}")
        try:
            trial.check_able()
            trial.settle(timeout=SETTLE_SECONDS)
            more = target.restarts() - restarts
        except _FAILURES as error:
            trial.problems.append(f"the operator could not be judged: {error}")
            more = 0
        if case.most_restarts is not None and more > case.most_restarts:
            trial.problems.append(f"the operator has started {more} times again, not {case.most_restarts} at most")
        observations = trial.observations(with_logs=True)
    result = Result(
        case=case,
        round=number,
        observations=observations,
        problems=trial.problems + problems_of(case, observations),
        counts=trial.counts(observations),
        able_seconds=trial.able_seconds,
        seconds=time.monotonic() - begin,
    )
    for problem in result.problems:
        show(f"  {case.name}: {problem}")
    bad = [seen for expected, seen in observations if problems_of(case, [(expected, seen)])]
    for seen in bad or [seen for _, seen in observations if result.problems]:
        show(f"  {report.timeline(seen)}")
    return trial, result


def run_round(run: Callable[[Case], tuple[Trial, Result]], cases: Sequence[Case]) -> list[tuple[Trial, Result]]:
    """Run every case once, phase by phase."""
    done: list[tuple[Trial, Result]] = []
    for phase in phases(cases):
        with ThreadPoolExecutor(phase.at_once) as pool:
            done += pool.map(run, phase.cases)
    return done


def run_all(environment: Environment, cases: Sequence[Case], rounds: int) -> tuple[list[Result], Counts]:
    """Run every case in every round; return the results by case, and what must not be in the end."""
    done: list[tuple[Trial, Result]] = []
    for number in range(1, rounds + 1):

        def run(case: Case, number: int = number) -> tuple[Trial, Result]:
            return _run_in_place(environment, case, number)

        begin = time.monotonic()
        done += run_round(run, cases)
        passed = sum(result.has_passed for _, result in done)
        show(f"round {number} of {rounds}: {passed} of {len(done)} passed so far; {time.monotonic() - begin:.0f} s")
    order = {case.name: place for place, case in enumerate(cases)}
    return sorted((result for _, result in done), key=lambda result: order[result.case.name]), final_counts(done)


def _run_in_place(environment: Environment, case: Case, number: int) -> tuple[Trial, Result]:
    try:
        with environment.target(case, number) as target:
            return run_case(target, case, number)
    except _FAILURES as error:
        show(f"  {case.name}: its installation failed: {error}")
        trial = Trial(environment.shared, f"{case.name}-{number}", case.expected, case.able_within)
        return trial, Result(case, number, problems=[f"its installation failed: {error}"])


def final_counts(done: Sequence[tuple[Trial, Result]]) -> Counts:
    """Return what must not be, of all rounds.

    On the shared installation it is counted once more, when every run has ended: nothing may have changed since, and
    no case has started a run that none knows.
    """
    own = [result.counts for _, result in done if result.case.place == "own"]
    shared = [trial for trial, result in done if result.case.place != "own"]
    again = [trial.counts(trial.observations(with_logs=False)) for trial in shared]
    total = sum([*own, *again], Counts())
    if shared:
        known = set().union(*(trial.known_runs() for trial in shared))
        pipelines = set().union(*(trial.pipelines() for trial in shared))  # other tests may have run in the namespace
        runs = shared[0].target.observer.runs()
        total += Counts(lost=sum(seen.pipeline in pipelines and run not in known for run, seen in runs.items()))
    return total
