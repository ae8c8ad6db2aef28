"""What a gate says of an experiment, as subtests and as the outcome of the test."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from prefect_experiments.analysis.entries import Entry, EntryScore
from prefect_experiments.analysis.required import UNJUDGED, are_right
from prefect_experiments.analysis.results import result_table
from prefect_experiments.analysis.verdicts import MetricCheck, Status, Verdict
from prefect_experiments.errors import NotFound
from prefect_experiments.reports import phrases

if TYPE_CHECKING:
    from prefect_experiments.analysis import RanExperiment
    from prefect_experiments.experiment.arguments import RunArguments

_SPLIT = "split:"


def verdict_of(ran: RanExperiment, gate: Any, arguments: RunArguments) -> Verdict | None:
    """What a gate says of an experiment; without one, what the gate has said that it was run with."""
    if gate is None:
        return ran.verdict
    from prefect_experiments.analysis.gate import Gate
    from prefect_experiments.experiment.compare import Judging

    checked = Gate.parse(gate)
    checked.refuse_without(arguments.baseline, first_run=arguments.first_run)
    Judging(ran.baseline, checked).apply(ran)
    return ran.verdict


def without_gate(ran: RanExperiment) -> list[MetricCheck]:
    """What is asked where there is no gate: that no call has failed, and that each evaluator has said something."""
    summary, failures = ran.summary, ran.failures
    checks = []
    lines = [line.strip() for line in phrases.error_lines(failures)]
    said = "; ".join(lines).replace(":; ", ": ") or "no run failed"
    missing = summary.n_expected - summary.n_runs
    if missing > 0:
        said = f"{missing} of {summary.n_expected} runs were not made; {said}"
    failed = bool(summary.n_errors or missing)
    checks.append(MetricCheck(name="runs", status="failed" if failed else "passed", reason=said))
    for name, metric in summary.metrics.items():
        silent = summary.n_runs > summary.n_errors and not (metric.n or metric.n_pending or metric.labels)
        reason = f"{name} gave no score and no label on any example" if silent else f"{name} {metric}"
        broken = metric.n_errors > 0 or silent
        checks.append(MetricCheck(name=name, status="failed" if broken else "passed", reason=reason))
    return checks


def required_checks(ran: RanExperiment, required: Any) -> list[MetricCheck]:
    """What is asked of single examples: that they are right, as `analysis.required` has it for gates.

    Args:
        ran: the experiment.
        required: ids of examples, or ``split:NAME`` for those of a split; or a mapping of these to the names of the
            metrics that count, where not all do.

    Raises:
        NotFound: there is no such example or split.
    """
    given: Mapping[str, Any] = required if isinstance(required, Mapping) else dict.fromkeys(_names(required))
    wanted: dict[str, tuple[str, ...] | None] = {}
    for name, metrics in given.items():
        only = None if metrics is None else tuple(_names(metrics))
        for example_id in _ids(ran, name):
            wanted[example_id] = only
    table = result_table(ran)
    found: dict[str, MetricCheck] = {}
    for only in dict.fromkeys(wanted.values()):
        ids = [example_id for example_id, metrics in wanted.items() if metrics == only]
        for entry in are_right(table, ids, by=only).entries:
            found[entry.example_id] = _check(entry, only)
    return [found[example_id] for example_id in wanted]


def _names(given: str | Iterable[str]) -> Iterable[str]:
    return [given] if isinstance(given, str) else given


def _ids(ran: RanExperiment, name: str) -> list[str]:
    if name in ran.examples:
        return [name]
    split = name.removeprefix(_SPLIT) if name.startswith(_SPLIT) else None
    if found := [one.id for one in ran.examples.values() if split is not None and split in one.splits]:
        return found
    known = ", ".join(repr(one) for one in list(ran.examples)[:5])
    raise NotFound(
        f"required: there is no example or split {name!r} in {ran.experiment.dataset_name!r}; it has {known}"
    )


def _check(entry: Entry, only: Collection[str] | None) -> MetricCheck:
    """What is said of one example, with the texts of errors and explanations."""
    wrong = [f"{entry.why}: {entry.error}" if entry.error else entry.why] if entry.why else []
    wrong += [_wrong(score) for score in entry.scores if score.outcome != "passed"]
    lacking = sorted(set(only or ()) - {score.evaluator for score in entry.scores})
    if lacking and entry.why in ("", UNJUDGED):
        wrong = [*([] if entry.why else wrong), f"{', '.join(lacking)} did not score it"]
    elif not entry.why and all(score.score is None and not score.error for score in entry.scores):
        wrong = [UNJUDGED]
    reason = f"example {entry.example_id!r}: {'; '.join(wrong) or 'as required'}"
    status: Status = "failed" if wrong else "passed"
    return MetricCheck(name=f"example {entry.example_id}", status=status, reason=reason)


def _wrong(score: EntryScore) -> str:
    if score.error:
        return f"{score.evaluator} failed: {score.error}"
    if score.score is None:
        return f"{score.evaluator} {score.why}"
    return f"{score.evaluator} is {score.score:g}" + (f" ({score.explanation})" if score.explanation else "")


def metric_checks(ran: RanExperiment, verdict: Verdict) -> list[MetricCheck]:
    """The checks of a verdict, and the metrics that it says nothing of: each of them one subtest."""
    checked = {check.name for check in verdict.checks}
    others = [(name, metric) for name, metric in ran.summary.metrics.items() if name not in checked]
    return [
        *verdict.checks,
        *(MetricCheck(name=name, status="passed", reason=f"{name} {metric}") for name, metric in others),
    ]


def sentence(verdict: Verdict | None, ran: RanExperiment, checks: Sequence[MetricCheck] = ()) -> str:
    """Why a test fails, the first line by itself: often it is all that is shown.

    Args:
        verdict: the gate's, if there is one.
        ran: the experiment.
        checks: what is asked besides.
    """
    failed = [check for check in checks if check.status == "failed"]
    if verdict is None:
        lines = [f"The experiment does not pass, and no gate says what may fail: {failed[0].reason}."]
    elif verdict.exit_code:
        lines = [phrases.verdict_sentence(verdict)]
    else:
        lines = [f"Not as required: {'; '.join(check.reason for check in failed)}."]
    reasons = [*(verdict.reasons if verdict else ())]
    reasons += [check.reason for check in failed if check.reason not in reasons]
    errors = phrases.error_lines(ran.failures) if verdict is not None else []
    below = [*(f"- {reason}" for reason in reasons), *errors, where(ran)]
    return "\n".join([*lines, *(f"  {line}" for line in below)])


def where(ran: RanExperiment) -> str:
    """Where to look at an experiment."""
    return f"experiment {ran.experiment_id}" + (f", {ran.url}" if ran.url else "")


def subtest(subtests: pytest.Subtests, check: MetricCheck, *, lets_through: bool) -> None:
    """One check as a subtest."""
    with _going_on(), subtests.test(msg=check.name):
        if check.status == "inconclusive" and lets_through:
            pytest.skip(check.reason)
        if check.status != "passed":
            pytest.fail(check.reason, pytrace=False)


@contextlib.contextmanager
def _going_on() -> Iterator[None]:
    """With ``--exitfirst`` a subtest raises what failed; the test's own failure says more."""
    with contextlib.suppress(pytest.fail.Exception):
        yield
