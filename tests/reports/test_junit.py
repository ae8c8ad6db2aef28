"""JUnit XML of a comparison and of a summary."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.verdicts import MetricCheck, Verdict
from prefect_experiments.reports.junit import junit_xml

from .made import made, rows_of, side, table

FAILED, INCONCLUSIVE, PASSED = (made(60, gate=gate).comparison for gate in ("failed", "inconclusive", "passed"))


def parsed(text: str) -> tuple[ElementTree.Element, dict[tuple[str, str], ElementTree.Element]]:
    root = ElementTree.fromstring(text.encode())
    [suite] = root
    return suite, {(case.attrib["classname"], case.attrib["name"]): case for case in suite.iter("testcase")}


def outcome(case: ElementTree.Element) -> str:
    return next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")


def test_a_case_for_each_check_and_each_metric() -> None:
    suite, cases = parsed(junit_xml(FAILED))
    assert FAILED.verdict
    checks = [("gate", check.name) for check in FAILED.verdict.checks]
    assert list(cases) == [*checks, *(("metrics", name) for name in FAILED.metrics)]
    assert {("gate", "correctness"), ("gate", "error rate"), ("gate", "coverage")} <= set(checks)
    assert suite.attrib == {
        "name": "prompt-v12 shorter answers", "tests": str(len(cases)), "failures": "1", "errors": "0", "skipped": "0"
    }  # fmt: skip
    failure = cases["gate", "correctness"].find("failure")
    assert failure is not None
    assert failure.attrib == {"message": FAILED.verdict.reasons[0], "type": "failed"}
    # The gate decides: what it tolerates is no failure, and its figures are there all the same.
    assert outcome(cases["metrics", "correctness"]) == "passed"
    figures = {p.attrib["name"]: p.attrib["value"] for p in cases["metrics", "correctness"].iter("property")}
    assert figures["difference"].endswith(" points")
    assert figures["pairs"] == str(FAILED.metrics["correctness"].n_pairs)
    properties = {p.attrib["name"]: p.attrib["value"] for p in suite.findall("properties/property")}
    assert properties["verdict"] == "failed"
    assert (properties["only in baseline"], properties["only in candidate"]) == ("2", "2")
    assert properties["baseline task errors"] == f"{FAILED.baseline.n_errors} of 60"
    assert "of 60" in properties["candidate task errors"]


def test_an_inconclusive_check_fails_or_is_skipped_as_the_gate_says() -> None:
    _, cases = parsed(junit_xml(INCONCLUSIVE))
    assert outcome(cases["gate", "faithfulness"]) == "failure"
    assert INCONCLUSIVE.verdict
    let_through = dataclasses.replace(INCONCLUSIVE, verdict=dataclasses.replace(INCONCLUSIVE.verdict, exit_code=0))
    _, cases = parsed(junit_xml(let_through))
    assert outcome(cases["gate", "faithfulness"]) == "skipped"


def test_a_passed_gate_has_no_failure() -> None:
    suite, _ = parsed(junit_xml(PASSED, name="nightly"))
    assert (suite.attrib["name"], suite.attrib["failures"], suite.attrib["errors"]) == ("nightly", "0", "0")


@pytest.mark.parametrize("n_passed", [0, 1, 2])
def test_a_verdict_that_no_check_explains_is_still_a_failure(n_passed: int) -> None:
    assert PASSED.verdict
    checks = PASSED.verdict.checks[:n_passed]
    assert [check.status for check in checks] == ["passed"] * n_passed
    verdict = Verdict(status="failed", reasons=("no shared examples",), checks=checks, exit_code=1)
    suite, cases = parsed(junit_xml(dataclasses.replace(PASSED, verdict=verdict, metrics={})))
    assert suite.attrib["failures"] == "1"
    assert outcome(cases["gate", "verdict"]) == "failure"
    assert len(cases) == n_passed + 1


def test_without_a_gate_a_regressed_metric_is_a_failure_and_a_failed_run_an_error() -> None:
    suite, cases = parsed(junit_xml(made(400, gate=None).comparison))
    assert outcome(cases["metrics", "correctness"]) == "failure"
    assert outcome(cases["metrics", "answer_words"]) == "passed"
    assert outcome(cases["task", "task runs"]) == "error"
    assert suite.attrib["errors"] == "1"


def test_a_summary() -> None:
    rows = rows_of(400, right=0.8, words=30, seed=3)
    for row in rows:
        row["eval.unscored.label"] = "a label and no score"
    suite, cases = parsed(junit_xml(side(rows, "one").summary))
    assert suite.attrib["name"] == "experiment"
    assert outcome(cases["metrics", "correctness"]) == "passed"
    assert outcome(cases["metrics", "unscored"]) == "skipped"
    assert outcome(cases["task", "task runs"]) == "error"


def test_a_first_run_with_a_gates_verdict() -> None:
    rows = rows_of(60, right=0.8, words=30, seed=3)
    verdict = Gate(metrics={"correctness": Metric(min=0.99)}).judge_alone(table(rows, "first"))
    suite, cases = parsed(junit_xml(side(rows, "first").summary, verdict=verdict))
    assert suite.attrib["failures"] == "1"
    assert outcome(cases["gate", "correctness"]) == "failure"
    assert outcome(cases["gate", "baseline"]) == "passed"


@given(st.text(st.characters(), min_size=1))
def test_the_document_is_valid_whatever_the_texts(text: str) -> None:
    metric = dataclasses.replace(PASSED.metrics["correctness"], name=text)
    check = MetricCheck(name=text, status="failed", reason=text)
    comparison = dataclasses.replace(
        PASSED,
        candidate=dataclasses.replace(PASSED.candidate, label=text),
        metrics={text: metric},
        verdict=Verdict(status="failed", reasons=(text,), checks=(check,), exit_code=1),
    )
    suite, _ = parsed(junit_xml(comparison))
    assert suite.attrib["tests"] == "2"
