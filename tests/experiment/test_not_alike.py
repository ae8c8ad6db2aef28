"""Sides that are not alike, labels that turn, a misspelt tag, five examples: what terminal, artifact, comment and exit
code say of each. Experiments are run in a store, as a dry run is, without Prefect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, Evaluator, RanExperiment, datasets
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import result_table
from prefect_experiments.cli.app import run as command
from prefect_experiments.errors import NotFound
from prefect_experiments.experiment.arguments import EvaluateArguments, RunArguments
from prefect_experiments.experiment.request import plan_continued, plan_new
from prefect_experiments.experiment.work import RunPlan, RunWork
from prefect_experiments.orchestration.experiment_flow import run_dry
from prefect_experiments.reports.markdown import comparison_markdown

N = 40


def rows(n: int = N, *, edited: int = 0) -> list[dict[str, Any]]:
    answers = [f"answer {i}" if i >= edited else f"corrected {i}" for i in range(n)]
    return [{"id": f"e{i:02d}", "input": i, "output": answer} for i, answer in enumerate(answers)]


def answer(input: int) -> str:
    return f"answer {input}"


def wrong(input: int) -> str:
    return "?"


def right(output: str, expected: str) -> bool:
    return output == expected


def done(plan: RunPlan) -> RanExperiment:
    async def run() -> RanExperiment:
        work = RunWork(plan)
        async with work.held():
            return await run_dry(work)

    return asyncio.run(run())


@dataclass(frozen=True)
class Said:
    """What is said of a comparison in each place."""

    code: int
    terminal: str
    comment: str
    artifact: str

    def everywhere(self, *texts: str) -> None:
        for text in texts:
            for where in (self.terminal, self.comment, self.artifact):
                assert text in where, f"{text!r} is not in\n{where}"


class Bench:
    """Experiments in a store, and the command line on it."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capfd = folder, capfd
        self.url = f"sqlite:///{folder / 'store.db'}"
        self.client = Client(store_url=self.url)

    def dataset(self, name: str = "questions", **options: Any) -> str:
        self.client.datasets.create_dataset(name=name, examples=rows(**options))
        return name

    def edit(self, examples: Sequence[Mapping[str, Any]]) -> None:
        """A new version of the dataset, as a file of its name makes one."""
        self.client.store.datasets.put("questions", datasets.load(list(examples)))

    def run(self, name: str, task: Callable[..., Any] = answer, **more: Any) -> RanExperiment:
        arguments = {"dataset": "questions", "evaluators": {"right": right}, **more}
        return done(plan_new(RunArguments(task=task, experiment_name=name, **arguments), self.client))

    def command(self, *arguments: str) -> tuple[int, str, str]:
        self._capfd.readouterr()
        return command([*arguments, "--store-url", self.url]), *self._capfd.readouterr()

    def compared(self, baseline: str, candidate: str, gate: str = "{}") -> Said:
        comment = self.folder / "comment.md"
        code, out, err = self.command("compare", baseline, candidate, "--gate", gate, "--comment", str(comment))
        assert not err
        store = self.client.store
        sides = [result_table(RanExperiment(store, store.experiments.get(one))) for one in (baseline, candidate)]
        artifact = comparison_markdown(compare_results(*sides, gate=Gate.parse(gate)))
        return Said(code, out, comment.read_text(), artifact)


@pytest.fixture
def bench(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("COLUMNS", "200")
    return Bench(tmp_path, capfd)


def test_edited_answers(bench: Bench) -> None:
    """20 of 40 answers edited, equal outputs: "regressed, 20 worse" before."""
    bench.dataset()
    bench.run("v1")
    bench.edit(rows(edited=20))
    bench.run("v2")
    said = bench.compared("v1", "v2")
    assert said.code == 1
    said.everywhere(
        "20 of 40 shared examples have another expected output (e00, e01, e02, e03, e04 and 15 more) and are left out",
        "prefect-experiments evaluate exp-",
        "--dataset-version latest",
    )
    assert "Inconclusive" in said.comment.splitlines()[0]
    assert "0 regressed" in said.comment


def test_one_edited_answer_is_named_and_left_out(bench: Bench) -> None:
    bench.dataset()
    bench.run("v1")
    bench.edit(rows(edited=1))
    bench.run("v2")
    said = bench.compared("v1", "v2")
    assert said.code == 0
    said.everywhere("1 of 40 shared examples have another expected output (e00) and are left out")


def test_the_kept_outputs_are_scored_again_on_the_edited_answers(bench: Bench) -> None:
    """The command of the advice: the same evaluators and answers on both sides, and the task is not called."""
    bench.dataset()
    first = bench.run("v1")
    bench.edit(rows(edited=20))
    bench.run("v2")

    def again() -> RanExperiment:
        asked = EvaluateArguments(experiment="v1", evaluators={"right": right}, dataset_version="latest")
        return done(plan_continued(asked, bench.client))

    scored = again()
    assert scored.experiment_id != first.experiment_id
    assert scored.experiment.name == "v1 (scored on version 2)"
    assert scored.summary.metrics["right"].mean == 0.5
    assert [run.latency_ms for run in scored.task_runs] == [run.latency_ms for run in first.task_runs]
    said = bench.compared(scored.experiment_id, "v2")
    assert said.code == 0
    assert "left out" not in said.terminal
    assert again().experiment_id == scored.experiment_id  # made once
    assert first.summary.metrics["right"].mean == 1.0


def test_outputs_of_another_input_are_not_scored_again(bench: Bench) -> None:
    bench.dataset()
    bench.run("v1")
    changed = [{**row, "input": -1} if n < 5 else row for n, row in enumerate(rows())]
    bench.edit(changed)
    asked = EvaluateArguments(experiment="v1", evaluators={"right": right}, dataset_version="latest")
    scored = done(plan_continued(asked, bench.client))
    assert len(scored.task_runs) == N - 5
    assert scored.experiment.example_count == N - 5, "what was left out is not missing"
    assert scored.summary.metrics["right"].n_missing == 0


def stricter(output: str, expected: str) -> bool:
    return output == expected and int(output.split()[-1]) >= 20


def test_a_changed_evaluator(bench: Bench) -> None:
    bench.dataset()
    first = bench.run("v1")
    bench.run("v2", evaluators={"right": stricter})
    said = bench.compared("v1", "v2")
    assert said.code == 1
    said.everywhere(
        "its evaluator is not the same on both sides (other code, options or model), on 40 of 40 examples",
        f"prefect-experiments evaluate {first.experiment_id} --evaluator",
    )
    assert "not comparable" in said.terminal
    done(plan_continued(EvaluateArguments(experiment="v1", evaluators={"right": stricter}), bench.client))
    assert bench.compared("v1", "v2").code == 0


class Judge(Evaluator):
    """A judge that says which model it asked, as phoenix-evals' do."""

    name = "judge"
    kind = "LLM"

    def __init__(self, model: str) -> None:
        self.model = model

    def evaluate(self, output: str, **_: Any) -> Mapping[str, Any]:
        return {"score": 1.0, "metadata": {"model": self.model}}


def test_another_model_of_the_judge(bench: Bench) -> None:
    bench.dataset()
    bench.run("v1", evaluators=[Judge("small")])
    bench.run("v2", evaluators=[Judge("large")])
    said = bench.compared("v1", "v2")
    assert said.code == 1
    said.everywhere("its judge's model is large, and was small for the baseline, on 40 of 40 examples")


def test_another_dataset_with_the_same_ids(bench: Bench) -> None:
    bench.dataset("questions")
    bench.dataset("others", edited=N)
    bench.run("v1")
    bench.run("v2", dataset="others")
    said = bench.compared("v1", "v2")
    assert said.code == 1
    said.everywhere(
        "v1 ran on dataset 'questions' and v2 on 'others'; their examples are matched by id",
        "40 of 40 shared examples have another expected output",
        "to compare these, too, run the baseline's task on 'others'",
        "right cannot be compared: every example that both sides ran has changed",
    )


def tone(output: str) -> str:
    return "rude" if output == "?" else "polite"


@pytest.mark.thorough
def test_a_label_that_turned(bench: Bench) -> None:
    """60 of 60 met every rule before, and "no score over 60" was all that the summary said."""
    bench.dataset(n=60)
    first = bench.run("v1", evaluators=[tone])
    bench.run("v2", wrong, evaluators=[tone])
    assert str(first.summary.metrics["tone"]) == "polite 60 over 60 of 60"
    said = bench.compared("v1", "v2")
    assert said.code == 1
    said.everywhere("tone polite 60 → 0, rude 0 → 60 on 60 pairs", "its labels have shifted", "positive: polite")
    better = bench.compared("v2", "v1", "metrics: {tone: {positive: polite}}")
    assert better.code == 0
    worse = bench.compared("v1", "v2", "metrics: {tone: {positive: polite}}")
    assert worse.code == 1
    worse.everywhere("'polite' counts as 1", "significantly worse")


def test_a_misspelt_tag(bench: Bench) -> None:
    bench.dataset()
    bench.dataset("others")
    first = bench.run("v1")
    bench.client.experiments.tag(experiment=first, tag="baseline")

    def refused(baseline: str, **more: Any) -> str:
        with pytest.raises(NotFound) as caught:
            bench.run("v2", baseline=baseline, gate={}, **more)
        return str(caught.value)

    assert refused("tag:basline") == (
        "there is no baseline 'tag:basline' on dataset 'questions': unknown tag 'basline'; did you mean 'baseline'? "
        "Known: baseline. Nothing was run. If this is to be the first run for a new tag, say so: first_run=True "
        "(--first-run)"
    )
    assert [one.name for one in bench.client.experiments.list().experiments] == ["v1"]
    code, out, err = bench.command("compare", "tag:basline", "v1", "--gate", "{}")
    assert (code, out) == (2, "")
    assert "unknown tag 'basline'; did you mean 'baseline'?" in err
    # A dataset where nobody has a tag, and a first run that is asked for.
    alone = bench.run("v3", dataset="others", baseline="tag:baseline", gate={})
    assert alone.verdict is None or alone.verdict.status == "passed"
    assert bench.run("v4", baseline="tag:release", gate={}, first_run=True).comparison is None
    # A baseline that is another dataset's.
    made = f"{first.experiment.created_at:%Y-%m-%d %H:%M} UTC"
    assert refused("v1", dataset="others") == (
        "there is no baseline 'v1': dataset 'others' has no experiment of that name. Dataset 'questions' has one "
        f"({first.experiment_id}, {made}): give its id to compare with it, example by example of the same id"
    )
    newest = bench.run("v1")
    assert f"'questions' has 2 (the newest is {newest.experiment_id}, 2" in refused("v1", dataset="others")


def test_five_examples(bench: Bench) -> None:
    bench.dataset(n=5)
    bench.run("v1", evaluators={"right": right, "tone": tone})
    bench.run("v2", wrong, evaluators={"right": right, "tone": tone})
    said = bench.compared("v1", "v2")
    assert said.code == 1
    said.everywhere("tone polite 5 → 0, rude 0 → 5 on 5 pairs", "too few pairs to show any shift of labels")


def big(output: str) -> Sequence[Mapping[str, Any]]:
    if output == "answer 7":
        raise ValueError("seven")
    return [{"name": "size", "score": len(output)}, {"name": "parity", "label": "even" if len(output) % 2 else "odd"}]


def test_a_list_of_evaluations_leaves_nothing_of_its_evaluators_name(bench: Bench) -> None:
    """Where it fails, that is an error of each name that it gives."""
    bench.dataset()
    first, second = bench.run("v1", evaluators=[big]), bench.run("v2", evaluators=[big])
    assert list(first.summary.metrics) == ["parity", "size"]
    assert {name: metric.n_errors for name, metric in first.summary.metrics.items()} == {"parity": 1, "size": 1}
    assert [name for name in first.to_dataframe() if "big" in name] == []
    side = result_table(second).side()
    assert (list(side.metrics), side.labels_only) == (["size"], ("parity",))
    assert side.metrics["size"].n_errors == 1
    said = bench.compared("v1", "v2")
    assert "big" not in said.terminal + said.comment + said.artifact
