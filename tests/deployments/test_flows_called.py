"""The flows that are deployed, in this process: what they keep, and how they end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.flows.deployment_evaluation import deployment_evaluation
from prefect_experiments.flows.log_results import log_results
from prefect_experiments.flows.meta_evaluation import meta_evaluation
from prefect_experiments.flows.regression import regression
from prefect_experiments.orchestration.deployed.parameters import GateRules
from support.on_prefect import on_the_server

__all__ = ["on_the_server"]

LETTERS = "abcdefghijklmnopqrst"


@pytest.mark.parametrize(
    ("given", "nights"),
    [
        ({"promote": True}, 30),
        ({"gate": GateRules(alarms={"per": "week"})}, 7),
        ({"gate": GateRules(alarms={"per": "comparison"})}, 1),
        ({"promote_as": "best"}, None),
        ({"baseline": "tag:best", "promote_as": "best"}, 30),
    ],
)
def test_a_promotion_is_confirmed_by_a_test_that_the_nights_of_the_gate_share(
    given: dict[str, Any], nights: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def done(*_: Any, **asked_for: Any) -> None:
        asked.append(asked_for)

    for name in ("arun_for_flow_run", "conclude", "show_history"):
        monkeypatch.setattr(f"prefect_experiments.flows.regression.{name}", done)
    asyncio.run(regression.fn(dataset="letters.csv", task="app:answer", evaluators=["exact_match"], **given))
    assert [each["confirmed_in"] for each in asked if "confirmed_in" in each] == [nights]


@pytest.fixture(autouse=True)
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A folder with a dataset in a file, and the store that flows find there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    Path("letters.csv").write_text("key,text,answer\n" + "".join(f"{c},{c},{c.upper()}\n" for c in LETTERS))
    return Client()


def results(name: str, *, right: int, leaves_out: int = 0) -> str:
    """A file of results of which so many are right."""
    lines = ["who,said,is_right,why"]
    for place, letter in enumerate(LETTERS[: len(LETTERS) - leaves_out]):
        lines.append(f"{letter},{letter.upper() if place < right else '?'},{int(place < right)},it is {letter}")
    Path(name).write_text("\n".join(lines) + "\n")
    return name


def logged(name: str, file: str, **more: Any) -> Any:
    given = {
        "columns": {"input": ["text"], "output": ["answer"], "id": "key"},
        "result_columns": {"example_id": "who", "output": "said"},
        "evaluator_columns": [{"evaluator": "right", "score": "is_right", "explanation": "why"}],
    }
    return asyncio.run(log_results(name=name, results=file, dataset="letters.csv", **given, **more, return_state=True))


@pytest.mark.thorough
def test_results_are_logged_tagged_and_compared_with_those_that_have_the_tag(client: Client) -> None:
    about = {"description": "of the old model", "metadata": {"model": "old"}, "report": "pages"}
    first = logged("old", results("old.csv", right=20), promote=True, **about)
    kept = client.experiments.get(experiment="old")
    assert first.name == "GatePassed"
    assert first.message.endswith(f". Experiment {kept.id} is 'baseline' now")
    assert (kept.tags, kept.description, kept.metadata["model"]) == (("baseline",), "of the old model", "old")
    assert [path.name for path in Path("pages").iterdir()] == [f"{kept.id}.html"]
    runs = client.experiments.list_runs(experiment="old", all=True).to_df()
    assert list(runs["output"]) == [letter.upper() for letter in LETTERS]
    assert set(runs["eval.right.score"]) == {1}
    assert runs["eval.right.explanation"][3] == "it is d"

    worse = logged("new", results("new.csv", right=5), promote=True)
    assert worse.name == "GateFailed"
    assert "significantly worse" in worse.message
    assert worse.message.endswith("Not tagged 'baseline': only an experiment that a gate has passed is promoted")
    assert client.experiments.get(experiment="new").tags == ()

    kept_out = logged("as good", results("good.csv", right=20))
    assert kept_out.name == "GatePassed"
    assert client.experiments.get(experiment="tag:baseline").name == "old", "as nobody asked for another one"


@pytest.mark.thorough
def test_what_is_no_error_is_said_in_the_form(client: Client) -> None:
    file = results("part.csv", right=15, leaves_out=5)
    refused = logged("part", file)
    assert refused.is_failed()
    assert "missing" in refused.message
    taken = logged("part", file, allow=["missing"], baseline=None, gate={"max_error_rate": 0.5, "min_coverage": 0.5})
    assert len(client.experiments.list_runs(experiment="part", all=True)) == 15
    assert (taken.name, client.experiments.get(experiment="part").tags) == ("GatePassed", ())


@pytest.mark.thorough
def test_an_evaluators_verdicts_are_measured_by_peoples(client: Client) -> None:
    Path("judged.csv").write_text(
        "example_id,output,eval.judge.label,annotation.human.label\n"
        + "".join(
            f"{c},x,{'Good' if place < 10 else 'bad'},{'good' if place < 5 else 'bad'}\n"
            for place, c in enumerate(LETTERS)
        )
    )
    client.datasets.create_dataset(name="letters", file="letters.csv", input_keys=["text"], id_key="key")
    logged_as = asyncio.run(
        log_results(name="judged", results="judged.csv", dataset="letters", baseline=None, return_state=True)  # type: ignore[call-overload]
    )
    assert logged_as.is_completed(), logged_as.message
    asked: dict[str, Any] = {"evaluator": "judge", "human": "human", "positive": "good", "return_state": True}
    for given, ends, kappa in (
        ({"ignore_case": True, "min_kappa": 0.5}, "GatePassed", "kappa is 0.50, and at least 0.5 is asked for. "),
        ({"min_kappa": 0.5}, "GateFailed", "kappa is 0.20, and at least 0.5 is asked for. "),
    ):
        ended: Any = asyncio.run(meta_evaluation(**asked, **given))
        assert ended.name == ends, ended.message
        assert ended.message.startswith(kappa)
        assert "20 of 20 runs compared" in ended.message


@pytest.mark.thorough
def test_a_judge_is_run_on_what_people_have_labelled() -> None:
    Path("app.py").write_text(
        "def judge(output, input):\n    return 'good' if output['answer'] == input['text'] else 'bad'\n"
    )
    Path("labelled.csv").write_text(
        "text,answer,truth\n"
        + "".join(
            f"{c},{c if place < 12 else '?'},{'good' if place < 10 else 'bad'}\n" for place, c in enumerate(LETTERS)
        )
    )
    ended: Any = asyncio.run(
        meta_evaluation(
            evaluator="output.label",
            human="metadata.truth",
            judge="app.py:judge",
            dataset="labelled.csv",
            columns={"input": ["text"], "output": ["answer"], "metadata": ["truth"]},
            positive="good",
            return_state=True,
        )  # type: ignore[call-overload]
    )
    assert "20 of 20 runs compared" in ended.message
    assert "same in 0.90 [" in ended.message, "the two that people find bad"


APP = (
    "def right(input):\n    return {'answer': input['text'].upper()}\n\ndef wrong(input):\n    return {'answer': '?'}\n"
)
RUN: dict[str, Any] = {
    "dataset": "letters.csv",
    "columns": {"input": ["text"], "output": ["answer"], "id": "key"},
    "evaluators": ["exact_match"],
    "promote": True,
    "return_state": True,
}


@pytest.mark.thorough
def test_the_baselines_own_tag_has_to_be_earned_and_another_one_not(client: Client) -> None:
    Path("app.py").write_text(APP)
    ends = [
        asyncio.run(regression(**RUN, task="app.py:right", experiment_name=f"night {number}", **more))
        for number, more in enumerate(({}, {}, {"promote_as": "best"}))
    ]
    assert [state.name for state in ends] == ["GatePassed"] * 3
    names = {one.name: one for one in client.experiments.list()}
    assert [names[f"night {number}"].tags for number in range(3)] == [("baseline",), (), ("best",)]
    assert "Not tagged 'baseline': " in ends[1].message


@pytest.mark.thorough
def test_a_sample_that_shows_enough_ends_the_evaluation_of_a_version() -> None:
    Path("app.py").write_text(APP)
    asked = {**RUN, "model": "m", "quick": {"n": 10, "method": "head"}}
    good = asyncio.run(deployment_evaluation(**asked, version="1", task="app.py:right", promote_as="baseline"))
    assert good.name == "GatePassed", good.message  # there is nothing to compare the first version with
    bad = asyncio.run(deployment_evaluation(**asked, version="2", task="app.py:wrong"))
    assert bad.name == "GateFailed"
    assert "A sample has shown enough, the rest was not run. Ran 10; " in bad.message
