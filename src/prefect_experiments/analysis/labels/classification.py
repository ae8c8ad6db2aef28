"""Classification metrics: the task's answers against the true labels of the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from prefect_experiments.analysis.fields import Selection, fields_of, select, values_of
from prefect_experiments.analysis.labels.contingency import (
    KappaWeights,
    LabelPairs,
    aligned,
    check_confidence,
    confusion_lines,
    even_scale,
    label_of,
    labels_in_order,
    shown,
    unknown_label,
)
from prefect_experiments.errors import InvalidInput, InvalidSetting, unknown_value
from prefect_experiments.models import _Record

_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages(_Record):
    """Precision, recall and F1, from 0 to 1; ``None`` where undefined (0/0).

    F1 is 2 tp / (2 tp + fp + fn), so it is 0 and not undefined for a label that was never right.
    """

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures(_Record):
    """One label against all others.

    Attributes:
        precision: of the runs with this prediction, the share that was right; ``None`` if there are none.
        recall: of the runs with this truth, the share that was found; ``None`` if there are none.
        f1: their harmonic mean; ``None`` if the label does not occur at all.
        support: runs with this truth.
        predicted: runs with this prediction.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationReport(_Record):
    """How well a task classifies. ``n + n_errors + n_missing_truth + n_missing_prediction == n_rows``.

    Attributes:
        truth, prediction: the fields compared.
        labels: every label, in the order of `classes` and `confusion`.
        n_rows: runs in the table.
        n: runs with a truth and a prediction; all figures but one are over these.
        n_examples: examples behind them.
        n_correct: of the `n`.
        n_errors: runs with a truth whose task failed.
        n_missing_truth: runs without a true label.
        n_missing_prediction: ok runs with a truth and without a prediction.
        accuracy: `n_correct` of `n`, 0 to 1.
        accuracy_ci_low, accuracy_ci_high: interval at `confidence`, made as `interval_method` says:
            Clopper and Pearson's, or with repetitions a t-interval over examples.
        accuracy_with_errors_as_wrong: `n_correct` of `n` + `n_errors`.
        binary: of the positive class; ``None`` without one.
        macro: means over the labels where defined, each label counting the same.
        weighted: means over the labels where defined, by support.
        classes: each label.
        confusion: runs by truth (rows) and prediction (columns).
        kappa: Cohen's, with `kappa_weights`, and its bootstrap interval over examples.
        notes: what is undefined, and why.
    """

    truth: str
    prediction: str
    positive: str | None
    labels: tuple[str, ...]
    n_rows: int
    n: int
    n_examples: int
    n_correct: int
    n_errors: int
    n_missing_truth: int
    n_missing_prediction: int
    accuracy: float | None
    accuracy_ci_low: float | None
    accuracy_ci_high: float | None
    interval_method: str
    accuracy_with_errors_as_wrong: float | None
    binary: Averages | None
    macro: Averages
    weighted: Averages
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    kappa: float | None
    kappa_ci_low: float | None
    kappa_ci_high: float | None
    kappa_weights: KappaWeights | None = None
    confidence: float = 0.95
    notes: tuple[str, ...] = ()

    @property
    def n_missing(self) -> int:
        """Runs without a truth or, though ok, without a prediction."""
        return self.n_missing_truth + self.n_missing_prediction

    def keys(self) -> list[str]:
        """The fields, and `n_missing`."""
        return [*_Record.keys(self), "n_missing"]

    def __str__(self) -> str:
        """Several lines for a terminal."""
        accuracy = shown(self.accuracy, self.accuracy_ci_low, self.accuracy_ci_high)
        lines = [
            f"{self.prediction} against {self.truth}: {self.n} of {self.n_rows} runs compared, "
            f"{self.n_errors} failed, {self.n_missing_truth} without a truth, "
            f"{self.n_missing_prediction} without a prediction",
            f"accuracy {accuracy} ({self.n_correct} of {self.n})",
        ]
        if self.n_errors:
            wrong = shown(self.accuracy_with_errors_as_wrong)
            lines[-1] += f"; {wrong} ({self.n_correct} of {self.n + self.n_errors}) with failed runs as wrong"
        kind = f"{self.kappa_weights}-weighted kappa" if self.kappa_weights else "Cohen's kappa"
        lines.append(f"{kind} {shown(self.kappa, self.kappa_ci_low, self.kappa_ci_high)}")
        lines += self._class_lines()
        lines += confusion_lines(self.confusion, self.labels, "truth \\ prediction")
        return "\n".join([*lines, *self.notes])

    def _class_lines(self) -> list[str]:
        rows = [["", "precision", "recall", "F1", "support"]]
        rows += [_line(one.label, one, one.support) for one in self.classes[:_MOST_SHOWN]]
        if len(self.classes) > _MOST_SHOWN:
            rows.append([f"... {len(self.classes) - _MOST_SHOWN} more", "", "", "", ""])
        rows += [_line("macro", self.macro, self.n), _line("weighted", self.weighted, self.n)]
        return aligned(rows)


def classification_report(
    results: Any,
    *,
    truth: str,
    prediction: str = "output",
    positive: Any = None,
    labels: Sequence[Any] | None = None,
    kappa_weights: KappaWeights | None = None,
    ignore_case: bool = False,
    strip: bool = False,
    confidence: float = 0.95,
) -> ClassificationReport:
    """Accuracy, precision, recall, F1, confusion matrix and Cohen's kappa of an experiment, as scikit-learn has them.

    Labels are compared as texts: True and False as those words, whole numbers without a decimal
    point, everything else as it is; case and white space count unless said otherwise. What is 0/0
    is ``None`` and told in `notes`, never 0; macro and weighted averages leave such labels out.

    Args:
        results: a `RanExperiment`, or a table shaped like its ``to_dataframe()``: a DataFrame, rows, a file.
        truth: the field with the true label: a column, or one with keys into its objects, such as
            ``expected``, ``expected.label`` or ``metadata.label``.
        prediction: the field with the predicted label, such as ``output.label`` or ``eval.NAME.label``.
        positive: the positive class, for binary figures (that class against all others).
        labels: every label in order, for ordinals lowest first; default, those that occur,
            numbers by size and texts by alphabet.
        kappa_weights: ``linear`` or ``quadratic`` for ordinals; labels count as evenly spaced.
        ignore_case: compare labels without regard to case.
        strip: compare labels without white space around them.
        confidence: of the intervals.

    Raises:
        InvalidInput: no rows, an unknown field, a field with objects in it, no row with a truth,
            or a positive class that does not occur.
        InvalidSetting: `labels` that lack one that occurs, `kappa_weights` without an order, a
            confidence that is none.
    """
    check_confidence(confidence)
    if kappa_weights not in (None, "linear", "quadratic"):
        raise InvalidSetting(unknown_value("kappa weights", kappa_weights, ["linear", "quadratic"]))
    options = {"ignore_case": ignore_case, "strip": strip}
    fields = fields_of(results)
    rows = fields.rows
    true = [label_of(value, truth, **options) for value in values_of(rows, truth, "truth")]
    if all(label is None for label in true):
        raise InvalidInput(f"no row has a value in the truth field {truth!r}")
    predicted = [label_of(value, prediction, **options) for value in values_of(rows, prediction, "prediction")]
    selection = select(true, predicted, fields.failed)
    first, second = selection.of(true), selection.of(predicted)
    order = labels_in_order({*first, *second}, labels, **options)
    pairs = LabelPairs(
        first=first,
        second=second,
        examples=selection.of(fields.example_ids),
        labels=order,
        scale=even_scale(order) if kappa_weights and labels is None else (),
    )
    wanted = label_of(positive, "positive", **options)
    if wanted is not None and first and wanted not in {*first, *second}:
        raise InvalidInput(unknown_label("positive class", wanted, order))
    return _report(pairs, selection, (truth, prediction), wanted, kappa_weights, confidence)


def _report(
    pairs: LabelPairs,
    selection: Selection,
    fields: tuple[str, str],
    positive: str | None,
    kappa_weights: KappaWeights | None,
    confidence: float,
) -> ClassificationReport:
    n, n_errors, agree = len(pairs.first), selection.n_errors, pairs.n_agree
    (low, high), method = pairs.share_interval(confidence)
    kappa = pairs.kappa(kappa_weights)
    kappa_low, kappa_high = pairs.kappa_interval(confidence, kappa_weights)
    classes = _classes(pairs)
    return ClassificationReport(
        truth=fields[0],
        prediction=fields[1],
        positive=positive,
        labels=tuple(pairs.labels),
        n_rows=selection.n_rows,
        n=n,
        n_examples=pairs.n_examples,
        n_correct=agree,
        n_errors=n_errors,
        n_missing_truth=selection.n_missing_reference,
        n_missing_prediction=selection.n_missing_other,
        accuracy=agree / n if n else None,
        accuracy_ci_low=low,
        accuracy_ci_high=high,
        interval_method=method,
        accuracy_with_errors_as_wrong=agree / (n + n_errors) if n + n_errors else None,
        binary=next((Averages(**_scores(one)) for one in classes if one.label == positive), None),
        macro=_averages(classes, [1] * len(classes)),
        weighted=_averages(classes, [one.support for one in classes]),
        classes=classes,
        confusion=pairs.confusion(),
        kappa=kappa,
        kappa_ci_low=kappa_low,
        kappa_ci_high=kappa_high,
        kappa_weights=kappa_weights,
        confidence=confidence,
        notes=_notes(classes, kappa, n),
    )


def _classes(pairs: LabelPairs) -> tuple[ClassFigures, ...]:
    right = Counter(one for one, other in zip(pairs.first, pairs.second, strict=True) if one == other)
    true, predicted = Counter(pairs.first), Counter(pairs.second)
    return tuple(_class(label, right[label], true[label], predicted[label]) for label in pairs.labels)


def _class(label: str, right: int, support: int, predicted: int) -> ClassFigures:
    """Precision, recall and F as van Rijsbergen has them ("Information Retrieval", 1979, chapter 7)."""
    return ClassFigures(
        label=label,
        precision=right / predicted if predicted else None,
        recall=right / support if support else None,
        f1=2 * right / (support + predicted) if support + predicted else None,
        support=support,
        predicted=predicted,
    )


def _averages(classes: Sequence[ClassFigures], weights: Sequence[int]) -> Averages:
    names = ("precision", "recall", "f1")
    return Averages(**{name: _mean([getattr(one, name) for one in classes], weights) for name in names})


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    """Over the values there are; each counts the same where all their weights are 0, as with scikit-learn."""
    found = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    if not found:
        return None
    kept = [weight for _, weight in found]
    return fmean((value for value, _ in found), kept if any(kept) else None)


def _scores(one: ClassFigures | Averages) -> dict[str, float | None]:
    return {"precision": one.precision, "recall": one.recall, "f1": one.f1}


def _line(name: str, one: ClassFigures | Averages, support: int) -> list[str]:
    return [name, *(shown(value) for value in _scores(one).values()), str(support)]


def _notes(classes: Sequence[ClassFigures], kappa: float | None, n: int) -> tuple[str, ...]:
    if not n:
        return ("nothing could be compared: no run has both a truth and a prediction",)
    unpredicted = [repr(one.label) for one in classes if not one.predicted]
    untrue = [repr(one.label) for one in classes if not one.support]
    notes = []
    if unpredicted:
        notes.append(f"precision is undefined for {', '.join(unpredicted)}: never predicted")
    if untrue:
        notes.append(f"recall is undefined for {', '.join(untrue)}: never the truth")
    if notes:
        notes.append("macro and weighted averages leave undefined figures out")
    if kappa is None:
        notes.append("kappa is undefined: only one label occurs, so chance alone gives full agreement")
    return tuple(notes)
