"""Whole verdicts on groups of examples and on labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Verdict

from .tables import columns, judged, sentences, table, written


def gate(**asked: object) -> Gate:
    return Gate.parse(asked)


def sliced(
    topics: list[str | None], dropped: range = range(0), **scores: list[float] | list[float | None]
) -> ResultTable:
    """Examples with a topic each; the runs of some are not there."""
    given = columns(**scores) | {"metadata.topic": topics}
    return result_table(
        {name: [one for n, one in enumerate(cells) if n not in dropped] for name, cells in given.items()}
    )


def topics(*sizes: int, n: int = 100) -> list[str | None]:
    """So many of t0, t1 and so on; the others have none."""
    found: list[str | None] = [f"t{place}" for place, size in enumerate(sizes) for _ in range(size)]
    return found + [None] * (n - len(found))


def labelled(*labels: tuple[str | None, int]) -> ResultTable:
    every = [label for label, n in labels for _ in range(n)]
    return result_table({"example_id": [f"q{n}" for n in range(len(every))], "eval.tone.label": every})


ONES = [1.0] * 100
FIFTHS, SEVENTHS = ([float(n % of != 0) for n in range(100)] for of in (5, 7))
FOUR, TWO = topics(40, 30, 8, 3), topics(40, 12)
TOPIC = gate(slices="metadata.topic")
POLITE = labelled(("polite", 60))
BOTH = labelled(("polite", 58), ("rude", 2))


CASES = [
    pytest.param(
        lambda: judged(sliced(FOUR, right=ONES), sliced(FOUR, right=ONES), TOPIC),
        """
        - passed 0
        - right passed: right 1.00, 0 points [-4, 4] against 1.00 on 100 pairs; 0 improved, 0 regressed: not worse;
          a drop of 0.054 would have been found 4 times of 5 (0.05446)
        - metadata.topic passed: metadata.topic: no metric is significantly worse on any of 3 groups; of right, a
          drop of 0.162 on t0 (40 pairs) and a drop of 0.697 on t2 (8 pairs) would have been found 4 times of 5
          (0.6968)
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100
        - metadata.topic passed: not judged in metadata.topic, because it takes 7 pairs with scores on both sides to
          show anything: t3
        - metadata.topic passed: 19 examples of 100 in no group of metadata.topic
        """,
        id="no group is worse",
    ),
    pytest.param(
        lambda: judged(sliced(FOUR, right=FIFTHS), sliced(FOUR, right=SEVENTHS), TOPIC),
        """
        - passed 0
        - right passed: right 0.85, +5 points [-6, 16] against 0.80 on 100 pairs; 17 improved, 12 regressed: not
          worse; a drop of 0.186 would have been found 4 times of 5 (0.1862)
        - metadata.topic passed: metadata.topic: no metric is significantly worse on any of 3 groups; of right, a
          drop of 0.324 on t0 (40 pairs) and not even the largest drop on t2 (8 pairs) would have been found 4 times
          of 5
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100
        - metadata.topic passed: not judged in metadata.topic, because it takes 7 pairs with scores on both sides to
          show anything: t3
        - metadata.topic passed: 19 examples of 100 in no group of metadata.topic
        """,
        id="of a small group no drop would be found",
    ),
    pytest.param(
        lambda: judged(
            sliced(FOUR, right=FIFTHS),
            sliced(FOUR, right=SEVENTHS),
            gate(slices="metadata.topic", metrics={"right": {"direction": "minimize"}}),
        ),
        """
        - passed 0
        - right passed: right (less is better) 0.85, +5 points [-6, 16] against 0.80 on 100 pairs; 12 improved, 17
          regressed: not significantly worse (adjusted p = 0.54, one-sided); a rise of 0.137 would have been found 4
          times of 5 (0.1373)
        - metadata.topic passed: metadata.topic: no metric is significantly worse on any of 3 groups; of right, a
          rise of 0.197 on t0 (40 pairs) and not even the largest rise on t2 (8 pairs) would have been found 4 times
          of 5
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100
        - metadata.topic passed: not judged in metadata.topic, because it takes 7 pairs with scores on both sides to
          show anything: t3
        - metadata.topic passed: 19 examples of 100 in no group of metadata.topic
        """,
        id="less is better",
    ),
    pytest.param(
        lambda: judged(sliced(FOUR, right=ONES), sliced(FOUR, right=[0.0] * 12 + [1.0] * 88), TOPIC),
        """
        - failed 1
        - right failed: right 0.88, -12 points [-20, -7] against 1.00 on 100 pairs; 0 improved, 12 regressed:
          significantly worse (adjusted p < 0.001, one-sided)
        - metadata.topic failed: metadata.topic=t0: right 0.70, -30 points [-45, -18] against 1.00 on 40 pairs:
          significantly worse (adjusted p < 0.001, one-sided)
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100
        - metadata.topic passed: not judged in metadata.topic, because it takes 7 pairs with scores on both sides to
          show anything: t3
        - metadata.topic passed: 19 examples of 100 in no group of metadata.topic
        """,
        id="a group is worse",
    ),
    pytest.param(
        lambda: judged(sliced(TWO, right=ONES), sliced(TWO, range(40, 48), right=ONES), TOPIC),
        """
        - failed 1
        - right failed: right 1.00, 0 points [-4, 4] against 1.00 on 92 pairs; 0 improved, 0 regressed: not worse;
          with missing scores counted as the worst (8 of the candidate's) -8 points [-15, -4], significantly worse
          (adjusted p = 0.023); a drop of 0.085 would have been found 4 times of 5 (0.08458)
        - metadata.topic failed: metadata.topic=t1: scores of right missing on 8 examples; counted as the worst, it
          is significantly worse (adjusted p = 0.023)
        - error rate failed: 0 of 92 runs failed, 0 of 100 in the baseline; 8 examples failed or are missing in the
          candidate only, 0 in the baseline only: significantly more (adjusted p = 0.023)
        - coverage passed: scores on examples that the baseline scored: right 92 of 100
        - metadata.topic passed: 48 examples of 92 in no group of metadata.topic
        """,
        id="a group lacks runs",
    ),
    pytest.param(
        lambda: judged(sliced(topics(2, 3), right=ONES), sliced(topics(2, 3), right=ONES), TOPIC),
        """
        - inconclusive 1
        - right passed: right 1.00, 0 points [-4, 4] against 1.00 on 100 pairs; 0 improved, 0 regressed: not worse;
          a drop of 0.054 would have been found 4 times of 5 (0.05446)
        - metadata.topic inconclusive: metadata.topic cannot be judged: none of its 2 groups has 6 pairs, which it
          takes to show anything (6)
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100
        - metadata.topic passed: 95 examples of 100 in no group of metadata.topic
        """,
        id="all groups are small",
    ),
    pytest.param(
        lambda: judged(table(right=ONES), table(right=ONES), TOPIC),
        """
        - inconclusive 1
        - right passed: right 1.00, 0 points [-4, 4] against 1.00 on 100 pairs; 0 improved, 0 regressed: not worse;
          a drop of 0.054 would have been found 4 times of 5 (0.05446)
        - metadata.topic inconclusive: metadata.topic cannot be judged: no example has 'metadata.topic'. There are:
          none
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100
        """,
        id="no example has the field",
    ),
    pytest.param(
        lambda: judged(
            sliced(topics(*[10] * 14, n=140), right=[1.0] * 140),
            sliced(topics(*[10] * 14, n=140), right=[0.0] * 140),
            TOPIC,
        ),
        """
        - failed 1
        - right failed: right 0.00, -100 points [-100, -95] against 1.00 on 140 pairs; 0 improved, 140 regressed:
          significantly worse (adjusted p < 0.001, one-sided)
        - metadata.topic failed: metadata.topic=t0: right 0.00, -100 points [-100, -44] against 1.00 on 10 pairs:
          significantly worse (adjusted p = 0.014, one-sided); metadata.topic=t1: right 0.00, -100 points [-100,
          -44] against 1.00 on 10 pairs: significantly worse (adjusted p = 0.014, one-sided); metadata.topic=t10:
          right 0.00, -100 points [-100, -44] against 1.00 on 10 pairs: significantly worse (adjusted p = 0.014,
          one-sided); metadata.topic=t11: right 0.00, -100 points [-100, -44] against 1.00 on 10 pairs:
          significantly worse (adjusted p = 0.014, one-sided); metadata.topic=t12: right 0.00, -100 points [-100,
          -44] against 1.00 on 10 pairs: significantly worse (adjusted p = 0.014, one-sided); and 9 others
        - error rate passed: 0 of 140 runs failed, 0 of 140 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 140 of 140
        """,
        id="many groups are worse",
    ),
    pytest.param(
        lambda: judged(
            sliced(FOUR, right=ONES, other=FIFTHS[:75] + [None] * 25),
            sliced(FOUR, right=ONES, other=SEVENTHS[:75] + [None] * 25),
            TOPIC,
        ),
        """
        - passed 0
        - right passed: right 1.00, 0 points [-4, 4] against 1.00 on 100 pairs; 0 improved, 0 regressed: not worse;
          a drop of 0.078 would have been found 4 times of 5 (0.07791)
        - other passed: other 0.853, +5 points [-7, 17] against 0.80 on 75 pairs; 12 improved, 8 regressed: not
          worse; a drop of 0.22 would have been found 4 times of 5 (0.2203)
        - metadata.topic passed: metadata.topic: no metric is significantly worse on any of 3 groups; of right, a
          drop of 0.218 on t0 (40 pairs) and a drop of 0.896 on t2 (8 pairs) would have been found 4 times of 5; of
          other, a drop of 0.337 on t0 (40 pairs) and a drop of 0.422 on t1 (30 pairs) would have been found 4 times
          of 5
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: right 100 of 100, other 75 of 75
        - metadata.topic passed: not judged in metadata.topic, because it takes 8 pairs with scores on both sides to
          show anything: t2 (other), t3
        - metadata.topic passed: 19 examples of 100 in no group of metadata.topic
        """,
        id="two metrics",
    ),
    pytest.param(
        lambda: TOPIC.judge_alone(sliced(FOUR, right=ONES)),
        """
        - passed 0
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 0 of 100 runs failed
        - coverage passed: scores on examples: right 100 of 100
        - metadata.topic passed: later runs will not be judged on all groups of metadata.topic, because it takes 7
          examples to show anything: t3
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="a first run",
    ),
    pytest.param(
        lambda: TOPIC.judge_alone(sliced(topics(2, 3), right=ONES)),
        """
        - inconclusive 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 0 of 100 runs failed
        - coverage passed: scores on examples: right 100 of 100
        - metadata.topic inconclusive: metadata.topic cannot be judged, in this run or a later one: none of its 2
          groups has 6 examples, which it takes to show anything (6)
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="a first run of small groups",
    ),
    pytest.param(
        lambda: TOPIC.judge_alone(table(right=ONES)),
        """
        - inconclusive 1
        - right passed: right: the mean is 1.00, and no minimum is set
        - error rate passed: 0 of 100 runs failed
        - coverage passed: scores on examples: right 100 of 100
        - metadata.topic inconclusive: metadata.topic cannot be judged: no example has 'metadata.topic'. There are:
          none
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="a first run without the field",
    ),
    pytest.param(
        lambda: judged(labelled(("polite", 60), ("rude", 40)), labelled(("polite", 40), ("rude", 60))),
        """
        - inconclusive 1
        - tone inconclusive: tone polite 60 → 40, rude 40 → 60 on 100 pairs: its labels have shifted (adjusted p <
          0.001), for better or worse; say which labels are good, in the gate: {metrics: {tone: {positive: polite}}}
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: tone 100 of 100
        """,
        id="labels that shift",
    ),
    pytest.param(
        lambda: judged(labelled(("polite", 60), ("rude", 40)), labelled(("polite", 59), ("rude", 41))),
        """
        - passed 0
        - tone passed: tone polite 60 → 59, rude 40 → 41 on 100 pairs: 1 moved, no shift of labels shown
        - error rate passed: 0 of 100 runs failed, 0 of 100 in the baseline
        - coverage passed: scores on examples that the baseline scored: tone 100 of 100
        """,
        id="labels of which one moved",
    ),
    pytest.param(
        lambda: judged(labelled(("polite", 2)), labelled(("polite", 2))),
        """
        - inconclusive 1
        - tone inconclusive: tone polite 2 → 2 on 2 pairs: too few pairs to show any shift of labels; at least 6 are
          needed (6)
        - error rate passed: 0 of 2 runs failed, 0 of 2 in the baseline
        - coverage passed: scores on examples that the baseline scored: tone 2 of 2
        """,
        id="two labels",
    ),
    pytest.param(
        lambda: judged(POLITE, labelled(("polite", 50), (None, 10)), gate(min_coverage=0.95)),
        """
        - failed 1
        - tone inconclusive: tone polite 60 → 50, (no label) 0 → 10 on 60 pairs: its labels have shifted (adjusted p
          = 0.002), for better or worse; say which labels are good, in the gate: {metrics: {tone: {positive:
          polite}}}
        - error rate passed: 0 of 60 runs failed, 0 of 60 in the baseline
        - coverage failed: too little to judge by: tone has a label on 50 of 60 runs that the baseline has one of,
          and 95 % is needed (adjusted p = 0.0015)
        """,
        id="labels that are missing",
    ),
    pytest.param(
        lambda: judged(POLITE, labelled(("polite", 56), (None, 4)), gate(min_coverage=0.95)),
        """
        - inconclusive 1
        - tone passed: tone polite 60 → 56, (no label) 0 → 4 on 60 pairs: 4 moved, no shift of labels shown
        - error rate passed: 0 of 60 runs failed, 0 of 60 in the baseline
        - coverage inconclusive: too little to judge by: tone has a label on 56 of 60 runs that the baseline has one
          of, and 95 % is needed (adjusted p = 0.35)
        """,
        id="labels that chance may have lost",
    ),
    pytest.param(
        lambda: judged(POLITE, labelled(("polite", 57), (None, 3)), gate(min_coverage=0.95)),
        """
        - passed 0
        - tone passed: tone polite 60 → 57, (no label) 0 → 3 on 60 pairs: 3 moved, no shift of labels shown
        - error rate passed: 0 of 60 runs failed, 0 of 60 in the baseline
        - coverage passed: scores on examples that the baseline scored: tone 57 of 60
        """,
        id="just enough labels",
    ),
    pytest.param(
        lambda: judged(POLITE, POLITE, gate(metrics={"tone": {"min": 0.5}})),
        """
        - failed 1
        - tone failed: tone gives labels and no scores, so it has no mean to judge; say which labels are good, in
          the gate: {metrics: {tone: {positive: polite}}}
        - error rate passed: 0 of 60 runs failed, 0 of 60 in the baseline
        - coverage passed: scores on examples that the baseline scored: tone 60 of 60
        """,
        id="labels without a mean",
    ),
    pytest.param(
        lambda: Gate().judge_alone(BOTH),
        """
        - passed 0
        - tone passed: tone polite 58, rude 2: labels, and none is said to be good
        - error rate passed: 0 of 60 runs failed
        - coverage passed: scores on examples: none asked for
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="labels of a first run",
    ),
    pytest.param(
        lambda: gate(metrics={"tone": {"max_regression": 0.5}}).judge_alone(BOTH),
        """
        - failed 1
        - tone failed: tone gives labels and no scores, so it has no mean to judge; say which labels are good, in
          the gate: {metrics: {tone: {positive: polite}}}
        - error rate passed: 0 of 60 runs failed
        - coverage passed: scores on examples: none asked for
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="labels without a mean, of a first run",
    ),
    pytest.param(
        lambda: judged(
            POLITE, labelled(("polite", 50), ("rude", 10)), gate(metrics={"tone": {"positive": ["polite", "kind"]}})
        ),
        """
        - failed 1
        - tone failed: tone 0.833, -17 points [-28, -9] against 1.00 on 60 pairs; 0 improved, 10 regressed:
          significantly worse (adjusted p < 0.001, one-sided); 'polite' and 'kind' count as 1
        - error rate passed: 0 of 60 runs failed, 0 of 60 in the baseline
        - coverage passed: scores on examples that the baseline scored: tone 60 of 60
        - tone passed: tone's labels have shifted, polite 60 → 50, rude 0 → 10 on 60 pairs; its scores are judged
        """,
        id="labels that are good",
    ),
    pytest.param(
        lambda: gate(metrics={"tone": {"positive": "polite", "min": 0.8}}).judge_alone(BOTH),
        """
        - passed 0
        - tone passed: tone: the mean of 0.967 [0.885, 0.996] keeps the minimum of 0.80; 'polite' counts as 1
        - error rate passed: 0 of 60 runs failed
        - coverage passed: scores on examples: tone 60 of 60
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="a label that is good, with a minimum",
    ),
    pytest.param(
        lambda: gate(metrics={"tone": {"positive": ["polite", "rud"]}}).judge_alone(BOTH),
        """
        - failed 1
        - tone failed: tone: the mean is 0.967, and no minimum is set; positive: unknown label 'rud'; did you mean
          'rude'? Known: polite, rude
        - error rate passed: 0 of 60 runs failed
        - coverage passed: scores on examples: tone 60 of 60
        - baseline passed: there was no baseline to compare with: only minimum, error rate, coverage, pass rate, p95
          latency, cost and drift were checked
        """,
        id="a misspelt label",
    ),
]


@pytest.mark.parametrize(("verdict", "text"), CASES)
def test_each_check_says_its_sentence(verdict: Callable[[], Verdict], text: str) -> None:
    assert sentences(verdict()) == written(text)
