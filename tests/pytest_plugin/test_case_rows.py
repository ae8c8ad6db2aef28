"""What a case leaves behind of its run, stage by stage, with pytest's own reports in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.pytest_plugin import closing
from prefect_experiments.pytest_plugin.cases import cases_of, evaluate, log_evaluation, log_output
from prefect_experiments.pytest_plugin.hooks import found
from prefect_experiments.pytest_plugin.session import session_of
from prefect_experiments.pytest_plugin.shared import folder_of
from pytest_plugin.conftest import PLUGIN, Project

pytest_plugins = ["pytester"]

GATE = "gate={'metrics': {'pass': {'min': 0.6, 'bounds': 'point'}}}"
Body = Callable[[], Any]


@pytest.fixture
def case(serverless: Project) -> Callable[[str], pytest.Item]:
    """A test that is a case of the dataset d, collected in this process."""
    serverless.pytester.plugins = [PLUGIN]

    def collect(marker: str = "") -> pytest.Item:
        source = f"import pytest\n\n@pytest.mark.experiment(dataset='d', {marker})\ndef test_it(): ...\n"
        [item] = serverless.pytester.getitems(source)
        found(item.config, [item])
        return item

    return collect


def nothing() -> None:
    """What a stage does that is well."""


def went(
    item: pytest.Item, body: Body = nothing, setup: Body = nothing, teardown: Body = nothing, *, xfail: bool = False
) -> pytest.TestReport:
    """Have a case go through its stages; the report of the test itself, or else of its setup."""
    known = cases_of(item.config).by_item[item]

    def stage(when: Any, what: Body) -> tuple[pytest.CallInfo[None], pytest.TestReport]:
        call = pytest.CallInfo.from_call(what, when)
        return call, pytest.TestReport.from_item_and_call(item, call)

    call, report = stage("setup", setup)
    known.reported(call, report)
    if report.passed:
        with known.running():
            call, report = stage("call", body)
        if xfail:
            report.wasxfail = "known"
        known.reported(call, report)
    known.reported(*stage("teardown", teardown))
    return report


def rows(item: pytest.Item) -> list[dict[str, Any]]:
    """What was written, without when it was."""
    written = []
    for file in folder_of(item.config).glob("*.jsonl"):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if "start_time" in row:
                start, end = (datetime.fromisoformat(row.pop(name)) for name in ("start_time", "end_time"))
                assert row.pop("latency_ms") == pytest.approx((end - start).total_seconds() * 1000)
            assert row.pop("example_id") == item.nodeid
            assert row.pop("repetition_number") == 1
            written.append(row)
    return written


def logs() -> None:
    log_output({"said": "x"})
    log_evaluation(name="length", score=3, explanation="counted")
    log_evaluation(name="tone", label="polite")


def fails() -> None:
    log_output("x")
    raise AssertionError("wrong")


def breaks() -> None:
    log_output("x")
    raise ValueError("no\nnumber")


def is_lost() -> None:
    raise ValueError("no\nnumber")


PASSED = {"status": "ok", "output": None, "eval.pass.score": 1.0, "eval.pass.label": "pass"}
FAILED = {"status": "ok", "output": "x", "eval.pass.score": 0.0, "eval.pass.label": "fail"}
SCORED = {
    "output": {"said": "x"},
    "eval.length.score": 3,
    "eval.length.explanation": "counted",
    "eval.tone.label": "polite",
}


@pytest.mark.parametrize(
    ("stages", "row"),
    [
        ({}, PASSED),
        ({"body": logs}, PASSED | SCORED),
        ({"body": fails}, FAILED | {"eval.pass.explanation": "AssertionError: wrong"}),
        (
            {"body": lambda: pytest.fail("no good")},
            FAILED | {"output": None, "eval.pass.explanation": "Failed: no good"},
        ),
        ({"body": breaks}, {"status": "error", "error": "ValueError: no\nnumber", "output": None}),
        ({"setup": is_lost}, {"status": "error", "error": "ValueError: no\nnumber", "output": None}),
        ({"teardown": is_lost}, {"status": "error", "error": "ValueError: no\nnumber", "output": None}),
        ({"body": lambda: pytest.skip("later")}, {"skipped": True}),
        ({"setup": lambda: pytest.skip("later")}, {"skipped": True}),
        ({"body": fails, "xfail": True}, FAILED | {"eval.pass.explanation": "AssertionError: wrong"}),
        ({"body": breaks, "xfail": True}, {"status": "error", "error": "ValueError: no\nnumber", "output": None}),
        ({"xfail": True}, PASSED),
    ],
)
@pytest.mark.thorough
def test_a_case_leaves_a_row(
    stages: dict[str, Any], row: dict[str, Any], case: Callable[[str], pytest.Item], serverless: Project
) -> None:
    item = case("")
    went(item, **stages)
    assert rows(item) == [row]
    assert serverless.path in folder_of(item.config).parents


@pytest.mark.parametrize(("marker", "outcome"), [(GATE, "skipped"), ("", "failed")])
def test_what_fails_is_left_to_a_gate(marker: str, outcome: str, case: Callable[[str], pytest.Item]) -> None:
    item = case(marker)
    report = went(item, fails)
    said = "reason: left to the gate: AssertionError: wrong"
    assert (report.outcome, getattr(report, "wasxfail", "")) == (outcome, said if marker else "")
    assert rows(item) == [FAILED | {"eval.pass.explanation": "AssertionError: wrong"}]


def test_an_evaluator_within_a_case_adds_to_its_row(case: Callable[[str], pytest.Item]) -> None:
    def judged() -> None:
        log_output("a")
        assert evaluate("exact_match", expected="a").score == 1
        assert evaluate("exact_match", output="b", reference="a").score == 0
        with pytest.raises(ZeroDivisionError):
            evaluate(lambda output: 1 / 0)

    item = case("")
    went(item, judged)
    [row] = rows(item)
    assert (row["eval.exact_match.score"], row["eval.pass.label"], row["output"]) == (0, "pass", "a")
    assert [value for key, value in row.items() if key.endswith(".error")] == ["ZeroDivisionError: division by zero"]


def test_what_is_known_of_the_dataset_is_written_beside(case: Callable[[str], pytest.Item]) -> None:
    item = case("dataset_description='of sums', experiment_description='tried', experiment_metadata={'model': 'm'}")
    went(item)
    [about] = folder_of(item.config).glob("*.json")
    known = json.loads(about.read_text())
    assert known.pop("metadata")["model"] == "m"
    assert known == {
        "dataset": "d",
        "dataset_description": "of sums",
        "nodeid": item.nodeid,
        "examples": [{"id": item.nodeid, "input": {"nodeid": item.nodeid}, "output": None, "metadata": {}}],
        "expected": 1,
        "backend": None,
        "name": "d",
        "description": "tried",
    }


def test_cases_of_a_run_that_was_interrupted_are_kept(case: Callable[[str], pytest.Item], serverless: Project) -> None:
    item = case(f"experiment_name='mine', {GATE}")
    went(item, fails)
    [file] = folder_of(item.config).glob("*.jsonl")
    with Path(file).open("a") as more:
        more.write('{"example_id": "cut sh')
    closing.keep(item.config)
    [record] = session_of(item.config).records
    kept = serverless.client.experiments.get_results(experiment="mine")
    assert vars(record) == {
        "name": "mine",
        "said": "STOPPED",
        "experiment_id": kept.experiment_id,
        "dataset": "d",
        "where": "",
        "report": "",
        "note": "1 of 1 cases had run; not judged",
    }
    assert [run.output for run in kept.task_runs] == ["x"]
    assert list(folder_of(item.config).glob("*.json*")) == []


def test_where_every_case_was_skipped_nothing_is_logged(
    case: Callable[[str], pytest.Item], serverless: Project
) -> None:
    item = case(GATE)
    went(item, lambda: pytest.skip("no key"))
    session_of(item.config).deselected["d"] = 2
    before = item.session.testscollected
    closing.close(item.session)
    [record] = session_of(item.config).records
    assert (vars(record)["said"], vars(record)["note"]) == (
        "SKIPPED", "no case has run: nothing was logged or judged"
    )  # fmt: skip
    assert item.session.testscollected == before + 1
    assert serverless.names() == []
    assert list(folder_of(item.config).glob("*.json*")) == []
