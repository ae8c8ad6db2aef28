"""Results tables for these tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

FAILED = object()
"""An output that the task did not give."""


def table(truth: Sequence[Any], output: Sequence[Any], **columns: Any) -> pd.DataFrame:
    """One row a run, shaped like ``RanExperiment.to_dataframe()``; each row an example unless told."""
    bad = [value is FAILED for value in output]
    rows = {
        "example_id": [f"e{number}" for number in range(len(truth))],
        "expected": list(truth),
        "output": [None if value is FAILED else value for value in output],
        "status": ["error" if one else "ok" for one in bad],
        "error": ["ValueError: no" if one else None for one in bad],
    }
    rows.update(columns)
    return pd.DataFrame({name: pd.Series(list(values), dtype=object) for name, values in rows.items()})


def from_confusion(confusion: Sequence[Sequence[int]], labels: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Pairs of labels that a confusion matrix counts: rows first."""
    pairs = [
        (one, other)
        for one, row in zip(labels, confusion, strict=True)
        for other, count in zip(labels, row, strict=True)
        for _ in range(count)
    ]
    return [one for one, _ in pairs], [other for _, other in pairs]
