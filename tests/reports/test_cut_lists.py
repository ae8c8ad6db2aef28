"""Lists in reports that are cut: how many are shown, and how the rest is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_experiments import Dataset, Example, Experiment
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import result_table
from prefect_experiments.models import ExperimentRun
from prefect_experiments.pages import ExampleList, ExperimentList, ExperimentRunList, Pagination
from prefect_experiments.reports import phrases
from prefect_experiments.reports.figures import outline_of
from prefect_experiments.reports.notebook import cards_of
from prefect_experiments.reports.page import Party, distributions
from prefect_experiments.reports.report_model import table_side
from prefect_experiments.reports.slices import flaky_line, slice_lines
from prefect_experiments.store import Store
from tests.store.samples import failed_row, new_experiment, record

from .test_whole import COMPARED


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ({"A": 1}, "A 1"),
        ({"A": 1200, "": 2}, "A 1,200, others 2"),
        ({"": 3}, "of no known type 3"),
        (dict.fromkeys("ABCDE", 1), "A 1, B 1, C 1, D 1, E 1"),
        (dict.fromkeys("ABCDEFG", 2), "A 2, B 2, C 2, D 2, E 2, others 4"),
    ],
)
def test_classes_of_errors(types: dict[str, int], said: str) -> None:
    assert phrases.error_types(types) == said


KINDS = [f"{letter}Error" for letter in "ABCDEFGH"]


@pytest.mark.parametrize(("n", "more"), [(5, []), (6, ["  and 1 other"]), (8, ["  and 3 others"])])
def test_the_commonest_errors(n: int, more: list[str]) -> None:
    store = Store("sqlite://")
    made = new_experiment(store, n)
    record(store, made.experiment.id, [failed_row(place, error=f"{KINDS[place]}: no") for place in range(n)])
    lines = phrases.error_lines(RanExperiment(store, made).failures)
    store.close()
    assert lines == [
        f"task errors, {n} of {n} (100%) runs:",
        *(f"  once: {KINDS[place]}: no (example ex-{place})" for place in range(5)),
        *more,
    ]


def test_groups_that_moved_and_examples_that_flicker() -> None:
    compared = COMPARED["failed"]
    every = slice_lines(compared)
    assert len(every) == 4
    assert slice_lines(compared, 4) == every
    assert slice_lines(compared, 3) == [*every[:3], "and 1 other"]
    said = "Flaky: 2 more examples got worse within what repetitions of the same side show: q12"
    assert flaky_line(compared) == flaky_line(compared, shown=2) == f"{said}, q24"
    assert flaky_line(compared, shown=1) == f"{said} and 1 other"


@pytest.mark.parametrize(("n", "told", "untold"), [(12, 12, ""), (13, 2, "11 other metrics unchanged")])
def test_of_many_metrics_those_that_moved_or_that_the_gate_stopped(n: int, told: int, untold: str) -> None:
    names = [f"m{place:02d}" for place in range(n)]
    before = {"example_id": [f"e{k}" for k in range(30)], **{f"eval.{name}.score": [0.5] * 30 for name in names}}
    after = before | {"eval.m03.score": [0.9] * 30}
    gate = Gate(metrics={"m05": Metric(min=0.8)})
    compared = compare_results(result_table(before), result_table(after), gate=gate)
    assert [one.name for one in phrases.worth_a_line(compared)] == (names if told == n else ["m03", "m05"])
    assert phrases.untold(compared) == untold


@pytest.mark.parametrize(("n", "more"), [(12, []), (14, [("2 more labels", [3])])])
def test_labels_of_a_metric(n: int, more: list[tuple[str, list[int]]]) -> None:
    labels = [f"label {place:02d}" for place in range(n) for _ in range(place + 1)]
    rows = {"example_id": [f"e{k}" for k in range(len(labels))], "eval.tone.label": labels}
    side = table_side(result_table(rows))
    [shown] = distributions([Party("candidate", side)], outline_of([side.read]))
    told = [(row["label"], row["counts"]) for row in shown["labels"]]
    assert told == [*((f"label {place:02d}", [place + 1]) for place in range(n - 1, n - 13, -1)), *more]


MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SHOWN_AT = f"{MADE.astimezone():%Y-%m-%d %H:%M}"


def run(place: int) -> ExperimentRun:
    return ExperimentRun(
        id=f"r{place}", experiment_id="exp", example_id=f"e{place}", repetition_number=1, output={"a": place},
        error="no" if place == 1 else None, start_time=MADE, end_time=MADE, latency_ms=1500.0, status="ok",
    )  # fmt: skip


def experiment(place: int) -> Experiment:
    return Experiment(
        id=f"exp-{place}", name=f"night {place}", dataset_id="d", dataset_version_id="v", dataset_name="tickets",
        example_count=3, created_at=MADE, tags=("best", "last") if place == 0 else (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("page", "facts", "columns", "first", "n_shown"),
    [
        (
            ExperimentList([experiment(place) for place in range(21)], Pagination()),
            ["21 experiments"],
            ["name", "dataset", "tags", "made", "id"],
            ["night 0", "tickets", "best, last", SHOWN_AT, "exp-0"],
            20,
        ),
        (
            ExperimentRunList([run(place) for place in range(2)], Pagination(has_more=True)),
            ["2 experiment runs", "there are more"],
            ["example", "repetition", "output", "error", "latency"],
            ["e0", "1", "a: 0", "", "1.50 s"],
            2,
        ),
        (
            ExampleList(tuple(Example(id=f"e{n}", input=n, output="x" * 161) for n in range(21))),
            ["21 examples"],
            ["id", "input", "expected"],
            ["e0", "0", "x" * 159 + "…"],
            20,
        ),
        (
            Dataset(name="d", id="ds-1", splits=("dev",), version_id="v-1", examples=tuple(
                Example(id=f"e{n}", input=n, metadata={"k": n}, splits=("dev",)) for n in range(6))),
            ["6 examples", "ds-1", "version v-1", "splits dev"],
            ["id", "input", "metadata"],
            ["e0", "0", "k: 0"],
            5,
        ),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_rows_of_a_list_in_a_notebook(
    page: Any, facts: list[str], columns: list[str], first: list[str], n_shown: int
) -> None:
    [card] = cards_of(page)
    [table] = card.tables
    assert list(card.facts) == facts
    assert (list(table.columns), list(table.rows[0])) == (columns, first)
    assert (len(table.rows), table.total) == (n_shown, len(page))
