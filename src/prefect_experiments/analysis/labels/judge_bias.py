"""What a judge goes by besides what people go by: how long an output is, and which of two answers came first.

Both are known of language models as judges: Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot
Arena", NeurIPS (arXiv:2306.05685); of length Dubois, Galambosi, Liang and Hashimoto 2024, "Length-Controlled
AlpacaEval" (arXiv:2404.04475).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_experiments import jsonable
from prefect_experiments.analysis.labels.contingency import label_of, shown
from prefect_experiments.models import _Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FEWEST_EXAMPLES = 20
_CLEAR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthBias(_Record):
    """Whether a judge's score, given people's, depends on the output's length.

    Attributes:
        n: runs with both scores and an output; `n_examples` examples behind them.
        per_doubling: how much more the judge gives to an output twice as long of the same score by people, in the unit
            of its scores: the slope on log2(1 + characters) beside people's score, by least squares.
        ci_low, ci_high: by Student's t and the jackknife over examples (MacKinnon, Nielsen and Webb 2023, Journal of
            Econometrics 232:272, CV3), so that repetitions may be alike.
        p_value: two-sided, that there is no such dependence.
    """

    n: int
    n_examples: int
    per_doubling: float
    ci_low: float
    ci_high: float
    p_value: float

    def __str__(self) -> str:
        """One line for a terminal."""
        slope = shown(self.per_doubling, self.ci_low, self.ci_high, sign="+")
        what = "no clear length bias" if self.p_value >= _CLEAR else "length bias"
        return f"{what}: {slope} for an output twice as long that people score the same, p {self.p_value:.2g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionBias(_Record):
    """Whether a judge of pairs prefers the answer that it was shown first, or the other one.

    Attributes:
        n: runs whose verdict is one of the two answers and of which it is known which came first.
        n_first: how often the judge preferred the first.
        rate: the share of that, 0 to 1; 0.5 where the order does not matter and was drawn at random.
        n_human_first: how often people did, on the same runs, who saw no order or the same one.
        n_only_judge, n_only_people: runs on which only the judge, or only people, preferred the first.
        p_value: McNemar's exact test of these two numbers, two-sided.
        n_swapped: examples judged in both orders; of these the judge stayed with the same answer in `n_consistent`.
    """

    n: int
    n_first: int
    rate: float
    n_human_first: int
    n_only_judge: int
    n_only_people: int
    p_value: float
    n_swapped: int
    n_consistent: int

    def __str__(self) -> str:
        """One line for a terminal."""
        what = "no clear position bias" if self.p_value >= _CLEAR else "position bias"
        text = (
            f"{what}: the first answer preferred in {self.n_first} of {self.n} runs, by people in "
            f"{self.n_human_first}, p {self.p_value:.2g}"
        )
        if self.n_swapped:
            text += f"; same answer in both orders on {self.n_consistent} of {self.n_swapped} examples"
        return text


def length_of(output: Any) -> int | None:
    """An output's length in characters: a text's, else that of its JSON; ``None`` where there is none."""
    if output is None:
        return None
    return len(output) if isinstance(output, str) else len(jsonable.dumps_lenient(output)[0])


def length_bias(
    judged: Sequence[float],
    truth: Sequence[float],
    lengths: Sequence[int | None],
    examples: Sequence[Hashable],
    *,
    confidence: float = 0.95,
) -> LengthBias | str:
    """Whether a judge's scores depend on the length of the output, where people's are the same.

    Args:
        judged: the judge's scores of runs.
        truth: people's, in the same order.
        lengths: of the outputs, in characters; ``None`` where it is not known.
        examples: each run's example.
        confidence: of the interval.

    Returns:
        The bias; or why it cannot be seen.
    """
    import numpy as np
    from scipy.special import stdtr, stdtrit

    rows = [place for place, length in enumerate(lengths) if length is not None]
    owners = [examples[place] for place in rows]
    groups = list(dict.fromkeys(owners))
    if len(groups) < FEWEST_EXAMPLES:
        return f"length bias is not seen: {len(groups)} examples with an output, and it takes {FEWEST_EXAMPLES}"
    y = np.array([judged[place] for place in rows], dtype=np.float64)
    known = np.array([lengths[place] for place in rows], dtype=np.float64)
    given = np.array([truth[place] for place in rows], dtype=np.float64)
    x = np.column_stack([np.ones(len(rows)), np.log2(1 + known), given])
    x[:, 1:] -= x[:, 1:].mean(axis=0)
    x = x[:, :2] if not x[:, 2].any() else x
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return "length bias is not seen: all outputs are as long, or their length says the same as people's score"
    number = {owner: place for place, owner in enumerate(groups)}
    slope, without = _slopes(x, y, np.array([number[owner] for owner in owners]), len(groups))
    n = len(groups)
    stderr = math.sqrt((n - 1) / n * float(((without - slope) ** 2).sum()))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * stderr
    p_value = 2 * float(stdtr(n - 1, -abs(slope) / stderr)) if stderr > 1e-12 else float(abs(slope) < 1e-9)
    return LengthBias(
        n=len(rows), n_examples=n, per_doubling=slope, ci_low=slope - half, ci_high=slope + half, p_value=p_value
    )


def _slopes(x: Floats, y: Floats, group: npt.NDArray[np.intp], n: int) -> tuple[float, Floats]:
    """The coefficient of the second column, and without each group of rows."""
    import numpy as np

    k = x.shape[1]
    squares, products = np.zeros((n, k, k)), np.zeros((n, k))
    np.add.at(squares, group, x[:, :, None] * x[:, None, :])
    np.add.at(products, group, x * y[:, None])
    whole, total = squares.sum(axis=0), products.sum(axis=0)
    inverses = np.linalg.pinv(whole - squares)
    return float(np.linalg.solve(whole, total)[1]), (inverses @ (total - products)[:, :, None])[:, 1, 0]


def position_bias(
    judged: Sequence[str], truth: Sequence[str], first: Sequence[Any], examples: Sequence[Hashable]
) -> PositionBias | str:
    """Whether a judge of pairs prefers the answer that came first more often than people do.

    Args:
        judged: the judge's labels: which answer it prefers, or another label, such as a tie, which takes no part.
        truth: people's, in the same order.
        first: the label of the answer that came first; missing where it is not known.
        examples: each run's example.

    Returns:
        The bias; or why it cannot be seen.
    """
    from prefect_experiments.analysis.comparison.paired import mcnemar_p_value

    answers = {str(one) for one in first if one is not None}
    rows = [
        place
        for place, one in enumerate(first)
        if one is not None and judged[place] in answers and truth[place] in answers
    ]
    if len(answers) != 2 or not rows:
        return (
            f"position bias is not seen: it takes runs in which either of two answers came first, and labels that name "
            f"the answer preferred; the answers that came first are {', '.join(sorted(answers)[:5]) or 'not known'}"
        )
    by_judge = [judged[place] == str(first[place]) for place in rows]
    by_people = [truth[place] == str(first[place]) for place in rows]
    orders: dict[Hashable, dict[str, str]] = {}
    for place in rows:
        orders.setdefault(examples[place], {})[str(first[place])] = judged[place]
    swapped = [found for found in orders.values() if len(found) == 2]
    n_only_judge = sum(one and not other for one, other in zip(by_judge, by_people, strict=True))
    n_only_people = sum(other and not one for one, other in zip(by_judge, by_people, strict=True))
    return PositionBias(
        n=len(rows),
        n_first=sum(by_judge),
        rate=sum(by_judge) / len(rows),
        n_human_first=sum(by_people),
        n_only_judge=n_only_judge,
        n_only_people=n_only_people,
        p_value=mcnemar_p_value(n_only_judge, n_only_people),
        n_swapped=len(swapped),
        n_consistent=sum(len(set(found.values())) == 1 for found in swapped),
    )


def biases(
    sides: tuple[Sequence[Any], Sequence[Any]],
    examples: Sequence[Hashable],
    *,
    outputs: Sequence[Any] | None,
    first: Sequence[Any] | None,
    positive: str | None,
    ignore_case: bool,
    confidence: float,
) -> tuple[LengthBias | None, PositionBias | None, tuple[str, ...]]:
    """Both, and a sentence for each that cannot be seen.

    Args:
        sides: a judge's scores or labels, then people's.
        examples: of which each of them is.
        outputs: what was judged, where that is known.
        first: of a judge of pairs, which answer came first, where that is known.
        positive: the label that counts as a score of 1.
        ignore_case: compare labels without regard to case.
        confidence: of intervals.
    """

    def labels(values: Sequence[Any]) -> list[str | None]:
        return [label_of(value, "first", ignore_case=ignore_case) for value in values]

    length: LengthBias | str = "length bias is not seen: judged_output= would name the field with what was judged"
    are_scores = all(isinstance(one, int | float) and not isinstance(one, bool) for side in sides for one in side)
    if not are_scores and positive is None:
        length = "length bias is not seen: it takes scores, or labels of which positive= says which is good"
    elif outputs is not None:
        judged, truth = (
            [float(one) for one in side] if are_scores else [float(label == positive) for label in labels(side)]
            for side in sides
        )
        length = length_bias(judged, truth, [length_of(one) for one in outputs], examples, confidence=confidence)
    position: PositionBias | str = "position bias is not seen: first= would name the field with which answer came first"
    if first is not None:
        by_judge, by_people = ([label or "" for label in labels(side)] for side in sides)
        position = position_bias(by_judge, by_people, labels(first), examples)
    seen = (None if isinstance(length, str) else length, None if isinstance(position, str) else position)
    return *seen, tuple(one for one in (length, position) if isinstance(one, str))
