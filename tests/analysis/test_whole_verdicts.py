"""Whole verdicts, each with all its checks: what a gate says of runs, scores and figures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Verdict

from .tables import columns, judged, sentences, table, with_errors, written


def gate(**asked: object) -> Gate:
    return Gate.parse(asked)


def operated(latency: list[float], cost: list[float], **scores: list[float]) -> ResultTable:
    given = columns(**(scores or {"right": [1.0] * len(latency)}))
    return result_table(given | {"latency_ms": latency, "total_cost": cost})


def failing(n: int, *rows: int, column: str = "error") -> ResultTable:
    """A run of each example; those of some rows failed, or what their evaluator gave."""
    return result_table(with_errors(columns(right=[1.0] * n), *rows, column=column))


RIGHT = [1.0] * 80 + [0.0] * 20
HUNDRED = [100.0 + n for n in range(100)]
THIRDS = [float(n % 3) for n in range(100)]
PERFECT = table(right=[1.0] * 100)


CASES = [
    pytest.param(
        lambda: gate(
            metrics={
                "right": {"min": 0.8, "max_regression": 0.05},
                "edits": {"direction": "minimize", "min": 2},
                "tone": {},
            },
            max_error_rate=0.1,
            max_p95_latency=500,
            max_cost=2,
            required={"ids": ["q00000", "q00099"]},
            pass_threshold=0.5,
        ).judge_alone(operated(HUNDRED, [0.01] * 100, right=RIGHT, edits=THIRDS, tone=[0.0] * 100)),
        """
        - failed 1
        - right inconclusive: right: the mean of 0.80 [0.708, 0.873] is not shown to keep the minimum of 0.80, nor
          to be below it; a mean at the bound itself never is, however many examples, and bounds: point takes it as
          it is
        - edits passed: edits: the mean of 0.99 [0.828, 1.152] keeps the maximum of 2
        - tone passed: tone: the mean is 0.00, and no minimum is set
        - error rate passed: 0 of 100 runs failed
        - coverage passed: scores on examples: right 100 of 100, edits 100 of 100, tone 100 of 100
        - pass rate failed: 0 of 100 entries pass (all scores >= 0.5, or <= 0.5 where less is better); failed:
          q00000 (tone 0.00), q00001 (edits 1.00, tone 0.00), q00002 (edits 2, tone 0.00), q00003 (tone 0.00),
          q00004 (edits 1.00, tone 0.00) and 95 others
        - required failed: 0 of 2 required examples are right (all scores >= 1); failed: q00000 (tone 0.00), q00099
          (right 0.00, tone 0.00); edits may go beyond 0 and 1 and has no say without a threshold
        - p95 latency passed: the p95 latency of 194 ms [189 ms, 199 ms] keeps the allowed 500 ms
        - cost passed: the cost of $1.00 keeps the allowed $2.00
        - tone inconclusive: tone is 0.00 on all of 100 examples, so that no later run could be worse than this one:
          does its evaluator read the output as it is? Where less is better, give the gate direction: minimize; if
          it is right so, `prefect-experiments tag` makes this run the baseline
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="every rule, of a first run",
    ),
    pytest.param(
        lambda: gate(max_error_rate=0.1, min_coverage=0.8).judge_alone(failing(100, *range(15))),
        """
        - inconclusive 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate inconclusive: 15 of 100 runs failed: more than the allowed 10 %, which may be chance (adjusted
          p = 0.15)
        - coverage passed: scores on examples: right 85 of 100
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="errors of a first run",
    ),
    pytest.param(
        lambda: gate(max_error_rate=0.5).judge_alone(failing(100, *range(60))),
        """
        - failed 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate failed: 60 of 100 runs failed: more than 50 % of them
        - coverage failed: too little to judge by: right has no score on 60 of 100 runs because of errors
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="more than half failed",
    ),
    pytest.param(
        lambda: gate(max_error_rate=0.6).judge_alone(failing(100, *range(60))),
        """
        - failed 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 60 of 100 runs failed
        - coverage failed: too little to judge by: right has no score on 60 of 100 runs because of errors
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="more than half failed, which is allowed",
    ),
    pytest.param(
        lambda: Gate().judge_alone(failing(100, *range(50), column="eval.right.error")),
        """
        - failed 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 0 of 100 runs failed
        - coverage failed: too little to judge by: right has a score on 50 of 100 examples, and 90 % is needed
          (adjusted p < 0.001)
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="half of the scores lost",
    ),
    pytest.param(
        lambda: Gate().judge_alone(failing(100, *range(51), column="eval.right.error")),
        """
        - failed 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 0 of 100 runs failed
        - coverage failed: too little to judge by: right has no score on 51 of 100 runs because of errors
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="more than half of the scores lost",
    ),
    pytest.param(
        lambda: gate(max_p95_latency=150, max_cost=1.01).judge_alone(operated(HUNDRED, [n / 1e3 for n in HUNDRED])),
        """
        - failed 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 0 of 100 runs failed
        - coverage passed: scores on examples: right 100 of 100
        - p95 latency failed: the p95 latency of 194 ms [189 ms, 199 ms] is above the allowed 150 ms
        - cost failed: the cost of $14.95 [$14.37, $15.53] is above the allowed $1.01
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="below its bounds",
    ),
    pytest.param(
        lambda: gate(max_p95_latency=195, max_cost=15).judge_alone(operated(HUNDRED, [n / 1e3 for n in HUNDRED])),
        """
        - inconclusive 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 0 of 100 runs failed
        - coverage passed: scores on examples: right 100 of 100
        - p95 latency inconclusive: the p95 latency of 194 ms [189 ms, 199 ms] is not shown to keep the allowed 195
          ms, nor to be above it
        - cost inconclusive: the cost of $14.95 [$14.37, $15.53] is not shown to keep the allowed $15.00, nor to be
          above it
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="a bound within the interval",
    ),
    pytest.param(
        lambda: gate(max_p95_latency=195, max_cost=2.3).judge_alone(
            operated(HUNDRED[:20], [n / 1e3 for n in HUNDRED[:20]])
        ),
        """
        - inconclusive 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 0 of 20 runs failed
        - coverage passed: scores on examples: right 20 of 20
        - p95 latency inconclusive: the p95 latency of 118 ms [116 ms, ?] is not shown to keep the allowed 195 ms,
          nor to be above it; it takes 72 examples (72)
        - cost passed: the cost of $2.19 [$2.13, $2.25] keeps the allowed $2.30
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="too few for a percentile",
    ),
    pytest.param(
        lambda: gate(metrics={"right": {"min": 0.5}}, max_p95_latency=195, max_cost=2).judge_alone(
            operated([100.0], [0.1])
        ),
        """
        - inconclusive 1
        - right inconclusive: right: the mean of 1.00 [0.025, 1.00] is not shown to keep the minimum of 0.50, nor to
          be below it; about 2 examples are needed to tell (2)
        - error rate passed: 0 of 1 runs failed
        - coverage passed: scores on examples: right 1 of 1
        - p95 latency inconclusive: the p95 latency of 100 ms is not shown to keep the allowed 195 ms, nor to be
          above it; it takes 72 examples (72)
        - cost inconclusive: the cost of $0.10 is not shown to keep the allowed $2.00, nor to be above it
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="one example alone",
    ),
    pytest.param(
        lambda: judged(
            operated(HUNDRED, [0.01] * 100, right=RIGHT, edits=THIRDS),
            operated(
                [n + 10 + n % 7 for n in HUNDRED],
                [n / 1e4 for n in HUNDRED],
                right=RIGHT[10:] + [0.0] * 10,
                edits=[n + n % 2 for n in THIRDS],
            ),
            gate(
                metrics={
                    "right": {"min": 0.8, "max_regression": "5%"},
                    "edits": {"direction": "minimize", "max_regression": 0.3},
                },
                operations={"latency_ms": {"max_regression": "10%"}, "total_cost": None, "token_count": {}},
                max_p95_latency=150,
                max_cost=1,
            ),
        ),
        """
        - failed 1
        - right failed: right 0.70, -10 points [-17, -6] against 0.80 on 100 pairs; 0 improved, 10 regressed:
          significantly worse (adjusted p < 0.001, one-sided) and not shown to be within the allowed regression of
          5% (0.04); the mean of 0.70 [0.60, 0.788] is below the minimum of 0.80
        - edits failed: edits (less is better) 1.32, +0.33 [0.21, 0.43] against 0.99 on 100 pairs; 0 improved, 33
          regressed: significantly worse (adjusted p < 0.001, one-sided) and not shown to be within the allowed
          regression of 0.3
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100, edits 100 of 100
        - p95 latency failed: the p95 latency of 207 ms [202 ms, 212 ms] is above the allowed 150 ms
        - cost failed: the cost of $1.50 [$1.44, $1.55] is above the allowed $1.00
        - latency_ms passed: latency_ms (less is better) 162 ms, +13.0 ms [11.8, 13.4] against 150 ms on 100 pairs;
          0 improved, 100 regressed: within the allowed regression of 10% (15 ms)
        - total_cost failed: total_cost (less is better) $0.015, +$0.0049 [0.0041, 0.0055] against $0.01 on 100
          pairs; 0 improved, 99 regressed: significantly worse (adjusted p < 0.001, one-sided)
        - token_count failed: token_count cannot be judged: it is not known on both sides
        """,
        id="every rule, beside a baseline",
    ),
    pytest.param(
        lambda: judged(PERFECT, table(right=[None] * 12 + [1.0] * 88)),
        """
        - failed 1
        - right failed: right 1.00, 0 points [-4, 4] against 1.00 on 88 pairs; 0 improved, 0 regressed: not worse;
          with missing scores counted as the worst (12 of the candidate's) -12 points [-20, -7], significantly worse
          (adjusted p < 0.001); a drop of 0.075 would have been found 4 times of 5 (0.0752)
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage failed: too little to judge by: right has a score on 88 of 100 examples that the baseline scored,
          and 90 % is needed to tell; right has no score on 12 examples that the baseline scored, and the baseline
          none on 0 that the candidate did: significantly more (adjusted p < 0.001)
        """,
        id="scores that are missing",
    ),
    pytest.param(
        lambda: judged(PERFECT, table(right=[None] * 12 + [1.0] * 88), gate(min_coverage=0.89)),
        """
        - inconclusive 1
        - right passed: right 1.00, 0 points [-4, 4] against 1.00 on 88 pairs; 0 improved, 0 regressed: not worse; a
          drop of 0.075 would have been found 4 times of 5 (0.0752)
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage inconclusive: too little to judge by: right has a score on 88 of 100 examples that the baseline
          scored, and 89 % is needed: fewer may be chance (adjusted p = 0.42)
        """,
        id="scores that are missing, where few need be there",
    ),
    pytest.param(
        lambda: judged(failing(100, 90, 91), failing(100, *range(12))),
        """
        - failed 1
        - right failed: right 1.00, 0 points [-4, 4] against 1.00 on 86 pairs; 0 improved, 0 regressed: not worse;
          with missing scores counted as the worst (12 of the candidate's) -10 points [-18, -3], significantly worse
          (adjusted p = 0.026); a drop of 0.077 would have been found 4 times of 5 (0.07692)
        - error rate failed: 12 of 100 runs failed, 2 of 100 in the baseline; 12 examples failed or are missing in
          the candidate only, 2 in the baseline only: significantly more (adjusted p = 0.026)
        - coverage inconclusive: too little to judge by: right has a score on 86 of 98 examples that the baseline
          scored, and 90 % is needed to tell
        """,
        id="errors",
    ),
    pytest.param(
        lambda: judged(PERFECT, failing(100, *range(12), column="eval.right.error")),
        """
        - failed 1
        - right failed: right 1.00, 0 points [-4, 4] against 1.00 on 88 pairs; 0 improved, 0 regressed: not worse;
          with missing scores counted as the worst (12 of the candidate's) -12 points [-20, -7], significantly worse
          (adjusted p < 0.001); a drop of 0.075 would have been found 4 times of 5 (0.0752)
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage failed: too little to judge by: right has a score on 88 of 100 examples that the baseline scored,
          and 90 % is needed to tell; right has no score on 12 examples that the baseline scored, and the baseline
          none on 0 that the candidate did: significantly more (adjusted p < 0.001)
        """,
        id="errors of the judge",
    ),
    pytest.param(
        lambda: judged(PERFECT, table(right=[1.0] * 95)),
        """
        - passed 0
        - right passed: right 1.00, 0 points [-4, 4] against 1.00 on 95 pairs; 0 improved, 0 regressed: not worse;
          with missing scores counted as the worst (5 of the candidate's) -5 points [-11, -1]; a drop of 0.07 would
          have been found 4 times of 5 (0.06974)
        - error rate passed: 0 of 95 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 95 of 100
        """,
        id="runs that are not there",
    ),
    pytest.param(
        lambda: judged(PERFECT, table(right=[1.0] * 88), gate(min_coverage=0.8)),
        """
        - passed 0
        - right passed: right 1.00, 0 points [-4, 4] against 1.00 on 88 pairs; 0 improved, 0 regressed: not worse; a
          drop of 0.075 would have been found 4 times of 5 (0.0752)
        - error rate passed: 0 of 88 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 88 of 100
        """,
        id="runs that are not there, where few need be",
    ),
    pytest.param(
        lambda: judged(
            table(right=[1.0] * 100, other=[1.0] * 100),
            table(right=[1.0] * 98 + [0.0] * 2, other=[0.9] * 100),
            gate(metrics={"right": {"max_regression": 0.03}, "other": {"max_regression": 0.2}}),
        ),
        """
        - inconclusive 1
        - right inconclusive: right 0.98, -2 points [-7, 2] against 1.00 on 100 pairs; 0 improved, 2 regressed: not
          shown to be within the allowed regression of 0.03; about 473 pairs are needed to tell; a drop of 0.083
          would have been found 4 times of 5 (473) (0.08312)
        - other passed: other 0.90, -10 points [-13, -6] against 1.00 on 100 pairs; 0 improved, 100 regressed:
          within the allowed regression of 0.2
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100, other 100 of 100
        """,
        id="nearly within",
    ),
    pytest.param(
        lambda: judged(
            PERFECT, table(right=[1.0] * 97 + [None] * 3), gate(metrics={"right": {"max_regression": 0.06}})
        ),
        """
        - inconclusive 1
        - right inconclusive: right 1.00, 0 points [-4, 4] against 1.00 on 97 pairs; 0 improved, 0 regressed: within
          the allowed regression of 0.06; with missing scores counted as the worst (3 of the candidate's) -3 points
          [-8, 1], not shown to be within the allowed regression of 0.06; a drop of 0.068 would have been found 4
          times of 5 (0.06832)
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 97 of 100
        """,
        id="within, and not with what is missing",
    ),
    pytest.param(
        lambda: judged(table(right=[1.0, 0.0]), table(right=[1.0, 1.0])),
        """
        - inconclusive 1
        - right inconclusive: right 1.00, +50 points [-49, 91] against 0.50 on 2 pairs; 1 improved, 0 regressed: 2
          pairs cannot show any regression, however large: at least 4 pairs can (4)
        - error rate passed: 0 of 2 runs failed, 0 of 2 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 2 of 2
        """,
        id="two pairs",
    ),
    pytest.param(
        lambda: judged(table(grade=[0.5, 0.6, 0.7, 0.8] * 20), table(grade=[0.4, 0.6, 0.8, 0.75] * 20)),
        """
        - passed 0
        - grade passed: grade 0.637, -1 point [-6, 3] against 0.65 on 80 pairs; 20 improved, 40 regressed: not
          significantly worse (adjusted p = 0.08, one-sided); a drop of 0.021 would have been found 4 times of 5
          (0.02093)
        - error rate passed: 0 of 80 runs failed, 0 of 80 in the baseline
        - coverage passed: scores on examples that the baseline scored: grade 80 of 80
        """,
        id="graded",
    ),
    pytest.param(
        lambda: judged(table(words=[200.0, 220, 180, 200] * 20), table(words=[206.0, 226, 186, 206] * 20)),
        """
        - passed 0
        - words passed: words 206, +6.0 [5.4, 6.0] against 200 on 80 pairs; 80 improved, 0 regressed: not worse
        - error rate passed: 0 of 80 runs failed, 0 of 80 in the baseline
        - coverage passed: scores on examples that the baseline scored: words 80 of 80
        """,
        id="beyond 0 to 1",
    ),
    pytest.param(
        lambda: judged(table(a=[1.0] * 40, c=[1.0] * 40), table(a=[1.0] * 40, d=[1.0] * 40)),
        """
        - passed 0
        - a passed: a 1.00, 0 points [-9, 9] against 1.00 on 40 pairs; 0 improved, 0 regressed: not worse; a drop of
          0.134 would have been found 4 times of 5 (0.1336)
        - error rate passed: 0 of 40 runs failed, 0 of 40 in the baseline
        - coverage passed: scores on examples that the baseline scored: a 40 of 40
        - metrics passed: not judged, because the candidate does not have it: c
        - metrics passed: not judged, because the baseline does not have it: d
        """,
        id="what only one side has",
    ),
    pytest.param(
        lambda: judged(table(a=[1.0] * 40, c=[1.0] * 40), table(a=[1.0] * 40, d=[1.0] * 40), gate(metrics={"a": {}})),
        """
        - passed 0
        - a passed: a 1.00, 0 points [-9, 9] against 1.00 on 40 pairs; 0 improved, 0 regressed: not worse; a drop of
          0.134 would have been found 4 times of 5 (0.1336)
        - error rate passed: 0 of 40 runs failed, 0 of 40 in the baseline
        - coverage passed: scores on examples that the baseline scored: a 40 of 40
        - metrics passed: not judged, because the gate does not name it: c, d
        """,
        id="what the gate does not name",
    ),
]


@pytest.mark.parametrize(("verdict", "text"), CASES)
def test_each_check_says_its_sentence(verdict: Callable[[], Verdict], text: str) -> None:
    assert sentences(verdict()) == written(text)
