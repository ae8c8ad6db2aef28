"""What list calls give back: a page of items, whether there is more, and a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from prefect_experiments.models import DatasetInfo, Example, Experiment, ExperimentRun, _Record

if TYPE_CHECKING:
    import pandas as pd


T = TypeVar("T", bound=_Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pagination(_Record):
    """Whether there is more, and what to pass as ``cursor`` to get it."""

    has_more: bool = False
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A table that is there already."""

    frame: pd.DataFrame

    def __call__(self) -> pd.DataFrame:
        return self.frame.copy()


class _Page(Generic[T]):
    """One page of a list call: the items, `pagination`, and a table."""

    items_name = "items"

    def __init__(
        self,
        items: Sequence[T],
        pagination: Pagination | None = None,
        *,
        to_df: Callable[[], pd.DataFrame] | None = None,
    ) -> None:
        self.items = list(items)
        self.pagination = pagination or Pagination()
        self._to_df = to_df

    def __getstate__(self) -> dict[str, Any]:
        """What travels: the items, and their table where it is read from elsewhere."""
        return {**self.__dict__, "_to_df": None if self._to_df is None else _Ready(self._to_df())}

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.items)} {self.items_name}, has_more={self.pagination.has_more})"

    def to_df(self) -> pd.DataFrame:
        """The items as a table, one row each."""
        if self._to_df is not None:
            return self._to_df()
        import pandas as pd

        return pd.DataFrame([item.to_dict() for item in self.items])

    def to_dict(self) -> dict[str, Any]:
        """The items and the pagination as plain values."""
        return {
            self.items_name: [item.to_dict() for item in self.items],
            "pagination": self.pagination.to_dict(),
        }


class DatasetList(_Page[DatasetInfo]):
    """A page of datasets."""

    items_name = "datasets"

    @property
    def datasets(self) -> list[DatasetInfo]:
        """The datasets, newest first."""
        return self.items


class ExampleList(_Page[Example]):
    """A page of examples; ``to_df()`` has ``id`` and flat columns in dataset order."""

    items_name = "examples"

    @property
    def examples(self) -> list[Example]:
        """The examples, in dataset order."""
        return self.items


class ExperimentList(_Page[Experiment]):
    """A page of experiments."""

    items_name = "experiments"

    @property
    def experiments(self) -> list[Experiment]:
        """The experiments, newest first."""
        return self.items


class ExperimentRunList(_Page[ExperimentRun]):
    """A page of experiment runs; ``to_df()`` has the columns of ``RanExperiment.to_dataframe()``."""

    items_name = "experiment_runs"

    @property
    def experiment_runs(self) -> list[ExperimentRun]:
        """The runs, in dataset order and then by repetition."""
        return self.items
