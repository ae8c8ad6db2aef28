"""Comparing experiments: every way to name a side, what pairs up, and judging evaluators against people."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prefect_experiments import (
    AnnotateRecordInput,
    AnnotationInput,
    AsyncClient,
    Client,
    Comparison,
    Dataset,
    Example,
    RanExperiment,
    acompare_experiments,
    classification_report,
    compare_experiments,
    evaluator_task,
    meta_evaluation,
    write_report,
)
from prefect_experiments.errors import AmbiguousName, InvalidEvaluator, InvalidInput, NotFound
from support.on_prefect import settings_for

N = 40
ROWS = [{"id": f"e{n}", "input": {"n": n}, "output": {"n": n}} for n in range(N)]
quiet: dict[str, Any] = {"print_summary": False}


def correct(output: dict[str, int], expected: dict[str, int]) -> bool:
    return output == expected


def size(output: dict[str, int]) -> int:
    return output["n"]


def echo(input: dict[str, int]) -> dict[str, int]:
    return input


def one_in_four_wrong(input: dict[str, int]) -> dict[str, int]:
    return input if input["n"] % 4 else {"n": -1}


def fails_on_five(input: dict[str, int]) -> dict[str, int]:
    if input["n"] < 5:
        raise ValueError("cannot")
    return input


@dataclass
class Kept:
    """Two experiments on one dataset, in a store, and as files."""

    client: Client
    first: RanExperiment
    second: RanExperiment
    folder: Path

    def file(self, name: str, suffix: str) -> Path:
        return self.client.experiments.export(experiment=name, path=self.folder / f"{name}.{suffix}")


@pytest.fixture(scope="module")
def kept(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    client = Client(store_url=f"sqlite:///{folder / 'experiments.db'}")
    with settings_for(prefect_api):
        client.datasets.create_dataset(name="numbers", examples=ROWS)
        common: dict[str, Any] = {"dataset": "numbers", "evaluators": [correct, size], **quiet}
        first = client.experiments.run_experiment(task=echo, experiment_name="first", **common)
        second = client.experiments.run_experiment(task=one_in_four_wrong, experiment_name="second", **common)
        client.experiments.tag(experiment=first, tag="baseline")
        yield Kept(client, first, second, folder)


FORMS: dict[str, Callable[[Kept, RanExperiment], Any]] = {
    "id": lambda kept, ran: ran.experiment_id,
    "name": lambda kept, ran: ran.experiment.name,
    "RanExperiment": lambda kept, ran: ran,
    "Experiment": lambda kept, ran: kept.client.experiments.get(experiment=ran.experiment_id),
    "get_results": lambda kept, ran: kept.client.experiments.get_results(experiment=ran.experiment_id),
    "DataFrame": lambda kept, ran: ran.to_dataframe(),
    "list_runs": lambda kept, ran: kept.client.experiments.list_runs(experiment=ran, all=True),
    "list_runs().to_df()": lambda kept, ran: kept.client.experiments.list_runs(experiment=ran, all=True).to_df(),
    "csv": lambda kept, ran: kept.file(ran.experiment.name, "csv"),
    "json": lambda kept, ran: kept.file(ran.experiment.name, "json"),
    "jsonl": lambda kept, ran: str(kept.file(ran.experiment.name, "jsonl")),
    "parquet": lambda kept, ran: str(kept.file(ran.experiment.name, "parquet")),
    "rows": lambda kept, ran: ran.to_dataframe().to_dict("records"),
    "columns": lambda kept, ran: ran.to_dataframe().to_dict("list"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_side(kept: Kept, form: str) -> None:
    make = FORMS[form]
    found = kept.client.experiments.compare(baseline=make(kept, kept.first), candidate=make(kept, kept.second))
    expected = kept.client.experiments.compare(baseline=kept.first, candidate=kept.second)
    assert found.n_pairs == N
    assert found.metrics == expected.metrics
    assert found.metrics["correct"].difference == -0.25
    assert found.operations == expected.operations
    assert [change.example_id for change in found.regressed] == [change.example_id for change in expected.regressed]
    # A CSV or Parquet file holds objects as JSON.
    assert found.regressed[0].candidate_output in ({"n": -1}, '{"n":-1}')
    named = form not in ("DataFrame", "list_runs", "list_runs().to_df()", "rows", "columns")
    labels = ("first", "second") if named else ("baseline", "candidate")
    assert (found.baseline.label, found.candidate.label) == labels
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["n_pairs"] == N


@pytest.mark.parametrize("form", FORMS)
def test_sides_in_different_forms_go_together(kept: Kept, form: str) -> None:
    found = kept.client.experiments.compare(baseline="tag:baseline", candidate=FORMS[form](kept, kept.second))
    assert (found.n_pairs, found.metrics["correct"].difference) == (N, -0.25)


def test_tag_and_latest(kept: Kept) -> None:
    found = kept.client.experiments.compare(baseline="tag:baseline", candidate="latest", dataset="numbers")
    assert (found.baseline.experiment_id, found.candidate.experiment_id) == (
        kept.first.experiment_id,
        kept.second.experiment_id,
    )


def test_every_way_to_call_it(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    asynchronous = AsyncClient(store_url=kept.client.store.shown_url)
    arguments: dict[str, Any] = {"baseline": "first", "candidate": "second", "gate": {}}
    expected = kept.client.experiments.compare(**arguments)
    assert expected == asyncio.run(asynchronous.experiments.compare(**arguments))
    assert not capsys.readouterr().out
    assert expected == compare_experiments(client=kept.client, **arguments)
    assert expected == asyncio.run(acompare_experiments(client=asynchronous, **arguments))
    assert capsys.readouterr().out.count("FAILED") == 2

    async def notebook() -> Comparison:
        return compare_experiments(client=kept.client, **arguments, **quiet)

    assert expected == asyncio.run(notebook())


def test_several_candidates_share_the_correction(kept: Kept) -> None:
    compare = kept.client.experiments.compare
    frame = kept.second.to_dataframe()
    rows = frame.to_dict("records")
    alone = compare(baseline="first", candidate="second", directions={"size": "minimize"})
    found = compare(baseline="first", candidate=["second", frame, rows, kept.second], directions={"size": "minimize"})
    assert isinstance(found, tuple)
    assert [one.candidate.label for one in found] == ["second", "candidate 2", "candidate 3", "second"]
    assert {one.metrics["correct"].p_value for one in found} == {alone.metrics["correct"].p_value}
    adjusted = found[0].metrics["correct"].p_value_adjusted
    assert adjusted > alone.metrics["correct"].p_value_adjusted
    assert len(compare(baseline="first", candidate=("second",))) == 1
    assert len(compare(baseline="first", candidate=[rows, rows])) == 2
    assert not isinstance(compare(baseline="first", candidate=rows), tuple)


def test_names_that_lead_nowhere_or_to_several(kept: Kept, client: Client) -> None:
    compare = kept.client.experiments.compare
    with pytest.raises(NotFound, match="unknown experiment 'secnd'; did you mean 'second'"):
        compare(baseline="first", candidate="secnd")
    with pytest.raises(NotFound, match="unknown tag 'none'"):
        compare(baseline="tag:none", candidate="second")
    with pytest.raises(NotFound, match="unknown dataset 'none'"):
        compare(baseline="first", candidate="latest", dataset="none")
    with pytest.raises(InvalidInput, match=r"there is no file none\.parquet"):
        compare(baseline="none.parquet", candidate="second")
    with pytest.raises(InvalidInput, match="got a value of type NoneType"):
        compare(baseline=None, candidate="second")
    with pytest.raises(InvalidInput, match="no rows"):
        compare(baseline="first", candidate=[])
    with pytest.raises(InvalidInput, match="unknown metric 'correctness'; did you mean 'correct'"):
        compare(baseline="first", candidate="second", directions={"correctness": "minimize"})
    with pytest.raises(InvalidInput, match="must be a Client"):
        compare_experiments(baseline="first", candidate="second", client="local")
    for name in ("one", "other"):
        dataset = client.datasets.create_dataset(name=name, examples=ROWS[:3])
        for _ in range(2):
            ran = client.experiments.run_experiment(dataset=dataset, task=echo, experiment_name="same", **quiet)
        client.experiments.tag(experiment=ran, tag="baseline")
    with pytest.raises(AmbiguousName, match=r"4 experiments are called 'same'.*exp-"):
        client.experiments.compare(baseline="same", candidate="latest")
    with pytest.raises(AmbiguousName, match="on different datasets; say dataset="):
        client.experiments.compare(baseline="tag:baseline", candidate="latest")
    found = client.experiments.compare(baseline="tag:baseline", candidate="latest", dataset="one")
    assert found.n_pairs == 3


def test_files_compare_without_a_store_or_a_backend(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"baseline": kept.file("first", "csv"), "candidate": [kept.file("second", "parquet")]}
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", "nonsense")
    monkeypatch.setenv("PREFECT_EXPERIMENTS_BACKEND", "nonsense")
    [found] = compare_experiments(**files, **quiet)
    assert found.n_pairs == N
    with pytest.raises(InvalidInput, match="PREFECT_EXPERIMENTS_STORE_URL"):
        compare_experiments(baseline=files["baseline"], candidate="second", **quiet)


@pytest.mark.thorough
def test_another_version_and_another_part_of_the_dataset(client: Client) -> None:
    run = client.experiments.run_experiment
    client.datasets.create_dataset(name="growing", examples=ROWS[:30])
    before = run(dataset="growing", task=echo, evaluators=[correct], **quiet)
    client.datasets.add_examples_to_dataset(dataset="growing", examples=ROWS[30:])
    after = run(dataset="growing", task=one_in_four_wrong, evaluators=[correct], **quiet)
    found = client.experiments.compare(baseline=before, candidate=after, gate={})
    assert before.dataset_version_id != after.dataset_version_id
    assert (found.baseline.dataset_version_id, found.n_pairs) == (before.dataset_version_id, 30)
    assert found.only_in_candidate == tuple(f"e{n}" for n in range(30, N))
    assert found.metrics["correct"].candidate_mean == pytest.approx(22 / 30)
    back = client.experiments.compare(baseline=after, candidate=before)
    assert back.only_in_baseline == found.only_in_candidate
    assert back.metrics["correct"].difference == -found.metrics["correct"].difference
    # What was asked for was run, so a smaller sample is no gap in the coverage.
    half = run(dataset="growing", dataset_version="1", task=echo, evaluators=[correct], **quiet)
    judged = client.experiments.compare(baseline=after, candidate=half, gate={})
    assert judged.verdict.status == "passed"
    assert judged.n_pairs == 30


def test_different_datasets_share_nothing_and_pass_no_gate(kept: Kept) -> None:
    other = [{"id": f"z{n}", "input": {"n": n}, "output": {"n": n}} for n in range(10)]
    ran = kept.client.experiments.run_experiment(dataset=other, task=echo, evaluators=[correct], **quiet)
    found = kept.client.experiments.compare(baseline="first", candidate=ran, gate={})
    assert (found.n_pairs, len(found.only_in_baseline), len(found.only_in_candidate)) == (0, N, 10)
    assert found.metrics["correct"].verdict == "no data"
    assert found.verdict.status == "failed"
    assert "share no example" in found.verdict.reasons[0]
    kept.client.experiments.delete(experiment=ran)


@pytest.mark.thorough
def test_without_a_shared_example_an_id_column_is_said_to_help(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where ids are made of content, a reworded question is another example."""
    run = client.experiments.run_experiment
    asked = [{"input": f"What is {n}?", "expected": n} for n in range(3)]
    reworded = [{"input": f"What's {n}?", "expected": n} for n in range(3)]
    before, after = (run(dataset=rows, task=echo, evaluators=[correct], **quiet) for rows in (asked, reworded))
    found = client.experiments.compare(baseline=before, candidate=after, gate={})
    advice = "a column with ids (id, or id_key=) would pair them"
    assert advice in found.verdict.reasons[0]
    compare_experiments(baseline=before, candidate=after, client=client)
    assert advice in " ".join(capsys.readouterr().out.split())
    given_ids = [{"id": f"z{n}", **row} for n, row in enumerate(asked)]
    named = run(dataset=given_ids, task=echo, evaluators=[correct], **quiet)
    assert client.experiments.compare(baseline=before, candidate=before).why_unpaired == ""
    assert advice in client.experiments.compare(baseline=before, candidate=named).why_unpaired


@pytest.mark.thorough
def test_repetitions_count_as_one_example(client: Client) -> None:
    passes: dict[int, int] = {}

    def flaky(input: dict[str, int]) -> dict[str, int]:
        """Wrong on the first of three passes, on every second example."""
        n = input["n"]
        passes[n] = passes.get(n, 0) + 1
        return {"n": -1} if n % 2 and passes[n] == 1 else input

    run = client.experiments.run_experiment
    once = run(dataset=ROWS, task=echo, evaluators=[correct], **quiet)
    thrice = run(dataset=ROWS, task=flaky, evaluators=[correct], repetitions=3, concurrency=1, **quiet)
    found = client.experiments.compare(baseline=once, candidate=thrice)
    metric = found.metrics["correct"]
    assert (found.n_pairs, metric.n_pairs, metric.losses, metric.ties) == (N, N, 20, 20)
    assert metric.candidate_mean == pytest.approx(1 - 20 / 120)
    assert (found.baseline.n_runs, found.candidate.n_runs) == (N, 3 * N)
    assert "permutation" in metric.test
    assert found.regressed[0].candidate_score == pytest.approx(2 / 3)


@pytest.mark.thorough
def test_failures_on_one_side_are_neither_dropped_nor_passed(client: Client) -> None:
    def judge(output: dict[str, int], expected: dict[str, int]) -> bool:
        if output["n"] % 8 == 7:
            raise RuntimeError("the judge is out")
        return output == expected

    run = client.experiments.run_experiment
    base = run(dataset=ROWS, task=echo, evaluators={"correct": correct}, **quiet)
    failing = run(dataset=ROWS, task=fails_on_five, evaluators={"correct": correct}, retries=0, **quiet)
    unjudged = run(dataset=ROWS, task=echo, evaluators={"correct": judge}, retries=0, **quiet)
    compare = client.experiments.compare

    found = compare(baseline=base, candidate=failing, gate={"metrics": {"correct": {"max_regression": 0.05}}})
    assert (found.candidate.n_errors, found.failures.candidate_only) == (5, 5)
    assert found.metrics["correct"].n_pairs == N - 5
    assert found.metrics["correct"].missing_as_worst.difference == pytest.approx(-5 / N)
    assert found.verdict.exit_code == 1
    assert {change.metric for change in found.regressed} == {"task error"}
    assert found.regressed[0].candidate_error == "ValueError: cannot"
    turned = compare(baseline=failing, candidate=base, gate={})
    assert turned.verdict.status == "passed"
    assert turned.failures.baseline_only == 5

    found = compare(baseline=base, candidate=unjudged, gate={"metrics": {"correct": {"max_regression": 0.05}}})
    assert found.candidate.n_errors == 0
    assert found.candidate.metrics["correct"].n_errors == 5
    assert found.metrics["correct"].n_pairs == N - 5
    assert found.verdict.exit_code == 1


def test_a_metric_that_one_side_lacks(kept: Kept) -> None:
    only_size = kept.client.experiments.run_experiment(dataset="numbers", task=echo, evaluators=[size], **quiet)
    found = kept.client.experiments.compare(baseline="first", candidate=only_size, gate={"metrics": {"correct": None}})
    assert found.metrics["correct"].verdict == "no data"
    assert found.verdict.status == "failed"
    assert "does not have it" in found.verdict.reasons[0]
    kept.client.experiments.delete(experiment=only_size)


@pytest.mark.thorough
def test_experiment_evaluators_are_compared_and_judged(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefect_experiments.analysis.comparison.corpus.N_RESAMPLES", 200)

    def share_correct(runs: pd.DataFrame) -> float:
        return float(runs["eval.correct.score"].mean())

    arguments: dict[str, Any] = {"baseline": "first", "candidate": "second", "client": kept.client, **quiet}
    found = compare_experiments(**arguments, experiment_evaluators={"share": share_correct})
    metric = found.metrics["share"]
    assert (metric.baseline_mean, metric.candidate_mean, metric.verdict) == (1.0, 0.75, "regressed")
    assert metric.ci_low < -0.25 < metric.ci_high
    judged = compare_experiments(
        **arguments,
        experiment_evaluators={"share": share_correct},
        gate={"metrics": {"share": {"min": 0.9, "bounds": "point", "max_regression": 0.5}}},
    )
    assert judged.verdict.status == "failed"
    assert "the mean of 0.75 is below the minimum of 0.90" in judged.verdict.reasons[0]
    with pytest.raises(InvalidEvaluator, match="experiment evaluator 'broken' raised KeyError"):
        compare_experiments(**arguments, experiment_evaluators={"broken": lambda runs: runs["nothing"].mean()})
    with pytest.raises(InvalidInput, match="is an evaluator and an experiment evaluator"):
        compare_experiments(**arguments, experiment_evaluators={"correct": share_correct})


def test_what_is_better_depends_on_the_direction(kept: Kept) -> None:
    compare = kept.client.experiments.compare
    up = compare(baseline="first", candidate="second").metrics["size"]
    down = compare(baseline="first", candidate="second", directions={"size": "minimize"}).metrics["size"]
    assert (up.wins, up.losses) == (0, 10)
    assert (down.wins, down.losses, down.difference) == (10, 0, up.difference)
    by_gate = compare(baseline="first", candidate="second", gate={"metrics": {"size": {"direction": "minimize"}}})
    assert by_gate.metrics["size"].wins == 10
    with pytest.raises(InvalidInput, match="the gate says 'minimize'"):
        compare(
            baseline="first",
            candidate="second",
            directions={"size": "maximize"},
            gate={"metrics": {"size": {"direction": "minimize"}}},
        )


@pytest.mark.slow
def test_five_thousand_examples_and_their_report_take_seconds(client: Client, tmp_path: Path) -> None:
    chance = random.Random(5)
    words = "the candidate's answer to a question of some length, with a reason for it; " * 5

    def rows(right: float) -> list[dict[str, Any]]:
        return [
            {
                "example_id": f"e{n}",
                "input": {"question": f"{n}: {words}"},
                "expected": {"answer": str(n)},
                "output": {"answer": str(n), "reason": words},
                "latency_ms": chance.lognormvariate(6, 0.5),
                "eval.correct.score": float(chance.random() < right),
                "eval.faithful.score": min(1.0, max(0.0, chance.gauss(0.8, 0.1))),
                "eval.words.score": float(chance.randrange(5, 200)),
            }
            for n in range(5000)
        ]

    before, after = rows(0.85), rows(0.82)
    started = time.process_time()  # other tests may be keeping the machine busy
    found = client.experiments.compare(baseline=before, candidate=after, gate={})
    compared = time.process_time() - started
    assert found.n_pairs == 5000
    assert found.metrics["correct"].verdict == "regressed"
    assert compared < 15

    dataset = client.datasets.create_dataset(
        name="many", examples=[{"id": f"e{n}", "input": {"n": n}, "output": {"n": n}} for n in range(5000)]
    )
    common: dict[str, Any] = {"dataset": dataset, "evaluators": [correct, size], **quiet}
    base = client.experiments.run_experiment(task=echo, **common)
    ran = client.experiments.run_experiment(task=one_in_four_wrong, baseline=base, gate={}, **common)
    assert ran.verdict.status == "failed"
    started = time.process_time()
    again = client.experiments.compare(baseline=base.experiment_id, candidate=ran.experiment_id, gate={})
    path = write_report(ran, tmp_path / "report.html", baseline=base, comparison=again)
    reported = time.process_time() - started
    assert again.metrics == ran.comparison.metrics
    assert path.stat().st_size > 100_000
    assert reported < 30


def test_a_judge_is_measured_by_people_who_annotated_the_runs(client: Client) -> None:
    def lenient(output: dict[str, int]) -> dict[str, Any]:
        """Calls everything right but what is far off."""
        return {"label": "right" if output["n"] >= 0 else "wrong"}

    ran = client.experiments.run_experiment(
        dataset=ROWS, task=one_in_four_wrong, evaluators={"judge": lenient, "correct": correct}, **quiet
    )
    # People find the wrong ones wrong, and two of those that the judge calls right as well.
    people = [
        AnnotateRecordInput(
            record_id=run.id,
            values=[AnnotationInput(name="human", label="wrong" if n % 4 == 0 or n in (1, 2) else "right")],
        )
        for n, run in enumerate(ran.task_runs)
        if n < 30
    ]
    assert client.experiments.annotate_runs(experiment=ran, annotations=people, annotator="ada") == 30
    runs = client.experiments.list_runs(experiment=ran, all=True)
    for results in (ran, runs, runs.to_df(), client.experiments.get_results(experiment=ran)):
        found = meta_evaluation(results, evaluator="judge", human="human", positive="wrong")
        assert (found.n_rows, found.n, found.n_missing_human) == (N, 30, 10)
        assert (found.labels.n_agree, found.labels.n) == (28, 30)
        assert (found.labels.false_positives, found.labels.false_negatives) == (0, 2)
    assert "judge.label against annotation.human.label" in str(found)


@pytest.mark.thorough
def test_an_evaluator_as_the_task_is_measured_by_a_field_of_the_dataset(client: Client) -> None:
    labelled = Dataset(
        name="labelled answers",
        examples=tuple(
            Example(
                id=f"a{n}",
                input={"question": f"{n} + 1?"},
                output={"answer": str(n + 1 if n % 3 else n), "label": "right" if n % 3 else "wrong", "score": n % 3},
            )
            for n in range(30)
        ),
    )

    def judge(input: dict[str, str], output: str) -> dict[str, Any]:
        """Right, but for a blind spot."""
        n = int(input["question"].partition(" ")[0])
        return {"label": "right" if int(output) == n + 1 or n == 9 else "wrong", "score": 1.0}

    ran = client.experiments.run_experiment(
        dataset=labelled, task=evaluator_task(judge, output="output.answer"), evaluators={"agrees": agrees}, **quiet
    )
    assert ran.experiment.task == "judge"
    found = meta_evaluation(ran, evaluator="output.label", human="expected.label", positive="wrong")
    assert (found.labels.n_agree, found.labels.n) == (29, 30)
    assert found.labels.kappa == pytest.approx(0.92, abs=0.01)
    report = classification_report(ran, truth="expected.label", prediction="output.label", positive="wrong")
    assert (report.binary.precision, report.binary.recall) == (1.0, pytest.approx(9 / 10))

    # The judge's next version is compared with this one, like any other experiment.
    def better(input: dict[str, str], output: str) -> dict[str, Any]:
        return {"label": "right" if int(output) == int(input["question"].partition(" ")[0]) + 1 else "wrong"}

    next_one = client.experiments.run_experiment(
        dataset=labelled,
        task=evaluator_task(better, output="output.answer"),
        evaluators={"agrees": agrees},
        baseline=ran,
        gate={"metrics": {"agrees": {"min": 0.85}}},
        **quiet,
    )
    assert next_one.verdict.status == "passed"
    assert next_one.comparison.metrics["agrees"].wins == 1


def agrees(output: dict[str, Any], expected: dict[str, Any]) -> bool:
    return bool(output["label"] == expected["label"])


@pytest.mark.thorough
def test_annotations_in_phoenix_measure_a_judge(phoenix_url: str, tmp_path: Path) -> None:
    client = Client(backend="phoenix", base_url=phoenix_url, store_url=f"sqlite:///{tmp_path / 'experiments.db'}")
    dataset = client.datasets.create_dataset(name=f"judged-{uuid.uuid4().hex[:8]}", examples=ROWS[:12])
    ran = client.experiments.run_experiment(
        dataset=dataset, task=one_in_four_wrong, evaluators={"correct": correct}, **quiet
    )
    people = [
        AnnotateRecordInput(record_id=run.id, values=[AnnotationInput(name="human", score=float(n % 4 != 0))])
        for n, run in enumerate(ran.task_runs)
    ]
    client.experiments.annotate_runs(experiment=ran, annotations=people)
    elsewhere = Client(backend="phoenix", base_url=phoenix_url, store_url=f"sqlite:///{tmp_path / 'elsewhere.db'}")
    for kept in (client, elsewhere):
        runs = kept.experiments.list_runs(experiment=ran.experiment_id, all=True)
        found = meta_evaluation(runs, evaluator="correct", human="human")
        assert (found.labels.n_agree, found.labels.n) == (12, 12)
