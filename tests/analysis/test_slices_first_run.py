"""What a first run says of groups of its examples that no later run could be judged on."""

from __future__ import annotations

import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.verdicts import MetricCheck, Verdict

from .test_slices import side

GATE = Gate(slices=["metadata.topic"])


def _judged(topic: list[str], gate: Gate = GATE) -> Verdict:
    return gate.judge_alone(side([1] * len(topic), **{"metadata.topic": topic}))


def _checks(topic: list[str]) -> list[MetricCheck]:
    return [check for check in _judged(topic).checks if "metadata.topic" in check.reason]


def test_a_first_run_without_the_field_is_inconclusive() -> None:
    verdict = _judged(["a", "b"] * 50, Gate(slices=["metadata.topik"]))
    assert verdict.status == "inconclusive"
    assert verdict.reasons[-2].startswith("metadata.topik cannot be judged: no example has 'metadata.topik'; did you")


def test_groups_that_are_large_enough_need_no_word() -> None:
    assert _judged(["a", "b"] * 50).status == "passed"
    assert _checks(["a", "b"] * 50) == []


def test_only_small_groups_are_inconclusive() -> None:
    topic = [str(n // 2) for n in range(100)]
    assert _judged(topic).status == "inconclusive"
    (check,) = _checks(topic)
    assert (check.status, check.examples_needed) == ("inconclusive", 10)
    assert check.reason == (
        "metadata.topic cannot be judged, in this run or a later one: none of its 50 groups has 10 examples, which it "
        "takes to show anything"
    )


def test_small_groups_are_named() -> None:
    (check,) = _checks(["a"] * 60 + ["b"] * 37 + ["c"] * 3)
    assert check.status == "passed"
    assert check.reason == (
        "later runs will not be judged on all groups of metadata.topic, because it takes 6 examples to show anything: c"
    )


@pytest.mark.parametrize("n", range(1, 14))
def test_what_it_calls_too_small_no_later_run_passes_on(n: int) -> None:
    topic = ["a"] * 60 + ["b"] * 60 + ["c"] * n
    table = side([1] * len(topic), **{"metadata.topic": topic})
    verdict = compare_results(table, table, gate=GATE).verdict
    assert verdict is not None
    judged = not any(check.reason.startswith("not judged in metadata.topic") for check in verdict.checks)
    assert judged is (n >= 7)
    assert bool(_checks(topic)) is (n < 6)
