"""Groups of the examples: which are looked at, what moved on them, and a gate that judges them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.paired import mcnemar_p_value
from prefect_experiments.analysis.example_facts import ExampleFacts, Fields, written
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison, MetricCheck
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.reports.html import html_report
from prefect_experiments.reports.markdown import comparison_markdown
from prefect_experiments.reports.pull_request import pull_request_comment
from prefect_experiments.reports.report_model import table_side
from prefect_experiments.reports.terminal import print_comparison, printed

from .tables import checks, columns

TOPICS = ("billing", "shipping", "login", "other")


def side(scores: Any, **metadata: Any) -> ResultTable:
    """One 0/1 metric called ``correctness``, and columns of metadata."""
    return result_table({**columns(correctness=list(scores)), **{key: list(each) for key, each in metadata.items()}})


def refunds(*, others_gain: int = 24) -> tuple[ResultTable, ResultTable]:
    """1,000 examples, of which 40 are refunds and fall from 0.88 to 0.28; as many others got better as these worse."""
    topic = ["refunds"] * 40 + [TOPICS[n % 4] for n in range(960)]
    before = [1] * 35 + [0] * 5 + [0 if n % 9 == 0 else 1 for n in range(960)]
    after = [1] * 11 + [0] * 29 + before[40:]
    for place in [n for n in range(40, 1000) if not before[n]][:others_gain]:
        after[place] = 1
    return tuple(side(scores, **{"metadata.topic": topic}) for scores in (before, after))  # type: ignore[return-value]


def both(topic: Any, *worse: int, n: int = 100, **more: Any) -> tuple[ResultTable, ResultTable]:
    """Both sides alike, but that the candidate is wrong on the examples at some places."""
    metadata = {"metadata.topic": topic, **more}
    after = [0 if place in worse else 1 for place in range(n)]
    return side([1] * n, **metadata), side(after, **metadata)


def check_of_topics(before: ResultTable, after: ResultTable) -> MetricCheck:
    """What a gate says that asks for the topics."""
    verdict = compare_results(before, after, gate=Gate(slices="metadata.topic")).verdict
    assert verdict is not None
    (check,) = (
        check for check in verdict.checks if check.name == "metadata.topic" and "not judged" not in check.reason
    )
    return check


def moved(comparison: Comparison) -> list[tuple[str, str, str]]:
    return [(group.name, metric.name, metric.verdict) for group, metric in comparison.slices.moved]


def test_a_group_that_got_worse_is_named_although_the_whole_did_not() -> None:
    comparison = compare_results(*refunds(), gate=Gate())
    assert comparison.verdict is not None
    assert comparison.verdict.status == "passed"
    assert moved(comparison) == [("metadata.topic=refunds", "correctness", "regressed")]
    (found,) = (one.metrics["correctness"] for one in comparison.slices.groups if one.value == "refunds")
    assert (found.n_pairs, found.losses, found.baseline_mean, found.candidate_mean) == (40, 24, 0.875, 0.275)
    line = "metadata.topic=refunds: correctness 0.275, -60 points"
    page = html_report(comparison, *(table_side(table) for table in refunds()[::-1]))
    for text in (
        page,
        printed(lambda out: print_comparison(comparison, out)),
        comparison_markdown(comparison),
        pull_request_comment(comparison),
    ):
        assert "Groups of examples that moved" in text
        assert line in text.replace("\\", "").replace("`", ""), text
    (kept,) = (one for one in comparison.to_dict()["slices"]["groups"] if one["value"] == "refunds")
    assert kept["metrics"]["correctness"]["verdict"] == "regressed"


def test_a_gate_that_asks_for_the_slices_fails() -> None:
    verdict = compare_results(*refunds(), gate=Gate(slices=["metadata.topic"])).verdict
    assert verdict is not None
    assert (verdict.status, verdict.exit_code) == ("failed", 1)
    assert checks(verdict)["metadata.topic"] == "failed"
    assert verdict.reasons[0].startswith("metadata.topic=refunds: correctness 0.275, -60 points [")
    assert verdict.reasons[0].endswith("against 0.875 on 40 pairs: significantly worse (adjusted p < 0.001, one-sided)")


def test_what_is_only_named_costs_the_metrics_nothing() -> None:
    before, after = refunds()
    with_topics = compare_results(before, after, gate=Gate())
    bare = [side(table.scores["correctness"].tolist()) for table in (before, after)]
    without = compare_results(*bare, gate=Gate())
    assert not without.slices.groups
    assert with_topics.metrics == without.metrics
    assert with_topics.verdict == without.verdict


def test_p_values_are_exact_and_adjusted_among_the_slices_that_could_show_something() -> None:
    """Of a group in which 8 got worse p is 2 * 0.5^8; in one of the two others nothing differs, so Holm counts two."""
    topic = ["a"] * 40 + ["b"] * 30 + ["c"] * 30
    comparison = compare_results(*both(topic, *range(8), *range(40, 46)))
    found = {one.value: one.metrics["correctness"] for one in comparison.slices.groups}
    assert found["a"].p_value == mcnemar_p_value(0, 8) == pytest.approx(2 * 0.5**8)
    assert found["a"].p_worse == pytest.approx(0.5**8)
    assert found["a"].smallest_p == pytest.approx(0.5**8)
    assert found["a"].p_value_adjusted == pytest.approx(4 * 0.5**8)
    assert found["b"].p_value_adjusted == pytest.approx(2 * 0.5**6)
    assert found["c"].p_value_adjusted is None
    assert [found[value].verdict for value in "abc"] == ["regressed", "regressed", "unchanged"]


def test_which_fields_and_groups_are_looked_at() -> None:
    n = 300
    metadata = {
        "metadata.two": ["x", "y"] * 150,
        "metadata.customer.tier": ["gold"] * 9 + ["silver"] * 291,
        "metadata.same": ["x"] * n,
        "metadata.many": [str(place % 21) for place in range(n)],
        "metadata.id": [str(place) for place in range(n)],
        "metadata.small": [str(place % 20) if place < 100 else None for place in range(n)],
        "metadata.text": ["long " * 30, "short"] * 150,
        "splits": ["dev", "test"] * 150,
    }
    comparison = compare_results(side([1] * n, **metadata), side([1] * n, **metadata))
    assert {(one.name, one.n_examples) for one in comparison.slices.groups} == {
        ("metadata.two=x", 150),
        ("metadata.two=y", 150),
        ("metadata.customer.tier=silver", 291),
        ("splits=dev", 150),
        ("splits=test", 150),
    }
    assert comparison.slices.left_out == {
        "metadata.same": "all examples have the same value",
        "metadata.many": "it has 21 values, more than 20",
        "metadata.id": "it has more than 50 values",
        "metadata.small": "none of its groups has 10 examples",
        "metadata.text": "it holds long texts",
    }


def test_how_values_are_written() -> None:
    every = [1, 1.0, "1", "1.0", True, "true", 1e300, 0.30000000000000004]
    assert [written(one) for one in every] == ["1", "1", "1", "1.0", "true", "true", "1e+300", "0.30000000000000004"]


def test_two_ways_of_keys_with_one_name_are_both_values_of_the_field() -> None:
    found = Fields.of([ExampleFacts("e", {"a.b": "x", "a": {"b": "y"}}, ())])
    assert found.values == {"metadata.a.b": {"e": ("x", "y")}}


def test_there_are_not_too_many_groups_in_all() -> None:
    n = 400
    metadata = {f"metadata.f{field:02}": [str(place % 20) for place in range(n)] for field in range(7)}
    comparison = compare_results(side([1] * n, **metadata), side([1] * n, **metadata))
    assert len(comparison.slices.groups) == 100
    assert comparison.slices.left_out == dict.fromkeys(
        ("metadata.f05", "metadata.f06"), "there are 100 groups without it"
    )


def test_what_came_out_makes_no_groups() -> None:
    """A candidate that stops early on the examples that it fails has no slice for it."""
    worse = range(12)
    stop = ["length" if place in worse else "stop" for place in range(100)]
    before = side([1] * 100, **{"metadata.stop": ["stop"] * 100})
    after = side([0 if place in worse else 1 for place in range(100)], **{"metadata.stop": stop, "metadata.own": stop})
    comparison = compare_results(before, after, gate=Gate(slices="metadata.stop"))
    assert not comparison.slices.groups
    assert comparison.slices.left_out == {
        "metadata.stop": "it is not the same on both sides on 12 of 100 examples",
        "metadata.own": "only results has it; give both tables the column, as what came out must not make the groups",
    }
    assert comparison.verdict is not None
    assert comparison.verdict.checks[-1].status != "failed"
    assert checks(comparison)["metadata.stop"] == "inconclusive"


def test_a_field_of_one_table_alone_makes_no_groups_when_asked_for_either() -> None:
    with_it, without = side([1] * 100, **{"metadata.stop": ["length", "stop"] * 50}), side([1] * 100)
    for before, after, who in ((without, with_it, "candidate"), (with_it, without, "baseline")):
        tables = result_table(before, "baseline"), result_table(after, "candidate")
        comparison = compare_results(*tables, gate=Gate(slices="metadata.stop"))
        assert not comparison.slices.groups
        assert comparison.verdict is not None
        assert comparison.verdict.status == "inconclusive"
        assert comparison.verdict.reasons[0] == (
            f"metadata.stop cannot be judged: only {who} has it; give both tables the column, as what came out must "
            "not make the groups"
        )


def _lacking(kept: int, **options: Any) -> Comparison:
    """200 examples of four groups; the candidate's table has no row of group a, but for some."""
    topic = ["abcd"[n // 50] for n in range(200)]
    before = side([1] * 200, **{"metadata.topic": topic})
    given = {**columns([f"q{n:05d}" for n in range(200)], correctness=[1] * 200), "metadata.topic": topic}
    after = {name: [*cells[:kept], *cells[50:]] for name, cells in given.items()}
    return compare_results(before, result_table(after, "candidate"), gate=Gate(slices="metadata.topic", **options))


def _slice_check(comparison: Comparison) -> tuple[str, str]:
    assert comparison.verdict is not None
    (found,) = (
        (check.status, check.reason)
        for check in comparison.verdict.checks
        if check.name == "metadata.topic" and not check.reason.startswith("not judged in")
    )
    return found


@pytest.mark.parametrize("kept", [0, 4])
def test_a_group_that_the_candidates_table_lacks_fails_and_is_not_called_small(kept: int) -> None:
    found = _lacking(kept)
    status, reason = _slice_check(found)
    assert status == "failed"
    assert reason.startswith(f"metadata.topic=a: scores of correctness missing on {50 - kept} examples; counted as the")
    assert found.verdict is not None
    assert not any("not judged in" in said for said in found.verdict.reasons)


def test_a_group_that_the_candidate_may_lack_is_not_judged_and_does_not_pass() -> None:
    status, reason = _slice_check(_lacking(0, min_coverage=0.5))
    assert status == "inconclusive"
    assert reason.startswith(
        "metadata.topic cannot be judged on a: candidate lacks scores that the baseline has, and it takes "
    )
    assert reason.endswith(" pairs with both to show anything")
    assert _slice_check(_lacking(40, min_coverage=0.5))[0] == "passed"


def test_a_group_whose_runs_all_failed_is_told_once() -> None:
    topic = ["abcd"[n // 50] for n in range(200)]
    given = {**columns(correctness=[1] * 200), "metadata.topic": topic}
    lost = {**given, "error": ["Boom" if n < 50 else None for n in range(200)]}
    lost["eval.correctness.score"] = [None if n < 50 else 1 for n in range(200)]
    comparison = compare_results(result_table(given), result_table(lost), gate=Gate(slices="metadata.topic"))
    assert _slice_check(comparison)[0] == "failed"
    assert comparison.verdict is not None
    assert not any("not judged in" in said for said in comparison.verdict.reasons)


def test_a_group_that_is_small_for_one_metric_is_named_with_it() -> None:
    n = 200
    given = {**columns(first=[1] * n, second=[1 if place >= 48 else None for place in range(n)])}
    given["metadata.topic"] = ["abcd"[place // 50] for place in range(n)]
    table = result_table(given)
    verdict = compare_results(table, table, gate=Gate(slices="metadata.topic")).verdict
    assert verdict is not None
    assert any(
        said.startswith("not judged in metadata.topic") and said.endswith(": a (second)") for said in verdict.reasons
    )


def test_a_misspelt_field_is_inconclusive_and_named() -> None:
    verdict = compare_results(*refunds(), gate=Gate(slices=["metadata.topik"])).verdict
    assert verdict is not None
    assert (verdict.status, verdict.exit_code) == ("inconclusive", 1)
    assert verdict.reasons[0] == (
        "metadata.topik cannot be judged: no example has 'metadata.topik'; did you mean 'metadata.topic'? There are: "
        "metadata.topic"
    )


def test_small_groups_take_no_part_and_are_named() -> None:
    topic = ["a"] * 60 + ["b"] * 37 + ["c"] * 3
    verdict = compare_results(*both(topic), gate=Gate(slices="metadata.topic")).verdict
    assert verdict is not None
    assert verdict.status == "passed"
    (reason,) = (reason for reason in verdict.reasons if reason.startswith("metadata.topic: "))
    assert reason == (
        "metadata.topic: no metric is significantly worse on any of 2 groups; of correctness, a drop of 0.109 on a "
        "(60 pairs) and a drop of 0.175 on b (37 pairs) would have been found 4 times of 5"
    )
    assert any(
        reason.startswith("not judged in metadata.topic, because it takes ") and reason.endswith("anything: c")
        for reason in verdict.reasons
    )


@pytest.mark.parametrize("n_worse", [1, 5, 6, 7])
def test_at_most_five_groups_are_told_and_the_others_counted(n_worse: int) -> None:
    topic = [chr(ord("a") + n // 20) for n in range(160)]
    given = both(topic, *range(20 * n_worse), n=160)
    verdict = compare_results(*given, gate=Gate(slices="metadata.topic")).verdict
    assert verdict is not None
    (check,) = (check for check in verdict.checks if check.name == "metadata.topic")
    assert check.status == "failed"
    assert check.reason.count("significantly worse") == min(n_worse, 5)
    others = {6: "; and 1 other", 7: "; and 2 others"}.get(n_worse)
    assert check.reason.endswith(others) if others else "; and" not in check.reason


def test_only_small_groups_are_inconclusive() -> None:
    verdict = compare_results(*both([str(n // 2) for n in range(100)]), gate=Gate(slices="metadata.topic")).verdict
    assert verdict is not None
    assert verdict.status == "inconclusive"
    (check,) = (check for check in verdict.checks if check.name == "metadata.topic")
    assert check.reason.startswith("metadata.topic cannot be judged: none of its 50 groups has ")
    assert check.examples_needed is not None
    assert check.examples_needed > 2


def test_examples_without_the_field_are_counted() -> None:
    topic = ["a"] * 50 + ["b"] * 43 + [None] * 7
    verdict = compare_results(*both(topic), gate=Gate(slices="metadata.topic")).verdict
    assert verdict is not None
    assert "7 examples of 100 in no group of metadata.topic" in verdict.reasons


def test_scores_that_are_missing_in_a_group_count_as_the_worst() -> None:
    """On 12 of 20 refunds the candidate's judge fails, and the baseline's on 12 others, so that the whole is even."""
    topic = ["refunds"] * 20 + ["other"] * 380

    def with_judge_errors(*places: int) -> ResultTable:
        given = {**columns(correctness=[1.0] * 400), "metadata.topic": topic}
        given["eval.correctness.error"] = ["Boom" if place in places else None for place in range(400)]
        return result_table(given)

    sides = with_judge_errors(*range(100, 112)), with_judge_errors(*range(12))
    assert compare_results(*sides, gate=Gate()).verdict.status == "passed"  # type: ignore[union-attr]
    verdict = compare_results(*sides, gate=Gate(slices="metadata.topic")).verdict
    assert verdict is not None
    assert verdict.status == "failed"
    assert verdict.reasons[0].startswith(
        "metadata.topic=refunds: scores of correctness missing on 12 examples; counted as the worst, it is "
        "significantly worse"
    )


def test_only_metrics_that_the_gate_judges_are_judged_on_slices() -> None:
    metadata = {"metadata.topic": ["a", "b"] * 50}
    before = result_table({**columns(quality=[1] * 100, words=[5.0] * 100), **metadata})
    after = result_table({**columns(quality=[1] * 100, words=[3.0] * 100), **metadata})
    gate = Gate(metrics={"quality": {}}, slices="metadata.topic")
    assert compare_results(before, after, gate=gate).verdict.status == "passed"  # type: ignore[union-attr]
    gate = Gate(metrics={"words": {"direction": "minimize"}}, slices="metadata.topic")
    assert compare_results(before, after, gate=gate).verdict.status == "passed"  # type: ignore[union-attr]
    comparison = compare_results(before, after, directions={"words": "neutral"})
    assert {verdict for _, _, verdict in moved(comparison)} == {"changed"}


def test_the_names_of_fields_are_checked() -> None:
    for wrong in ("topic", "metadata.", ["metadata.topic", "input.topic"]):
        with pytest.raises(InvalidSetting, match=r"Gate\.slices must be splits or metadata\.KEY"):
            Gate(slices=wrong)
    with pytest.raises(InvalidSetting, match=r"Gate\.slices must be splits or metadata\.KEY, .*; got 1$"):
        Gate(slices=[1])  # type: ignore[list-item]
    for nothing in ([], 1, True, {}):
        with pytest.raises(InvalidSetting, match=r"Gate\.slices must be a field or a list of them; got "):
            Gate(slices=nothing)  # type: ignore[arg-type]
    assert Gate.parse("slices: [metadata.topic, splits]").fields == ("metadata.topic", "splits")


def test_a_comparison_without_the_slices_is_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"the comparison was made without the gate's slices of metadata\.topic"):
        Gate(slices="metadata.topic").judge(compare_results(*refunds()))


@pytest.mark.thorough
@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_a_group_is_what_its_examples_alone_would_be(groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 120
    topic = [f"t{place}" for place in rng.integers(0, groups, n)]
    before, after = rng.integers(0, 2, (2, n)).tolist()
    metadata = {"metadata.topic": topic}
    comparison = compare_results(side(before, **metadata), side(after, **metadata), gate=Gate(slices="metadata.topic"))
    assert sum(one.n_examples for one in comparison.slices.groups) == n
    for one in comparison.slices.groups:
        places = [place for place in range(n) if topic[place] == one.value]
        alone = compare_results(*(side([scores[place] for place in places]) for scores in (before, after)))
        whole, part = alone.metrics["correctness"], one.metrics["correctness"]
        assert (part.difference, part.ci_low, part.ci_high, part.p_value, part.wins, part.losses) == (
            whole.difference,
            whole.ci_low,
            whole.ci_high,
            whole.p_value,
            whole.wins,
            whole.losses,
        )


def _share_failed(n_groups: int, n: int, trials: int, seed: int) -> float:
    """How often a gate with slices fails a candidate that is as good, of a metric on which a fifth of pairs differ."""
    rng = np.random.default_rng(seed)
    topic = [f"t{place % n_groups}" for place in range(n)]
    failed = 0
    gate = Gate(slices="metadata.topic")
    for _ in range(trials):
        sides = (rng.random((2, n)) < 0.85).astype(int)
        tables = [side(scores.tolist(), **{"metadata.topic": topic}) for scores in sides]
        verdict = compare_results(*tables, gate=gate).verdict
        failed += verdict is not None and verdict.status == "failed"
    return failed / trials


@pytest.mark.thorough
def test_a_candidate_as_good_seldom_fails_with_many_slices() -> None:
    assert _share_failed(20, 400, 20, 7) <= 0.2  # of 20, 5 or more at 5 % would be chance in 3 of 1,000


@pytest.mark.slow
@pytest.mark.parametrize(("n_groups", "n"), [(5, 200), (20, 400), (40, 1000)])
def test_a_candidate_as_good_fails_in_at_most_five_percent(n_groups: int, n: int) -> None:
    share = _share_failed(n_groups, n, 500, n)
    assert share <= 0.05 + 2 * (0.05 * 0.95 / 500) ** 0.5


@pytest.mark.thorough
def test_what_a_pass_is_worth_on_the_groups_is_what_comes() -> None:
    """Of candidates that are worse by the smallest drop on the smallest group, the gate fails 4 of 5."""
    rng = np.random.default_rng(4)
    topic = ["a"] * 150 + ["b"] * 50

    def verdict(drop: float = 0.0) -> MetricCheck:
        before, after = (1.0 * (rng.random(200) < 0.9) for _ in range(2))
        after[150:] *= rng.random(50) >= drop / 0.9
        given = (side(scores, **{"metadata.topic": topic}) for scores in (before, after))
        return check_of_topics(*given)

    worth = [found.smallest_drop for _ in range(20) if (found := verdict()).status == "passed"]
    drop = float(np.mean([one for one in worth if one is not None]))
    assert 0.2 < drop < 0.45
    found = sum(verdict(drop).status == "failed" for _ in range(100))
    assert 65 <= found <= 95


def test_of_a_single_group_and_of_several_metrics_the_worth_is_said_by_metric() -> None:
    rng = np.random.default_rng(1)
    scores = [{"x": 1.0 * (rng.random(80) < 0.8), "y": rng.random(80)} for _ in range(2)]
    before, after = (result_table({**columns(**one), "metadata.topic": ["a"] * 80}) for one in scores)
    check = check_of_topics(before, after)
    assert check.smallest_drop is None, "of two metrics"
    assert re.search(
        r"of x, a drop of [\d.]+ on a \(80 pairs\) would have been found 4 times of 5; of y, a drop of", check.reason
    )


def test_a_group_whose_largest_drop_would_not_be_found_is_said() -> None:
    topic = ["a"] * 90 + ["b"] * 10
    scores = [0.0] * 90 + [1.0, 1.0, 1.0] + [0.0] * 7
    given = (side(scores, **{"metadata.topic": topic}) for _ in range(2))
    check = check_of_topics(*given)
    assert "not even the largest drop on b (10 pairs) would have been found 4 times of 5" in check.reason
    assert check.smallest_drop is None
