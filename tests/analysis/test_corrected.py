"""A judge's difference corrected by people's scores."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import t as student_t

from prefect_experiments import EvaluationResultFieldNames, Gate
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.correction import filled_with, unknown_labels
from prefect_experiments.analysis.corrected import FEWEST_LABELS, Corrected, corrected_difference
from prefect_experiments.analysis.power import Asked, smallest_corrected_drop
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.reports.markdown import comparison_markdown
from prefect_experiments.reports.phrases import figures_of, metric_line
from prefect_experiments.reports.terminal import print_comparison, printed
from prefect_experiments.results import read_results
from support.judged_examples import Judged

from .tables import with_errors

HUMAN = {"corrected_by": "human"}


def corrected(case: Judged, seed: int = 0) -> Corrected:
    return corrected_difference(*case.draw(np.random.default_rng(seed)))


@pytest.mark.parametrize("labels", ["paired", "one-sided"])
def test_it_is_unbiased_whatever_is_labelled(labels: str) -> None:
    """Enumerated: over all ways to draw the labelled ones, the mean is what people say of all examples."""
    rng = np.random.default_rng(2)
    n = FEWEST_LABELS + 2
    people = [1.0 * (rng.random(n) < 0.7), 1.0 * (rng.random(n) < 0.4)]
    judge = (np.abs(people[0] - (rng.random(n) < 0.3)), np.abs(people[1] - (rng.random(n) < 0.3)))
    ways = list(itertools.combinations(range(n), FEWEST_LABELS))
    others = ways if labels == "paired" else [*ways[1:], ways[0]]  # each of them on either side once
    found = []
    for one, other in zip(ways, others, strict=True):
        said = [np.full(n, math.nan), np.full(n, math.nan)]
        for side, every, places in zip(said, people, (one, other), strict=True):
            side[list(places)] = every[list(places)]
        found.append(corrected_difference(judge, (said[0], said[1])))
    assert {one.method for one in found} == {"paired" if labels == "paired" else "two means"}
    assert np.mean([one.difference for one in found]) == pytest.approx(people[1].mean() - people[0].mean(), abs=1e-12)  # type: ignore[misc]


def test_a_judge_who_is_always_right_is_taken_whole_and_one_who_guesses_is_left_out() -> None:
    rng = np.random.default_rng(1)
    people = (rng.random(2000), rng.random(2000))
    labels = tuple(np.where(np.arange(2000) < 400, side, np.nan) for side in people)
    right = corrected_difference(people, (labels[0], labels[1]))
    assert right.weights == pytest.approx((1.0, 1.0), abs=0.15)
    assert right.difference == pytest.approx(right.by_judge, abs=0.01)
    guess = (rng.random(2000), rng.random(2000))
    guessed = corrected_difference(guess, (labels[0], labels[1]))
    assert guessed.weights is not None
    assert max(guessed.weights) < 0.15
    assert right.stderr is not None
    assert guessed.stderr is not None
    assert right.stderr < 0.6 * guessed.stderr
    wrong = corrected_difference((1 - people[0], 1 - people[1]), (labels[0], labels[1]))
    assert wrong.weights == (0.0, 0.0)


def test_where_people_have_judged_all_it_is_their_difference() -> None:
    case = Judged(n=100, share=1.0)
    judge, people = case.draw(np.random.default_rng(5))
    found = corrected_difference(judge, people)
    assert found.difference == pytest.approx((people[1] - people[0]).mean())
    assert found.labels_to_halve is None
    assert found.p_chosen is None
    flat = corrected_difference((np.ones(100), np.ones(100)), people)  # a judge who likes all
    assert flat.weights == (0.0, 0.0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), labels=st.sampled_from(["paired", "one-sided"]), scale=st.sampled_from([1.0, 5.0]))
def test_exchanging_the_sides_turns_the_sign_and_the_order_of_examples_has_no_influence(
    seed: int, labels: str, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    judge, people = Judged(n=80, share=0.3, labels=labels).draw(rng)  # type: ignore[arg-type]
    judge, people = (judge[0] * scale, judge[1] * scale), (people[0] * scale, people[1] * scale)
    found = corrected_difference(judge, people)
    turned = corrected_difference(judge[::-1], people[::-1])
    order = rng.permutation(80)
    moved = corrected_difference((judge[0][order], judge[1][order]), (people[0][order], people[1][order]))
    assert found.difference is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert turned.difference == pytest.approx(-found.difference, abs=1e-9)
    assert turned.p_lower == pytest.approx(found.p_higher)
    assert (moved.difference, moved.stderr) == pytest.approx((found.difference, found.stderr))
    assert -scale <= found.ci_low <= found.difference <= found.ci_high <= scale
    assert found.p_lower + found.p_higher == pytest.approx(1.0)


def test_so_many_more_labels_halve_the_interval() -> None:
    case = Judged(n=4000, share=0.025)
    found = [corrected(case, seed) for seed in range(20)]
    needed = float(np.mean([one.labels_to_halve for one in found]))  # type: ignore[misc]
    more = Judged(n=4000, share=0.025 + needed / 2 / 4000)
    after = [corrected(more, seed) for seed in range(20)]
    widths = [np.mean([one.ci_high - one.ci_low for one in every]) for every in (found, after)]  # type: ignore[operator]
    assert widths[1] / widths[0] == pytest.approx(0.5, abs=0.05)


def test_scores_may_be_as_large_as_numbers_are() -> None:
    judge, people = Judged(n=100, share=0.4).draw(np.random.default_rng(2))
    small = corrected_difference(judge, people)
    for size in (2.0**500, 2.0**1020, 2.0**1023):
        large = corrected_difference((judge[0] * size, judge[1] * size), (people[0] * size, people[1] * size))
        assert large.difference == pytest.approx(small.difference * size)  # type: ignore[operator]
        assert large.ci_low == pytest.approx(small.ci_low * size)  # type: ignore[operator]
        assert (large.p_value, large.labels_to_halve) == (pytest.approx(small.p_value), small.labels_to_halve)
    opposite = people[0] * 2.0**1023, -people[1] * 2.0**1023
    beyond = corrected_difference(judge, opposite)
    assert beyond.ci_low is not None
    assert math.isfinite(beyond.ci_low)
    tables = [result_table(side(one, two * 0 + 1e308)) for one, two in zip(judge, people, strict=True)]
    found = compare_results(tables[0], tables[1], gate=Gate.parse({"metrics": {"correctness": HUMAN}}))
    assert found.verdict is not None
    assert found.verdict.status == "passed"


def test_labels_of_the_side_with_fewer_halve_it_where_the_other_has_hardly_more_examples() -> None:
    """Ten of 1,000 are labelled before, and 600 after: it is the ten that make the interval wide."""
    judge, people = Judged(n=1000, share=1.0, judge="even").draw(np.random.default_rng(3))
    order = np.random.default_rng(4).permutation(1000)
    labels = np.where(order < 10, people[0], np.nan), np.where(order < 600, people[1], np.nan)
    found = corrected_difference(judge, labels)
    assert found.labels_to_halve_by_side is not None
    before, after = found.labels_to_halve_by_side
    assert after == 400  # of each example one
    assert found.labels_to_halve == before + after
    more = corrected_difference(judge, (np.where(order < 10 + before, people[0], np.nan), people[1]))
    assert more.stderr is not None
    assert found.stderr is not None
    assert more.stderr / found.stderr == pytest.approx(0.5, abs=0.1)
    assert corrected(Judged(n=4000, share=0.025)).labels_to_halve_by_side in [(n, n) for n in range(4000)]


def test_too_few_labels_are_no_estimate_and_labels_of_one_side_neither() -> None:
    judge, people = Judged(n=100, share=0.5).draw(np.random.default_rng(0))
    alone = corrected_difference(judge, (people[0], np.full(100, np.nan)))
    assert (alone.method, alone.difference, alone.n_candidate) == ("too few labels", None, 0)
    with pytest.raises(ValueError, match="no example has a score of the judge on both sides"):
        corrected_difference((np.full(3, np.nan), np.ones(3)), (np.ones(3), np.ones(3)))


# Simulations with a known truth -------------------------------------------------------------------

EVERY = [
    Judged(n=n, share=share, scores=scores, judge=judge, labels=labels)
    for n in (200, 1000)
    for share in (0.05, 0.2, 0.5)
    for scores in ("0/1", "continuous")
    for judge in ("biased", "even")
    for labels in ("paired", "one-sided")
]


def bias_and_coverage(case: Judged, n_sim: int) -> tuple[float, float]:
    rng = np.random.default_rng(18)
    found = [corrected_difference(*case.draw(rng)) for _ in range(n_sim)]
    held = [one.ci_low <= case.truth <= one.ci_high for one in found]  # type: ignore[operator]
    return float(np.mean([one.difference for one in found])) - case.truth, float(np.mean(held))  # type: ignore[misc]


@pytest.mark.parametrize("labels", ["paired", "one-sided"])
def test_a_biased_judge_is_corrected(labels: str) -> None:
    """200 draws: the judge is off by 17 points, the corrected difference by less than 1."""
    bias, held = bias_and_coverage(Judged(n=1000, share=0.5, labels=labels), 200)  # type: ignore[arg-type]
    assert abs(bias) < 0.01
    assert held >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_a_corrected_difference_is_within_a_point_and_its_interval_holds(case: Judged) -> None:
    """2,000 draws of each kind: bias within 1 point, coverage at least 93 %."""
    bias, held = bias_and_coverage(case, 2000)
    assert abs(bias) < 0.01
    assert held >= 0.93


# In a gate ----------------------------------------------------------------------------------------


def side(judge: np.ndarray, people: np.ndarray, part: str = "score") -> dict[str, list[object]]:
    words = {0.0: "bad", 1.0: "good"}
    said = [None if math.isnan(one) else (words[one] if part == "label" else one) for one in people.tolist()]
    return {
        "example_id": [f"q{place}" for place in range(len(judge))],
        "eval.correctness.score": judge.tolist(),
        f"annotation.human.{part}": said,
    }


def sides(case: Judged, part: str = "score", seed: int = 4) -> tuple[ResultTable, ResultTable]:
    judge, people = case.draw(np.random.default_rng(seed))
    before, after = (side(*one, part) for one in zip(judge, people, strict=True))
    return result_table(before, "v1"), result_table(after, "v2")


def by_people(case: Judged, seed: int = 4, **rule: object) -> Comparison:
    return compare_results(*sides(case, seed=seed), gate=Gate.parse({"metrics": {"correctness": {**HUMAN, **rule}}}))


def reason(comparison: Comparison) -> str:
    assert comparison.verdict is not None
    return next(said for said in comparison.verdict.reasons if said.startswith("correctness"))


def test_the_gate_goes_by_the_corrected_difference_and_says_both() -> None:
    biased = Judged(n=400, share=0.5)
    plain = compare_results(*sides(biased), gate=Gate.parse({"metrics": {"correctness": {}}}))
    assert plain.verdict is not None
    assert plain.verdict.status == "failed"  # the judge sees a drop of 22 points, and there is one of 5
    found = by_people(biased, max_regression=0.15)
    assert found.verdict is not None
    assert found.verdict.status == "passed"
    said = reason(found)
    assert "by the judge -18 points" in said
    assert "corrected by human (200 examples judged on both sides)" in said
    assert "if chance chose what people judged" in said
    assert "within the allowed regression of 0.15" in said
    assert "; to halve that interval takes more examples, and not labels alone; " in said
    narrow = by_people(biased, max_regression=0.01)
    assert narrow.verdict is not None
    assert narrow.verdict.status in ("inconclusive", "failed")
    share = by_people(biased, max_regression="1%")
    assert "the allowed regression of 1% (0.00" in reason(share)  # of what people say of the baseline


@pytest.mark.parametrize(
    ("seed", "drop", "status"), [(4, 0.5, "failed"), (4, 0.0, "passed")], ids=["people see it", "they do not"]
)
def test_a_judge_that_sees_nothing_hides_no_drop(seed: int, drop: float, status: str) -> None:
    rng = np.random.default_rng(seed)
    people = (1.0 * (rng.random(300) < 0.9), 1.0 * (rng.random(300) < 0.9 - drop))
    labels = tuple(np.where(rng.permutation(300) < 100, one, np.nan) for one in people)
    tables = [result_table(side(np.ones(300), one)) for one in labels]
    gate = Gate.parse({"metrics": {"correctness": HUMAN}})
    found = compare_results(tables[0], tables[1], gate=gate)
    assert found.verdict is not None
    assert found.verdict.status == status
    assert "(100 examples of the baseline and 100 of the candidate)" in reason(found)
    assert ("significantly worse" in reason(found)) is (status == "failed")
    assert Gate.parse({"metrics": {"correctness": {}}}).judge(compare_results(*tables)).status == "passed"


def test_where_less_is_better_more_is_worse() -> None:
    found = by_people(Judged(n=400, share=0.3), direction="minimize")
    assert found.verdict is not None
    assert found.verdict.status == "passed"
    assert "not worse" in reason(found)


def test_too_few_labels_are_inconclusive() -> None:
    found = by_people(Judged(n=100, share=0.04))
    assert found.verdict is not None
    assert found.verdict.status == "inconclusive"
    assert "cannot be corrected by human, which has scores of 4 examples of the baseline and 4 of the" in reason(found)
    assert "at least 10 on either side are needed, on runs drawn at random" in reason(found)
    assert figures_of(found.metrics["correctness"]).corrected == ""


def test_labels_count_where_the_gate_says_which_are_good() -> None:
    case = Judged(n=200, share=0.3)
    tables = sides(case, "label")
    unread = compare_results(*tables, gate=Gate.parse({"metrics": {"correctness": HUMAN}}))
    assert "(120 labels of it without a score: positive would say which count as 1)" in reason(unread)
    scored = compare_results(*sides(case), gate=Gate.parse({"metrics": {"correctness": HUMAN}}))
    judge, people = case.draw(np.random.default_rng(4))
    words = [["good" if one else "bad" for one in every] for every in judge]
    rows = [{**side(*one, "label")} for one in zip(judge, people, strict=True)]
    for row, given_words in zip(rows, words, strict=True):
        del row["eval.correctness.score"]
        row["eval.correctness.label"] = given_words
    gate = Gate.parse({"metrics": {"correctness": {**HUMAN, "positive": "good"}}})
    labelled = compare_results(*map(result_table, rows), gate=gate)  # type: ignore[arg-type]
    assert labelled.metrics["correctness"].corrected == scored.metrics["correctness"].corrected


def worse_by_people(words: dict[bool, str], **side_words: dict[bool, str]) -> list[ResultTable]:
    """A judge who calls all 200 good, beside people's labels of 50: 9 of 10 are good before, 2 of 10 after."""
    rng = np.random.default_rng(5)
    tables = []
    for name, share in (("baseline", 0.9), ("candidate", 0.2)):
        said = side_words.get(name, words)
        people = [said[bool(one)] if place % 4 == 0 else None for place, one in enumerate(rng.random(200) < share)]
        ids = [f"q{place}" for place in range(200)]
        judge = {"example_id": ids, "eval.judge.label": ["good"] * 200}
        tables.append(result_table({**judge, "annotation.human.label": people}, name))
    return tables


@pytest.mark.parametrize("rule", [{}, {"max_regression": 0.05}])
def test_a_judge_that_gives_labels_is_not_corrected_before_somebody_says_which_are_good(
    rule: dict[str, object],
) -> None:
    gate = Gate.parse({"metrics": {"judge": {**HUMAN, **rule}}})
    tables = worse_by_people({True: "good", False: "bad"})
    for verdict in (compare_results(*tables, gate=gate).verdict, gate.judge_alone(tables[0])):
        assert verdict is not None
        assert verdict.status == "failed"
        assert (
            "no mean to judge; say which labels are good, in the gate: {metrics: {judge: {positive: good}}}"
            in (verdict.reasons[0])
        )


GOOD_BAD, YES_NO = {True: "good", False: "bad"}, {True: "yes", False: "no"}


def judge_of_labels(tables: list[ResultTable], **rule: object) -> Comparison:
    gate = Gate.parse({"metrics": {"judge": {**HUMAN, "positive": "good", "max_regression": 0.1, **rule}}})
    return compare_results(tables[0], tables[1], gate=gate)


@pytest.mark.parametrize(
    ("words", "candidate", "unread"),
    [
        (YES_NO, YES_NO, ("yes", "no")),
        ({True: "Good", False: "bad"}, {True: "Good", False: "bad"}, ("Good",)),
        (YES_NO, GOOD_BAD, ("yes",)),
        (GOOD_BAD, YES_NO, ("no", "yes")),
        ({True: "Good", False: "good"}, GOOD_BAD, ("Good",)),
    ],
)
def test_labels_that_nobody_has_said_to_be_good_or_not_pass_nothing(
    words: dict[bool, str], candidate: dict[bool, str], unread: tuple[str, ...]
) -> None:
    found = judge_of_labels(worse_by_people(words, candidate=candidate))
    assert found.verdict is not None
    assert found.verdict.status == "inconclusive"
    corrected = found.metrics["judge"].corrected
    assert corrected is not None
    assert (corrected.method, corrected.difference) == ("unknown labels", None)
    assert set(unread) <= set(corrected.unread)
    (said,) = (one.reason for one in found.verdict.checks if one.name == "judge")
    assert "the judge cannot be corrected by human, whose labels " in said
    assert " positive does not name, so nobody knows which of them count as 1; add the good ones" in said


def test_labels_count_as_0_where_it_is_known_that_they_are_not_good() -> None:
    assert unknown_labels((["good", "bad", "odd"], ["bad"]), ["good"], ["good"]) == set()
    assert unknown_labels((["bad"], ["bad"]), ["good"], ["good", "bad"]) == set()
    assert unknown_labels((["no"], ["no"]), ["yes"], []) == {"no"}
    assert unknown_labels((["yes", "no"], ["no"]), ["yes"], []) == set()
    assert unknown_labels(([], []), ["yes"], []) == set()
    for tables in (worse_by_people(GOOD_BAD), worse_by_people(YES_NO)):
        found = judge_of_labels(tables, positive=["good", "yes"])
        assert found.verdict is not None
        assert found.verdict.status == "failed"
        assert found.metrics["judge"].corrected is not None
        assert found.metrics["judge"].corrected.difference == pytest.approx(-0.7, abs=0.15)


def test_positive_may_be_for_people_alone_where_the_judge_gives_scores() -> None:
    case = Judged(n=200, share=0.3)
    gate = Gate.parse({"metrics": {"correctness": {**HUMAN, "positive": "good", "max_regression": 0.4}}})
    before, after = sides(case, "label")
    found = compare_results(before, after, gate=gate)
    scored = compare_results(*sides(case), gate=Gate.parse({"metrics": {"correctness": HUMAN}}))
    assert found.metrics["correctness"].corrected == scored.metrics["correctness"].corrected
    assert found.verdict is not None
    assert found.verdict.status == "passed"
    assert "'good' counts as 1 in human's labels" in reason(found)
    alone = gate.judge_alone(before)  # people judge it later
    assert alone.status == "passed"
    assert "corrected_by human is asked of the difference to a baseline, and there is none" in alone.reasons[0]
    plain = Gate.parse({"metrics": {"correctness": {"positive": "good"}}})
    assert "and its evaluator gives no labels" in compare_results(before, after, gate=plain).verdict.reasons[0]  # type: ignore[union-attr]


def test_labels_that_are_left_out_beside_scores_are_told() -> None:
    judge, people = Judged(n=200, share=0.3).draw(np.random.default_rng(4))
    rows = [side(*one) for one in zip(judge, people, strict=True)]
    for row in rows:
        given = row["annotation.human.score"]
        some = [place for place, one in enumerate(given) if one is not None][:20]
        row["annotation.human.label"] = ["good" if place in some else None for place in range(200)]
        row["annotation.human.score"] = [None if place in some else one for place, one in enumerate(given)]
    gate = Gate.parse({"metrics": {"correctness": HUMAN}})
    found = compare_results(*map(result_table, rows), gate=gate)  # type: ignore[arg-type]
    assert "(40 examples judged on both sides; 40 labels of it without a score: positive would say which" in reason(
        found
    )


def test_a_name_that_nobody_has_annotated_is_told_with_those_that_there_are() -> None:
    gate = Gate.parse({"metrics": {"correctness": {"corrected_by": "humman"}}})
    found = compare_results(*sides(Judged(n=200, share=0.3)), gate=gate)
    assert "(unknown annotation 'humman'; did you mean 'human'? Known: human): at least 10" in reason(found)
    for field in ("annotation.human.score", "annotation.human.label", "eval.human.score"):
        with pytest.raises(InvalidSetting, match=f"corrected_by='{field}' is a field; name what it is of: 'human'"):
            Gate.parse({"metrics": {"correctness": {"corrected_by": field}}})


@pytest.mark.parametrize("of_people", ["neither", "baseline", "candidate"])
def test_scores_of_a_model_in_a_table_are_not_what_people_say(of_people: str) -> None:
    rows = [{"example_id": f"e{n}", "output": n, "eval.correctness.score": 1, "given": n > 2} for n in range(40)]

    def table(side: str) -> ResultTable:
        kind = "HUMAN" if of_people == side else "LLM"
        columns = {"human": EvaluationResultFieldNames(score="given", annotator_kind=kind)}
        return result_table(read_results(rows, evaluator_columns=columns))

    gate = Gate.parse({"metrics": {"correctness": HUMAN}})
    found = compare_results(table("baseline"), table("candidate"), gate=gate)
    assert found.verdict is not None
    assert found.verdict.status == "inconclusive"
    assert found.metrics["correctness"].corrected.method == "not by people"
    assert "whose scores are not people's: an evaluator of the kind LLM gave them; name an annotation" in reason(found)


def test_an_experiment_evaluator_is_not_corrected() -> None:
    gate = Gate.parse({"metrics": {"total": HUMAN}})
    with pytest.raises(InvalidSetting, match="'total' is an experiment evaluator, which gives one value over all of"):
        compare_results(*sides(Judged(n=50, share=0.5)), gate=gate, experiment_evaluators={"total": len})


def test_people_may_be_an_evaluator_as_well() -> None:
    judge, people = Judged(n=200, share=0.3).draw(np.random.default_rng(4))
    rows = [side(*one) for one in zip(judge, people, strict=True)]
    for row in rows:
        row["eval.human.score"] = row.pop("annotation.human.score")
    gate = Gate.parse({"metrics": {"correctness": HUMAN}})
    found = compare_results(*map(result_table, rows), gate=gate)  # type: ignore[arg-type]
    expected = compare_results(*sides(Judged(n=200, share=0.3)), gate=gate)
    assert found.metrics["correctness"].corrected == expected.metrics["correctness"].corrected


def test_labels_of_chosen_examples_are_told() -> None:
    judge, people = Judged(n=400, share=1.0).draw(np.random.default_rng(3))
    chosen = judge[1] + 0.001 * np.arange(400) < 0.5  # mostly what the judge dislikes
    labels = [np.where(chosen, one, np.nan) for one in people]
    tables = [result_table(side(*one)) for one in zip(judge, labels, strict=True)]
    found = compare_results(tables[0], tables[1], gate=Gate.parse({"metrics": {"correctness": HUMAN}}))
    assert "which it does not look like: the judge scores these unlike the others (p <0.001)" in reason(found)
    assert "people's scores of runs drawn at random are needed to tell" in reason(found)


@pytest.mark.parametrize(("n_chosen", "status"), [(12, "inconclusive"), (5, "passed")])
def test_nothing_passes_where_the_labelled_examples_are_clearly_chosen(n_chosen: int, status: str) -> None:
    """Of 60 the judge likes 40; people have judged 12, of which `n_chosen` are among the others."""
    judge, people = 1.0 * (np.arange(60) < 40), np.full(60, np.nan)
    people[[*range(40, 40 + n_chosen), *range(12 - n_chosen)]] = 1.0
    table = result_table(side(judge, people))
    found = compare_results(table, table, gate=Gate.parse({"metrics": {"correctness": HUMAN}}))
    assert found.verdict is not None
    assert found.verdict.status == status
    assert ("drawn at random are needed to tell" in reason(found)) is (status != "passed")


def test_labels_beside_a_judge_who_scores_all_alike_do_not_look_chosen() -> None:
    people = np.where(np.arange(100) < 40, 1.0, np.nan)
    for scores in ((0.5, 0.4), (0.3, 0.1), (0.7, 0.8)):
        judge = np.full(100, scores[0]), np.full(100, scores[1])
        assert corrected_difference(judge, (people, people)).p_chosen == 1.0


@pytest.mark.thorough
@pytest.mark.parametrize("scores", ["0/1", "continuous"])
def test_labels_drawn_by_chance_seldom_look_chosen(scores: str) -> None:
    """300 draws of 12 of 60: as many at most have so small a p-value as that says, give or take 3 standard errors."""
    rng, found = np.random.default_rng(7), []
    for _ in range(300):
        judge = rng.beta(8, 1, (2, 60)) if scores == "continuous" else 1.0 * (rng.random((2, 60)) < [[0.8], [0.93]])
        people = [np.where(rng.permutation(60) < 12, 1.0, np.nan) for _ in range(2)]
        found.append(corrected_difference((judge[0], judge[1]), (people[0], people[1])).p_chosen)
    for level in (0.05, 0.01):
        assert np.mean(np.array(found) <= level) <= level + 3 * math.sqrt(level * (1 - level) / 300)


def test_missing_scores_count_as_the_worst_in_the_corrected_difference_too() -> None:
    judge, people = Judged(n=400, share=0.4, judge="even").draw(np.random.default_rng(9))
    before, after = (side(*one) for one in zip(judge, people, strict=True))
    broken = with_errors(after, *range(160, 300), column="eval.correctness.error")
    for place in range(160, 300):
        broken["eval.correctness.score"][place] = None
    gate = Gate.parse({"metrics": {"correctness": {**HUMAN, "max_regression": 0.3}}})
    found = compare_results(result_table(before), result_table(broken), gate=gate)
    assert found.verdict is not None
    assert found.verdict.status == "failed"
    (check,) = [one for one in found.verdict.checks if one.name == "correctness"]
    assert "with missing scores counted as the worst (140 of the candidate's)" in check.reason
    metric = found.metrics["correctness"]
    corrected, by_judge = metric.corrected, metric.missing_as_worst
    assert corrected is not None
    assert by_judge is not None
    filled = filled_with(by_judge, metric, 0.95)
    assert filled.difference < corrected.difference  # type: ignore[operator]
    assert filled.ci_high - filled.difference == pytest.approx(filled.difference - filled.ci_low)  # type: ignore[operator]
    assert filled.ci_high - filled.ci_low > corrected.ci_high - corrected.ci_low  # type: ignore[operator]


def test_the_reason_says_how_many_more_labels_on_which_side() -> None:
    paired, others = (by_people(Judged(n=1000, share=0.05, labels=way)) for way in ("paired", "one-sided"))  # type: ignore[arg-type]
    for found in (paired, others):
        corrected = found.metrics["correctness"].corrected
        assert corrected is not None
        assert corrected.labels_to_halve_by_side is not None
        number = corrected.labels_to_halve_by_side[0]
        assert f"; about {number} more scores of human on either side would halve that interval" in reason(found)
    judge, people = Judged(n=1000, share=0.05, labels="one-sided").draw(np.random.default_rng(4))
    people[0][np.flatnonzero(~np.isnan(people[0]))[:20]] = np.nan
    tables = [result_table(side(*one)) for one in zip(judge, people, strict=True)]
    found = compare_results(tables[0], tables[1], gate=Gate.parse({"metrics": {"correctness": HUMAN}}))
    assert "more scores of human on the baseline and " in reason(found)
    assert "on the candidate would halve that interval" in reason(found)


@pytest.mark.thorough
def test_the_smallest_drop_is_the_corrected_tests() -> None:
    """A drop as large as said is found about 4 times of 5, and not by the judge's own, much narrower test."""
    rng, told, found = np.random.default_rng(8), [], []
    gate = Gate.parse({"metrics": {"correctness": HUMAN}})
    for drop in (0.0,) * 10 + (None,) * 40:
        fall = float(np.mean(told)) if drop is None else drop
        people = np.tile(1.0 * (rng.random(400) < 0.85), (2, 1))
        people[1] *= rng.random(400) >= fall / 0.85
        judge = [np.where(rng.random(400) < 0.1, 1 - one, one) for one in people]
        drawn = rng.permutation(400) < 120
        tables = [result_table(side(one, np.where(drawn, two, np.nan))) for one, two in zip(judge, people, strict=True)]
        verdict = compare_results(tables[0], tables[1], gate=gate).verdict
        assert verdict is not None
        if drop is None:
            found.append(verdict.status == "failed")
        elif (smallest := verdict.checks[0].smallest_drop) is not None:
            told.append(smallest)
    assert len(told) == 10
    assert np.mean(found) >= 0.65
    # At 8 degrees of freedom one-sided 5 % is a t of 1.860, 80 % of 0.889, and the interval's 2.306.
    few = replace(corrected_difference(*Judged(n=1000, share=0.01).draw(rng)), stderr=0.1)
    drop = smallest_corrected_drop(few, Asked(alpha=0.05))
    assert drop is not None
    assert drop == pytest.approx((1.8595 + 0.8889) * math.sqrt(0.1**2 + drop * (1 - drop) / 10), rel=1e-3)
    wide = smallest_corrected_drop(few, Asked(alpha=0.05, margin=0.8))
    assert wide is not None
    assert wide == pytest.approx(0.8 + (0.8889 - 2.3060) * math.sqrt(0.1**2 + wide * (1 - wide) / 10), rel=1e-3)
    assert smallest_corrected_drop(replace(few, stderr=0.4), Asked(alpha=0.05)) is None


@pytest.mark.parametrize("widest", [1.0, 4.0])
@pytest.mark.parametrize(("n_baseline", "n_candidate"), [(40, 25), (25, 40)])
@pytest.mark.parametrize("margin", [None, 0.02, 0.3])
def test_the_smallest_drop_is_as_many_standard_errors_as_the_test_and_the_power_take(
    widest: float, n_baseline: int, n_candidate: int, margin: float | None
) -> None:
    """Where examples that fall by all there is are added to what people's scores differ by: solved otherwise."""
    found = replace(
        corrected(Judged(n=100, share=0.3)),
        stderr=0.05,
        df=23.0,
        n_baseline=n_baseline,
        n_candidate=n_candidate,
        widest=widest,
    )

    def beyond(drop: float) -> float:
        error = np.sqrt(0.05**2 + drop * (widest - drop) / 25)
        bounds = [student_t(23).ppf(0.99) * error]
        if margin is not None:
            bounds.append(margin - student_t(23).ppf(0.95) * error)
        return float(drop - max(bounds) - student_t(23).ppf(0.8) * error)

    drop = smallest_corrected_drop(found, Asked(alpha=0.01, confidence=0.9, margin=margin))
    assert drop == pytest.approx(brentq(beyond, 0.0, widest), abs=1e-4 * widest)


def test_where_nothing_is_corrected_no_drop_is_said_to_be_found() -> None:
    found = by_people(Judged(n=400, share=0.01, judge="even"))
    assert found.verdict is not None
    assert "would have been found" not in reason(found)
    assert found.verdict.checks[0].smallest_drop is None


def test_all_that_is_shown_says_it() -> None:
    found = by_people(Judged(n=400, share=0.2))
    metric = found.metrics["correctness"]
    assert metric.corrected is not None
    line = f"correctness: {reason(found).split('regressed: ', 1)[1].split('; ', 1)[0]}"
    assert line.split(" corrected", 1)[0] in printed(lambda out: print_comparison(found, out))
    assert line.split(" corrected", 1)[0] in comparison_markdown(found)
    assert metric_line(figures_of(metric)).endswith("corrected by human")
    written = json.loads(json.dumps(found.to_dict()))["metrics"]["correctness"]["corrected"]
    assert written["difference"] == metric.corrected.difference
    assert written["method"] == "paired"


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="corrected_by='correctness' is the metric itself; name people's scores"):
        Gate.parse({"metrics": {"correctness": {"corrected_by": "correctness"}}})
    with pytest.raises(InvalidSetting, match="corrected_by"):
        Gate.parse({"metrics": {"correctness": {"corrected_by": ""}}})
    plain = compare_results(*sides(Judged(n=100, share=0.3)))
    with pytest.raises(InvalidSetting, match="was made without correcting 'correctness' by 'human', as the gate's"):
        Gate.parse({"metrics": {"correctness": HUMAN}}).judge(plain)


@pytest.mark.slow
def test_equal_sides_seldom_fail() -> None:
    """200 comparisons of equal sides with judges that differ: at most what 5 % may come to."""
    rng, failed = np.random.default_rng(1), 0
    gate = Gate.parse({"metrics": {"correctness": HUMAN}})
    for _ in range(200):
        people = 1.0 * (rng.random((2, 100)) < 0.8)
        judge = [np.abs(people[0] - (rng.random(100) < 0.1)), people[1] * (rng.random(100) < 0.7)]
        labels = [np.where(rng.permutation(100) < 40, one, np.nan) for one in people]
        tables = [result_table(side(*one)) for one in zip(judge, labels, strict=True)]
        verdict = compare_results(tables[0], tables[1], gate=gate).verdict
        assert verdict is not None
        failed += verdict.status == "failed"
    assert failed <= 20
