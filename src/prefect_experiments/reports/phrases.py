"""The sentences that all reports share, and a comparison's figures as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.changes import ChangeOutline, outlines
from prefect_experiments.analysis.comparison.paired import MCNEMAR
from prefect_experiments.analysis.comparison.said import (
    corrected_change,
    differences_said,
    label_comparisons,
    said_of_correction,
    said_of_labels,
    said_of_pool,
    said_of_unknown,
)
from prefect_experiments.analysis.example_changes import ExampleChange
from prefect_experiments.analysis.failures import CommonError, Failures, Who
from prefect_experiments.analysis.verdicts import (
    Comparison,
    Direction,
    LabelComparison,
    MetricComparison,
    Side,
    Verdict,
)
from prefect_experiments.reports.escaping import error_text, one_line

ERRORS_SHOWN = 5
MOST_METRICS = 12
TYPES_SHOWN = 5

VERDICTS: Final = {"passed": "Passed", "failed": "Failed", "inconclusive": "Inconclusive"}
_OPERATIONS: Final = {"latency_ms": "latency", "token_count": "tokens", "total_cost": "cost"}

_DIRECTION_NOTES: Final[Mapping[Direction, str]] = {
    "maximize": "",
    "minimize": " (lower is better)",
    "neutral": " (neither higher nor lower is better)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One compared metric, every number written out.

    Attributes:
        difference: candidate minus baseline, such as ``-3 points``.
        interval: of the difference, such as ``[-6, -1]``; empty where there is none.
        corrected: the difference corrected for the judge's errors, and by what; empty where there is none.
        p: Holm's adjusted p-value where there is one, else the plain one.
    """

    name: str
    direction: Direction
    baseline: str
    candidate: str
    difference: str
    interval: str
    p: str
    pairs: str
    improved: str
    regressed: str
    ties: str
    effect_size: str
    verdict: str
    examples_needed: str
    test: str
    corrected: str = ""

    @property
    def change(self) -> str:
        """Difference and interval, such as ``-3 points [-6, -1]``."""
        return f"{self.difference} {self.interval}".rstrip()

    @property
    def direction_note(self) -> str:
        """`` (lower is better)``, or nothing."""
        return _DIRECTION_NOTES[self.direction]

    @property
    def lower_is_better(self) -> bool:
        """Whether it is."""
        return self.direction == "minimize"


def figures_of(metric: MetricComparison, *, operation: bool = False) -> Figures:
    """A metric's numbers as text.

    Args:
        metric: one of a comparison's `metrics`, or of its `operations`.
        operation: it is one of the latter: latency, tokens or cost, in units of their own.
    """
    name = _OPERATIONS[metric.name] if operation else metric.name
    unit = numbers.unit_of(metric.baseline_mean, metric.candidate_mean, operation=metric.name if operation else "")
    difference, interval = numbers.difference(metric.difference, metric.ci_low, metric.ci_high, unit)
    adjusted = metric.p_value if metric.p_value_adjusted is None else metric.p_value_adjusted
    change = corrected_change(metric)
    return Figures(
        name=name,
        direction=metric.direction,
        baseline=numbers.value(metric.baseline_mean, unit),
        candidate=numbers.value(metric.candidate_mean, unit),
        difference=difference,
        interval=interval,
        p=numbers.p_value(adjusted),
        pairs=numbers.count(metric.n_pairs),
        improved=numbers.count(metric.wins),
        regressed=numbers.count(metric.losses),
        ties=numbers.count(metric.ties),
        effect_size=numbers.plain(metric.effect_size),
        verdict=metric.verdict,
        examples_needed="" if metric.examples_needed is None else numbers.count(metric.examples_needed),
        test=metric.test,
        corrected=f"{change} corrected by {metric.corrected.human}" if change and metric.corrected else "",
    )


def correction_lines(comparison: Comparison) -> list[str]:
    """Such as ``correctness: by the judge -2 points, corrected by human (60 examples ...) -5 points [-9, -1], ...``."""
    every = comparison.metrics.values()
    return [f"{metric.name}: {said_of_correction(metric)}" for metric in every if metric.corrected is not None]


def worth_a_line(comparison: Comparison) -> list[MetricComparison]:
    """The metrics that are told line by line: all; of many, those that changed or that the gate has not passed."""
    every = list(comparison.metrics.values())
    if len(every) <= MOST_METRICS:
        return every
    checks = comparison.verdict.checks if comparison.verdict else ()
    stopped = {check.name for check in checks if check.status != "passed"}
    return [metric for metric in every if metric.verdict != "unchanged" or metric.name in stopped]


def untold(comparison: Comparison) -> str:
    """What is said of the metrics that are not `worth_a_line`; empty where there are none."""
    others = len(comparison.metrics) - len(worth_a_line(comparison))
    return f"{numbers.count(others, 'other metric')} unchanged" if others else ""


def operation_lines(comparison: Comparison) -> list[str]:
    """Such as ``latency of a run 64 ms → 66 ms, +2 ms [-1, 5]: unchanged``; likewise tokens and cost."""
    every = (figures_of(metric, operation=True) for metric in comparison.operations.values())
    return [f"{one.name} of a run {one.baseline} → {one.candidate}, {one.change}: {one.verdict}" for one in every]


def all_figures(comparison: Comparison) -> list[Figures]:
    """Of every metric, then of latency, tokens and cost."""
    return [figures_of(metric) for metric in comparison.metrics.values()] + [
        figures_of(metric, operation=True) for metric in comparison.operations.values()
    ]


def metric_line(figures: Figures, name: str | None = None) -> str:
    """Such as ``correctness 0.84, -3 points [-6, -1]; 8 improved, 21 regressed``.

    Args:
        figures: what to say.
        name: the metric's name as the medium needs it, where that differs.
    """
    name = figures.name if name is None else name
    if figures.difference == numbers.NOTHING:
        return f"{name}: no example has a score on both sides"
    text = f"{name} {figures.candidate}, {figures.change}; {figures.improved} improved, {figures.regressed} regressed"
    return text + figures.direction_note + (f"; {figures.corrected}" if figures.corrected else "")


def verdict_word(verdict: Verdict | None) -> str:
    """``Passed``, ``Failed``, ``Inconclusive``, or ``Compared`` where no gate decides."""
    return VERDICTS[verdict.status] if verdict else "Compared"


def verdict_sentence(verdict: Verdict, written: Callable[[str], str] = one_line) -> str:
    """What the verdict means, such as ``The candidate does not meet the gate: correctness, error rate.``.

    Args:
        verdict: the gate's.
        written: writes a metric's name for the medium.
    """
    if verdict.status == "passed":
        alone = " that needs no baseline" if verdict.alone else ""
        return f"The candidate meets every rule of the gate{alone}."
    names = [written(check.name) for check in verdict.checks if check.status != "passed"]
    which = f": {', '.join(names)}" if names else ""
    if verdict.status == "failed":
        return f"The candidate does not meet the gate{which}."
    passes = "It passes" if verdict.exit_code == 0 else "It does not pass"
    return f"The data cannot tell whether the candidate meets the gate{which}. {passes}."


def opening(comparison: Comparison, written: Callable[[str], str] = one_line) -> str:
    """What the verdict means, or without a gate what was found; and on how many examples."""
    if comparison.verdict:
        return f"{verdict_sentence(comparison.verdict, written)} {pairing(comparison)}."
    found = [metric.verdict for metric in comparison.metrics.values()]
    labels = [one.verdict for one in label_comparisons(comparison) if not one.has_scores]
    what = f"Metrics: {_counted(found)}." + (f" Labels: {_counted(labels)}." if labels else "")
    return f"No gate was set. {what} {pairing(comparison)}."


def _counted(verdicts: Sequence[str]) -> str:
    words = ("regressed", "improved", "changed", "unchanged", "not comparable", "no data")
    return ", ".join(f"{verdicts.count(word)} {word}" for word in words if word in verdicts) or "none"


def label_line(labels: LabelComparison, name: str | None = None) -> str:
    """Such as ``tone polite 60 → 0, rude 0 → 60 on 60 pairs; 60 moved: changed (p <0.001)``.

    Args:
        labels: what to say.
        name: the evaluator's name as the medium needs it, where that differs.
    """
    text = f"{labels.name if name is None else name} {said_of_labels(labels)}; {labels.n_moved:,} moved"
    if labels.has_scores or labels.p_value_adjusted is None:
        return text if labels.evaluator_change is None else f"{text}: {labels.verdict}"
    return f"{text}: {labels.verdict} (p {numbers.p_value(labels.p_value_adjusted)})"


def likeness(comparison: Comparison) -> list[str]:
    """What the baseline is pooled of, and how alike the sides are, where the verdict's reasons have not said it."""
    pool = said_of_pool(comparison)
    rest = [said_of_unknown(comparison)] if comparison.verdict else differences_said(comparison)
    return [text for text in (pool, *rest) if text]


def pairing(comparison: Comparison) -> str:
    """What is compared with what, such as ``Over 200 shared examples; 3 only in the baseline``."""
    text = f"Over {numbers.count(comparison.n_pairs, 'shared example')}"
    if comparison.only_in_baseline:
        text += f"; {numbers.count(len(comparison.only_in_baseline))} only in the baseline"
    if comparison.only_in_candidate:
        text += f"; {numbers.count(len(comparison.only_in_candidate))} only in the candidate"
    return f"{text}. {comparison.why_unpaired}" if comparison.why_unpaired else text


def regressions(comparison: Comparison) -> list[ExampleChange | ChangeOutline]:
    """The examples that got worse, without their texts, as a reader wants them: what decided the verdict comes first.

    Within a metric the order is the comparison's, worst first; between metrics differences cannot be
    ranked (points of a score, a number of words), so those that the gate did not pass come before
    those that regressed, then what failed on one side only, then the others. The first that failed stands above them
    all: nothing is worse, and a list of the first few must not leave it out. The flaky ones come last.
    """
    every = outlines(comparison.regressed)
    return [every[number] for number in _ranked(comparison, every)]


def _ranked(comparison: Comparison, every: Sequence[ExampleChange | ChangeOutline]) -> list[int]:
    """The same as places in `Comparison.regressed`."""
    checks = comparison.verdict.checks if comparison.verdict else ()
    stopped = {check.name for check in checks if check.status != "passed"}
    errors_decide = bool(stopped - comparison.metrics.keys() - {*comparison.slices.asked})  # on errors or coverage

    def place(number: int) -> int:
        metric = every[number].metric
        found = comparison.metrics.get(metric)
        if every[number].is_flaky:
            return 5
        if found is None:
            return 0 if errors_decide else 3
        return 1 if metric in stopped else 2 if found.verdict == "regressed" else 4

    order = sorted(range(len(every)), key=place)
    solid = (number for number in order if not every[number].is_flaky)
    first = next((number for number in solid if every[number].metric not in comparison.metrics), None)
    return order if first is None else [first, *(number for number in order if number != first)]


def listed(parts: Sequence[str]) -> str:
    """Such as ``all 12 with an error, and the best 5 of 30 that got better``."""
    return ", and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


WORST_FIRST = "Worse, worst first"


def worst_first(comparison: Comparison, worst: int) -> tuple[str, list[ExampleChange]]:
    """How many of the examples that got worse are shown, such as ``5 of 1,693 examples``; and the changes, worst first.

    The flaky ones are told apart: see `slices.flaky_line`.

    An example that is worse in two metrics is two changes, and is counted once, as on the page.
    """
    shown = worst_changes(comparison, worst)
    some, of = (len({change.example_id for change in every}) for every in (shown, solid_changes(comparison)))
    return f"{some:,} of {numbers.count(of, 'example')}", shown


def worst_changes(comparison: Comparison, worst: int) -> list[ExampleChange]:
    """The first of `regressions` that are not flaky, with their texts."""
    every = outlines(comparison.regressed)
    ranked = [number for number in _ranked(comparison, every) if not every[number].is_flaky]
    return [comparison.regressed[number] for number in ranked[:worst]]


def solid_changes(comparison: Comparison) -> list[ExampleChange | ChangeOutline]:
    """What got worse by more than repetitions of the same side differ."""
    return [change for change in outlines(comparison.regressed) if not change.is_flaky]


GOOD, BAD = "✔", "✗"


def step(change: ExampleChange, comparison: Comparison) -> str:
    """How an example changed, such as ``✔ → ✗`` where it is right or wrong, else ``0.9 → 0.2``."""
    metric = comparison.metrics.get(change.metric)
    if metric is None:  # its task failed, on one side at least
        return f"{BAD if change.baseline_error else GOOD} → {BAD if change.candidate_error else GOOD}"
    if metric.test == MCNEMAR and {change.baseline_score, change.candidate_score} == {0.0, 1.0}:
        return f"{GOOD} → {BAD}" if change.difference < 0 else f"{BAD} → {GOOD}"
    return f"{numbers.score(change.baseline_score)} → {numbers.score(change.candidate_score)}"


def failures(side: Side) -> str:
    """Such as ``3 of 200 (1.5%) runs failed``, and what was not run, and what is still to be judged."""
    text = f"{numbers.share(side.n_errors, side.n_runs)} runs failed"
    missing, n_pending = side.n_expected - side.n_runs, sum(side.pending.values())
    text += f", {numbers.count(missing)} of {side.n_expected:,} not made" if missing > 0 else ""
    return text + (f", {numbers.count(n_pending, 'evaluation')} pending" if n_pending else "")


def side_line(role: str, side: Side) -> str:
    """Such as ``candidate: v2, 3 of 200 (1.5%) runs failed, experiment exp-1``."""
    where = one_line(side.url or "") or (f"experiment {side.experiment_id}" if side.experiment_id else "")
    return f"{role}: {one_line(side.label)}, {failures(side)}" + (f", {where}" if where else "")


def throughout(who: Who) -> str:
    """The sentence that says that nothing worked."""
    return "Every call of the task failed." if who == "task" else "Every call of the evaluators failed."


def error_lines(failures: Failures, shown: int = ERRORS_SHOWN) -> list[str]:
    """The commonest errors with their counts and texts, under a line that says whose they are; none where none failed.

    Args:
        failures: of an experiment.
        shown: so many texts of the task at most, and as many of the evaluators.
    """
    lines: list[str] = []
    if failures.task.failed:
        lines.append(f"task errors, {numbers.share(failures.task.failed, failures.task.made)} runs:")
        lines += _commonest(failures.of_task, failures.task.failed, shown)
    failed = {name: calls for name, calls in failures.evaluators.items() if calls.failed}
    if failed:
        shares = (f"{one_line(name, 60)} {numbers.share(calls.failed, calls.made)}" for name, calls in failed.items())
        lines.append(f"evaluator errors, {', '.join(shares)} evaluations:")
        lines += _commonest(failures.of_evaluators, sum(calls.failed for calls in failed.values()), shown)
    return lines


def _commonest(errors: Sequence[CommonError], total: int, shown: int) -> list[str]:
    lines = []
    for error in errors[:shown]:
        whose = "" if error.evaluator is None else f"{one_line(error.evaluator, 60)} "
        where = f" (example {one_line(error.example_id, 60)})" if error.example_id else ""
        times = "once" if error.count == 1 else f"{error.count:,} times"
        lines.append(f"  {whose}{times}{'' if error.alike else ', such as'}: {error_text(error.text)}{where}")
    others = total - sum(error.count for error in errors[:shown])
    return [*lines, f"  and {numbers.count(others, 'other')}"] if others > 0 else lines


def error_types(types: Mapping[str, int], written: Callable[[str], str] = one_line) -> str:
    """Such as ``ValueError 12, TimeoutError 3, others 2``: nothing of what an error says.

    Args:
        types: how often each class came; an empty name for those that are not known.
        written: writes a class's name for the medium.
    """
    named = [(name, count) for name, count in types.items() if name][:TYPES_SHOWN]
    said = [f"{written(name)} {count:,}" for name, count in named]
    others = sum(types.values()) - sum(count for _, count in named)
    return ", ".join([*said, *([f"{'others' if said else 'of no known type'} {others:,}"] if others else [])])
