"""Whole plans: every figure of them, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from prefect_experiments.analysis.experiment_plan import ExperimentPlan, plan_of
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.reports.planned import plan_lines

from .tables import table, written


def told(plan: ExperimentPlan) -> list[str]:
    """All figures of a plan and of its metrics, to four digits, and its sentences."""

    def row(given: dict[str, object]) -> str:
        every = ((name, f"{one:.4g}" if isinstance(one, float) else str(one)) for name, one in given.items())
        return ", ".join(f"{name} {text}" for name, text in every)

    figures = plan.to_dict()
    metrics = figures.pop("metrics")
    return [repr(plan), row(figures), *map(row, metrics.values()), *plan_lines(plan)]


def gate(**asked: object) -> Gate:
    return Gate.parse(asked)


def by_topic(n: int = 200, **more: Sequence[float | None]) -> ResultTable:
    """Every fifth is wrong, and the examples belong to four topics in turn."""
    given = {"example_id": [f"q{i}" for i in range(n)], "metadata.t": [f"t{i // 5 % 4}" for i in range(n)]}
    return result_table({**given, "eval.right.score": [float(i % 5 != 0) for i in range(n)], **more})


def repeated(n: int, *scores: float) -> ResultTable:
    """So many examples, each run several times with these scores in turn: each begins one further on."""
    times = len(scores)
    return result_table(
        {
            "example_id": [f"q{i}" for i in range(n) for _ in range(times)],
            "repetition_number": list(range(1, times + 1)) * n,
            "eval.grade.score": [scores[(i + r * (i % 2)) % times] for i in range(n) for r in range(times)],
            "total_cost": [0.01] * n * times,
        }
    )


COSTLY = by_topic(**{"total_cost": [0.01] * 200, "eval.right.total_cost": [0.02] * 200})
MARGIN = gate(metrics={"right": {"max_regression": 0.05}})
GRADES, AGAIN = [0.9, 0.2, 0.55, 0.7, 0.35] * 12, [0.9, 0.3, 0.5, 0.7, 0.4] * 12
STARS = [1.0, 2.0, 3.0, 4.0, 5.0] * 12


CASES = [
    pytest.param(
        lambda: plan_of(COSTLY, MARGIN, agreement=0.9),
        """
        - ExperimentPlan(beside results, 200 examples, too few for right)
        - baseline results, n_there 200, repetitions_there 1, n_examples 200, repetitions 1, drop None, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 200, cost_per_call 0.03, judge_cost_per_call 0.02, n_runs
          200, n_costs 200, cost 6, examples_needed 339, calls_needed 339, cost_needed 10.17, enough False
        - name right, direction maximize, baseline_mean 0.8, margin 0.05, noise the agreement given, sd_difference
          0.3162, unseen None, largest_drop 0.8, smallest_drop 0.06877, power_to_find None, power_to_pass 0.5618,
          examples_needed 339, repetitions_needed 2, enough False, corrected_by None
        - right: a margin of 0.05 takes about 339 examples, or 2 repetitions of these, and there are 200 examples, 1
          repetition.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 200 calls of the task, about $6.00 at $0.03 each, judges $0.02 of it; over 339 examples 339,
          about $10.17.
        """,
        id="a margin",
    ),
    pytest.param(
        lambda: plan_of(COSTLY, MARGIN, agreement=0.9, drop=0.1, repetitions=3, examples=400),
        """
        - ExperimentPlan(beside results, 400 examples, enough)
        - baseline results, n_there 200, repetitions_there 1, n_examples 400, repetitions 3, drop 0.1, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 1200, cost_per_call 0.03, judge_cost_per_call 0.02, n_runs
          200, n_costs 200, cost 36, examples_needed 146, calls_needed 438, cost_needed 13.14, enough True
        - name right, direction maximize, baseline_mean 0.8, margin 0.05, noise the agreement given, sd_difference
          0.1826, unseen None, largest_drop 0.8, smallest_drop 0.03453, power_to_find 1, power_to_pass 0.9995,
          examples_needed 146, repetitions_needed 1, enough True, corrected_by None
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 1,200 calls of the task, about $36.00 at $0.03 each, judges $0.02 of it; over 146 examples
          438, about $13.14.
        - The baseline has 200 examples, 1 repetition: it has to be run again as well.
        """,
        id="more than there is",
    ),
    pytest.param(
        lambda: plan_of(COSTLY, Gate(), drop=0.1),
        """
        - ExperimentPlan(beside results, 200 examples, too few for right)
        - baseline results, n_there 200, repetitions_there 1, n_examples 200, repetitions 1, drop 0.1, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 200, cost_per_call 0.03, judge_cost_per_call 0.02, n_runs
          200, n_costs 200, cost 6, examples_needed 233, calls_needed 233, cost_needed 6.99, enough False
        - name right, direction maximize, baseline_mean 0.8, margin None, noise assumed, sd_difference 0.5657,
          unseen None, largest_drop 0.8, smallest_drop 0.1085, power_to_find 0.7443, power_to_pass None,
          examples_needed 233, repetitions_needed 2, enough False, corrected_by None
        - right: a drop of 0.10 takes about 233 examples, or 2 repetitions of these, and there are 200 examples, 1
          repetition.
        - right: two runs are taken to differ like any two examples, the worst case. Fewer will do once it is known
          better: name a second run of the same application (--beside), take a baseline with repetitions, or say
          which share of the examples scores the same again (--agreement 0.9).
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 200 calls of the task, about $6.00 at $0.03 each, judges $0.02 of it; over 233 examples 233,
          about $6.99.
        """,
        id="a drop, assumed",
    ),
    pytest.param(
        lambda: plan_of(repeated(60, 0.0, 1.0, 1.0), gate(metrics={"grade": {"max_regression": 0.05}}), drop=0.1),
        """
        - ExperimentPlan(beside results, 60 examples, too few for grade)
        - baseline results, n_there 60, repetitions_there 3, n_examples 60, repetitions 3, drop 0.1, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 180, cost_per_call 0.01, judge_cost_per_call None, n_runs
          180, n_costs 180, cost 1.8, examples_needed 364, calls_needed 1092, cost_needed 10.92, enough False
        - name grade, direction maximize, baseline_mean 0.6667, margin 0.05, noise repetitions, sd_difference
          0.3333, unseen None, largest_drop 0.6667, smallest_drop 0.1402, power_to_find 0.5823, power_to_pass
          0.1276, examples_needed 364, repetitions_needed None, enough False, corrected_by None
        - grade: a margin of 0.05 and a drop of 0.10 take about 364 examples and there are 60 examples, 3
          repetitions.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 180 calls of the task, about $1.80 at $0.01 each; over 364 examples 1,092, about $10.92.
        """,
        id="repetitions",
    ),
    pytest.param(
        lambda: plan_of(repeated(40, 0.2, 0.5, 0.9), gate(metrics={"grade": {"max_regression": 0.1}})),
        """
        - ExperimentPlan(beside results, 40 examples, too few for grade)
        - baseline results, n_there 40, repetitions_there 3, n_examples 40, repetitions 3, drop None, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 120, cost_per_call 0.01, judge_cost_per_call None, n_runs
          120, n_costs 120, cost 1.2, examples_needed 57, calls_needed 171, cost_needed 1.71, enough False
        - name grade, direction maximize, baseline_mean 0.5342, margin 0.1, noise repetitions, sd_difference 0.2028,
          unseen None, largest_drop None, smallest_drop 0.0816, power_to_find None, power_to_pass 0.4736,
          examples_needed 57, repetitions_needed 14, enough False, corrected_by None
        - grade: a margin of 0.10 takes about 57 examples, or 14 repetitions of these, and there are 40 examples, 3
          repetitions.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 120 calls of the task, about $1.20 at $0.01 each; over 57 examples 171, about $1.71.
        """,
        id="graded repetitions",
    ),
    pytest.param(
        lambda: plan_of(
            table(grade=GRADES),
            gate(metrics={"grade": {"max_regression": "10%"}}),
            beside=table(grade=AGAIN),
            drop=0.08,
        ),
        """
        - ExperimentPlan(beside results, 60 examples, too few for grade)
        - baseline results, n_there 60, repetitions_there 1, n_examples 60, repetitions 1, drop 0.08, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 60, cost_per_call None, judge_cost_per_call None, n_runs
          60, n_costs 0, cost None, examples_needed 71, calls_needed 71, cost_needed None, enough False
        - name grade, direction maximize, baseline_mean 0.54, margin 0.054, noise a second run, sd_difference
          0.05477, unseen None, largest_drop None, smallest_drop 0.01786, power_to_find 1, power_to_pass 0.3322,
          examples_needed 71, repetitions_needed None, enough False, corrected_by None
        - grade: a margin of 0.054 and a drop of 0.08 take about 71 examples and there are 60 examples, 1
          repetition.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 60 calls of the task; over 71 examples 71; nobody knows what they cost: the baseline's runs
          have no cost.
        """,
        id="a second run",
    ),
    pytest.param(
        lambda: plan_of(table(grade=GRADES), Gate(), agreement=0.4, drop=0.08),
        """
        - ExperimentPlan(beside results, 60 examples, too few for grade)
        - baseline results, n_there 60, repetitions_there 1, n_examples 60, repetitions 1, drop 0.08, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 60, cost_per_call None, judge_cost_per_call None, n_runs
          60, n_costs 0, cost None, examples_needed 73, calls_needed 73, cost_needed None, enough False
        - name grade, direction maximize, baseline_mean 0.54, margin None, noise the agreement given, sd_difference
          0.2714, unseen None, largest_drop None, smallest_drop 0.08849, power_to_find 0.7256, power_to_pass None,
          examples_needed 73, repetitions_needed 2, enough False, corrected_by None
        - grade: a drop of 0.08 takes about 73 examples, or 2 repetitions of these, and there are 60 examples, 1
          repetition.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 60 calls of the task; over 73 examples 73; nobody knows what they cost: the baseline's runs
          have no cost.
        """,
        id="graded, by the agreement",
    ),
    pytest.param(
        lambda: plan_of(
            table(stars=STARS),
            gate(metrics={"stars": {"max_regression": 0.5}}, confidence=0.9),
            agreement=0.4,
            drop=0.8,
        ),
        """
        - ExperimentPlan(beside results, 60 examples, too few for stars)
        - baseline results, n_there 60, repetitions_there 1, n_examples 60, repetitions 1, drop 0.8, confidence 0.9,
          n_tests 1, groups {}, unplanned {}, calls 60, cost_per_call None, judge_cost_per_call None, n_runs 60,
          n_costs 0, cost None, examples_needed 68, calls_needed 68, cost_needed None, enough False
        - name stars, direction maximize, baseline_mean 3, margin 0.5, noise the agreement given, sd_difference
          1.549, unseen None, largest_drop None, smallest_drop 0.4282, power_to_find 0.9965, power_to_pass 0.7451,
          examples_needed 68, repetitions_needed 2, enough False, corrected_by None
        - stars: a margin of 0.5 and a drop of 0.8 take about 68 examples, or 2 repetitions of these, and there are
          60 examples, 1 repetition.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 60 calls of the task; over 68 examples 68; nobody knows what they cost: the baseline's runs
          have no cost.
        """,
        id="stars, with less confidence",
    ),
    pytest.param(
        lambda: plan_of(
            table(edits=[0.0, 1.0, 2.0] * 20, right=[1.0] * 50 + [0.0] * 10),
            gate(metrics={"edits": {"direction": "minimize", "max_regression": 0.5}, "right": {}}),
            agreement=0.7,
            drop=0.6,
        ),
        """
        - ExperimentPlan(beside results, 60 examples, enough)
        - baseline results, n_there 60, repetitions_there 1, n_examples 60, repetitions 1, drop 0.6, confidence
          0.95, n_tests 2, groups {}, unplanned {}, calls 60, cost_per_call None, judge_cost_per_call None, n_runs
          60, n_costs 0, cost None, examples_needed 23, calls_needed 23, cost_needed None, enough True
        - name edits, direction minimize, baseline_mean 1, margin 0.5, noise the agreement given, sd_difference
          0.6325, unseen None, largest_drop 1, smallest_drop 0.3533, power_to_find 0.9988, power_to_pass 0.9999,
          examples_needed 23, repetitions_needed 1, enough True, corrected_by None
        - name right, direction maximize, baseline_mean 0.8333, margin None, noise the agreement given,
          sd_difference 0.5477, unseen None, largest_drop 0.8333, smallest_drop 0.2378, power_to_find 1,
          power_to_pass None, examples_needed 12, repetitions_needed 1, enough True, corrected_by None
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 60 calls of the task; over 23 examples 23; nobody knows what they cost: the baseline's runs
          have no cost.
        - 2 tests share the false alarms: each is planned with 2.5%, Holm's least.
        """,
        id="less is better",
    ),
    pytest.param(
        lambda: plan_of(by_topic(), gate(slices="metadata.t"), agreement=0.8, drop=0.3),
        """
        - ExperimentPlan(beside results, 200 examples, enough)
        - baseline results, n_there 200, repetitions_there 1, n_examples 200, repetitions 1, drop 0.3, confidence
          0.95, n_tests 5, groups {'metadata.t': 4}, unplanned {}, calls 200, cost_per_call None,
          judge_cost_per_call None, n_runs 200, n_costs 0, cost None, examples_needed 40, calls_needed 40,
          cost_needed None, enough True
        - name right, direction maximize, baseline_mean 0.8, margin None, noise the agreement given, sd_difference
          0.4472, unseen None, largest_drop 0.8, smallest_drop 0.1183, power_to_find 1, power_to_pass None,
          examples_needed 40, repetitions_needed 1, enough True, corrected_by None
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 200 calls of the task; over 40 examples 40; nobody knows what they cost: the baseline's runs
          have no cost.
        - 5 tests share the false alarms: each is planned with 1%, Holm's least.
        - Of metadata.t, groups count of which enough examples are to differ by then.
        """,
        id="groups",
    ),
    pytest.param(
        lambda: plan_of(by_topic(), Gate(), agreement=0.8),
        """
        - ExperimentPlan(beside results, 200 examples, nothing asked)
        - baseline results, n_there 200, repetitions_there 1, n_examples 200, repetitions 1, drop None, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 200, cost_per_call None, judge_cost_per_call None, n_runs
          200, n_costs 0, cost None, examples_needed None, calls_needed None, cost_needed None, enough True
        - name right, direction maximize, baseline_mean 0.8, margin None, noise the agreement given, sd_difference
          0.4472, unseen None, largest_drop 0.8, smallest_drop 0.08977, power_to_find None, power_to_pass None,
          examples_needed None, repetitions_needed None, enough True, corrected_by None
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 200 calls of the task; nobody knows what they cost: the baseline's runs have no cost.
        """,
        id="nothing asked",
    ),
    pytest.param(
        lambda: plan_of(table(right=[1.0] * 30 + [0.0] * 10 + [None] * 40), MARGIN, agreement=0.9, drop=0.2),
        """
        - ExperimentPlan(beside results, 80 examples, too few for right)
        - baseline results, n_there 80, repetitions_there 1, n_examples 80, repetitions 1, drop 0.2, confidence
          0.95, n_tests 1, groups {}, unplanned {}, calls 80, cost_per_call None, judge_cost_per_call None, n_runs
          80, n_costs 0, cost None, examples_needed 678, calls_needed 678, cost_needed None, enough False
        - name right, direction maximize, baseline_mean 0.75, margin 0.05, noise the agreement given, sd_difference
          0.3162, unseen None, largest_drop 0.75, smallest_drop 0.194, power_to_find 0.8183, power_to_pass 0.1248,
          examples_needed 678, repetitions_needed None, enough False, corrected_by None
        - right: a margin of 0.05 and a drop of 0.20 take about 678 examples and there are 80 examples, 1
          repetition.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 80 calls of the task; over 678 examples 678; nobody knows what they cost: the baseline's
          runs have no cost.
        """,
        id="scores of some",
    ),
    pytest.param(
        lambda: plan_of(
            table(right=[1.0] * 50 + [0.0] * 10, other=[1.0] * 40 + [0.0] * 20),
            gate(metrics={"right": {"max_regression": 0.1}, "other": {"max_regression": 0.05}}),
            agreement=0.9,
            drop=0.1,
        ),
        """
        - ExperimentPlan(beside results, 60 examples, too few for right, other)
        - baseline results, n_there 60, repetitions_there 1, n_examples 60, repetitions 1, drop 0.1, confidence
          0.95, n_tests 2, groups {}, unplanned {}, calls 60, cost_per_call None, judge_cost_per_call None, n_runs
          60, n_costs 0, cost None, examples_needed 339, calls_needed 339, cost_needed None, enough False
        - name right, direction maximize, baseline_mean 0.8333, margin 0.1, noise the agreement given, sd_difference
          0.3162, unseen None, largest_drop 0.8333, smallest_drop 0.1718, power_to_find None, power_to_pass 0.574,
          examples_needed 100, repetitions_needed 3, enough False, corrected_by None
        - name other, direction maximize, baseline_mean 0.6667, margin 0.05, noise the agreement given,
          sd_difference 0.3162, unseen None, largest_drop 0.6667, smallest_drop 0.1691, power_to_find 0.4236,
          power_to_pass 0.1825, examples_needed 339, repetitions_needed None, enough False, corrected_by None
        - right: a margin of 0.10 takes about 100 examples, or 3 repetitions of these, and there are 60 examples, 1
          repetition.
        - right: a drop of 0.10 is within its margin, so none is to be found.
        - other: a margin of 0.05 and a drop of 0.10 take about 339 examples and there are 60 examples, 1
          repetition.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 60 calls of the task; over 339 examples 339; nobody knows what they cost: the baseline's
          runs have no cost.
        - 2 tests share the false alarms: each is planned with 2.5%, Holm's least.
        """,
        id="a drop within one margin",
    ),
    pytest.param(
        lambda: plan_of(table(right=[1.0]), MARGIN, agreement=0.9),
        """
        - ExperimentPlan(beside results, 1 example, too few for right)
        - baseline results, n_there 1, repetitions_there 1, n_examples 1, repetitions 1, drop None, confidence 0.95,
          n_tests 1, groups {}, unplanned {}, calls 1, cost_per_call None, judge_cost_per_call None, n_runs 1,
          n_costs 0, cost None, examples_needed 339, calls_needed 339, cost_needed None, enough False
        - name right, direction maximize, baseline_mean 1, margin 0.05, noise the agreement given, sd_difference
          0.3162, unseen None, largest_drop 1, smallest_drop None, power_to_find None, power_to_pass 0,
          examples_needed 339, repetitions_needed None, enough False, corrected_by None
        - right: a margin of 0.05 takes about 339 examples and there are 1 example, 1 repetition.
        - right: not even the largest drop would be found 4 times of 5.
        - The smallest drop is the one that fails 4 times of 5.
        - One run makes 1 call of the task; over 339 examples 339; nobody knows what they cost: the baseline's runs
          have no cost.
        """,
        id="an example",
    ),
]


@pytest.mark.parametrize(("plan", "text"), CASES)
def test_each_figure_and_each_sentence(plan: Callable[[], ExperimentPlan], text: str) -> None:
    assert told(plan()) == written(text)
