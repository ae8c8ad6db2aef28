"""Which scores are better, as evaluations say it themselves: by a score's `direction`, by a column of a table."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.errors import InvalidSetting

from .tables import columns, judged

LESS = "minimize"


def side(score: float, said: Any = None, name: str = "hallucination", n: int = 40, label: str = "x") -> ResultTable:
    """Scores about one value, of evaluations that may say which are better."""
    given: dict[str, list[Any]] = columns(**{name: [min(1.0, max(0.0, score + (i % 3 - 1) / 100)) for i in range(n)]})
    if said is not None:
        given[f"eval.{name}.metadata.direction"] = [said] * n
    return result_table(given, label)


def test_less_hallucination_is_better() -> None:
    worse = compare_results(side(0, LESS), side(1, LESS))
    assert worse.metrics["hallucination"].direction == "minimize"
    assert worse.metrics["hallucination"].verdict == "regressed"
    assert (worse.metrics["hallucination"].wins, worse.metrics["hallucination"].losses) == (0, 40)
    assert len(worse.regressed) == 40
    assert compare_results(side(1, LESS), side(0, LESS)).metrics["hallucination"].verdict == "improved"
    for gate in (Gate(), Gate(metrics={"hallucination": None}), Gate(metrics={"hallucination": {"min": 0.5}})):
        verdict = judged(side(0, LESS), side(1, LESS), gate)
        assert verdict.status == "failed"
        assert "hallucination (less is better) 0.996, +99 points" in verdict.reasons[0]
        assert judged(side(1, LESS), side(0, LESS), gate).status == "passed"


def test_one_side_that_says_it_is_enough() -> None:
    for sides in ((side(0, LESS), side(1)), (side(0), side(1, LESS))):
        assert compare_results(*sides).metrics["hallucination"].verdict == "regressed"
    partly = columns(hallucination=[1.0] * 40) | {"eval.hallucination.metadata.direction": [LESS] + [None] * 39}
    assert compare_results(side(0), result_table(partly)).metrics["hallucination"].direction == "minimize"


def test_the_gate_and_the_caller_have_the_last_word() -> None:
    sides = side(0, LESS), side(1, LESS)
    up = Gate(metrics={"hallucination": Metric(direction="maximize")})
    assert judged(*sides, up).status == "passed"
    assert (
        compare_results(*sides, directions={"hallucination": "maximize"}).metrics["hallucination"].verdict == "improved"
    )
    silent = Gate(metrics={"hallucination": Metric()})
    found = compare_results(*sides, directions={"hallucination": "maximize"}, gate=silent)
    assert (found.metrics["hallucination"].direction, found.verdict and found.verdict.status) == ("maximize", "passed")
    with pytest.raises(InvalidSetting, match="say 'minimize' of metric 'hallucination', and the gate says 'maximize'"):
        compare_results(*sides, directions={"hallucination": "minimize"}, gate=up)


def test_a_gate_file_that_says_nothing_means_what_is_said() -> None:
    assert Gate.parse("metrics: {hallucination: {min: 0.2}}").rules["hallucination"].direction is None
    assert (
        judged(side(0.1, LESS), side(0.1, LESS), Gate.parse("metrics: {hallucination: {min: 0.2}}")).status == "passed"
    )
    alone = Gate(metrics={"hallucination": Metric(min=0.2)}).judge_alone(side(0.9, LESS))
    assert alone.status == "failed"
    assert "the mean of 0.90 [0.82, 0.924] is above the maximum of 0.20" in alone.reasons[0]
    assert Gate(metrics={"hallucination": Metric(min=0.2)}).judge_alone(side(0.9)).status == "passed"
    explicit = Gate(metrics={"hallucination": Metric(min=0.2, direction="maximize")})
    assert explicit.judge_alone(side(0.9, LESS)).status == "passed"
    with pytest.raises(InvalidSetting, match=r"unknown Metric\.direction 'neutral'"):
        Metric(direction="neutral")


def test_sides_that_do_not_agree_are_refused() -> None:
    sides = side(0, LESS, label="before"), side(1, "maximize", label="after")
    message = (
        r"'hallucination' do not agree on which scores are better \(before: minimize, after: maximize\); say it in"
    )
    with pytest.raises(InvalidSetting, match=message):
        compare_results(*sides)
    assert (
        compare_results(*sides, directions={"hallucination": "minimize"}).metrics["hallucination"].verdict
        == "regressed"
    )
    mixed = columns(hallucination=[0.5] * 4) | {"eval.hallucination.metadata.direction": [LESS, "maximize", None, LESS]}
    with pytest.raises(InvalidSetting, match="do not agree"):
        compare_results(side(0), result_table(mixed))
    assert Gate(metrics={"hallucination": Metric(min=0.2)}).judge_alone(result_table(mixed)).status == "failed"
    assert Gate().judge_alone(result_table(mixed)).status == "passed"  # nothing is asked of it


@pytest.mark.parametrize("said", ["MINIMIZE", " minimize", "Minimize\n"])
def test_the_case_of_a_direction_and_white_space_do_not_count(said: str) -> None:
    assert compare_results(side(0, said), side(1, LESS)).metrics["hallucination"].verdict == "regressed"
    assert judged(side(0, said), side(1, said)).status == "failed"


@pytest.mark.parametrize("said", ["down", "min", "lower_is_better", 5])
def test_what_is_no_direction_is_refused(said: Any) -> None:
    sides = side(0, said), side(1, said)
    with pytest.raises(InvalidSetting, match=rf"do not say in a known way which scores are better .*{said}.* minimize"):
        compare_results(*sides)
    assert compare_results(*sides, directions={"hallucination": "maximize"}).metrics["hallucination"].wins == 40
    assert Gate(metrics={"hallucination": Metric(min=0.2)}).judge_alone(sides[1]).status == "failed"


def test_no_direction_says_nothing() -> None:
    for said in ("", " ", None, float("nan")):
        assert compare_results(side(0, said), side(1, said)).metrics["hallucination"].direction == "maximize"


def test_neither_more_nor_less_is_better() -> None:
    sides = side(0, "neutral", "length"), side(1, "neutral", "length")
    found = compare_results(*sides)
    metric = found.metrics["length"]
    assert (metric.direction, metric.verdict, metric.wins, metric.losses) == ("neutral", "changed", 0, 0)
    assert (metric.missing_as_worst, found.regressed, found.improved) == (None, (), ())
    assert compare_results(sides[0], sides[0]).metrics["length"].verdict == "unchanged"
    both = [
        columns(length=[v] * 40, good=[1.0] * 40) | {"eval.length.metadata.direction": ["neutral"] * 40} for v in (0, 1)
    ]
    verdict = judged(*map(result_table, both))
    assert verdict.status == "passed"
    assert any("neither more nor less of it is better: length" in reason for reason in verdict.reasons)
    assert judged(*sides).status == "failed"  # a gate with nothing to judge by
    assert judged(*sides, Gate(metrics={"length": Metric(min=0.9)})).status == "passed"  # who judges it means more
    with pytest.raises(InvalidSetting, match="say 'neutral' of metric 'length', and the gate has a rule for it"):
        compare_results(*sides, directions={"length": "neutral"}, gate=Gate(metrics={"length": Metric()}))


def test_a_direction_that_is_none_is_refused_with_those_there_are() -> None:
    wrong: Any = {"hallucination": "down"}
    with pytest.raises(
        InvalidSetting, match=r"directions: metric 'hallucination': unknown direction 'down'.*Known: .*minimize"
    ):
        compare_results(side(0), side(1), directions=wrong)


def test_what_is_said_of_a_metric_that_is_none_names_those_that_there_are() -> None:
    """Labels without scores and experiment evaluators count among them."""
    labelled = result_table({"example_id": ["a"], "eval.tone.label": ["x"], "eval.words.score": [3]})
    evaluators = {"total": lambda runs: float(len(runs))}
    with pytest.raises(InvalidSetting) as caught:
        compare_results(labelled, labelled, directions={"word": "minimize"}, experiment_evaluators=evaluators)
    assert str(caught.value) == ("directions: unknown metric 'word'; did you mean 'words'? Known: words, tone, total")
    found = compare_results(
        labelled, labelled, directions={"total": "minimize", "tone": "minimize"}, experiment_evaluators=evaluators
    ).metrics
    assert {name: metric.direction for name, metric in found.items()} == {"words": "maximize", "total": "minimize"}
    for name in ("tone", "words"):
        with pytest.raises(InvalidSetting) as caught:
            compare_results(labelled, labelled, experiment_evaluators={name: len})
        assert str(caught.value) == (
            f"'{name}' is an evaluator and an experiment evaluator; give one of them another name"
        )


def test_each_side_is_named_with_what_its_evaluations_say() -> None:
    sides = [side(0, said, label=label) for said, label in ((LESS, "a"), (None, "b"), ("neutral", "c"))]
    with pytest.raises(InvalidSetting) as caught:
        compare_results(sides[0], sides[1:])
    assert str(caught.value) == (
        "the evaluations of 'hallucination' do not agree on which scores are better (a: minimize, c: neutral); say it "
        "in the gate or with directions={'hallucination': ...}: maximize, minimize, neutral"
    )
    for found in compare_results(sides[0], sides[1:], directions={"hallucination": "neutral"}):
        assert found.metrics["hallucination"].direction == "neutral"
    confident = {"confidence": 0.9, "gate": Gate()}
    with pytest.raises(InvalidSetting) as caught:
        compare_results(sides[1], sides[1], **confident)  # type: ignore[arg-type]
    assert str(caught.value) == ("confidence=0.9 does not go with the gate's confidence of 0.95; give one of them")
