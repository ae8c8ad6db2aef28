"""Rows, files and DataFrames to examples and back, and drawing a sample of them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments.datasets.columns import KeyColumns
from prefect_experiments.datasets.export import example_rows, write_examples, write_rows
from prefect_experiments.datasets.files import is_path, read_rows
from prefect_experiments.datasets.frames import frame_rows
from prefect_experiments.datasets.rows import to_examples
from prefect_experiments.datasets.sampling import draw, of_splits
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Dataset, Example

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "draw",
    "example_rows",
    "frame_rows",
    "is_path",
    "load",
    "of_splits",
    "read_rows",
    "to_examples",
    "write_examples",
    "write_rows",
]


def load(
    source: str | Path | pd.DataFrame | Dataset | Iterable[Mapping[Any, Any] | Example],
    *,
    input_keys: KeyColumns = None,
    output_keys: KeyColumns = None,
    metadata_keys: KeyColumns = None,
    split_key: str | None = None,
    id_key: str | None = None,
    span_id_key: str | None = None,
    existing_ids: Collection[str] = (),
) -> tuple[Example, ...]:
    """The examples of whatever a dataset can be given as.

    Args:
        source: the path of a file (see `read_rows`), a DataFrame, a `Dataset`, or mappings of
            column to value and examples. A text is always a path here; see `is_path`.
        input_keys: see `to_examples`, as for all the others.
        output_keys: the columns of the expected output.
        metadata_keys: the columns of the metadata.
        split_key: the column of the splits.
        id_key: the column of the ids.
        span_id_key: the column of the spans' ids.
        existing_ids: ids that are in use already.

    Returns:
        At least one example, each with an id.

    Raises:
        InvalidDataset: the source cannot be read, or does not make examples.
    """
    rows, origin = _rows(source)
    return to_examples(
        rows,
        input_keys=input_keys,
        output_keys=output_keys,
        metadata_keys=metadata_keys,
        split_key=split_key,
        id_key=id_key,
        span_id_key=span_id_key,
        origin=origin,
        existing_ids=existing_ids,
    )


def _rows(source: Any) -> tuple[Iterable[Mapping[Any, Any] | Example], str]:
    """The rows of a source, and what to call it in messages."""
    if isinstance(source, str | Path):
        return read_rows(source), str(source)
    # Who has a DataFrame has imported pandas; nobody else should wait a second for it.
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(source, pandas.DataFrame):
        return frame_rows(source), "DataFrame"
    if isinstance(source, Dataset):
        return source.examples, f"dataset {source.name!r}"
    if isinstance(source, Mapping | bytes | Example) or not isinstance(source, Iterable):
        raise InvalidDataset(
            "a dataset is the path of a file, a DataFrame, a Dataset, or a list of mappings or Examples; "
            f"got a value of type {type(source).__qualname__}"
        )
    return source, "examples"
