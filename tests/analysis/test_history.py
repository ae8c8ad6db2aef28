"""The experiments of a dataset over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from prefect_experiments import History
from prefect_experiments.analysis.history import TagPeriod, as_time, history_of, tag_periods
from prefect_experiments.analysis.summary import summarize
from prefect_experiments.backends import Remote
from prefect_experiments.errors import BackendUnavailable, InvalidInput, NotFound
from prefect_experiments.experiment.history import history_at
from prefect_experiments.models import Experiment
from prefect_experiments.pages import Pagination
from prefect_experiments.store import EvaluatorRecord, Judgement, Store
from prefect_experiments.store.tag_moves import TagMove
from tests.store.samples import failed_row, new_experiment, record, run_row, verdict

NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store("sqlite://")
    yield made
    made.close()


def night(
    store: Store,
    number: int,
    scores: Mapping[str, list[float]],
    *,
    failed: int = 0,
    state: str = "a",
    repetitions: int = 1,
    **options: Any,
) -> str:
    """An experiment on four examples, of which the last ones fail; a night after the one before it."""
    evaluators = [EvaluatorRecord(name, "CODE", state * 64) for name in scores]
    options = {"name": f"night-{number}", "now": (NIGHT + timedelta(days=number)).timestamp(), **options}
    made = new_experiment(store, 4, evaluators=evaluators, repetitions=repetitions, **options)
    keys = [(place, n) for place in range(4) for n in range(1, repetitions + 1)]
    runs = [failed_row(*key) if key[0] >= 4 - failed else run_row(*key, total_cost=0.01) for key in keys]
    said = [
        verdict(place, name, n, score=each[place], fingerprint=state * 64)
        for place, n in keys
        for name, each in scores.items()
        if place < min(4 - failed, len(each))
    ]
    record(store, made.experiment.id, runs, said)
    return made.experiment.id


def test_each_metric_is_what_the_summary_says(store: Store) -> None:
    """Repetitions, failed runs, and scores beyond 0 to 1."""
    ids = [
        night(store, 0, {"exact": [1.0, 1.0, 0.0, 1.0]}),
        night(store, 1, {"exact": [1.0, 0.0, 1.0, 1.0], "grade": [3.0, 5.0, 4.0, 2.0]}, failed=1, repetitions=3),
    ]
    history = history_of(store, "dataset")
    assert [entry.id for entry in history.entries] == ids
    assert history.metrics == ("exact", "grade")
    for entry in history.entries:
        summary = summarize(store, store.experiments.get(entry.id))
        assert (entry.n_runs, entry.n_errors, entry.n_expected) == (
            summary.n_runs,
            summary.n_errors,
            summary.n_expected,
        )
        assert entry.latency_p95_ms == summary.latency_ms["p95"]
        assert entry.cost == summary.overall_cost
        assert set(entry.metrics) == set(summary.metrics)
        for name, point in entry.metrics.items():
            metric = summary.metrics[name]
            assert (point.mean, point.ci_low, point.ci_high) == (metric.mean, metric.ci_low, metric.ci_high)
            assert (point.n, point.n_examples) == (metric.n, metric.n_examples)
    assert [entry.state for entry in history.entries] == ["complete", "complete"]
    assert "grade" not in history.entries[0].metrics, "a metric that began later"


def test_what_a_gate_has_said(store: Store) -> None:
    first, second = (night(store, n, {"exact": [1.0, 1.0, 0.0, 1.0], "tone": [0.5] * 4}) for n in (0, 1))
    checks = [
        {"name": "exact", "status": "failed", "reason": "exact got worse", "examples_needed": None},
        {"name": "drift", "status": "failed", "reason": "exact has drifted since night 3", "examples_needed": 7},
        {"name": "later", "status": "a word of a later version", "reason": "?"},
    ]
    store.judgements.keep(
        second,
        Judgement(
            status="failed",
            exit_code=1,
            reasons=("exact got worse",),
            checks=checks,
            moved={"exact": "regressed", "tone": "improved"},
            baseline_id=first,
            baseline="night-0",
        ),
    )
    before, entry = history_of(store, "dataset").entries
    assert (before.gate, before.exit_code, before.reasons, before.baseline) == (None, None, (), None)
    assert not before.is_alarm
    assert (entry.gate, entry.exit_code, entry.reasons, entry.is_alarm) == ("failed", 1, ("exact got worse",), True)
    assert [(check.name, check.status) for check in entry.checks] == [
        ("exact", "failed"), ("drift", "failed"), ("later", "inconclusive"),
    ]  # fmt: skip
    assert (entry.metrics["exact"].check, entry.metrics["exact"].moved) == ("failed", "regressed")
    assert (entry.metrics["tone"].check, entry.metrics["tone"].moved) == (None, "improved")
    assert entry.baseline is not None
    assert (entry.baseline.id, entry.baseline.name, entry.baseline.is_there) == (first, "night-0", True)
    assert entry.baseline.means == {"exact": 0.75, "tone": 0.5}
    [alone] = history_of(store, "dataset", last=1).entries
    assert alone.baseline == entry.baseline, "a baseline that is not asked for is read all the same"
    store.experiments.delete(first)
    [left] = history_of(store, "dataset").entries
    assert left.baseline is not None
    assert (left.baseline.id, left.baseline.name, left.baseline.is_there, dict(left.baseline.means)) == (
        first, "night-0", False, {},
    )  # fmt: skip


def test_a_night_is_told_whole(store: Store) -> None:
    first = night(store, 0, {"exact": [1.0, 1.0, 0.0, 1.0], "tone": [0.5] * 4})
    second = night(
        store, 1, {"exact": [1.0, 0.0, 0.0, 1.0], "tone": [0.5, 0.6, 0.7]}, failed=1, state="b", repetitions=2
    )
    checks = [
        {"name": "exact", "status": "failed", "reason": "exact got worse", "examples_needed": None},
        {"name": "drift", "status": "passed", "reason": "no drift", "examples_needed": 7},
    ]
    said = Judgement(
        status="failed", exit_code=1, reasons=("exact got worse",), checks=checks, moved={"exact": "regressed"},
        baseline_id=first, baseline="night-0",
    )  # fmt: skip
    store.judgements.keep(second, said)
    store.experiments.note(second, git_commit="abc", git_dirty=True, report_url="https://report/1")
    history = history_of(store, "dataset")
    unsaid = {"check": None, "moved": None, "evaluator_changed": False, "n": 4, "n_examples": 4}
    before, after = (entry.to_dict() for entry in history.entries)
    for entry in (before, after):
        for metric in entry["metrics"].values():
            assert metric.pop("ci_low") < metric["mean"] < metric.pop("ci_high")
            metric["mean"] = round(metric["mean"], 9)
    nothing = {
        "backend_id": None, "dataset_version": 1, "n_examples": 4, "latency_p95_ms": 250.0, "state": "complete",
        "flow_run_url": None, "url": None, "tags": [], "promotions": [], "promoted": False,
    }  # fmt: skip
    assert before == {
        **nothing, "id": first, "name": "night-0", "created_at": NIGHT, "repetitions": 1, "n_expected": 4, "n_runs": 4,
        "n_errors": 0, "cost": 0.04, "git_commit": None, "git_dirty": False, "gate": None, "exit_code": None,
        "reasons": [], "checks": [], "baseline": None, "report_url": None, "is_alarm": False,
        "metrics": {"exact": {**unsaid, "mean": 0.75}, "tone": {**unsaid, "mean": 0.5}},
    }  # fmt: skip
    changed = {"evaluator_changed": True, "n": 6, "n_examples": 3}
    assert after == {
        **nothing, "id": second, "name": "night-1", "created_at": NIGHT + timedelta(days=1), "repetitions": 2,
        "n_expected": 8, "n_runs": 8, "n_errors": 2, "cost": pytest.approx(0.06), "git_commit": "abc",
        "git_dirty": True, "gate": "failed", "exit_code": 1, "reasons": ["exact got worse"],
        "checks": [{**check, "smallest_drop": None} for check in checks], "report_url": "https://report/1",
        "baseline": {
            "id": first, "name": "night-0", "is_there": True, "means": {"exact": 0.75, "tone": 0.5}, "pooled": None,
        },
        "metrics": {
            "exact": {**changed, "check": "failed", "moved": "regressed", "mean": round(1 / 3, 9)},
            "tone": {**changed, "check": None, "moved": None, "mean": 0.6},
        },
        "is_alarm": True,
    }  # fmt: skip
    assert repr(history) == "History('dataset', 2 experiments, 1 alarm, exact, tone)"


def test_of_older_experiments_the_verdict_alone_is_known(store: Store) -> None:
    older = night(store, 0, {"exact": [1.0] * 4})
    store.experiments.note(older, gate="failed", git_commit="abc", flow_run_url="https://prefect/1", git_dirty=True)
    [entry] = history_of(store, "dataset").entries
    assert (entry.gate, entry.exit_code, entry.reasons, entry.is_alarm) == ("failed", None, (), True)
    assert (entry.git_commit, entry.git_dirty, entry.flow_run_url) == ("abc", True, "https://prefect/1")
    store.experiments.note(older, gate="a word of a later version")
    assert history_of(store, "dataset").entries[0].gate is None


def test_promotions_over_time(store: Store) -> None:
    first, second, third = (night(store, n, {}) for n in range(3))
    for each in (first, second, first):
        store.experiments.tag(each, "baseline")
    store.experiments.tag(third, "golden")
    store.experiments.delete(third)
    history = history_of(store, "dataset")
    assert [entry.promoted for entry in history.entries] == [True, True]
    assert [(p.tag, p.experiment_id, p.until is None) for p in history.promotions] == [
        ("baseline", first, False), ("baseline", second, False), ("baseline", first, True), ("golden", third, False),
    ]  # fmt: skip
    one, two, three, _ = history.promotions
    assert (one.until, two.until) == (two.since, three.since)
    assert history.entries[0].promotions == (one, three)
    assert history.entries[0].tags == ("baseline",)


def test_an_evaluator_that_is_another_one_than_before_is_told(store: Store) -> None:
    night(store, 0, {"exact": [1.0] * 4}, state="a")
    night(store, 1, {"tone": [1.0] * 4}, state="a")
    night(store, 2, {"exact": [1.0] * 4, "tone": [1.0] * 4}, state="b")
    night(store, 3, {"exact": [1.0] * 4}, state="b")
    entries = history_of(store, "dataset").entries
    changed = [[name for name, point in entry.metrics.items() if point.evaluator_changed] for entry in entries]
    assert changed == [[], [], ["exact", "tone"], []]


def test_what_is_asked_for(store: Store) -> None:
    for number in range(4):
        night(store, number, {"exact": [1.0] * 4, "tone": [0.5] * 4})
    night(store, 4, {}, dataset="other")
    history = history_of(store, "dataset", metrics=["tone"], last=2)
    assert [entry.name for entry in history.entries] == ["night-2", "night-3"]
    assert (history.metrics, list(history.entries[0].metrics), history.n_earlier) == (("tone",), ["tone"], 2)
    for since in ("2026-11-03", date(2026, 11, 3), "2026-11-03T03:00+01:00", NIGHT + timedelta(days=2)):
        assert [entry.name for entry in history_of(store, "dataset", since=since).entries] == ["night-2", "night-3"]
    assert history_of(store, "dataset", since="2027-01-01").entries == ()
    for beyond in ("0001-01-01T00:00+14:00", "9999-12-31T23:00-02:00"):
        with pytest.raises(InvalidInput, match=r"since is no time in UTC: .*; give one between the years 2 and 9998"):
            history_of(store, "dataset", since=beyond)
    with pytest.raises(
        NotFound, match=r"unknown metric 'tne'; did you mean 'tone'\? .*; no experiment shown on 'dataset'"
    ):
        history_of(store, "dataset", metrics=["tne"])
    with pytest.raises(NotFound, match="unknown dataset 'datset'"):
        history_of(store, "datset")
    for last in (0, -1, True, 2.5):
        with pytest.raises(InvalidInput, match="last must be a number of experiments, at least 1, got"):
            history_of(store, "dataset", last=last)  # type: ignore[arg-type]
    for wrong in ("yesterday", "2026-13-01", 5):
        with pytest.raises(InvalidInput, match="since must be a date such as 2026-11-01, or a time such as"):
            history_of(store, "dataset", since=wrong)  # type: ignore[arg-type]


def test_nothing_and_half_done(store: Store) -> None:
    store.datasets.put("dataset", [])
    assert history_of(store, "dataset", metrics=["exact"]).entries == ()
    new_experiment(store, 4, name="begun")
    half = new_experiment(store, 4, name="half")
    record(store, half.experiment.id, [run_row(0)])
    assert [(entry.name, entry.state) for entry in history_of(store, "dataset").entries] == [
        ("begun", "empty"), ("half", "incomplete"),
    ]  # fmt: skip


def test_it_reads_as_an_object_a_mapping_and_json(store: Store) -> None:
    first = night(store, 0, {"exact": [1.0] * 4})
    store.experiments.tag(first, "baseline")
    history = history_of(store, "dataset")
    plain = history.to_dict()
    assert plain["entries"][0]["metrics"]["exact"]["mean"] == 1.0
    assert (plain["entries"][0]["promoted"], plain["entries"][0]["is_alarm"]) == (True, False)
    assert repr(history) == "History('dataset', 1 experiment, 0 alarms, exact)"
    adapter = TypeAdapter(History)
    assert adapter.validate_json(adapter.dump_json(history)) == history


def test_times_are_in_utc() -> None:
    assert as_time("2026-11-01") == as_time(datetime(2026, 11, 1)) == datetime(2026, 11, 1, tzinfo=UTC)
    east = as_time(datetime(2026, 11, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert (east, east.utcoffset()) == (datetime(2026, 11, 1, tzinfo=UTC), timedelta())


@given(st.lists(st.tuples(st.sampled_from(["baseline", "golden"]), st.none() | st.sampled_from(["a", "b", "c"]))))
def test_a_tag_is_with_one_experiment_at_a_time(given_moves: list[tuple[str, str | None]]) -> None:
    moves = [TagMove(tag, who, NIGHT + timedelta(hours=n)) for n, (tag, who) in enumerate(given_moves)]
    periods = tag_periods(moves)
    assert len(periods) == sum(move.experiment_id is not None for move in moves)
    for tag in ("baseline", "golden"):
        mine: list[TagPeriod] = [period for period in periods if period.tag == tag]
        assert all(one.until is not None and one.until <= two.since for one, two in pairwise(mine))
        last = next((move for move in reversed(moves) if move.tag == tag), None)
        has_it = mine[-1].experiment_id if mine and mine[-1].until is None else None
        assert has_it == (last.experiment_id if last else None)


class ThereIs:
    """As much of a backend as a history asks."""

    name = target = "there"

    def __init__(self, *named: Experiment, error: Exception | None = None) -> None:
        self.datasets = self.experiments = self
        self._named, self._error = named, error

    def info(self, dataset: str) -> Any:
        if self._error is not None:
            raise self._error
        return SimpleNamespace(name=dataset.removeprefix("remote-"))

    def page(self, **_: Any) -> Any:
        return list(self._named), Pagination(has_more=True)


def test_of_what_only_a_backend_has_the_names_are_told(store: Store) -> None:
    mine = night(store, 0, {"exact": [1.0] * 4})
    there = {"remote_dataset_id": "d", "remote_version_id": "v", "project_name": "p", "url": "https://there/1"}
    store.links.link_experiment(mine, "there", remote_id="r-1", **there)  # type: ignore[arg-type]
    known = Experiment(id="r-1", name="night-0", dataset_id="d", dataset_version_id="v", project_name="p")
    other = Experiment(id="r-2", name="elsewhere", dataset_id="d", dataset_version_id="v")
    history = history_at(store, cast("Remote", ThereIs(known, other)), "remote-dataset")
    [entry] = history.entries
    assert (entry.id, entry.backend_id, entry.url) == (mine, "r-1", "https://there/1")
    assert history.only_at_backend == ("elsewhere",)
    assert history.notes == ("Only the newest 100 experiments in there were looked at",)
    new = history_at(store, cast("Remote", ThereIs(other)), "remote-new")
    assert (new.dataset, new.entries, new.only_at_backend) == ("new", (), ("elsewhere",))
    away = history_at(store, cast("Remote", ThereIs(error=BackendUnavailable("it is away"))), "dataset")
    assert away.notes == ("there was not asked what the store does not have: it is away",)
    assert len(away.entries) == 1
    with pytest.raises(NotFound, match="unknown dataset 'none'"):
        history_at(store, cast("Remote", ThereIs(error=NotFound("no"))), "none")
