"""pass@k and pass^k of one metric in a results table."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from prefect_experiments.analysis.fields import fields_of, values_of
from prefect_experiments.analysis.repetitions import RepetitionSummary, is_two_valued, summarize_repetitions
from prefect_experiments.errors import InvalidInput, unknown_value


def repetition_summary(results: Any, *, metric: str, threshold: float | None = None) -> RepetitionSummary:
    """pass@k, pass^k and the flip rate of one metric in a results table.

    Args:
        results: a `RanExperiment`, or a table shaped like its ``to_dataframe()``: a DataFrame, rows, a file.
        metric: the evaluator's name.
        threshold: the lowest score that passes; default, scores must be 0 or 1 and 1 passes.

    Raises:
        InvalidInput: no rows, no such metric, or scores other than 0 and 1 without a threshold.
    """
    fields = fields_of(results)
    rows, examples, failed = fields.rows, fields.example_ids, fields.failed
    column = f"eval.{metric}.score"
    if column not in rows[0]:
        known = [name[5:-6] for name in rows[0] if name.startswith("eval.") and name.endswith(".score")]
        raise InvalidInput(unknown_value("metric", metric, known))
    broken = [example for example, bad in zip(examples, failed, strict=True) if bad]
    scores = zip(examples, failed, values_of(rows, column, "metric"), strict=True)
    scored = [(example, float(score)) for example, bad, score in scores if score is not None and not bad]
    if threshold is None and not is_two_valued(score for _, score in scored):
        raise InvalidInput(
            f"metric {metric!r} has scores other than 0 and 1; give threshold=, the lowest score that passes"
        )
    counts: dict[Hashable, int] = {}
    for example in examples:
        counts[example] = counts.get(example, 0) + 1
    return summarize_repetitions(
        scored, broken, max(counts.values()), threshold=1.0 if threshold is None else threshold
    )
