"""Results beside the examples of their dataset: which are unknown, doubled, missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from prefect_experiments.display import some
from prefect_experiments.errors import InvalidDataset, InvalidSetting, unknown_value
from prefect_experiments.models import _Record
from prefect_experiments.results.table import ResultRun, Results
from prefect_experiments.texts import shortened

Misfit = Literal["unknown", "doubled", "missing"]
MISFITS: tuple[Misfit, ...] = ("unknown", "doubled", "missing")

_SHOWN = 5
_LONGEST_ID = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport(_Record):
    """What became of results that were logged.

    Attributes:
        rows: that were given.
        runs: that were kept; `failed` of them have an error.
        unknown: ids of rows that belong to no example; these rows were left out.
        doubled: ids of examples of which several rows were given; the last one was taken.
        missing: ids of examples without a row.
        unscored: failed runs whose scores were left out, because there was no output to score.
        metadata: the columns that were kept as metadata of the runs.
        already_logged: whether these very results were there under this name; then nothing was written.
    """

    rows: int
    runs: int
    failed: int
    unknown: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unscored: int = 0
    metadata: tuple[str, ...] = ()
    already_logged: bool = False

    def notes(self) -> list[str]:
        """What somebody should know of it, in sentences."""
        said = [
            (len(self.unknown), "of unknown ids left out"),
            (len(self.doubled), "doubled, of which the last was taken"),
        ]
        found = [f"{_count(number, 'row', 'rows')} {what}" for number, what in said if number]
        if self.missing:
            found.append(f"{_count(len(self.missing), 'example', 'examples')} without a result")
        if self.unscored:
            found.append(f"the scores of {_count(self.unscored, 'failed run', 'failed runs')} left out")
        return found


class Matched(NamedTuple):
    """Results that belong to examples, one for each example and repetition."""

    runs: tuple[ResultRun, ...]
    repetitions: int
    report: LogReport


def allowed_misfits(allow: str | Iterable[str]) -> frozenset[Misfit]:
    """The misfits that are no error.

    Raises:
        InvalidSetting: one that there is not.
    """
    given = [allow] if isinstance(allow, str) else list(allow)
    for misfit in given:
        if misfit not in MISFITS:
            raise InvalidSetting(f"allow: {unknown_value('misfit', misfit, list(MISFITS))}")
    return frozenset(misfit for misfit in MISFITS if misfit in given)


def match(results: Results, ids: Sequence[str], dataset: str, allow: Collection[Misfit] = ()) -> Matched:
    """The results that belong to the examples of a dataset.

    Args:
        results: what was read.
        ids: of the examples.
        dataset: how people call the dataset.
        allow: what is no error.

    Raises:
        InvalidDataset: ids that are unknown, doubled or missing where that is not allowed, or no row
            that belongs to the dataset; the text names them with their rows.
    """
    known = set(ids)
    unknown: list[ResultRun] = []
    taken: dict[tuple[str, int], ResultRun] = {}
    doubled: dict[tuple[str, int], list[int]] = {}
    for run in results.runs:
        # A whole number that pandas or a CSV reader has made a float of.
        example_id = run.example_id if run.example_id in known else f"{run.example_id}.0"
        if example_id not in known:
            unknown.append(run)
            continue
        key = example_id, run.repetition_number
        if key in taken:
            doubled.setdefault(key, [taken[key].row]).append(run.row)
        taken[key] = run if run.example_id == example_id else run.named(example_id)
    repetitions = max((repetition for _, repetition in taken), default=1)
    missing = [
        (example_id, repetition)
        for example_id in ids
        for repetition in range(1, repetitions + 1)
        if (example_id, repetition) not in taken
    ]
    problems: dict[Misfit, str] = {
        "unknown": _unknown(unknown),
        "doubled": _doubled(doubled, repetitions),
        "missing": _missing(missing, repetitions),
    }
    refused = [misfit for misfit in MISFITS if problems[misfit] and misfit not in allow]
    if refused or not taken:
        found = "; ".join(problems[misfit] for misfit in refused) or "no row belongs to it"
        hint = f". The ids of the dataset are such as {_listed(ids[:2])}" if unknown else ""
        raise InvalidDataset(
            f"{results.origin}: these results do not fit dataset {dataset!r}: {found}{hint}. "
            f"{_advice(refused, unknown)}"
        )
    runs = tuple(taken.values())
    report = LogReport(
        rows=len(results.runs),
        runs=len(runs),
        failed=sum(run.error is not None for run in runs),
        unknown=tuple(run.example_id for run in unknown),
        doubled=tuple(_named(*key, repetitions) for key in doubled),
        missing=tuple(_named(*key, repetitions) for key in missing),
        unscored=results.unscored,
        metadata=results.metadata,
    )
    return Matched(runs, repetitions, report)


def _unknown(runs: Sequence[ResultRun]) -> str:
    if not runs:
        return ""
    shown = some(runs, _SHOWN, lambda run: f"{_quoted(run.example_id)} (row {run.row})")
    return f"{_count(len(runs), 'row has an unknown id', 'rows have unknown ids')}: {shown}"


def _doubled(doubled: Mapping[tuple[str, int], Sequence[int]], repetitions: int) -> str:
    if not doubled:
        return ""
    shown = some(
        doubled.items(),
        _SHOWN,
        lambda one: f"{_quoted(_named(*one[0], repetitions))} (rows {some(one[1], _SHOWN)})",
    )
    what = _count(len(doubled), "example stands in several rows", "examples stand in several rows")
    return f"{what}: {shown}"


def _missing(keys: Sequence[tuple[str, int]], repetitions: int) -> str:
    if not keys:
        return ""
    shown = some(keys, _SHOWN, lambda key: _quoted(_named(*key, repetitions)))
    return f"{_count(len(keys), 'example has no result', 'examples have no result')}: {shown}"


def _advice(refused: Sequence[Misfit], unknown: Sequence[ResultRun]) -> str:
    if not refused:
        return "Is it the right dataset, and the right column of ids?"
    means = {
        "unknown": "leaves such rows out",
        "doubled": "takes the last row of each; or number them from 1 in a column 'repetition_number'",
        "missing": "leaves such examples without a run",
    }
    allow = "; ".join(f"allow={misfit!r} {means[misfit]}" for misfit in refused)
    check = "Is it the right dataset, and the right column of ids? " if unknown else ""
    return f"{check}Correct it, or allow it: {allow}"


def _named(example_id: str, repetition: int, repetitions: int) -> str:
    return example_id if repetitions == 1 else f"{example_id} (repetition {repetition})"


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(map(_quoted, ids))


def _quoted(text: str) -> str:
    return repr(shortened(text, _LONGEST_ID))


def _count(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
