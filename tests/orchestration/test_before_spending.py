"""What can be known before anything is spent is refused before; and what evaluations say goes all the way with them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from autoevals import LLMClassifier
from phoenix.evals import LLM, bind_evaluator, create_classifier
from phoenix.evals import create_evaluator as create_phoenix_evaluator
from phoenix.evals.evaluators import Score
from pydantic_evals.evaluators import EqualsExpected

from prefect_experiments import (
    Client,
    Dataset,
    EvaluationResult,
    Example,
    Sample,
    compare_experiments,
    create_evaluator,
    evaluate_experiment,
    log_experiment,
    resume_experiment,
    run_experiment,
)
from prefect_experiments.errors import ExperimentStopped, InvalidDataset, InvalidEvaluator, InvalidSetting

NONE = [{"id": f"q{n}", "input": {"question": f"{n}?"}, "metadata": {"topic": "t"}} for n in range(6)]
SOME = [*NONE[:4], {"id": "q4", "input": {"question": "4?"}, "output": "4?"}, NONE[5]]
MODEL = LLM(provider="openai", model="m", base_url="http://127.0.0.1:9", api_key="none")


def echo(input: Any) -> Any:
    return input["question"]


def never(input: Any) -> Any:
    raise AssertionError("the task ran")


def says(text: str) -> Any:
    return lambda question: text


def run(client: Client, dataset: Any, evaluators: Any, task: Any = never, **options: Any) -> Any:
    return run_experiment(
        dataset=dataset, task=task, evaluators=evaluators, client=client, print_summary=False, retries=0, **options
    )


def judge(prompt: str, **mapping: str) -> Any:
    made = create_classifier(name="judge", prompt_template=prompt, llm=MODEL, choices=["a", "b"])
    return bind_evaluator(evaluator=made, input_mapping=mapping) if mapping else made


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "questions.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "evaluator",
    ["exact_match", "numeric_closeness", "list_contains", "edit_similarity", "contains", EqualsExpected()],
)
@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"sample": Sample(n=3)}])
def test_without_expected_outputs(client: Client, evaluator: Any, options: dict[str, Any]) -> None:
    n = 3 if "sample" in options else 6
    with pytest.raises(
        InvalidEvaluator,
        match=f"compares with the expected output, and none of the {n} examples of dataset 'asked' has one: nothing",
    ) as caught:
        run(client, Dataset(name="asked", examples=tuple(Example(**row) for row in NONE)), [evaluator], **options)
    assert "choose evaluators that need none" in str(caught.value)
    assert len(client.experiments.list()) == 0


def test_several_are_named_at_once(client: Client) -> None:
    with pytest.raises(InvalidEvaluator, match=r"evaluators 'exact_match', 'edit_similarity' compare with"):
        run(client, NONE, ["exact_match", "regex(pattern='a')", "edit_similarity"])


@pytest.mark.thorough
@pytest.mark.parametrize("output", [None, "", " ", {"answer": None}, {"answer": ""}])
def test_what_is_no_expected_output(client: Client, tmp_path: Path, output: Any) -> None:
    dataset = client.datasets.create_dataset(name="kept", examples=[{**row, "output": output} for row in NONE])
    for given in (dataset, "kept"):
        with pytest.raises(InvalidEvaluator, match="none of the 6 examples of dataset 'kept' has one"):
            run(client, given, "exact_match")
    with pytest.raises(InvalidEvaluator, match="dataset 'questions' has one"):
        run(client, csv(tmp_path, "input,expected\na,\nb,\n"), "exact_match")


def test_where_some_have_none(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    line = "5 of the 6 examples of dataset 'some' have no expected output; evaluator 'exact_match' compares with one"
    client.datasets.create_dataset(name="some", examples=SOME)
    with caplog.at_level(logging.WARNING):
        ran = run(client, "some", "exact_match", echo)
        assert line in caplog.text
        assert (ran.summary.metrics["exact_match"].n, ran.summary.metrics["exact_match"].mean) == (1, 1)
        caplog.clear()
        run(client, "some", "exact_match", echo, dry_run=2)
        assert line in caplog.text


def test_an_empty_text_is_compared_with_and_said(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be the right answer; it may be an empty cell of a CSV file."""
    table = csv(tmp_path, "input,expected\na,\nb,  \nc,x\n")
    with caplog.at_level(logging.WARNING):
        ran = run(client, table, "exact_match", says(""))
    assert "2 of the 3 examples of dataset 'questions' have an empty text as the expected output" in caplog.text
    assert "write null in a .json file" in caplog.text
    assert (ran.summary.metrics["exact_match"].n, ran.summary.metrics["exact_match"].mean) == (3, pytest.approx(1 / 3))


def test_who_needs_none_and_who_is_not_asked(client: Client) -> None:
    def mine(output: Any, expected: Any) -> bool:
        return expected is None

    @create_evaluator
    def decorated(output: Any, expected: Any) -> bool:
        return expected is None

    ran = run(client, NONE, ["contains(text='?')", mine, decorated], echo)
    assert {name: metric.mean for name, metric in ran.summary.metrics.items()} == {
        "contains": 1,
        "mine": 1,
        "decorated": 1,
    }


@pytest.mark.thorough
def test_a_finished_experiment(client: Client) -> None:
    ran = run(client, NONE, None, echo)
    for go_on in (evaluate_experiment, resume_experiment):
        with pytest.raises(
            InvalidEvaluator, match="'exact_match' compares with the expected output, and none of the 6"
        ):
            go_on(experiment=ran, evaluators=["exact_match"], client=client, print_summary=False)
    assert client.experiments.get(experiment=ran).evaluators == ()
    assert resume_experiment(experiment=ran, client=client, print_summary=False).ran == 0


@pytest.mark.parametrize(
    ("evaluator", "text"),
    [
        (judge("{questoin} {output}"), r"needs 'questoin', and no example of dataset .* did you mean 'question'"),
        (judge("{question} {output} {reference}"), "needs 'reference'"),
        (judge("{a} {output}", a="input.answer"), "needs 'input.answer'"),
        (judge("{a} {output}", a="metadata.topics"), "needs 'metadata.topics'"),
        (judge("[{{metadata.topics}}] {{output}}"), "needs 'metadata.topics'"),
        (judge("[{{input.questoin}}] {{output.a}}"), "needs 'input.questoin'"),
        (judge("{expected} {output}"), "needs 'expected', and no example .* There it is empty. Give the dataset"),
        (LLMClassifier("named", "[{{metadata.topics}}]", {"a": 1}), "needs 'metadata.topics'"),
        (create_phoenix_evaluator(name="code")(lambda output, topc: True), "needs 'topc'.*did you mean 'topic'"),
    ],
)
def test_a_prompt_that_nobody_fills(client: Client, evaluator: Any, text: str) -> None:
    client.datasets.create_dataset(name="kept", examples=NONE)
    for dataset in (NONE, "kept"):
        for options in ({}, {"dry_run": True}):
            with pytest.raises(InvalidEvaluator, match=text):
                run(client, dataset, [evaluator], **options)
    assert len(client.experiments.list()) == 0


def test_numbers_that_are_none(client: Client) -> None:
    words = [{"input": n, "output": {"answer": "seven"}} for n in range(3)]
    with pytest.raises(InvalidEvaluator, match=r"compare with none of the 3 expected outputs .* such as 'seven': noth"):
        run(client, words, ["numeric_closeness"])
    ran = run(client, [*words, {"input": 3, "output": "7"}], ["numeric_closeness"], says("7"))
    assert ran.summary.metrics["numeric_closeness"].n_errors == 3


def test_a_prompt_that_somebody_may_fill(client: Client) -> None:
    """The examples that lack a variable fail one by one; what the output will hold is not known beforehand."""

    @create_phoenix_evaluator(name="code")
    def code(output: Any, hint: str = "none") -> bool:
        return True

    rows = [*NONE[:5], {**NONE[5], "metadata": {"topic": "t", "hint": "h"}}]
    for evaluator in (judge("{hint}"), judge("{question} {a}", a="output.answer"), judge("{topic}"), code):
        with pytest.raises(ExperimentStopped, match="raised AssertionError"):
            run(client, rows, [evaluator], _begun, exit_on_error=True, dry_run=True)


def _begun(input: Any) -> Any:
    raise AssertionError("begun")


def hallucination(output: Any) -> Score:
    return Score(name="hallucination", score=float(output == "made up"), direction="minimize")


ROWS = [{"id": f"r{n}", "input": n} for n in range(30)]


@pytest.mark.thorough
def test_more_hallucination_is_no_improvement(client: Client, tmp_path: Path) -> None:
    before = run(client, ROWS, [hallucination], says("true"))
    after = run(
        client,
        ROWS,
        [hallucination],
        says("made up"),
        baseline=before,
        gate={"metrics": {"hallucination": None}},
    )
    assert (before.summary.metrics["hallucination"].mean, after.summary.metrics["hallucination"].mean) == (0, 1)
    assert (after.verdict.status, after.comparison.metrics["hallucination"].verdict) == ("failed", "regressed")
    assert "1.00 (less is better) over 30 of 30" in str(after.summary.metrics["hallucination"])
    assert run(client, ROWS, [hallucination], says("true"), gate={"metrics": {"hallucination": {"min": 0.1}}}).verdict
    tables = []
    for name, ran in (("before", before), ("after", after)):
        for suffix, write in (("csv", "to_csv"), ("parquet", "to_parquet")):
            path = tmp_path / f"{name}.{suffix}"
            getattr(ran.to_dataframe(), write)(path, index=False)
            tables.append(path)
    for baseline, candidate in (
        (tables[0], tables[2]),
        (tables[1], tables[3]),
        (tables[0], after),
        (before, tables[3]),
    ):
        found = compare_experiments(baseline=baseline, candidate=candidate, client=client, print_summary=False, gate={})
        assert (found.metrics["hallucination"].verdict, found.verdict.status) == ("regressed", "failed")
    logged = log_experiment(
        name="by hand", dataset=before.experiment.dataset_name, experiment_runs=tables[2], client=client
    )
    assert logged.directions == {"hallucination": ("minimize",)}


def test_a_margin_that_nothing_can_exceed_is_refused_before_the_task_is_called(client: Client) -> None:
    def right(output: str) -> bool:
        return output == "true"

    before = run(client, ROWS, [right], says("true"))
    for margin in (5, "150%"):
        gate = {"metrics": {"right": {"max_regression": margin}}}
        with pytest.raises(InvalidSetting, match=r"no candidate can be worse by more than .* Write 5 points as 0.05"):
            run(client, ROWS, [right], baseline=before, gate=gate)


@pytest.mark.thorough
def test_an_evaluator_that_says_otherwise_is_refused_before_it_is_asked(client: Client) -> None:
    def made(direction: str) -> Any:
        @create_phoenix_evaluator(name="hallucination", direction=direction)
        def judged(output: str) -> float:
            return 0.0

        return judged

    before = run(client, ROWS, [made("minimize")], says("true"))
    assert before.directions == {"hallucination": ("minimize",)}
    with pytest.raises(
        InvalidSetting, match=r"'hallucination' says maximize, and the baseline's evaluations .* say mini"
    ):
        run(client, ROWS, [made("maximize")], baseline=before)
    gate = {"metrics": {"hallucination": {"direction": "minimize"}}}
    verdict = run(client, ROWS, [made("maximize")], says("x"), baseline=before, gate=gate).verdict
    assert verdict.status == "inconclusive"
    assert "its evaluator is not the same on both sides" in verdict.reasons[0]


@pytest.mark.thorough
def test_neutral_scores(client: Client) -> None:
    def length(output: Any) -> Score:
        return Score(name="length", score=float(len(output)), direction="neutral")

    before = run(client, ROWS, [length, "contains(text='a')"], says("a"))
    after = run(client, ROWS, [length, "contains(text='a')"], says("a" * 9), baseline=before, gate={})
    assert (after.comparison.metrics["length"].verdict, after.verdict.status) == ("changed", "passed")


def test_one_s_own_evaluator_may_say_it(client: Client) -> None:
    def words(output: Any) -> EvaluationResult:
        return EvaluationResult(score=float(len(output)), metadata={"direction": "minimize"})

    assert run(client, ROWS, [words], says("a")).summary.metrics["words"].direction == "minimize"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question,answer\nwhy?,so\n", "which columns are the input"),
        ("input,output,expected\nwhy?,so,no\n", "could each be the expected output"),
    ],
)
def test_unclear_columns_lead_to_what_can_be_told_of_them(client: Client, tmp_path: Path, text: str, said: str) -> None:
    path = str(csv(tmp_path, text))
    with pytest.raises(InvalidDataset, match=said) as refused:
        run(client, path, [])
    advice = str(refused.value).partition("dataset=Client().")[2]
    assert advice == (
        f"datasets.create_dataset(name='questions', file={path!r}, input_keys=[...], output_keys=[...], "
        "if_exists='new_version')"
    )
    one, other = text.split(",")[:2]
    made = client.datasets.create_dataset(
        name="questions", file=path, input_keys=[one], output_keys=[other.split()[0]], if_exists="new_version"
    )
    assert run(client, made, [], lambda question: "so").summary.n_runs == 1
