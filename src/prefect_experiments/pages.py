"""What list calls give back: a page of items, whether there is more, and a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BeforeValidator, PlainSerializer

from prefect_experiments import display
from prefect_experiments.in_json import InJson
from prefect_experiments.models import DatasetInfo, Example, Experiment, ExperimentRun, PendingEvaluation, _Record
from prefect_experiments.texts import ELLIPSIS

if TYPE_CHECKING:
    import pandas as pd


_NAMED = 3

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


def _plain_table(table: _Ready | None) -> dict[str, Any] | None:
    if table is None:
        return None
    kinds = {name: str(kind) for name, kind in table.frame.dtypes.items()}
    return {**table.frame.to_dict("split"), "kinds": kinds}


def _table_of(plain: Any) -> _Ready | None:
    import pandas as pd

    if plain is None:
        return None
    frame = pd.DataFrame(plain["data"], index=plain["index"], columns=plain["columns"], dtype=object)
    return _Ready(frame.astype(plain["kinds"]))


def _kept(kind: type[_Record]) -> Mapping[str, Any]:
    """What is kept in JSON of a page of such items."""
    return {
        "items": list[kind],  # type: ignore[valid-type]
        "pagination": Pagination,
        "_to_df": Annotated[Any, PlainSerializer(_plain_table), BeforeValidator(_table_of)],
    }


class ListPage(display.OnPages, InJson, Generic[T]):
    """One page of a list call: the items, `pagination`, and a table. Two that hold the same are equal."""

    items_name = "items"
    __hash__ = None  # type: ignore[assignment] # as a list's

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

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.items, self.pagination) == (other.items, other.pagination)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]

    def __repr__(self) -> str:
        called = [repr(getattr(item, "name", "") or item.get("id")) for item in self.items[:_NAMED]]
        more = [ELLIPSIS] if len(self.items) > _NAMED or self.pagination.has_more else []
        count = f"{len(self.items)} {self.items_name}, has_more={self.pagination.has_more}"
        return display.line(type(self).__name__, [f"{count}: {', '.join(called + more)}" if called else count])

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


class DatasetList(ListPage[DatasetInfo]):
    """A page of datasets."""

    items_name = "datasets"
    in_json: ClassVar[Mapping[str, Any]] = _kept(DatasetInfo)

    @property
    def datasets(self) -> list[DatasetInfo]:
        """The datasets, newest first."""
        return self.items


class ExampleList(ListPage[Example]):
    """A page of examples; ``to_df()`` has ``id`` and flat columns in dataset order."""

    items_name = "examples"
    in_json: ClassVar[Mapping[str, Any]] = _kept(Example)

    @property
    def examples(self) -> list[Example]:
        """The examples, in dataset order."""
        return self.items


class ExperimentList(ListPage[Experiment]):
    """A page of experiments."""

    items_name = "experiments"
    in_json: ClassVar[Mapping[str, Any]] = _kept(Experiment)

    @property
    def experiments(self) -> list[Experiment]:
        """The experiments, newest first."""
        return self.items


class ExperimentRunList(ListPage[ExperimentRun]):
    """A page of experiment runs; ``to_df()`` has the columns of ``RanExperiment.to_dataframe()``."""

    items_name = "experiment_runs"
    in_json: ClassVar[Mapping[str, Any]] = _kept(ExperimentRun)

    @property
    def experiment_runs(self) -> list[ExperimentRun]:
        """The runs, in dataset order and then by repetition."""
        return self.items


class PendingList(ListPage[PendingEvaluation]):
    """A page of evaluations that are still to be made."""

    items_name = "pending"
    in_json: ClassVar[Mapping[str, Any]] = _kept(PendingEvaluation)

    @property
    def pending(self) -> list[PendingEvaluation]:
        """The evaluations, in dataset order, then by repetition and name."""
        return self.items
