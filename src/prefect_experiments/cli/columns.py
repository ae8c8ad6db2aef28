"""What the options say of a file's columns."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from prefect_experiments.cli.options import OptionGroup, made_from
from prefect_experiments.errors import InvalidDataset, InvalidSetting
from prefect_experiments.options import Columns

if TYPE_CHECKING:
    from prefect_experiments.models import Dataset

COLUMNS_GROUP = Group("Columns of a file", sort_key=4)
_KEYS = re.compile(r"\b(input|output|metadata|split|id)_keys?\b(=\[\.\.\.\])?")
_TYPES = re.compile(r"\btypes(?:\['(.*?)'\])?:")

CellTypes = Annotated[
    list[str] | None,
    Parameter(
        name="--type",
        group=COLUMNS_GROUP,
        help="COLUMN=TYPE, what the cells of a file's column are: text, number, bool or json; of a CSV file, text by "
        "default. Can be given several times.",
    ),
]
"""``--type COLUMN=TYPE``, once for each column."""


def types_of(given: Sequence[str] | None) -> dict[str, str] | None:
    """The types that ``--type`` gives, as ``types=`` takes them.

    Raises:
        InvalidSetting: one that is no COLUMN=TYPE, or two for one column.
    """
    types: dict[str, str] = {}
    for text in given or ():
        column, _, kind = text.rpartition("=")  # a column's name may hold an equals sign
        if not column or not kind:
            raise InvalidSetting(f"--type takes COLUMN=TYPE, such as price=number, got {text!r}")
        if column in types:
            raise InvalidSetting(f"--type is given twice for column {column!r}")
        types[column] = kind
    return types or None


@made_from(Columns, COLUMNS_GROUP)
class FileColumns(OptionGroup):
    """Which columns of the file that is run on make an example."""

    def read(self, dataset: str, types: dict[str, str] | None) -> str | Dataset:
        """What to run on: a file read by its columns, anything else as it is.

        Args:
            dataset: a name, an id or a path.
            types: by column, what its cells are.

        Raises:
            InvalidSetting: columns for a dataset that is kept.
            InvalidDataset: the file cannot be used.
        """
        keys = {name: value for name, value in self.arguments().items() if value is not None}
        if not keys:
            return dataset
        from prefect_experiments import datasets
        from prefect_experiments.models import Dataset

        if not datasets.is_path(dataset):
            option = next(iter(keys)).replace("keys", "key").replace("_", "-")
            raise InvalidSetting(
                f"--{option} is for files; the dataset {dataset!r} is kept with its examples as they are"
            )
        return Dataset(name=Path(dataset).stem, examples=datasets.load(dataset, **keys, types=types))


NO_COLUMNS = FileColumns()


@contextlib.contextmanager
def columns_as_options() -> Iterator[None]:
    """What is wrong with a file's columns is said in the words of the command line."""
    from prefect_experiments.datasets import UnclearColumns

    try:
        yield
    except (InvalidDataset, InvalidSetting) as error:
        cause = error.__cause__
        said = str(cause if isinstance(cause, UnclearColumns) else error)  # what is said beside that is for Python
        words = _KEYS.sub(lambda key: f"--{key[1]}-key" + (" COLUMN" if key[2] else ""), said)
        words = _TYPES.sub(lambda types: "--type" + (f" {types[1]}=..." if types[1] else "") + ":", words)
        if words == str(error):
            raise
        raise (InvalidDataset if isinstance(error, InvalidDataset) else InvalidSetting)(words) from error
