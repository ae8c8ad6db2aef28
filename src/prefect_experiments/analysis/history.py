"""The experiments of a dataset over time: each metric with its interval, gates' verdicts, which tag was where when.

Everything is read from the store, an experiment's figures at a time and no output of any run. Means and intervals are
those of `analysis.summary`. Nothing is judged here: what a gate has said was kept when it said it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Literal, cast, get_args

from prefect_experiments.analysis.directions import agreed, said_directions
from prefect_experiments.analysis.nights.records import Pooled
from prefect_experiments.analysis.summary import metric_summary, percentiles
from prefect_experiments.analysis.verdicts import Direction, MetricCheck, MetricVerdict, Status
from prefect_experiments.display import OnPages, Printed, brief, counted
from prefect_experiments.errors import InvalidInput, NotFound, unknown_value
from prefect_experiments.models import _Record
from prefect_experiments.origin import FLOW_RUN_URL, GATE, REPORT_URL
from prefect_experiments.records import UNKNOWN_FINGERPRINT
from prefect_experiments.results import DIRECTION
from prefect_experiments.store import ExperimentRecord, Judgement, Store
from prefect_experiments.store.outcomes import Outcome
from prefect_experiments.store.tag_moves import TagMove

State = Literal["complete", "incomplete", "empty"]
When = datetime | date | str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint(_Record):
    """One metric of one experiment.

    Attributes:
        n: runs with a score, of `n_examples` examples.
        mean: over the examples with a score, repetitions averaged within an example first, as in `MetricSummary`.
        ci_low, ci_high: the 95 % interval of that mean, as in `MetricSummary`; ``None`` where there is none.
        check: what the gate said of the metric; ``None`` where it said nothing.
        moved: how the comparison that the gate judged calls it, such as ``regressed``; ``None`` without one.
        evaluator_changed: whether its evaluator is another code, other options or another model than it was in the
            experiment before that has the metric, so that a step may be the evaluator's.
    """

    n: int
    n_examples: int
    mean: float
    ci_low: float | None
    ci_high: float | None
    check: Status | None = None
    moved: MetricVerdict | None = None
    evaluator_changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedWith(_Record):
    """What an experiment was compared with when a gate judged it.

    Attributes:
        name: the experiment's, or the table's.
        id: the experiment's, in the store; ``None`` for a table of results.
        is_there: whether it is an experiment that the store still has.
        pooled: what else the baseline was pooled of, where that was asked for: its `runs`, of how many it was `asked`
            to be, and why others were `left_out`.
        means: by metric, the mean that it was compared with where the baseline was pooled, else the experiment's as it
            is now; empty where it is not there.
    """

    name: str
    id: str | None = None
    is_there: bool = False
    pooled: Pooled | None = None
    means: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPeriod(_Record):
    """From when to when an experiment had a tag.

    Attributes:
        experiment_id: which one, in the store; it may have been deleted since.
        since, until: in UTC; `until` is ``None`` where it has it still.
    """

    tag: str
    experiment_id: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry(_Record):
    """One experiment of a history.

    Attributes:
        id: in the store; `backend_id` is its backend's, where it is in one.
        created_at: in UTC.
        state: ``complete`` where all runs were made, ``incomplete`` where some were, else ``empty``.
        dataset_version: the number of the dataset's version that it is on.
        n_runs: runs that were made, of `n_expected`; `n_errors` of them failed.
        metrics: by name.
        latency_p95_ms: of the ok runs, in milliseconds.
        cost: all that is known to have been paid, in US dollars.
        git_commit: what it was made at, where that is known; `git_dirty` says that files differed from it.
        gate: what a gate said of it when it was done; ``None`` where none has judged it. Of experiments of older
            versions, only this is known, and neither the exit code nor the reasons.
        checks: by what the gate came to it; a check's name is the metric's, or what its rule is called.
        baseline: what it was compared with.
        tags: that it has, idempotency keys included.
        promotions: when it got which tag, and for how long; of tags that were given before moves were kept, nothing.
        url, flow_run_url, report_url: its pages, where there are any.
    """

    id: str
    name: str
    created_at: datetime
    state: State
    backend_id: str | None = None
    dataset_version: int
    n_examples: int
    repetitions: int
    n_expected: int
    n_runs: int
    n_errors: int
    metrics: Mapping[str, MetricPoint] = field(default_factory=dict)
    latency_p95_ms: float | None = None
    cost: float | None = None
    git_commit: str | None = None
    git_dirty: bool = False
    gate: Status | None = None
    exit_code: int | None = None
    reasons: tuple[str, ...] = ()
    checks: tuple[MetricCheck, ...] = ()
    baseline: ComparedWith | None = None
    tags: tuple[str, ...] = ()
    promotions: tuple[TagPeriod, ...] = ()
    url: str | None = None
    flow_run_url: str | None = None
    report_url: str | None = None

    @property
    def promoted(self) -> bool:
        """Whether it was ever given a tag, as far as that was kept."""
        return bool(self.promotions)

    @property
    def is_alarm(self) -> bool:
        """Whether the gate did not let it through."""
        return self.gate == "failed" or bool(self.exit_code)

    def keys(self) -> list[str]:
        """The fields, and what follows from them."""
        return [*_Record.keys(self), "promoted", "is_alarm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class History(OnPages, Printed, _Record):
    """The experiments of a dataset over time.

    Attributes:
        dataset: its name.
        entries: the newest last.
        metrics: that any of them has, in order of appearance; of those that were asked for.
        directions: by metric, which scores are better, as the newest experiment's evaluations say.
        promotions: all moves of the dataset's tags, those of deleted experiments included.
        n_earlier: how many experiments there are that were not asked for.
        only_at_backend: names of experiments that the backend has and the store has not, so that they are not in it.
        notes: what else is to be said, such as that the backend does not answer.
    """

    dataset: str
    entries: tuple[HistoryEntry, ...] = ()
    metrics: tuple[str, ...] = ()
    directions: Mapping[str, Direction] = field(default_factory=dict)
    promotions: tuple[TagPeriod, ...] = ()
    n_earlier: int = 0
    only_at_backend: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def _said(self) -> Iterable[str]:
        yield brief(self.dataset)
        yield counted(len(self.entries), "experiment")
        yield counted(sum(entry.is_alarm for entry in self.entries), "alarm")
        yield ", ".join(self.metrics) or "no metrics"


def history_of(
    store: Store,
    dataset: str,
    *,
    metrics: Sequence[str] = (),
    since: When | None = None,
    last: int | None = None,
    target: str | None = None,
) -> History:
    """The history of a dataset in a store.

    Args:
        store: where the results are.
        dataset: name or id.
        metrics: only these; all without.
        since: only experiments that were made then or later; a time without a zone is in UTC.
        last: only so many, the newest.
        target: the backend whose ids and pages are told; the first that an experiment is in without.

    Raises:
        NotFound: there is no such dataset, or none of its experiments has one of the metrics.
        InvalidInput: `since` is no time, or `last` no number of experiments.
    """
    start = None if since is None else as_time(since)
    if last is not None and (isinstance(last, bool) or not isinstance(last, int) or last < 1):
        raise InvalidInput(f"last must be a number of experiments, at least 1, got {last!r:.40}")
    records, total = store.experiments.of_dataset(
        dataset, since=None if start is None else start.timestamp(), last=last
    )
    kept = store.datasets.info(dataset)
    reader = _Reader(store, target, store.judgements.of([one.experiment.id for one in records]))
    periods = tag_periods(store.tag_moves.of_dataset(kept.id))
    entries = [reader.entry(one, [p for p in periods if p.experiment_id == one.experiment.id]) for one in records]
    known = tuple(dict.fromkeys(name for entry in entries for name in entry.metrics))
    unknown = [name for name in metrics if name not in known]
    if unknown and entries:
        raise NotFound(f"{unknown_value('metric', unknown[0], list(known))}; no experiment shown on {dataset!r} has it")
    newest = records[-1].experiment.id if records else ""
    return History(
        dataset=kept.name,
        entries=tuple(_with(entry, metrics) for entry in entries),
        metrics=tuple(dict.fromkeys(metrics)) or known,
        directions=agreed(said_directions(store.results.said_of(newest, DIRECTION))) if newest else {},
        promotions=tuple(periods),
        n_earlier=total - len(records),
    )


def as_time(given: When) -> datetime:
    """A time in UTC, of a datetime, a date, or such a text as ``2026-11-01`` or ``2026-11-01T02:00+01:00``.

    Raises:
        InvalidInput: it is none.
    """
    found: Any = given
    if isinstance(given, str):
        try:
            found = datetime.fromisoformat(given.strip())
        except ValueError:
            found = None
    elif isinstance(given, date) and not isinstance(given, datetime):
        found = datetime(given.year, given.month, given.day)
    if not isinstance(found, datetime):
        raise InvalidInput(
            f"since must be a date such as 2026-11-01, or a time such as 2026-11-01T02:00, got {given!r:.60}"
        )
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:  # in UTC it lies before the first year that there is, or after the last
        raise InvalidInput(f"since is no time in UTC: {given!r:.60}; give one between the years 2 and 9998") from None


def tag_periods(moves: Sequence[TagMove]) -> list[TagPeriod]:
    """Who had which tag from when to when, in the order in which it was given, of the moves in their order."""
    periods: list[TagPeriod] = []
    current: dict[str, int] = {}
    for move in moves:
        if (place := current.pop(move.tag, None)) is not None:
            periods[place] = replace(periods[place], until=move.moved_at)
        if move.experiment_id is not None:
            current[move.tag] = len(periods)
            periods.append(TagPeriod(tag=move.tag, experiment_id=move.experiment_id, since=move.moved_at))
    return periods


class _Reader:
    """Makes entries, the first that was made first: an evaluator's state is told from the one before it."""

    def __init__(self, store: Store, target: str | None, judged: Mapping[str, Judgement]) -> None:
        self._store, self._target, self._judged = store, target, judged
        self._baselines = [said.baseline_id for said in judged.values() if said.baseline_id is not None]
        self._there = store.judgements.names(list(dict.fromkeys(self._baselines)))
        self._means: dict[str, Mapping[str, float]] = {}
        self._states: dict[str, str] = {}

    def entry(self, record: ExperimentRecord, periods: Sequence[TagPeriod]) -> HistoryEntry:
        """What is known of an experiment."""
        experiment, said = record.experiment, self._judged.get(record.experiment.id)
        outcome = self._store.outcomes.of(experiment.id)
        link = self._store.links.of_experiment(experiment.id, self._target)
        n_expected, origin = experiment.example_count * experiment.repetitions, experiment.origin
        points = self._points(record, outcome, n_expected, said)
        self._means[experiment.id] = {name: point.mean for name, point in points.items()}
        return HistoryEntry(
            id=experiment.id,
            name=experiment.name,
            created_at=cast("datetime", experiment.created_at),
            state="empty" if not outcome.made else "complete" if outcome.made >= n_expected else "incomplete",
            backend_id=link.remote_id if link is not None and link.is_begun else None,
            dataset_version=record.version.number,
            n_examples=experiment.example_count,
            repetitions=experiment.repetitions,
            n_expected=n_expected,
            n_runs=outcome.made,
            n_errors=outcome.failed,
            metrics=points,
            latency_p95_ms=percentiles(outcome.latencies_ms).get("p95"),
            cost=outcome.cost,
            git_commit=_text(origin.get("git_commit")),
            git_dirty=bool(origin.get("git_dirty")),
            gate=_one_of(said.status if said else origin.get(GATE), Status),
            exit_code=said.exit_code if said else None,
            reasons=said.reasons if said else (),
            checks=tuple(_checks(said)) if said else (),
            baseline=self._baseline(said),
            tags=experiment.tags,
            promotions=tuple(periods),
            url=None if link is None else link.url,
            flow_run_url=_text(origin.get(FLOW_RUN_URL)),
            report_url=_text(origin.get(REPORT_URL)),
        )

    def _points(
        self, record: ExperimentRecord, outcome: Outcome, n_expected: int, said: Judgement | None
    ) -> dict[str, MetricPoint]:
        checks = {check["name"]: check["status"] for check in said.checks} if said else {}
        moved: Mapping[str, str] = said.moved if said else {}
        states = {one.name: one.fingerprint for one in record.evaluators if one.fingerprint != UNKNOWN_FINGERPRINT}
        order = {one.name: place for place, one in enumerate(record.evaluators)}
        points = {}
        for name, scores in sorted(outcome.scores.items(), key=lambda item: order.get(item[0], len(order))):
            rows = [(position, score, None, False, False) for position, score in scores]
            found = metric_summary(rows, n_expected, outcome.failed)
            state, before = states.get(name), self._states.get(name)
            if state is not None:
                self._states[name] = state
            points[name] = MetricPoint(
                n=found.n,
                n_examples=found.n_examples,
                mean=cast("float", found.mean),
                ci_low=found.ci_low,
                ci_high=found.ci_high,
                check=_one_of(checks.get(name), Status),
                moved=_one_of(moved.get(name), MetricVerdict),
                evaluator_changed=state is not None and before is not None and state != before,
            )
        return points

    def _baseline(self, said: Judgement | None) -> ComparedWith | None:
        if said is None or said.baseline is None:
            return None
        found, pooled = said.baseline_id or "", _pooled(said)
        is_there = found in self._there
        means: Mapping[str, float] = {}
        if pooled is not None and pooled.runs:
            means = said.pool_means
        elif is_there:
            means = self._means_of(found)
        name = self._there.get(found, said.baseline)
        return ComparedWith(name=name, id=said.baseline_id, is_there=is_there, pooled=pooled, means=means)

    def _means_of(self, experiment_id: str) -> Mapping[str, float]:
        if experiment_id not in self._means:  # made before those that were asked for, or on another dataset
            scores = self._store.outcomes.of(experiment_id).scores
            rows = {name: [(place, one, None, False, False) for place, one in each] for name, each in scores.items()}
            means = {name: metric_summary(each, len(each), 0).mean for name, each in rows.items()}
            self._means[experiment_id] = {name: mean for name, mean in means.items() if mean is not None}
        return self._means[experiment_id]


def _with(entry: HistoryEntry, metrics: Sequence[str]) -> HistoryEntry:
    """The entry with only these metrics, where any are asked for."""
    if not metrics:
        return entry
    return replace(entry, metrics={name: entry.metrics[name] for name in metrics if name in entry.metrics})


def _pooled(said: Judgement) -> Pooled | None:
    pool = said.pool
    return Pooled(asked=pool["asked"], runs=tuple(pool["runs"]), left_out=pool["left_out"]) if pool else None


def _checks(said: Judgement) -> Iterable[MetricCheck]:
    for check in said.checks:
        yield MetricCheck(
            name=str(check["name"]),
            status=_one_of(check["status"], Status) or "inconclusive",
            reason=str(check["reason"]),
            examples_needed=check.get("examples_needed"),
        )


def _one_of(text: Any, words: Any) -> Any:
    """A word of a kept text, where it is one that is known."""
    return text if text in get_args(words) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
