"""Comparisons whose every figure is known: bounds at which a verdict turns, what is absent, groups, nights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.earlier import EarlierRun, EarlierRuns
from prefect_experiments.analysis.comparison.paired import (
    MCNEMAR,
    alpha_of,
    examples_to_detect,
    examples_to_exclude,
    paired_test,
    pairs_to_reach,
    smallest_p,
)
from prefect_experiments.analysis.comparison.sign_flip import SIGN_FLIP_EXACT, SIGN_FLIP_SAMPLED
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.nights.records import Night, Pooled
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.slices import Slice, SliceMetric
from prefect_experiments.analysis.verdicts import Failures, LabelComparison, Unscored, WorstCase
from prefect_experiments.errors import InvalidSetting

from .tables import columns, one, table, with_errors

# The bounds of a verdict --------------------------------------------------------------------------


@pytest.mark.parametrize(("confidence", "verdict"), [(0.9375, "regressed"), (0.9376, "unchanged")])
def test_a_metric_has_moved_where_p_is_what_the_confidence_leaves(confidence: float, verdict: str) -> None:
    """All of five pairs fall: McNemar's exact p is 2 / 2^5 = 0.0625, to the last digit."""
    given = {**columns(x=[1.0] * 5), "latency_ms": [1.0] * 5, "eval.tone.label": ["a"] * 5}
    later = {**columns(x=[0.0] * 5), "latency_ms": [2.0, 3, 4, 5, 6], "eval.tone.label": ["b"] * 5}
    found = compare_results(result_table(given), result_table(later), confidence=confidence)
    alone = compare_results(table(x=[1.0] * 5), table(x=[0.0] * 5), confidence=confidence).metrics["x"]
    assert (alone.p_value_adjusted, alone.verdict) == (0.0625, verdict)
    assert (found.operations["latency_ms"].p_value, found.operations["latency_ms"].verdict) == (0.0625, verdict)
    assert (found.operations["latency_ms"].examples_needed is None) is (verdict == "regressed")
    labels, moved = ({name: values for name, values in side.items() if ".x." not in name} for side in (given, later))
    tone = compare_results(result_table(labels), result_table(moved), confidence=confidence).labels["tone"]
    assert (tone.p_value_adjusted, tone.verdict) == (
        pytest.approx(0.0625),
        "changed" if verdict == "regressed" else "unchanged",
    )
    neutral = compare_results(
        table(x=[1.0] * 5), table(x=[0.0] * 5), confidence=confidence, directions={"x": "neutral"}
    ).metrics["x"]
    assert neutral.verdict == ("changed" if verdict == "regressed" else "unchanged")


@pytest.mark.parametrize("confidence", [0.5, 1, 1.0, 0.3])
def test_a_confidence_is_above_a_half_and_below_all(confidence: float) -> None:
    with pytest.raises(InvalidSetting) as caught:
        compare_results(table(x=[1]), table(x=[1]), confidence=confidence)
    assert str(caught.value) == f"confidence must be above 0.5 and below 1, such as 0.95; got {confidence!r}"
    assert compare_results(table(x=[1]), table(x=[1]), confidence=0.501).confidence == 0.501
    assert compare_results(table(x=[1]), table(x=[1])).confidence == 0.95
    gate = Gate(confidence=0.9)
    assert compare_results(table(x=[1]), table(x=[1]), gate=gate).confidence == 0.9
    assert compare_results(table(x=[1]), table(x=[1]), gate=gate, confidence=0.9).confidence == 0.9


def test_what_does_not_differ_at_all_is_unchanged_whatever_p_says() -> None:
    """As many up as down: the difference is 0, and no number of examples would show one."""
    found = one(table(x=[0, 1, 0.5]), table(x=[1, 0, 0.5]))
    assert (found.difference, found.verdict, found.examples_needed) == (0.0, "unchanged", None)
    assert (found.wins, found.losses, found.ties, found.p_value) == (1, 1, 1, 1.0)


# What is missing ----------------------------------------------------------------------------------


def test_what_is_missing_and_what_it_could_hide() -> None:
    """A failed evaluator on either side, a score that is just not there, and examples that were not run."""
    ids = list("abcdefgh")
    before = with_errors(columns(ids, x=[1, None, 1, None, 1, 1, None, 1]), 1, column="eval.x.error")
    after = with_errors(columns(ids[:7], x=[1, 1, None, None, None, 0, 1]), 2, column="eval.x.error")
    found = compare_results(result_table(before), result_table(after)).metrics["x"]
    assert (found.n_pairs, found.n_baseline_scored, found.worst_score) == (2, 5, 0.0)
    assert found.unscored == Unscored(candidate_only=2, baseline_only=2, candidate_errors=1, baseline_errors=1)
    errors, missing = found.errors_as_worst, found.missing_as_worst
    assert errors is not None
    assert missing is not None
    # a 0, f -1; b +1 and c -1 by errors. Then e -1 and g +1, which have no score, and h -1, which was not run.
    by_errors, by_all = np.array([0, 1, -1, -1]), np.array([0, 1, -1, -1, -1, 1, -1])
    for case, differences, counts in ((errors, by_errors, (1, 1)), (missing, by_all, (2, 3))):
        expected = paired_test(1.0 * (differences < 0), 1.0 * (differences > 0))
        assert case == WorstCase(
            n_pairs=len(differences),
            n_baseline=counts[0],
            n_candidate=counts[1],
            difference=expected.difference,
            ci_low=expected.ci_low,
            ci_high=expected.ci_high,
            p_value=expected.p_value,
            p_higher=expected.p_higher,
            p_lower=expected.p_lower,
            smallest_p=expected.smallest_p,
        )


def test_what_is_absent_counts_where_its_task_did_not_fail_on_the_other_side() -> None:
    before = with_errors(columns(list("abcde"), x=[1, 1, 1, 1, None]), 4)
    after = with_errors(columns(list("abc"), x=[1, None, 1]), 1)
    found = compare_results(result_table(before), result_table(after))
    assert found.failures == Failures(candidate_only=1, baseline_only=0, candidate_absent=1)
    assert (found.only_in_baseline, found.only_in_candidate, found.n_pairs) == (("d", "e"), (), 3)


def test_a_metric_without_a_pair_says_how_many_scores_it_should_have_had() -> None:
    found = compare_results(table(x=[1, 1, None], y=[1, 0, 1]), table(x=[None, None, 1], z=[1, 1, 1])).metrics
    assert {name: (metric.n_pairs, metric.n_baseline_scored, metric.verdict) for name, metric in found.items()} == {
        "x": (0, 2, "no data"),
        "y": (0, 3, "no data"),
        "z": (0, 0, "no data"),
    }


@pytest.mark.thorough
def test_an_experiment_evaluator_needs_examples_that_both_ran() -> None:
    evaluators = {"share": lambda runs: float(runs["eval.x.score"].mean())}
    nothing = compare_results(table(["a", "b"], x=[1, 0]), table(["c"], x=[1]), experiment_evaluators=evaluators)
    metric = nothing.metrics["share"]
    assert (metric.n_pairs, metric.n_baseline_scored, metric.verdict) == (0, 2, "no data")
    some = compare_results(table(["a", "b"], x=[1, 0]), table(["b"], x=[1]), experiment_evaluators=evaluators)
    metric = some.metrics["share"]
    assert (metric.n_pairs, metric.n_baseline_scored, metric.difference) == (1, 2, 1.0)


# Labels -------------------------------------------------------------------------------------------


def test_labels_of_either_side_whole() -> None:
    """Of an example with two runs no single move is told, and of one without a label on either side nothing."""
    before = {
        "example_id": ["a", "b", "c", "d", "d", "e", "f"],
        "repetition_number": [1, 1, 1, 1, 2, 1, 1],
        "eval.tone.label": ["x", "x", "y", "x", "y", None, "x"],
    }
    after = {"example_id": ["a", "b", "c", "d", "e", "f"], "eval.tone.label": ["y", "y", "y", "x", None, None]}
    found = compare_results(result_table(before), result_table(after)).labels["tone"]
    assert found == LabelComparison(
        name="tone",
        n_pairs=5,
        baseline={"x": 4, "y": 2},
        candidate={"y": 3, "x": 1, "(no label)": 1},
        n_moved=4,
        moves=(("x", "y", 2), ("x", "(no label)", 1)),
        p_value=found.p_value,
        p_value_adjusted=found.p_value,
        smallest_p=2 / 2**5,
        test="Stuart-Maxwell, exact by permutation",
        has_scores=False,
        verdict="unchanged",
    )
    assert found.p_value == pytest.approx(0.5)  # of 16 exchanges, 8 are as extreme


# Groups -------------------------------------------------------------------------------------------


def grouped(scores: Sequence[float], topics: Sequence[Any], **more: Sequence[Any]) -> ResultTable:
    return result_table({**columns(x=scores), "metadata.topic": list(topics), **{n: list(v) for n, v in more.items()}})


@pytest.mark.parametrize("direction", ["maximize", "minimize", "neutral"])
def test_each_figure_of_a_group(direction: Any) -> None:
    """In a, 12 of 20 fall; in b, 4 of 10 rise and 4 fall; in c nothing differs; d has nine, which are too few."""
    topics = ["a"] * 20 + ["b"] * 10 + ["c"] * 10 + ["d"] * 9
    before = [1.0] * 20 + [0.0] * 4 + [1.0] * 6 + [1.0] * 10 + [1.0] * 9
    after = [0.0] * 12 + [1.0] * 8 + [1.0] * 4 + [0.0] * 4 + [1.0] * 2 + [1.0] * 10 + [0.0] * 9
    found = compare_results(grouped(before, topics), grouped(after, topics), directions={"x": direction}).slices
    assert [(one.name, one.n_examples) for one in found.groups] == [
        ("metadata.topic=a", 20),
        ("metadata.topic=b", 10),
        ("metadata.topic=c", 10),
    ]
    verdict = {"maximize": "regressed", "minimize": "improved", "neutral": "changed"}[direction]
    places = {"a": slice(0, 20), "b": slice(20, 30), "c": slice(30, 40)}
    for group in found.groups:
        left, right = (np.array(side[places[group.value]]) for side in (before, after))
        expected = paired_test(left, right)
        moved = group.value == "a"
        better = {"maximize": expected.higher, "minimize": expected.lower, "neutral": 0}[direction]
        worse = {"maximize": expected.lower, "minimize": expected.higher, "neutral": 0}[direction]
        assert group == Slice(
            field="metadata.topic",
            value=group.value,
            n_examples=len(left),
            metrics={
                "x": SliceMetric(
                    name="x",
                    n_pairs=len(left),
                    baseline_mean=left.mean(),
                    candidate_mean=right.mean(),
                    difference=expected.difference,
                    ci_low=expected.ci_low,
                    ci_high=expected.ci_high,
                    wins=better,
                    losses=worse,
                    p_value=expected.p_value,
                    # Of what could show something: a and b.
                    p_value_adjusted={"a": 2 * expected.p_value, "b": 1.0, "c": None}[group.value],
                    p_worse=expected.p_value / 2 if moved and direction == "maximize" else 1.0,
                    smallest_p={"a": 0.5**12, "b": 0.5**8, "c": 1.0}[group.value],
                    sd_difference=expected.sd_difference,
                    baseline_sd=pytest.approx(left.std(ddof=1)),
                    test=MCNEMAR,
                    verdict=verdict if moved else "unchanged",
                )
            },
        )


def test_what_is_lacking_in_a_group_counts_as_the_worst_in_one_direction() -> None:
    """Six of a fail, four more have no score, two were not run; of b nothing is lacking."""
    topics = ["a"] * 20 + ["b"] * 20
    before = grouped([1.0] * 40, topics)
    ids = [f"q{place:05d}" for place in range(40)]
    given = {
        **columns(ids, x=[None] * 10 + [1.0] * 30),
        "eval.x.error": ["Boom"] * 6 + [None] * 34,
        "metadata.topic": topics,
    }
    after = result_table({name: [*values[:18], *values[20:]] for name, values in given.items()})
    for direction, is_worse in (("maximize", True), ("minimize", False), ("neutral", None)):
        found = compare_results(before, after, directions={"x": direction}).slices  # type: ignore[dict-item]
        a, b = (group.metrics["x"] for group in found.groups)
        assert (a.n_pairs, a.n_lacking, b.n_pairs, b.n_lacking) == (8, 12, 20, 0)
        assert (b.p_missing_as_worst, b.p_errors_as_worst) == (None, None)
        if is_worse is None:
            assert (a.p_missing_as_worst, a.p_errors_as_worst) == (None, None)
        elif is_worse:
            assert (a.p_missing_as_worst, a.p_errors_as_worst) == pytest.approx((2 * 0.5**12, 2 * 0.5**6))
        else:  # the worst of scores where less is better is 1, which all of them had
            assert (a.p_missing_as_worst, a.p_errors_as_worst) == (1.0, 1.0)


def test_a_metric_without_a_score_in_a_group_has_no_figures_there() -> None:
    topics = ["a"] * 10 + ["b"] * 10
    before, after = grouped([1.0] * 20, topics), grouped([None] * 10 + [1.0] * 10, topics)  # type: ignore[list-item]
    a = compare_results(before, after).slices.groups[0].metrics["x"]
    assert a == SliceMetric(name="x", n_lacking=10, p_missing_as_worst=pytest.approx(2 * 0.5**10))


def test_examples_without_a_value_of_a_field_that_is_asked_for_are_counted() -> None:
    topics = ["a"] * 8 + ["b"] * 8 + [None] * 4
    side = grouped([1.0] * 20, topics)
    found = compare_results(side, side, gate=Gate(slices=["metadata.topic", "metadata.nothing"])).slices
    assert (found.asked, found.without) == (("metadata.topic", "metadata.nothing"), {"metadata.topic": 4})
    assert [one.n_examples for one in found.groups] == [8, 8]  # a gate may ask for small ones
    assert compare_results(side, side).slices.left_out == {"metadata.topic": "none of its groups has 10 examples"}
    nothing = compare_results(side, table(["z"], x=[1.0]), gate=Gate(slices="metadata.topic")).slices
    assert (nothing.groups, nothing.asked, nothing.without) == ((), ("metadata.topic",), {})


# Nights -------------------------------------------------------------------------------------------


def nights(*runs: dict[str, Any], pooled: int = 3) -> Any:
    """A comparison of 60 examples, the runs between given by how many of them are right, and what is known of them."""
    ids = [f"q{place:02}" for place in range(60)]

    def of(n_right: int, label: str) -> ResultTable:
        return table(ids, label, x=[1.0] * n_right + [0.0] * (60 - n_right))

    earlier = tuple(
        EarlierRun(table=of(run.pop("right", 48), f"n{number}"), date=f"2026-11-{number:02}", **run)
        for number, run in enumerate(runs, 1)
    )
    return compare_results(of(48, "base"), of(47, "new"), earlier=EarlierRuns(runs=earlier, pooled=pooled))


def test_a_baseline_is_pooled_of_the_first_runs_of_its_own_task_that_did_not_fail() -> None:
    found = nights({"of_baseline": False}, {"failed": True}, {"right": 47}, {"of_candidate": False}, {"right": 46})
    assert found.pooled == Pooled(asked=3, runs=("n3", "n4"))
    metric = found.metrics["x"]
    assert metric.baseline_mean == pytest.approx((48 + 47 + 48) / 180)
    # n4 is no night of the candidate's task.
    assert [(night.label, night.date, night.failed) for night in metric.nights] == [
        ("n1", "2026-11-01", False),
        ("n2", "2026-11-02", True),
        ("n3", "2026-11-03", False),
        ("n5", "2026-11-05", False),
        ("", "", False),
    ]
    assert [night.worse_by is None for night in metric.nights] == [True, False, False, False, False]
    assert metric.nights[0] == Night(label="n1", date="2026-11-01", worse_by=None, p_better=1.0)


@pytest.mark.parametrize(("pooled", "runs"), [(1, None), (2, ("n1",)), (3, ("n1", "n2")), (4, ("n1", "n2", "n3"))])
def test_a_baseline_is_pooled_of_as_many_runs_as_are_asked_for(pooled: int, runs: tuple[str, ...] | None) -> None:
    found = nights({}, {}, {}, pooled=pooled)
    assert found.pooled == (None if runs is None else Pooled(asked=pooled, runs=runs))
    assert [night.label for night in found.metrics["x"].nights] == ["n1", "n2", "n3", ""]


def test_examples_of_an_earlier_run_that_have_changed_take_no_part_and_are_counted() -> None:
    ids = ["a", "b", "c", "d"]

    def side(scores: list[float], label: str, asked: str = "q") -> ResultTable:
        return result_table({**columns(ids, x=scores), "input": [asked, "q2", "q3", "q4"]}, label)

    runs = (EarlierRun(table=side([0, 0, 0, 0], "edited", "other")), EarlierRun(table=side([1, 0, 1, 1], "same")))
    found = compare_results(
        side([1, 1, 1, 0], "base"), side([0, 1, 1, 1], "new"), earlier=EarlierRuns(runs=runs, pooled=3)
    )
    assert found.pooled == Pooled(asked=3, runs=("edited", "same"), changed_examples={"edited": 1})
    metric = found.metrics["x"]
    # Of a the mean is that of two runs.
    assert metric.baseline_mean == pytest.approx((1 + 1 / 3 + 2 / 3 + 1 / 3) / 4)
    assert (metric.wins, metric.losses, metric.ties) == (2, 1, 1)
    assert replace(found, pooled=None).pooled is None


@pytest.mark.parametrize(
    ("n_metrics", "n_moved", "is_unlike"), [(1, 9, False), (1, 10, True), (2, 10, False), (2, 11, True)]
)
def test_a_run_is_unlike_the_baseline_where_chance_makes_such_a_one_in_a_month_of_twenty(
    n_metrics: int, n_moved: int, is_unlike: bool
) -> None:
    """So many examples all moved: p is 2^-n, and 0.05 / 30 is shared by the metrics."""
    same = {f"x{number}": [0.0] * 40 for number in range(1, n_metrics)}
    base, run, new = (
        table(None, label, x0=[1.0] * moved + [0.0] * (40 - moved), **same)
        for label, moved in (("base", 0), ("run", n_moved), ("new", 0))
    )
    found = compare_results(base, new, earlier=EarlierRuns(runs=(EarlierRun(table=run),), pooled=2))
    assert found.pooled is not None
    assert found.pooled.runs == (() if is_unlike else ("run",))
    assert found.pooled.left_out == ({"whose scores are unlike those before them": 1} if is_unlike else {})
    assert [night.label for night in found.metrics["x0"].nights] == ["run", ""]


def test_labels_of_earlier_runs_count_as_scores_where_the_gate_says_which_are_good() -> None:
    def side(good: int, label: str) -> ResultTable:
        given = {"example_id": [f"q{n}" for n in range(20)], "eval.tone.label": ["kind"] * good + ["odd"] * (20 - good)}
        return result_table(given, label)

    earlier = EarlierRuns(runs=(EarlierRun(table=side(16, "run")),), pooled=2)
    for good, mean in ((["kind"], (18 + 16) / 40), (["kind", "odd"], 1.0)):
        gate = Gate.parse({"metrics": {"tone": {"positive": good}}})
        found = compare_results(side(18, "base"), side(17, "new"), gate=gate, earlier=earlier)
        assert found.pooled == Pooled(asked=2, runs=("run",))
        assert found.metrics["tone"].baseline_mean == pytest.approx(mean)
        assert found.metrics["tone"].candidate_mean == pytest.approx(17 / 20 if len(good) == 1 else 1.0)


# Sizes --------------------------------------------------------------------------------------------


def test_the_smallest_p_value_of_drawn_signs_is_one_more_than_none() -> None:
    assert smallest_p(3, SIGN_FLIP_SAMPLED) == 0.125
    assert smallest_p(14, SIGN_FLIP_SAMPLED) == 1 / 10_000
    assert smallest_p(14, SIGN_FLIP_EXACT) == 0.5**14
    assert [smallest_p(0, test) for test in (SIGN_FLIP_SAMPLED, SIGN_FLIP_EXACT, MCNEMAR)] == [1.0] * 3
    assert [pairs_to_reach(0.5**n, SIGN_FLIP_EXACT) for n in (0, 1, 2, 30)] == [1, 1, 2, 30]
    assert [pairs_to_reach(0.5**n, MCNEMAR) for n in (0, 1, 2, 30)] == [1, 1, 1, 29]
    assert (alpha_of(0.95) > 0.05, alpha_of(0.95)) == (True, pytest.approx(0.05, rel=1e-7))


def test_so_many_pairs_keep_the_interval_clear_of_a_bound() -> None:
    """By the published formula and, where some of the interval is what has not been seen, by its fixed point."""
    z, z_power = 1.959963985, 0.8416212336
    assert examples_to_exclude(0.1, 0.5, 0.1386, 50) == 197
    for gap, sd, half, n in ((0.05, 0.3, 0.12, 60), (0.2, 0.4, 0.3, 20), (0.03, 0.1, 0.09, 30)):
        unseen = max(0.0, (half**2 * n / z**2 - sd**2) * n)
        needed = examples_to_exclude(gap, sd, half, n)
        assert needed is not None
        for size, is_enough in ((needed, True), (needed - 1, False)):
            reached = ((z * (sd**2 + unseen / size) ** 0.5 + z_power * sd) / gap) ** 2
            assert (reached <= size + 1e-6) is is_enough
    fewer, more = (examples_to_exclude(0.1, 0.5, 0.1, 50, power=power) for power in (0.5, 0.9))
    assert (fewer, more) == (97, 263)
    assert examples_to_exclude(-0.1, 0.5, 0.1, 50) is None


def test_so_many_pairs_find_a_difference() -> None:
    seen = paired_test(np.array([0.1, 0.5, 0.4, 0.9]), np.array([0.3, 0.4, 0.6, 0.95]))
    assert seen.sd_difference is not None
    ratio = seen.sd_difference / seen.difference
    assert examples_to_detect(seen) == int(np.ceil((2.8015852 * ratio) ** 2))
    assert examples_to_detect(seen, power=0.9, confidence=0.9) == int(np.ceil(((1.6448536 + 1.2815516) * ratio) ** 2))
    tiny = replace(seen, difference=seen.sd_difference / 31_622 * 2.8015852)
    assert examples_to_detect(tiny) is not None
    assert examples_to_detect(replace(tiny, difference=tiny.difference / 1.001)) is None
    assert examples_to_detect(replace(seen, difference=0.0)) is None
    assert examples_to_detect(replace(seen, sd_difference=None)) is None
    assert examples_to_detect(replace(seen, sd_difference=0.0)) is None


def test_labels_of_which_no_more_is_known_have_not_moved() -> None:
    found = LabelComparison(name="tone", n_pairs=0)
    assert (found.n_moved, found.moves, found.baseline, found.candidate, found.p_value) == (0, (), {}, {}, None)
