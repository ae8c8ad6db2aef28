"""Meta-evaluation: how well an evaluator agrees with people, and which way it errs.

The same for LLM judges and code. The evaluator's values come from an experiment it scored
(``eval.NAME.score|label``), or are the outputs of an experiment whose task it was
(`prefect_experiments.evaluators.as_task.evaluator_task`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from prefect_experiments.analysis.fields import (
    ResultFields,
    Row,
    Selection,
    column_of,
    fields_of,
    known_fields,
    select,
    values_of,
)
from prefect_experiments.analysis.labels.agreement_figures import (
    LabelAgreement,
    ScoreAgreement,
    label_agreement,
    score_agreement,
)
from prefect_experiments.analysis.labels.contingency import (
    LabelPairs,
    check_confidence,
    label_of,
    labels_in_order,
    unknown_label,
)
from prefect_experiments.analysis.labels.judge_bias import LengthBias, PositionBias, biases
from prefect_experiments.datasets.scalars import is_missing, python_scalar
from prefect_experiments.errors import InvalidInput, InvalidSetting, unknown_value
from prefect_experiments.models import _Record

Part = Literal["label", "score"]
_BOOLS = ("False", "True")
_NOT_ANNOTATED = (
    "Nothing is annotated in these results: client.experiments.annotate_runs (`prefect-experiments annotate`) keeps "
    "what people say of the runs"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(_Record):
    """An evaluator beside people. ``n + n_errors + n_missing_evaluator + n_missing_human == n_rows``.

    Attributes:
        evaluator, human: the fields compared.
        n_rows: runs in the table.
        n: runs with a value of both; all figures are over these.
        n_examples: examples behind them.
        n_errors: runs with a human value where the run or its evaluator failed.
        n_missing_human: runs without a human value.
        n_missing_evaluator: runs with a human value that the evaluator gave none, without an error.
        threshold: scores from here on stand for the positive label.
        labels: agreement of labels; ``None`` for scores that no threshold makes labels of.
        scores: agreement of scores; ``None`` for labels.
        length: whether the evaluator goes by the output's length as well; ``None`` where that cannot be seen.
        position: of an evaluator of pairs, whether it goes by which answer came first; likewise.
        unseen: why these cannot be seen, a sentence each.
        notes: what is undefined or to be read with care, and why.
    """

    evaluator: str
    human: str
    n_rows: int
    n: int
    n_examples: int
    n_errors: int
    n_missing_human: int
    n_missing_evaluator: int
    threshold: float | None
    confidence: float
    labels: LabelAgreement | None
    scores: ScoreAgreement | None
    length: LengthBias | None = None
    position: PositionBias | None = None
    unseen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Several lines for a terminal."""
        lines = [
            f"{self.evaluator} against {self.human}: {self.n} of {self.n_rows} runs compared, {self.n_errors} failed, "
            f"{self.n_missing_human} without a human value, {self.n_missing_evaluator} without an evaluator's"
        ]
        parts = [str(one) for one in (self.labels, self.scores, self.length, self.position) if one is not None]
        return "\n".join([*lines, *parts, *self.unseen, *self.notes])


def meta_evaluation(
    results: Any,
    *,
    evaluator: str,
    human: str,
    threshold: float | None = None,
    positive: Any = None,
    labels: Sequence[Any] | None = None,
    ignore_case: bool = False,
    confidence: float = 0.95,
    judged_output: str | None = None,
    first: str | None = None,
) -> Agreement:
    """How well an evaluator agrees with people, over the runs that both judged.

    Args:
        results: a `RanExperiment`; what ``list_runs()`` gave; or a table shaped like either: a
            DataFrame, rows, a file.
        evaluator: an evaluator's name, or a field such as ``eval.NAME.score`` or, where the evaluator
            was the task, ``output.label``. A name stands for its labels or its scores, whichever
            the other side has (scores, where there is a threshold; else labels first).
        human: an annotation's name, or a field such as ``annotation.NAME.label``,
            ``expected.label`` or ``metadata.human_score``.
        threshold: scores of at least this are the positive label, those below the other one.
        positive: the positive label, such as ``correct``, for the direction in which the evaluator
            errs; default, ``True`` where labels are ``True`` and ``False``.
        labels: every label in order, lowest first, for ordinals: adds quadratic-weighted kappa.
        ignore_case: compare labels without regard to case.
        confidence: of the intervals.
        judged_output: the field with what was judged, whose length may bias the evaluator; by default the run's output,
            where there is one and the evaluator was not the task.
        first: of an evaluator of pairs, the field that says which answer it was shown first, by the label that
            prefers it, such as ``metadata.first``; by default ``eval.NAME.metadata.first`` where there is one.

    Raises:
        InvalidInput: no rows, an unknown field, labels on one side and scores on the other without
            a threshold, or no run with both.
        InvalidSetting: parameters that do not go together.
    """
    fields = fields_of(results)
    rows = fields.rows
    evaluator, human = _fields(rows, evaluator, human, prefer_scores=threshold is not None)
    judged = _plain(values_of(rows, evaluator, "evaluator"))
    truth = _plain(values_of(rows, human, "human"))
    selection = select(truth, judged, _errors(fields, evaluator))
    options = _Options(threshold, positive, labels, ignore_case, check_confidence(confidence))
    found = _agreement((evaluator, human), (judged, truth), selection, fields.example_ids, options)
    if judged_output is None and not evaluator.startswith("output") and column_of(rows, "output") == "output":
        judged_output = "output"
    usual = f"{evaluator.rpartition('.')[0]}.metadata.first"
    first = usual if first is None and column_of(rows, usual) == usual else first
    length, position, unseen = biases(
        (selection.of(judged), selection.of(truth)),
        selection.of(fields.example_ids),
        outputs=selection.of(values_of(rows, judged_output, "judged_output")) if judged_output else None,
        first=selection.of(values_of(rows, first, "first")) if first else None,
        positive=None if found.labels is None or threshold is not None else found.labels.positive,
        ignore_case=ignore_case,
        confidence=confidence,
    )
    return replace(found, length=length, position=position, unseen=unseen)


def agreement(
    evaluator_values: Sequence[Any],
    human_values: Sequence[Any],
    *,
    examples: Sequence[Hashable] | None = None,
    threshold: float | None = None,
    positive: Any = None,
    labels: Sequence[Any] | None = None,
    ignore_case: bool = False,
    confidence: float = 0.95,
) -> Agreement:
    """How well an evaluator agrees with people, from their values of the same outputs.

    Numbers are scores, texts and bools are labels; scores that are all 0 or 1 are both.

    Args:
        evaluator_values: a score or a label for each output; missing where ``None`` or NaN.
        human_values: the same of people, in the same order.
        examples: the example of each output, where some have several; default, each its own.
        threshold: see `meta_evaluation`, as the rest.
        positive: the positive label.
        labels: every label in order.
        ignore_case: compare labels without regard to case.
        confidence: of the intervals.

    Raises:
        InvalidInput: different lengths, labels on one side and scores on the other without a
            threshold, or no output with both.
        InvalidSetting: parameters that do not go together.
    """
    judged, truth = _plain(evaluator_values), _plain(human_values)
    owners: list[Hashable] = list(range(len(judged)) if examples is None else examples)
    if len({len(judged), len(truth), len(owners)}) != 1:
        raise InvalidInput(
            f"one value each: got {len(judged)} of the evaluator, {len(truth)} of people, {len(owners)} examples"
        )
    return _agreement(
        ("evaluator", "human"),
        (judged, truth),
        select(truth, judged, [False] * len(judged)),
        owners,
        _Options(threshold, positive, labels, ignore_case, check_confidence(confidence)),
    )


@dataclass(frozen=True, slots=True)
class _Options:
    threshold: float | None
    positive: Any
    labels: Sequence[Any] | None
    ignore_case: bool
    confidence: float


def _agreement(
    names: tuple[str, str],
    values: tuple[Sequence[Any], Sequence[Any]],
    selection: Selection,
    examples: Sequence[Hashable],
    options: _Options,
) -> Agreement:
    judged, truth, owners = selection.of(values[0]), selection.of(values[1]), selection.of(examples)
    if not judged:
        raise InvalidInput(
            f"no run has a value of both {names[0]} and {names[1]}: of {selection.n_rows} runs, "
            f"{selection.n_missing_reference} have no human value, {selection.n_errors} failed, and "
            f"{selection.n_missing_other} have none of the evaluator"
        )
    notes: list[str] = []
    labelled = _labelled(names, judged, truth, options)
    labels = scores = None
    if labelled is not None:
        first, second, positive, order = labelled
        pairs = LabelPairs(first=first, second=second, examples=owners, labels=order)
        labels = label_agreement(pairs, positive, options.labels is not None, options.confidence, notes)
    if _are_scores(judged) and _are_scores(truth):
        scores = score_agreement(judged, truth, owners, options.confidence, notes)
    return Agreement(
        evaluator=names[0],
        human=names[1],
        n_rows=selection.n_rows,
        n=len(judged),
        n_examples=len(set(owners)),
        n_errors=selection.n_errors,
        n_missing_human=selection.n_missing_reference,
        n_missing_evaluator=selection.n_missing_other,
        threshold=options.threshold,
        confidence=options.confidence,
        labels=labels,
        scores=scores,
        notes=tuple(notes),
    )


_Labelled = tuple[list[str], list[str], str | None, list[str]]
"""People's labels, the evaluator's, the positive one, and all of them in order."""


def _labelled(names: tuple[str, str], judged: list[Any], truth: list[Any], options: _Options) -> _Labelled | None:
    """Both sides as labels; ``None`` for scores that no threshold makes labels of."""
    numbers = (_are_scores(judged), _are_scores(truth))
    if options.threshold is not None:
        return _cut(names, judged, truth, numbers, options)
    if numbers[0] != numbers[1]:
        with_scores, with_labels = names if numbers[0] else names[::-1]
        raise InvalidInput(
            f"{with_scores} has scores and {with_labels} has labels; give threshold=, from which on a score stands "
            "for the positive label, and positive=, that label"
        )
    if numbers[0] and not set(judged) | set(truth) <= {0, 1}:
        if options.positive is not None or options.labels is not None:
            raise InvalidSetting("positive= and labels= are for labels; to make labels of scores, give threshold=")
        return None
    first, second = (_as_labels(name, side, options) for name, side in zip(names[::-1], (truth, judged), strict=True))
    order = labels_in_order({*first, *second}, options.labels, ignore_case=options.ignore_case)
    return first, second, _positive(options, order, "1" if numbers[0] else "True"), order


def _cut(
    names: tuple[str, str], judged: list[Any], truth: list[Any], numbers: tuple[bool, bool], options: _Options
) -> _Labelled:
    """The sides with scores cut at the threshold; a side with labels as positive or not."""
    threshold = options.threshold
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise InvalidSetting(f"threshold must be a number, got {threshold!r}")
    if options.labels is not None:
        raise InvalidSetting("labels= are for ordinal labels; a threshold makes two labels of scores")
    if not any(numbers):
        raise InvalidSetting(f"threshold= is for scores, and both {names[0]} and {names[1]} have labels")
    low, high = f"below {threshold:g}", f"at least {threshold:g}"
    if not all(numbers):
        side = truth if numbers[0] else judged
        low, high = _two_labels(_as_labels(names[1] if numbers[0] else names[0], side, options), options)
    elif options.positive is not None:
        raise InvalidSetting("positive= names a label, and both sides have scores: those from the threshold on count")
    first, second = (
        [high if value >= threshold else low for value in side]
        if are_numbers
        else [high if label_of(value, "", ignore_case=options.ignore_case) == high else low for value in side]
        for side, are_numbers in ((truth, numbers[1]), (judged, numbers[0]))
    )
    return first, second, high, [low, high]


def _two_labels(found: Sequence[str], options: _Options) -> tuple[str, str]:
    """The other label and the positive one, of the side that has labels."""
    labels = sorted(set(found))
    positive = _positive(options, labels, "True")
    if positive is None and set(labels) <= {label.casefold() if options.ignore_case else label for label in _BOOLS}:
        positive = "true" if options.ignore_case else "True"  # all are False
    if positive is None:
        raise InvalidInput(
            "give positive=, the label that a score from the threshold on stands for; "
            f"there are {', '.join(labels[:20])}"
        )
    others = [label for label in labels if label != positive]
    return others[0] if len(others) == 1 else f"not {positive}", positive


def _positive(options: _Options, labels: Sequence[str], usual: str) -> str | None:
    """The positive label as given, else the usual one where it occurs."""
    if options.positive is None:
        usual = usual.casefold() if options.ignore_case else usual
        return usual if usual in labels and len(labels) <= 2 else None
    positive = str(label_of(options.positive, "positive", ignore_case=options.ignore_case))
    if positive not in labels:
        raise InvalidInput(unknown_label("positive label", positive, labels))
    return positive


def _as_labels(name: str, values: Sequence[Any], options: _Options) -> list[str]:
    return [str(label_of(value, name, ignore_case=options.ignore_case)) for value in values]


def _are_scores(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _plain(values: Sequence[Any]) -> list[Any]:
    """Python's own values, ``None`` where missing."""
    return [None if is_missing(value) else value for value in map(python_scalar, values)]


def _errors(fields: ResultFields, field: str) -> list[bool]:
    """For each run whether it failed, or the evaluator on it."""
    column = f"{field.rpartition('.')[0]}.error"
    return [bad or not is_missing(row.get(column)) for row, bad in zip(fields.rows, fields.failed, strict=True)]


def _fields(rows: Sequence[Row], evaluator: str, human: str, *, prefer_scores: bool) -> tuple[str, str]:
    """The fields that two names stand for; what is a field already stays."""
    sides = [_offered(rows, evaluator, "evaluator", "eval"), _offered(rows, human, "human", "annotation")]
    fields = [side for side in sides if isinstance(side, str)]
    names = [side for side in sides if not isinstance(side, str)]
    for field in fields:  # the other side's name stands for what goes with it
        values = [value for value in _plain(values_of(rows, field, "human")) if value is not None]
        prefer_scores = prefer_scores or (bool(values) and _are_scores(values))
    parts: list[Part] = ["score", "label"] if prefer_scores else ["label", "score"]
    shared = next((part for part in parts if all(part in name for name in names)), None)
    best = [shared] if shared else parts
    one, other = (
        side if isinstance(side, str) else side[next(part for part in best if part in side)] for side in sides
    )
    return one, other


def _offered(rows: Sequence[Row], given: str, what: str, prefix: str) -> str | dict[Part, str]:
    """A field, or the columns that a bare name stands for: those of them with something in it.

    Raises:
        InvalidInput: neither a field nor a name.
    """
    parts: tuple[Part, Part] = ("label", "score")
    if not (is_column := given in rows[0]):
        given = given.removeprefix(f"{prefix}.") if _is_name(rows, given, prefix) else given
    columns: dict[Part, str] = {part: f"{prefix}.{given}.{part}" for part in parts}
    there = {} if is_column else {part: column for part, column in columns.items() if column in rows[0]}
    filled = {part: c for part, c in there.items() if not all(is_missing(row[c]) for row in rows)}
    if there:
        return filled or there
    if column_of(rows, given) is None:
        other = "eval" if prefix == "annotation" else "annotation"
        if meant := [column for part in parts if (column := f"{other}.{given}.{part}") in rows[0]]:
            whose = "an evaluator's" if other == "eval" else "an annotation's"
            raise InvalidInput(
                f"unknown {what} field {given!r}: that name is {whose}; to compare with it, say "
                f"{what}={' or '.join(map(repr, meant))}"
            )
        names = dict.fromkeys(
            name.split(".", 1)[1].rpartition(".")[0] for name in rows[0] if name.startswith(f"{prefix}.")
        )
        unknown = unknown_value(f"{what} field", given, [*names, *known_fields(rows)])
        nothing = prefix == "annotation" and not names
        raise InvalidInput(f"{unknown}. {_NOT_ANNOTATED}" if nothing else unknown)
    return given


def _is_name(rows: Sequence[Row], given: str, prefix: str) -> bool:
    """Whether that is a name with what its columns begin with before it, such as ``annotation.human``."""
    return given.startswith(f"{prefix}.") and any(f"{given}.{part}" in rows[0] for part in ("label", "score"))
