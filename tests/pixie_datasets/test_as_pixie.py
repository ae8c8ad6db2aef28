"""The same project and dataset run by pixie itself and by us: equal scores for each entry and evaluator.

pixie 0.8.6 takes entries with ``input_data``, 0.6.1 those with ``entry_kwargs``. Each deliberate difference stands in
`DIFFERENCES`, with its reason, and has a test that shows it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, Evaluation
from prefect_experiments.pixie.names import HEURISTICS, JUDGES
from support.judge_stand_in import JudgeStandIn
from support.pixie_referee import NEW, OLD, Entries, Pixie, Row

from .projects import write

DIFFERENCES = {
    "error, not 0": "what keeps an evaluator from judging is no score of the output: retried, resumed, counted apart",
    "ListContains works": "it needs SciPy, which pixie does not ask for; in a plain install each of its scores is 0",
    "ClosedQA's criterion": "its prompt holds no expectation; where there are no criteria, that is the criterion",
    "an unreadable answer is an error": "create_llm_evaluator's judge that names no score has given none, and not 0",
}

APP = """
import pixie
from pydantic import BaseModel


class Args(BaseModel):
    captures: list
    returned: object = None


class App(pixie.Runnable[Args]):
    @classmethod
    def create(cls):
        return cls()

    async def setup(self):
        pass

    async def run(self, args: Args):
        for item in args.captures:
            pixie.wrap(item["value"], purpose=item.get("purpose", "output"), name=item["name"])
        return args.returned

    async def teardown(self):
        pass
"""

_TEXTS: list[tuple[Any, Any]] = [
    ("Paris", "Paris"),
    ("Pariss", "Paris"),
    ("", ""),
    ("", "Paris"),
    ("Grüße, 日本語 🙂", "Grüsse, 日本語 🙂"),
    ("e\u0301", "é"),
    ("two\nlines\t", "two\nlines"),
    ("3", 3),
    (3, "3"),
    ("3.0", 3.0),
    ("3", "4"),
    ("True", True),
    ("null", "null"),
    ('{"a": 1}', '{"a": 1}'),
    ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
    ('{"a": 1}', {"a": 1}),
    ({"a": 1}, '{"a": 1}'),
    ("[1, 2, 3]", [1, 2, 3]),
    ('{"a": ', {"a": 1}),
    ("1", None),
    ('["x"]', None),
]
_NUMBERS: list[tuple[Any, Any]] = [
    (0, 0),
    (0, 0.0),
    (3, 3.0),
    (3, 4),
    (-3, 3),
    (0, 5),
    (1e300, 1e-300),
    (0.1, 0.3),
    (12345678901234567, 12345678901234568),
    (True, True),
    (True, False),
    (True, 1),
    (False, 0),
    (1, [1]),
]
_NOTHING: list[tuple[Any, Any]] = [(None, None), (None, "None"), (None, 0), (None, []), ("x", None), ({}, None)]
_LISTS: list[tuple[Any, Any]] = [
    ([], []),
    ([], ["a"]),
    (["a"], []),
    (["a", "b"], ["b", "a"]),
    (["apple", "pear"], ["apples", "bananas", "pears"]),
    (["a", "b", "c"], ["a"]),
    ([1, 2], [1, 3]),
    ([None, "a"], ["a", None]),
    ([["a"], ["b"]], [["a"], ["c"]]),
    (["a"], "a"),
    ("abc", "abd"),
    (["a"], 5),
]
_OBJECTS: list[tuple[Any, Any]] = [
    ({}, {}),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": {"b": [1, {"c": "deep"}]}}, {"a": {"b": [1, {"c": "deeper"}]}}),
    ({"a": None}, {"a": None}),
    ({"a": None}, {}),
    ({"name": "x"}, {"type": "object", "required": ["name"]}),
    ({"n": "x"}, {"type": "object", "required": ["name"]}),
    ({"a": "1"}, {"type": "nonsense"}),
    ([1, "2"], True),
    ([1, "2"], False),
]
_ONE = [([{"name": "answer", "value": output}], expectation) for output, expectation in
        [*_TEXTS, *_NUMBERS, *_NOTHING, *_LISTS, *_OBJECTS]]  # fmt: skip
_SEVERAL: list[tuple[list[dict[str, Any]], Any]] = [
    ([{"name": "a", "value": "Paris"}, {"name": "b", "value": 1}], "Paris"),
    ([{"name": "a", "value": "Paris"}, {"name": "s", "value": {"x": 1}, "purpose": "state"}], {"a": "Paris"}),
    ([{"name": "a", "value": 1}, {"name": "a", "value": 2}], {"a": 2}),
    ([{"name": "b", "value": 1}, {"name": "a", "value": 2}], {"a": 2, "b": 1}),
    ([{"name": "eval_output", "value": [1]}], [1]),
]
PAIRS = [*_ONE, *_SEVERAL]


def dataset(root: Path, pixie: Pixie, entries: list[dict[str, Any]], evaluators: list[str]) -> Path:
    """A project with these entries, as a version of pixie has them."""
    asked = [{"name": "question", "value": "What is the capital of France?"}]
    found = []
    for number, one in enumerate(entries):
        given = {pixie.form: {"captures": one.pop("captures", []), "returned": one.pop("returned", None)}}
        found.append({**given, "description": f"entry {number}", "eval_input": asked, **one})
    path = root / "pixie_qa/datasets/pairs.json"
    content = {"name": "pairs", "runnable": "pixie_qa/app.py:App", "evaluators": evaluators, "entries": found}
    write(root, {"pixie_qa/app.py": APP})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def ours(client: Client, path: Path) -> list[dict[str, Evaluation]]:
    """What we give on each entry, in the file's order, by evaluator."""
    ran = client.experiments.run_experiment(dataset=str(path), print_summary=False, retries=0)
    assert not ran.failed
    place = {name: int(example.metadata["description"].split()[1]) for name, example in ran.examples.items()}
    of_run = {run.id: place[run.example_id] for run in ran.task_runs}
    found: list[dict[str, Evaluation]] = [{} for _ in place]
    for evaluation in ran.evaluation_runs:
        found[of_run[evaluation.run_id]][evaluation.name] = evaluation
    return found


def unlike(theirs: Entries, given: list[dict[str, Evaluation]]) -> list[tuple[int, str, Row, Evaluation]]:
    """Where we do not say what pixie says: another score, or an error where it has no 0 that is made of the same."""
    assert [set(row) for row in theirs] == [set(row) for row in given]
    return [
        (number, name, row, given[number][name])
        for number, rows in enumerate(theirs)
        for name, row in rows.items()
        if not _alike(name, row, given[number][name])
    ]


def _alike(name: str, row: Row, evaluation: Evaluation) -> bool:
    if evaluation.error is None:
        # Its scorer's own words, and not those of an exception that was made a 0 of.
        return evaluation.score == row.score and evaluation.explanation == row.reasoning
    first = row.reasoning.splitlines()[0] if row.reasoning else ""
    return row.score == 0 and first in evaluation.error


@pytest.fixture(scope="module", params=[NEW, OLD], ids=["0.8.6", "0.6.1"])
def pixie(request: pytest.FixtureRequest) -> Pixie:
    return request.param


@pytest.mark.slow
def test_what_needs_no_model_scores_the_same(pixie: Pixie, client: Client, tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [{"captures": given, "expectation": expected} for given, expected in PAIRS]
    entries += [{"returned": value, "expectation": "done"} for value in ("done", None, {"a": 1}, [1], 5)]
    entries += [{"captures": [{"name": "a", "value": "x"}]}]  # no expectation at all
    entries += [{"captures": [{"name": "a", "value": "x"}], "eval_metadata": {"expected": "xy"}}]
    entries += [{"captures": [{"name": "a", "value": "x"}], "expectation": "y", "eval_metadata": {"expected": "x"}}]
    assert len(entries) >= 50
    path = dataset(tmp_path, pixie, entries, sorted(HEURISTICS))
    theirs, given = pixie.test(tmp_path, path), ours(client, path)
    different = unlike(theirs, given)
    if pixie is OLD:  # no SciPy beside it
        lists = [one for one in different if one[1] == "ListContains"]
        assert all(row.score == 0 and "No module named" in row.reasoning for _, _, row, _ in lists)
        assert len({one.score for _, _, _, one in lists}) > 5, DIFFERENCES["ListContains works"]
        different = [one for one in different if one[1] != "ListContains"]
    assert different == []
    errors = [(row[name], theirs[n][name]) for n, row in enumerate(given) for name in row if row[name].error]
    assert errors, DIFFERENCES["error, not 0"]
    assert all(row.score == 0 for _, row in errors)
    scores = {one.score for row in given for one in row.values()}
    assert len(scores) > 20, "pairs that score alike show nothing"


_ABOUT = {"criteria": "It names a city.", "context": "Paris is the capital of France.", "expected": "unused"}
_JUDGED: list[dict[str, Any]] = [
    {"captures": [{"name": "answer", "value": "Paris"}], "expectation": "Paris", "eval_metadata": _ABOUT},
    {
        "captures": [{"name": "answer", "value": "It is {{Lyon}} & <b>"}],
        "expectation": "Paris",
        "eval_metadata": _ABOUT,
    },
    {
        "captures": [{"name": "answer", "value": "Grüße"}, {"name": "n", "value": 2}],
        "expectation": {"answer": "Grüße"},
        "eval_metadata": {**_ABOUT, "context": ["Paris is the capital.", "Lyon is not."]},
    },
    {"captures": [{"name": "answer", "value": ["a", 1]}], "expectation": ["a"], "eval_metadata": _ABOUT},
    {"captures": [{"name": "answer", "value": "Rome"}], "eval_metadata": {"context": "x", "criteria": "y"}},
]


def judged_by(server: JudgeStandIn) -> dict[str, str]:
    return {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "the-users-key"}


def use(server: JudgeStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoevals import EmbeddingSimilarity

    EmbeddingSimilarity._CACHE.clear()
    for name, value in judged_by(server).items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
def test_judges_are_asked_the_same_and_score_the_same(
    pixie: Pixie, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dataset(tmp_path, pixie, [dict(one) for one in _JUDGED], sorted(JUDGES))
    with JudgeStandIn() as theirs_asked, JudgeStandIn() as ours_asked:
        theirs = pixie.test(tmp_path, path, **judged_by(theirs_asked))
        use(ours_asked, monkeypatch)
        given = ours(client, path)
    assert unlike(theirs, given) == []
    assert ours_asked.prompts == theirs_asked.prompts
    assert ours_asked.keys == {"the-users-key"}
    assert {path for path, _ in ours_asked.prompts} == {"/v1/responses", "/v1/embeddings", "/v1/moderations"}
    without = {name for name in JUDGES if all(row[name].error for row in given)}
    assert without == set(), "a judge that only fails shows nothing"


@pytest.mark.slow
def test_closed_qa_judges_by_the_expectation_where_there_are_no_criteria(
    pixie: Pixie, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"captures": [{"name": "answer", "value": "Paris"}], "expectation": "Names the capital."}
    path = dataset(tmp_path, pixie, [entry], ["ClosedQA"])
    with JudgeStandIn() as theirs_asked, JudgeStandIn() as ours_asked:
        pixie.test(tmp_path, path, **judged_by(theirs_asked))
        use(ours_asked, monkeypatch)
        ours(client, path)
    [(_, theirs)], [(_, mine)] = theirs_asked.requests, ours_asked.requests
    assert "[Criterion]: Names the capital." in mine, DIFFERENCES["ClosedQA's criterion"]
    assert "[Criterion]: \\n" in theirs
    assert mine.replace("[Criterion]: Names the capital.", "[Criterion]: ") == theirs


CUSTOM = """
from pixie import Evaluation, create_llm_evaluator


def plain(evaluable):
    given = {item.name: item.value for item in evaluable.eval_input}
    absent = type(evaluable.expectation).__name__ == "_Unset"
    said = f"{sorted(given)} {absent} {evaluable.eval_metadata}"
    return Evaluation(score=len(evaluable.eval_output) / 4, reasoning=said, details={"n": 1})


async def awaited(evaluable):
    return Evaluation(score=7.5, reasoning=evaluable.description)


class Counted:
    def __call__(self, evaluable):
        return Evaluation(score=-1, reasoning="below")


def factory():
    return lambda evaluable: Evaluation(score=0.25, reasoning="made")


tone = create_llm_evaluator(name="tone", prompt_template="{eval_input} | {eval_output} | {expectation}")
"""


@pytest.mark.slow
def test_the_projects_own_evaluators_say_the_same(
    pixie: Pixie, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"pixie_qa/evaluators.py": CUSTOM})
    names = [f"pixie_qa/evaluators.py:{name}" for name in ("plain", "awaited", "Counted", "factory", "tone")]
    entries: list[dict[str, Any]] = [*map(dict, _JUDGED), {"returned": "only returned", "expectation": None}]
    path = dataset(tmp_path, pixie, entries, names)
    with JudgeStandIn() as theirs_asked, JudgeStandIn() as ours_asked:
        theirs = pixie.test(tmp_path, path, **judged_by(theirs_asked))
        use(ours_asked, monkeypatch)
        given = ours(client, path)
    assert unlike(theirs, given) == []
    assert ours_asked.prompts == theirs_asked.prompts
    assert {given[0]["awaited"].score, given[0]["Counted"].score} == {1, 0}


@pytest.mark.slow
def test_a_judge_that_names_no_score_has_given_none(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"pixie_qa/evaluators.py": CUSTOM})
    path = dataset(tmp_path, NEW, [dict(_JUDGED[0])], ["pixie_qa/evaluators.py:tone"])
    with JudgeStandIn(answers="I would rather not say.") as server:
        [theirs] = NEW.test(tmp_path, path, **judged_by(server))
        use(server, monkeypatch)
        [given] = ours(client, path)
    assert theirs["tone"].score == 0
    assert given["tone"].score is None, DIFFERENCES["an unreadable answer is an error"]
    assert "I would rather not say." in str(given["tone"].error)


AGENT = """
from pixie import create_agent_evaluator
quality = create_agent_evaluator(name="ResponseQuality", criteria="Is it any good?")
"""


@pytest.mark.slow
def test_what_an_agent_is_to_judge_is_pending(client: Client, tmp_path: Path) -> None:
    write(tmp_path, {"pixie_qa/evaluators.py": AGENT})
    path = dataset(tmp_path, NEW, [dict(_JUDGED[0])], ["pixie_qa/evaluators.py:quality"])
    [theirs], [given] = NEW.test(tmp_path, path), ours(client, path)
    assert theirs == {"ResponseQuality": Row(None, "", "Is it any good?")}
    assert given["ResponseQuality"].pending == "Is it any good?"
