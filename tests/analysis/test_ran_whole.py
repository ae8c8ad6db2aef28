"""An experiment of some examples, told whole: by itself, as a summary, as a table, and by what has to be right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefect_experiments.analysis.passing import passing
from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.analysis.required import Must, required_of
from prefect_experiments.analysis.results import result_table
from prefect_experiments.analysis.sources import Asked, Shown
from prefect_experiments.store import EvaluatorRecord, Store
from tests.store.samples import failed_row, new_experiment, record, run_row, verdict

from .tables import figures


@pytest.fixture(scope="module")
def ran() -> Iterator[RanExperiment]:
    """Three of five examples, twice each; two runs are not there, and one evaluator is meant for two of them."""
    store = Store("sqlite://")
    rule = EvaluatorRecord("rule", "CODE", "b" * 64, positions=(0, 1, 2))
    made = new_experiment(
        store, 5, repetitions=2, positions=[0, 1, 3], evaluators=[EvaluatorRecord("judge", "LLM", "a" * 64), rule]
    )
    runs = [run_row(0, 1, token_count=10), run_row(0, 2, total_cost=0.5), failed_row(1, 1), run_row(3, 1)]
    said = [
        verdict(0, "judge", score=1.0, total_cost=0.01),
        verdict(0, "judge", 2, score=None, error="Boom"),
        verdict(3, "judge", score=0.0, metadata_json='{"direction":"minimize"}'),
        verdict(0, "rule", score=0.5),
        verdict(0, "rule", 2, score=None, label="x"),
    ]
    record(store, made.experiment.id, runs, said)
    yield RanExperiment(store, made)
    store.close()


def test_by_itself(ran: RanExperiment) -> None:
    begin = f"RanExperiment('experiment' on 'dataset', {ran.experiment_id}, 0 reused, 0 ran"
    fresh = RanExperiment(ran.store, ran.record)  # type: ignore[arg-type]
    assert repr(fresh) == f"{begin})"
    assert fresh.example_ids == tuple(fresh.examples) == fresh.example_ids == ("ex-0", "ex-1", "ex-3")
    assert fresh.summary.n_errors == 1
    assert repr(fresh) == f"{begin}, 1 failed)"
    assert (dict(ran.meant_for), dict(ran.directions)) == ({"rule": ("ex-0", "ex-1")}, {"judge": ("minimize",)})
    assert [one.example_id for one in ran.failed] == ["ex-1"]
    assert len(ran) == len(list(ran)) == 11
    plain = ran.to_dict()
    assert [plain[name] for name in ("reused", "ran", "evaluated")] == [0, 0, 0]
    assert [plain[name] for name in ("every_call_failed", "comparison", "verdict")] == [None, None, None]
    assert [(one["evaluator"], one["type"], one["count"], one["example_id"]) for one in plain["errors"]] == [
        (None, "ValueError", 1, "ex-1"), ("judge", "Boom", 1, "ex-0"),
    ]  # fmt: skip


def test_its_summary(ran: RanExperiment) -> None:
    summary = ran.summary
    assert {name: str(metric) for name, metric in summary.metrics.items()} == {
        "judge": "0.50 (less is better) over 2 of 6; 1 task error, 1 evaluator error, 2 missing; between 0.167 and "
        "0.833 if the others had scored 0 or 1",
        "rule": "0.50 over 1 of 4; 1 task error, 1 without a score, 1 missing; between 0.125 and 0.875 if the others "
        "had scored 0 or 1; labels x 1",
    }
    assert (summary.n_examples, summary.n_expected, summary.n_runs, summary.n_errors) == (3, 6, 4, 1)
    assert (summary.token_count, summary.total_cost, summary.judge_cost, summary.overall_cost) == (10, 0.5, 0.01, 0.51)
    assert dict(summary.latency_ms) == {"p50": 250.0, "p95": 250.0, "p99": 250.0}
    assert (summary.replaced_cost, summary.judge_token_count, dict(summary.unpriced)) == (None, None, {})


def test_as_a_table(ran: RanExperiment) -> None:
    table = result_table(ran)
    text = f"""
        label experiment, experiment_id {ran.experiment_id}, dataset_id {ran.dataset_id}, dataset_version_id
        {ran.dataset_version_id}, n_examples 3, n_expected 6, n_runs 4, n_errors 1, metrics {{'judge':
        {{'n_examples': 2, 'n_scores': 2, 'n_errors': 2, 'mean': 0.5, 'n_asked': 3, 'n_asked_runs': 4}}, 'rule':
        {{'n_examples': 1, 'n_scores': 1, 'n_errors': 1, 'mean': 0.5, 'n_asked': 2, 'n_asked_runs': 3}}}}, labels
        {{'rule': {{'x': 1}}}}, latency_p95_ms 250, n_latencies 3, total_cost 0.5, n_costs 1
    """
    assert figures(table.side()) == " ".join(text.split())
    found = passing(ran, 0.5)
    assert found.rule == "all scores >= 0.5, or <= 0.5 where less is better"
    assert found.listed(range(3)) == (
        "ex-0 (judge failed, rule gave the label 'x' and no score), ex-1 (the task failed), "
        "ex-3 (1 of 2 repetitions were not run)"
    )


def test_what_is_read_of_its_runs(ran: RanExperiment) -> None:
    source = result_table(ran).source
    assert source.shown([0, 2]) == {
        0: Shown({"question": "question 0"}, {"answer": 0}, {"said": 0}),
        2: Shown({"question": "question 1"}, {"answer": 1}, None, "ValueError: no"),
    }
    assert source.errors([0, 2]) == {0: None, 2: "ValueError: no"}
    assert source.asked([3]) == {3: Asked({"question": "question 3"}, {"answer": 3})}
    assert source.metadata(["ex-0", "ex-2"]) == {"ex-0": {"topic": "even"}}
    assert (source.judge_cost(), source.annotated(), source.kinds("judge")) == (0.01, [], {"CODE"})
    assert [tuple(one) for one in source.facts()] == [
        ("ex-0", {"topic": "even"}, ("test",)), ("ex-1", {"topic": "odd"}, ("train",)),
        ("ex-3", {"topic": "odd"}, ("test",)),
    ]  # fmt: skip


def test_what_has_to_be_right(ran: RanExperiment) -> None:
    table = result_table(ran)
    must = Must(
        ids=("ex-0", "ex-9"),
        values={"metadata.topic": ("odd", "evn"), "metadata.tier": ("gold",), "splits": ("test",)},
    )
    assert must.among(table.source.facts(), ["ex-7"]) == (
        ("ex-0", "ex-9", "ex-1", "ex-3"),
        (
            "there is no example 'ex-9'; did you mean 'ex-7'? There are: ex-7, ex-0, ex-1, ex-3",
            "no example has metadata.topic=evn; did you mean 'even'? There are: even, odd",
            "no example has 'metadata.tier'; did you mean 'metadata.topic'? There are: splits, metadata.topic",
        ),
    )
    found = required_of(table, Must(ids=("ex-0", "ex-1", "ex-4"), metrics=("judge", "rul")), {})
    assert found.passing.listed(range(2)) == "ex-0 (judge failed), ex-1 (the task failed)"
    assert (len(found.passing.entries), found.without_say) == (2, ())
    assert found.unknown == (
        "there is no example 'ex-4'; did you mean 'ex-3'? There are: ex-0, ex-1, ex-3",
        "there is no metric 'rul'; did you mean 'rule'? There are: judge, rule",
    )
