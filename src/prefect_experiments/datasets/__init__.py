"""Rows, files and DataFrames to examples and back, and drawing a sample of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments.datasets.columns import KeyColumns, UnclearColumns
from prefect_experiments.datasets.export import example_rows, write_examples, write_rows
from prefect_experiments.datasets.files import is_path
from prefect_experiments.datasets.frames import frame_rows
from prefect_experiments.datasets.raw import first_few
from prefect_experiments.datasets.rows import to_examples
from prefect_experiments.datasets.sampling import draw, of_splits
from prefect_experiments.datasets.tables import Table, is_tabular, read_table
from prefect_experiments.models import Dataset, Example

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Table",
    "UnclearColumns",
    "draw",
    "example_rows",
    "first_few",
    "frame_rows",
    "is_path",
    "is_tabular",
    "load",
    "of_splits",
    "read_rows",
    "read_table",
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
    types: Mapping[str, str] | None = None,
    origin: str = "examples",
    existing_ids: Iterable[str] = (),
) -> Sequence[Example]:
    """The examples of whatever a dataset can be given as.

    Args:
        source: whatever `read_table` takes, a `Dataset`, or a list in which there may be examples.
            A text is always a path here; see `is_path`.
        input_keys: see `to_examples`, as for all the others.
        output_keys: the columns of the expected output.
        metadata_keys: the columns of the metadata.
        split_key: the column of the splits.
        id_key: the column of the ids.
        span_id_key: the column of the spans' ids.
        types: by column, what its cells are; see `read_table`. CSV files have no types: their cells are
            text where nothing is said here.
        origin: what a list is called in messages; a file, a table and a `Dataset` say it themselves.
        existing_ids: ids that are in use already.

    Returns:
        At least one example, each with an id; more than 10,000 are not in memory, see `to_examples`.

    Raises:
        InvalidDataset: the source cannot be read, or does not make examples.
    """
    return to_examples(
        source.examples if isinstance(source, Dataset) else source,
        input_keys=input_keys,
        output_keys=output_keys,
        metadata_keys=metadata_keys,
        split_key=split_key,
        id_key=id_key,
        span_id_key=span_id_key,
        types=types,
        origin=f"dataset {source.name!r}" if isinstance(source, Dataset) else origin,
        existing_ids=existing_ids,
    )


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a file as mappings of column to value; see `read_table`."""
    return list(read_table(path).records())
