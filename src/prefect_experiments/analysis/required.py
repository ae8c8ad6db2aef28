"""Examples that have to be right, one by one: which those are, and whether they are.

Right is what passes with a threshold of 1.0, as `analysis.passing` has it: in every repetition all scores of the
metrics that judge the example are as good as can be, where less is better 0. An error, a missing run and a missing
score are not right. The one definition of it, for gates and for tests with pytest.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from prefect_experiments.analysis.entries import Entry, Passing, Required
from prefect_experiments.analysis.example_facts import METADATA, SPLITS, ExampleFacts, Fields, near, written
from prefect_experiments.analysis.passing import TASK_FAILED, passing_of
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import Direction
from prefect_experiments.datasets.paths import ABSENT, descend

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RIGHT = 1.0
"""The lowest score that is right, where nobody says another."""
UNJUDGED = "no score says that it is right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Must:
    """Which examples must be right: those that any of this names.

    Attributes:
        ids: of examples.
        values: by field (``splits``, ``metadata.tier``), the values that it may have.
        threshold: the lowest score that is right; `RIGHT`, on metrics from 0 to 1 only, where nobody says.
        metrics: those that have a say; all without.
    """

    ids: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    threshold: float | None = None
    metrics: tuple[str, ...] | None = None

    def among(self, facts: Iterable[ExampleFacts], ids: Iterable[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The ids of these examples, and what is named and that no example has, as sentences.

        Args:
            facts: of the examples that there are.
            ids: of examples of which there may be no facts.
        """
        chosen: dict[str, None] = {}
        known, fields = dict.fromkeys(ids), {}
        seen: dict[str, dict[str, None]] = {name: {} for name in self.values}
        for one in facts:
            known[one.example_id] = None
            for name, wanted in self.values.items():
                values = values_at(one, name)
                seen[name].update(dict.fromkeys(values))
                if not {*wanted}.isdisjoint(values):
                    chosen[one.example_id] = None
            if not all(seen.values()):  # to say what else there is
                fields.update(dict.fromkeys(Fields.of([one]).names))
        unknown = [f"there is no example {one!r}{near(one, known)}" for one in self.ids if one not in known]
        for name, wanted in self.values.items():
            if not seen[name]:
                unknown.append(f"no example has {name!r}{near(name, fields)}")
            else:
                unknown += [
                    f"no example has {name}={value}{near(value, seen[name])}"
                    for value in wanted
                    if value not in seen[name]
                ]
        return tuple(dict.fromkeys([*self.ids, *chosen])), tuple(unknown)


def values_at(facts: ExampleFacts, name: str) -> tuple[str, ...]:
    """What an example has as values of a field."""
    if name == SPLITS:
        return facts.splits
    found = descend(facts.metadata, name.removeprefix(METADATA))
    if found is ABSENT or isinstance(found, Mapping):
        return ()
    return tuple(text for text in map(written, found if isinstance(found, list | tuple) else [found]) if text)


def required_of(
    table: ResultTable,
    must: Must,
    directions: Mapping[str, Direction | None],
    baseline: ResultTable | None = None,
) -> Required:
    """Whether the examples that must be right are.

    Args:
        table: the results.
        must: which examples.
        directions: by metric, as far as somebody else than its evaluations says.
        baseline: what it is compared with, which may know of examples that a table lacks; see `ResultTable.due`.
    """
    known = dict.fromkeys(table.due(baseline))
    tables = [table] if baseline is None or table.expected_ids is not None else [table, baseline]
    ids, unknown = must.among(chain.from_iterable(one.source.facts() for one in tables), known)
    unknown += tuple(
        f"there is no metric {name!r}{near(name, table.scores)}"
        for name in must.metrics or ()
        if name not in table.scores
    )
    judging, without_say = list(must.metrics or table.scores), []
    if must.threshold is None:
        without_say = [name for name in judging if name in table.scores and not _from_0_to_1(table.scores[name])]
        judging = [name for name in judging if name not in without_say]
    asked = [one for one in ids if one in known]
    passing = are_right(table, asked, must.threshold, directions, by=judging, baseline=baseline)
    return Required(passing=passing, unknown=unknown, without_say=tuple(without_say))


def are_right(
    table: ResultTable,
    ids: Collection[str],
    threshold: float | None = None,
    directions: Mapping[str, Direction | None] | None = None,
    *,
    by: Collection[str] | None = None,
    baseline: ResultTable | None = None,
) -> Passing:
    """These examples as entries; one that no metric judges has failed as well.

    Args:
        table: the results.
        ids: of examples that it has, or should have.
        threshold: the lowest score that is right; `RIGHT` without.
        directions: as `required_of` takes them.
        by: the metrics that have a say; by default all that have scores.
        baseline: as `required_of` takes it.
    """
    wanted = dict.fromkeys(ids)
    metrics, least = list(table.scores) if by is None else by, RIGHT if threshold is None else threshold
    found = passing_of(table, least, directions or {}, of=wanted, by=metrics, baseline=baseline)
    entries = {entry.example_id: entry for entry in found.entries}
    failed = {table.example_ids[place] for place in table.places[table.failed].tolist()}
    for number, example_id in enumerate(wanted, 1):
        if example_id not in entries:
            why = TASK_FAILED if example_id in failed else UNJUDGED
            entries[example_id] = Entry(number=number, example_id=example_id, outcome="failed", why=why)
    return replace(found, entries=tuple(entries[example_id] for example_id in wanted), n_unjudged=0)


def _from_0_to_1(scores: npt.NDArray[np.float64]) -> bool:
    return all(math.isnan(score) or 0 <= score <= 1 for score in scores.tolist())
