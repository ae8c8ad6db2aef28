"""One side of a comparison: the results of an experiment, from wherever they come, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis.cells import finite_numbers, identifiers, texts, whole_numbers
from prefect_experiments.analysis.directions import Said, column_of, said_directions
from prefect_experiments.analysis.ran import RanExperiment
from prefect_experiments.analysis.verdicts import Side, SideMetric
from prefect_experiments.datasets import read_rows
from prefect_experiments.errors import InvalidDataset, InvalidInput, unknown_value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.intp]

OPERATIONS = ("latency_ms", "token_count", "total_cost")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResultTable:
    """The runs of one experiment as columns; every array has one item a run, in the table's order.

    Made by `result_table`.

    Attributes:
        label: how people call this side.
        frame: the table, with ``example_id`` (text), ``repetition_number``, ``status`` and scores as
            they are understood here.
        example_ids: each example that has a run once, in order of appearance.
        places: for each run, which of `example_ids` it is of.
        failed: whether the task failed.
        scores: by metric; NaN where there is no score, as on every failed run.
        errors: by metric; whether the score is missing because the task or the evaluator failed.
        operations: ``latency_ms``, ``token_count`` and ``total_cost`` where the table has them; NaN
            where unknown.
        labels_only: evaluators that gave labels and never a score; they are no metrics.
        directions: by metric, what its evaluations say of which scores are better.
        expected_ids: the examples that there should be runs of; ``None`` where nobody knows.
        n_expected: runs that there should be.
    """

    label: str
    frame: pd.DataFrame
    example_ids: tuple[str, ...]
    places: Places
    failed: Flags
    scores: Mapping[str, Floats]
    errors: Mapping[str, Flags]
    operations: Mapping[str, Floats]
    labels_only: tuple[str, ...]
    directions: Said = field(default_factory=dict)
    expected_ids: frozenset[str] | None = None
    n_expected: int = 0
    experiment_id: str = ""
    dataset_id: str = ""
    dataset_version_id: str = ""
    url: str | None = None

    def means(self, values: Floats) -> Floats:
        """Values of runs averaged within each example, one an item of `example_ids`; NaN where none is known."""
        import numpy as np

        known = ~np.isnan(values)
        n = len(self.example_ids)
        counts = np.bincount(self.places[known], minlength=n)
        sums = np.bincount(self.places[known], weights=values[known], minlength=n)
        with np.errstate(invalid="ignore"):
            return np.where(counts > 0, sums / counts, np.nan)

    def side(self) -> Side:
        """What a comparison and a gate say of this side alone."""
        import numpy as np

        ok = ~self.failed
        nothing = np.full(len(self.failed), np.nan)
        latencies = self.operations.get("latency_ms", nothing)[ok]
        latencies = latencies[~np.isnan(latencies)]
        costs = self.operations.get("total_cost", nothing)
        known_costs = costs[~np.isnan(costs)]
        return Side(
            label=self.label,
            experiment_id=self.experiment_id,
            dataset_id=self.dataset_id,
            dataset_version_id=self.dataset_version_id,
            url=self.url,
            n_examples=len(self.example_ids if self.expected_ids is None else self.expected_ids),
            n_expected=self.n_expected,
            n_runs=len(self.failed),
            n_errors=int(self.failed.sum()),
            metrics={name: self._metric(name) for name in self.scores},
            labels_only=self.labels_only,
            latency_p95_ms=float(np.percentile(latencies, 95)) if len(latencies) else None,
            n_latencies=len(latencies),
            total_cost=math.fsum(known_costs) if len(known_costs) else None,
            n_costs=int((~np.isnan(costs[ok])).sum()),
        )

    def _metric(self, name: str) -> SideMetric:
        import numpy as np

        scores = self.scores[name]
        means = self.means(scores)
        means = means[~np.isnan(means)]
        return SideMetric(
            n_examples=len(means),
            n_scores=int((~np.isnan(scores)).sum()),
            n_errors=int(self.errors[name].sum()),
            mean=math.fsum(means) / len(means) if len(means) else None,
        )


def result_table(source: Any, label: str | None = None) -> ResultTable:
    """One side of a comparison.

    Args:
        source: a `RanExperiment`; a DataFrame shaped like ``RanExperiment.to_dataframe()``, or what
            ``list_runs()`` gave, which has one; a mapping of column to values; a list of rows; or the
            path of a ``.csv``, ``.json``, ``.jsonl`` or ``.parquet`` file of rows. Columns:
            ``example_id``; optionally ``repetition_number`` (from 1; 1 without), ``status`` (``ok`` or
            ``error``), ``error``, ``latency_ms`` (milliseconds), ``token_count``, ``total_cost`` (US
            dollars), ``input``, ``expected``, ``output``; and for each evaluator
            ``eval.NAME.score|label|explanation|error`` and ``eval.NAME.metadata.direction``, which says
            which scores are better. A missing score is ``None``, NaN or blank. A
            run with the status ``error`` or an error text has failed, and what stands in its scores
            does not count; nor does the score of an evaluation with an error.
        label: how to call this side; by default the experiment's name, the file's, or ``results``.

    Raises:
        InvalidDataset: no ``example_id`` column, no rows, an example's repetition twice, or a cell
            that cannot be what its column says; with column, row (from 1) and the value.
        InvalidInput: the source is none of these.
    """
    if isinstance(source, ResultTable):
        return source if label is None else replace(source, label=label)
    if isinstance(source, RanExperiment):
        return _of_experiment(source, label)
    frame, origin = _frame(source)
    if label is None:
        label = Path(source).stem if isinstance(source, str | Path) else "results"
    return _table(frame, origin, label)


def _of_experiment(ran: RanExperiment, label: str | None) -> ResultTable:
    experiment = ran.experiment
    table = _table(ran.to_dataframe(), f"experiment {experiment.name!r}", label or experiment.name)
    return replace(
        table,
        expected_ids=frozenset(ran.examples),
        n_expected=experiment.example_count * experiment.repetitions,
        experiment_id=experiment.id,
        dataset_id=experiment.dataset_id,
        dataset_version_id=experiment.dataset_version_id,
        url=ran.url,
    )


def _frame(source: Any) -> tuple[pd.DataFrame, str]:
    """The source as a DataFrame, and what to call it in messages."""
    import pandas as pd

    if hasattr(source, "to_df"):  # what list_runs() gives
        source = source.to_df()
    if isinstance(source, pd.DataFrame):
        return source, "the results table"
    if isinstance(source, str | Path):
        return pd.DataFrame(read_rows(source), dtype=object), str(source)
    if isinstance(source, Mapping):
        try:
            return pd.DataFrame({name: list(column) for name, column in source.items()}, dtype=object), "the results"
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"a mapping of results must give a list for each column, all as long: {error}") from None
    if isinstance(source, Sequence) and not isinstance(source, bytes):
        for number, row in enumerate(source, 1):
            if not isinstance(row, Mapping):
                kind = type(row).__qualname__
                raise InvalidInput(f"the results: row {number} is of type {kind}, not a mapping of column to value")
        return pd.DataFrame([dict(row) for row in source], dtype=object), "the results"
    raise InvalidInput(
        "results are a RanExperiment, a DataFrame, a list of rows, a mapping of column to values, or the path of a "
        f"file; got a value of type {type(source).__qualname__}"
    )


def _table(frame: pd.DataFrame, origin: str, label: str) -> ResultTable:
    columns = _columns(frame, origin)
    ids = identifiers(columns["example_id"], f"{origin}: column 'example_id'")
    repetitions = _repetitions(columns, ids, origin)
    failed = _failed(columns, len(ids), origin)
    scores, errors, labels_only = _metrics(columns, failed, origin)
    operations = {
        name: finite_numbers(columns[name], f"{origin}: column {name!r}") for name in OPERATIONS if name in columns
    }
    places = {example_id: place for place, example_id in enumerate(dict.fromkeys(ids))}
    import numpy as np

    understood = {f"eval.{name}.score": found for name, found in scores.items()}
    status = np.where(failed, "error", "ok").tolist()
    return ResultTable(
        label=label,
        frame=frame.set_axis(list(columns), axis=1).assign(
            example_id=ids, repetition_number=repetitions, status=status, **understood, **operations
        ),
        example_ids=tuple(places),
        places=np.fromiter((places[example_id] for example_id in ids), dtype=np.intp, count=len(ids)),
        failed=failed,
        scores=scores,
        errors=errors,
        operations=operations,
        labels_only=labels_only,
        directions=said_directions(
            (name, said) for name in scores if (column := column_of(name)) in columns for said in columns[column]
        ),
        n_expected=len(ids),
    )


def _columns(frame: pd.DataFrame, origin: str) -> dict[str, pd.Series[Any]]:
    names = [str(name) for name in frame.columns]
    doubles = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if doubles:
        raise InvalidDataset(f"{origin}: several columns are named {', '.join(map(repr, doubles))}; keep one of each")
    if not len(frame):
        raise InvalidDataset(f"{origin}: no rows; there is nothing to compare. Has the experiment run?")
    if "example_id" not in names:
        raise InvalidDataset(
            f"{origin}: there is no column 'example_id', which says which runs belong together. "
            f"Columns: {', '.join(names[:20]) or 'none'}"
        )
    return {name: frame.iloc[:, place] for place, name in enumerate(names)}


def _repetitions(columns: Mapping[str, pd.Series[Any]], ids: Sequence[str], origin: str) -> list[int]:
    given = columns.get("repetition_number")
    if given is None:
        numbers, hint = [1] * len(ids), "Add a column 'repetition_number', or drop one"
    else:
        numbers = whole_numbers(given, f"{origin}: column 'repetition_number'", least=1)
        hint = "Drop one, or number the repetitions"
    first: dict[tuple[str, int], int] = {}
    for row, key in enumerate(zip(ids, numbers, strict=True), 1):
        if (earlier := first.setdefault(key, row)) != row:
            raise InvalidDataset(
                f"{origin}: example {key[0]!r}, repetition {key[1]} stands in row {earlier} and in row {row}. {hint}"
            )
    return numbers


def _failed(columns: Mapping[str, pd.Series[Any]], n: int, origin: str) -> Flags:
    failed = _filled(columns, "error", n)
    if "status" in columns:
        for row, status in enumerate(texts(columns["status"])):
            if status not in ("ok", "error", ""):
                problem = unknown_value("status", status[:40], ["ok", "error"])
                raise InvalidDataset(f"{origin}: column 'status', row {row + 1}: {problem}")
            failed[row] |= status == "error"
    return failed


def _metrics(
    columns: Mapping[str, pd.Series[Any]], failed: Flags, origin: str
) -> tuple[dict[str, Floats], dict[str, Flags], tuple[str, ...]]:
    """Scores and errors by metric, and the evaluators that gave labels only."""
    import numpy as np

    scores, errors, labels_only = {}, {}, []
    names = dict.fromkeys(
        column[len("eval.") : -len(part)]
        for column in columns
        for part in (".score", ".label", ".error")
        if column.startswith("eval.") and column.endswith(part) and len(column) > len("eval.") + len(part)
    )
    nothing = np.full(len(failed), np.nan)
    for name in names:
        column = f"eval.{name}.score"
        given = finite_numbers(columns[column], f"{origin}: column {column!r}") if column in columns else nothing
        broken = _filled(columns, f"eval.{name}.error", len(failed))
        found = np.where(failed | broken, np.nan, given)
        if np.isnan(found).all() and _filled(columns, f"eval.{name}.label", len(failed)).any():
            labels_only.append(name)
        elif column in columns or broken.any():
            scores[name], errors[name] = found, failed | broken
    return scores, errors, tuple(labels_only)


def _filled(columns: Mapping[str, pd.Series[Any]], name: str, n: int) -> Flags:
    """Which cells of a column of texts say something; none where there is no such column."""
    import numpy as np

    if name not in columns:
        return np.zeros(n, dtype=bool)
    return np.fromiter((text != "" for text in texts(columns[name])), dtype=bool, count=n)
