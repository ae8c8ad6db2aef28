"""Which experiments stand beside a baseline: those after it that were made alike and that a gate has judged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.nights.records import (
    FAILED,
    NOT_JUDGED,
    NOT_WHOLE,
    OTHER_EXAMPLES,
    TAG_ELSEWHERE,
)
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.experiment.earlier import between, refuse_pool, since
from prefect_experiments.origin import GATE
from prefect_experiments.store import Store, TaskRecord, tag_moves
from tests.analysis.tables import table
from tests.store.samples import START, TASK, examples, failed_row, record, run_row

MONTHLY = Gate.parse({"alarms": {"per": "month"}})


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


def made(store: Store, night: int, gate: str | None = "passed", *, dataset: str = "dataset", **how: Any) -> str:
    """An experiment of that night; its id."""
    version = store.datasets.put(dataset, examples(how.pop("count", 3)))
    given: dict[str, Any] = {"task": TASK, "now": START + 86_400 * night, **how}
    found = store.experiments.create(f"night {night}", version, **given).experiment.id
    if gate is not None:
        store.experiments.note(found, **{GATE: gate})
    return found


def ran(store: Store, experiment_id: str) -> RanExperiment:
    return RanExperiment(store, store.experiments.get(experiment_id))


def beside(store: Store, baseline: str, *, pooled: int = 1, gate: Gate | None = MONTHLY) -> list[str]:
    return [one.id for one in since(ran(store, baseline), gate, store, pooled).runs]


def test_those_after_it_that_were_made_alike_in_their_order(store: Store) -> None:
    made(store, 0)
    baseline = made(store, 1, None)
    alike = [made(store, 2), made(store, 3, "inconclusive")]
    made(store, 4, None)
    alike.append(made(store, 4, "failed"))
    alike.append(made(store, 5, task=TaskRecord("guess", TASK.fingerprint, TASK.reference)))  # by whatever task
    made(store, 6, repetitions=2)
    made(store, 7, positions=[0, 1])
    made(store, 8, positions=[0, 1, 2], splits=["train"])
    made(store, 9, dataset="other")
    alike.append(made(store, 10, task=TaskRecord(TASK.name, "e" * 64, TASK.reference)))  # the application changes
    assert beside(store, baseline) == alike
    assert beside(store, alike[0]) == alike[1:]
    assert beside(store, alike[-1]) == []


@pytest.mark.parametrize(("pooled", "gate", "are_looked_at"), [(1, MONTHLY, True), (2, None, True), (2, Gate(), True),
                                                               (1, Gate(), False), (1, None, False)])  # fmt: skip
def test_they_are_looked_for_where_somebody_asks(
    store: Store, pooled: int, gate: Gate | None, are_looked_at: bool
) -> None:
    baseline, after = made(store, 0), made(store, 1)
    assert beside(store, baseline, pooled=pooled, gate=gate) == [after] * are_looked_at
    assert since(table(x=[1.0]), gate, store, pooled).runs == ()
    assert since(None, gate, store, pooled).runs == ()


def test_between_two_experiments_is_what_was_made_before_the_second_and_is_whole(store: Store) -> None:
    baseline, *nights = [made(store, night) for night in range(6)]
    for number, night in enumerate(nights):
        runs = [run_row(0), run_row(1), failed_row(2)]
        record(store, night, runs[: 2 if number == 1 else 3])

    def found(candidate: str) -> list[str]:
        return [run.date for run in between(ran(store, baseline), ran(store, candidate), None, lambda: store, 5).runs]

    dates = [f"{store.experiments.get(night).experiment.created_at:%Y-%m-%d}" for night in nights]
    assert found(nights[4]) == [dates[0], dates[2], dates[3]], "a run that failed was made; one that is missing was not"
    assert found(nights[2]) == [dates[0]]
    assert found(nights[0]) == []
    assert between(ran(store, baseline), table(x=[1.0]), None, lambda: store, 3).runs == ()


def test_a_table_of_results_is_not_pooled() -> None:
    refuse_pool(table(x=[1.0]), 1)
    refuse_pool(None, 2)
    with pytest.raises(InvalidSetting, match=r"pooled=2 .*is a table of results"):
        refuse_pool(table(x=[1.0]), 2)


GUESS, CHANGED = TaskRecord("guess", "e" * 64, None), TaskRecord(TASK.name, "e" * 64, None)


@pytest.mark.parametrize(
    ("task", "pooled", "found", "left_out"),
    [
        (TASK, 3, ["1 both", "2 both failed trial", "5 both"], {NOT_WHOLE: 1}),
        (CHANGED, 3, ["1 both", "2 both failed", "5 both"], {NOT_WHOLE: 1}),
        (TASK, 1, ["1 both", "2 both failed trial", "5 both"], {NOT_WHOLE: 1}),
        (GUESS, 3, ["1 baseline", "4 candidate"], {NOT_WHOLE: 1}),
        (GUESS, 2, ["1 baseline", "4 candidate"], {}),
        (GUESS, 1, ["4 candidate"], {}),
    ],
)
@pytest.mark.thorough
def test_whose_the_runs_between_are_and_why_others_are_left_out(
    store: Store, task: TaskRecord, pooled: int, found: list[str], left_out: dict[str, int]
) -> None:
    baseline = made(store, 0)
    whole = [made(store, 1), made(store, 2, "failed", task=CHANGED)]
    record(store, made(store, 3), [run_row(0), run_row(1)])
    whole += [made(store, 4, task=GUESS), made(store, 5)]
    made(store, 6, None)
    made(store, 6, repetitions=2)
    made(store, 6, None, task=GUESS)
    candidate = made(store, 7, None, task=task)
    made(store, 8)
    for night in whole:
        record(store, night, [run_row(0), run_row(1), failed_row(2)])
    earlier = between(ran(store, baseline), ran(store, candidate), MONTHLY, lambda: store, pooled)
    names = [f"{store.experiments.get(night).experiment.created_at:%Y-%m-%d}" for night in [baseline, *whole]]
    day = dict(zip(names, "01245", strict=True))
    said = []
    for run in earlier.runs:
        whose = "both" if run.of_baseline and run.of_candidate else "baseline" if run.of_baseline else "candidate"
        assert run.of_baseline or run.of_candidate
        said.append(" ".join([day[run.date], whose, *["failed"] * run.failed, *["trial"] * run.is_trial]))
    assert said == found
    assert earlier.pooled == pooled
    assert earlier.left_out == {OTHER_EXAMPLES: 1, NOT_JUDGED: 1, FAILED: 1, **left_out}


def test_what_was_made_while_another_had_the_tag_is_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag that is put back to an older one leaves what came between behind."""

    def tag(experiment_id: str, night: float) -> None:
        monkeypatch.setattr(tag_moves, "time", SimpleNamespace(time=lambda: START + 86_400 * night))
        store.experiments.tag(experiment_id, "best")

    baseline, *nights = [made(store, night) for night in range(5)]
    tag(baseline, 0.5)
    tag(nights[0], 2.0)
    tag(baseline, 3.0)
    for named in ("tag:best", "tag: best"):
        found = since(ran(store, baseline), MONTHLY, store, 1, named=named)
        assert [one.id for one in found.runs] == [nights[0], nights[2], nights[3]]
        assert [(one.id, why) for one, why in found.left_out] == [(nights[1], TAG_ELSEWHERE)]
    for named in ("tag:other", "best", baseline, None):
        found = since(ran(store, baseline), MONTHLY, store, 1, named=named)
        assert ([one.id for one in found.runs], found.left_out) == (nights, ())
    assert [one.id for one in since(ran(store, nights[0]), MONTHLY, store, 1, named="tag:best").runs] == nights[1:]
