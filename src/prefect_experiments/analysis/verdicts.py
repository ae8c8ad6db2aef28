"""What comes out of a comparison and of a gate: plain values, for reports, events and exit codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prefect_experiments import keys
from prefect_experiments.analysis.corrected import Corrected
from prefect_experiments.analysis.entries import Passing, Required
from prefect_experiments.analysis.example_changes import ExampleChange
from prefect_experiments.analysis.lazy_items import Items
from prefect_experiments.analysis.measured import Measured
from prefect_experiments.analysis.nights.records import Night, Pooled
from prefect_experiments.analysis.numbers import OPERATION_UNITS
from prefect_experiments.analysis.slices import Slices
from prefect_experiments.display import OnPages, Printed, brief, counted, some
from prefect_experiments.models import _Record

OPERATIONS = tuple(OPERATION_UNITS)
# What `Side.measured` has besides the metrics; no evaluator is called so.
LATENCIES, COSTS = " latencies", " costs"
# The beginning of the reason where there was none.
NO_BASELINE = "there was no baseline to compare with"
Status = Literal["passed", "failed", "inconclusive"]
MetricVerdict = Literal["improved", "regressed", "changed", "unchanged", "not comparable", "no data"]
Direction = Literal["maximize", "minimize", "neutral"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideMetric(_Record):
    """One metric on one side alone.

    Attributes:
        n_examples: examples with a score.
        n_scores: runs with a score.
        n_errors: runs without one because the task or the evaluator failed.
        mean: over examples, repetitions averaged within an example first; ``None`` without a score.
        n_asked: examples that should have a score: those that its evaluator is meant for, as far as that is known, but
            for those that are pending.
        n_asked_runs: runs that were made of examples that its evaluator is meant for, but for those that are pending.
    """

    n_examples: int
    n_scores: int
    n_errors: int
    mean: float | None
    n_asked: int = 0
    n_asked_runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side(_Record):
    """One side of a comparison.

    Attributes:
        label: how people call it: the experiment's name, or the file's.
        url: its page at the backend, where there is one.
        flow_run_url: Prefect's page of the flow run that made it, where that is known.
        experiment_id: empty for a table that was never logged.
        n_examples: examples that there should be; those of the table where that is not known.
        n_expected: runs that there should be: examples times repetitions.
        n_runs: runs that were made; `n_errors` of them failed.
        metrics: what has a score column, by evaluator name.
        labels_only: evaluators that gave labels and never a score; they are no metrics.
        labels: by evaluator that gave labels, how often each was given, the commonest first.
        pending: by evaluator, how many of the runs a person, or an agent, is still to judge.
        latency_p95_ms: 95th percentile over the ok runs with a known latency, in milliseconds.
        n_latencies: how many those are.
        total_cost: over all runs with a known cost, in US dollars; ``None`` where no run has one.
        n_costs: how many ok runs have one.
        measured: what the figures are of, for intervals: by metric one score an example, the latencies of
            the ok runs in order, and what each example cost, each an array of floats. It travels with the comparison,
            so that this can be judged elsewhere, and is no part of what is written down.
        passing: which entries pass, where a gate asks that; it travels likewise.
        required: whether the examples that a gate requires are right; it travels likewise.
    """

    label: str
    experiment_id: str = ""
    dataset_id: str = ""
    dataset_version_id: str = ""
    url: str | None = None
    flow_run_url: str | None = None
    n_examples: int = 0
    n_expected: int = 0
    n_runs: int = 0
    n_errors: int = 0
    metrics: Mapping[str, SideMetric] = field(default_factory=dict)
    labels_only: tuple[str, ...] = ()
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pending: Mapping[str, int] = field(default_factory=dict)
    latency_p95_ms: float | None = None
    n_latencies: int = 0
    total_cost: float | None = None
    n_costs: int = 0
    measured: Measured = field(default_factory=dict, repr=False, compare=False)
    passing: Passing | None = field(default=None, repr=False)
    required: Required | None = field(default=None, repr=False)

    def keys(self) -> list[str]:
        """The names of the fields that are written down."""
        return [name for name in _Record.keys(self) if name not in ("measured", "passing", "required")]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase(_Record):
    """A metric compared again, with each missing score counted as the worst one, on both sides.

    Runs that failed by chance on both sides cancel out so, and a candidate that fails more often
    is worse. (Non-responder imputation in clinical trials; Little and Rubin 2019, section 1.3.)

    Attributes:
        n_pairs: examples compared.
        n_baseline, n_candidate: examples on which a score of that side was filled in.
        difference, ci_low, ci_high, p_value, p_higher, p_lower, smallest_p: as in `MetricComparison`.
    """

    n_pairs: int
    n_baseline: int
    n_candidate: int
    difference: float
    ci_low: float | None
    ci_high: float | None
    p_value: float
    p_higher: float
    p_lower: float
    smallest_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures(_Record):
    """Which side's task failed, on the examples that both should have run.

    Attributes:
        candidate_only: examples on which the candidate failed, or failed in more of its repetitions.
        baseline_only: the reverse.
        candidate_absent: examples that the baseline ran without a failure, and that the candidate
            should have run and has no run of.
    """

    candidate_only: int = 0
    baseline_only: int = 0
    candidate_absent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored(_Record):
    """On how many examples one side's task gave an output and its evaluator no score, more often than the other's.

    Attributes:
        candidate_only, baseline_only: for whatever reason.
        candidate_errors, baseline_errors: because the evaluator failed.
    """

    candidate_only: int = 0
    baseline_only: int = 0
    candidate_errors: int = 0
    baseline_errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatorChange(_Record):
    """How the evaluator of one side differs from that of the other.

    Attributes:
        n_examples: of so many examples the evaluations were made by another code, other options or another model.
        n_known: of so many it is known by what they were made on both sides.
        models: the judge's models on the baseline's side and on the candidate's, where these differ and are known.
    """

    n_examples: int
    n_known: int
    models: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences(_Record):
    """What differs between the sides beside the candidate itself, and what of that is not known.

    Attributes:
        datasets: the names of the two sides' datasets, where these differ.
        inputs, expected: the examples that both sides ran and whose input, or whose expected output alone, is not the
            same; they are left out of every test.
        evaluators: by metric, what differs in its evaluator.
        unknown: what nobody recorded: ``inputs``, ``expected outputs``.
        unknown_evaluators: the metrics of which it is not recorded by which state of their evaluator they were made.
    """

    datasets: tuple[str, str] | None = None
    inputs: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    evaluators: Mapping[str, EvaluatorChange] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    unknown_evaluators: tuple[str, ...] = ()

    @property
    def left_out(self) -> int:
        """How many examples are left out of the tests."""
        return len(self.inputs) + len(self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison(_Record):
    """One metric on the examples that both sides scored; differences are candidate minus baseline.

    Attributes:
        n_pairs: examples with a score on both sides. Repetitions are averaged within an example first.
        baseline_mean, candidate_mean: over these pairs.
        ci_low, ci_high: of the mean paired difference, at the comparison's confidence.
        p_value: two-sided, from `test`.
        p_higher, p_lower: one-sided, that chance alone makes the candidate's scores so much higher, or lower; what a
            gate asks. Of McNemar's test they are mid-p.
        smallest_p: the smallest one-sided p-value that could have come out, given how many pairs differ.
        p_value_adjusted: Holm's, over the comparison's metrics.
        direction: ``neutral`` where neither more nor less is better.
        wins, losses, ties: examples on which the candidate is better, worse, the same; "better"
            goes by `direction`, and of a neutral metric none is.
        effect_size: mean difference over the standard deviation of differences (Cohen's d for
            pairs); ``None`` where nothing differs or there are fewer than two pairs.
        verdict: by the adjusted p-value: ``regressed``, ``improved`` (``changed`` where the direction is
            neutral), ``unchanged``; ``not comparable`` where `evaluator_change` says why; ``no data`` without pairs.
        examples_needed: pairs to tell a difference as large as the one seen, at power 0.8 and among as many metrics as
            are compared; ``None`` where the verdict is clear or there is no difference to tell.
        test: the name of the test that `p_value` is from.
        sd_difference: standard deviation of the paired differences; ``None`` below two pairs.
        baseline_sd: of the baseline's scores over these pairs; ``None`` below two.
        worst_score: what an example falls to, where a drop is taken to be made of such; see `analysis.power`.
        n_baseline_scored: examples that the baseline scored and that the candidate should have
            run; `n_pairs` of them make its coverage.
        errors_as_worst: with the scores that are missing because of an error counted as the worst
            score; ``None`` where none is.
        missing_as_worst: with all missing scores counted so; ``None`` where none is missing.
        unscored: on how many of the examples that both ran a score is missing on one side.
        evaluator_change: what of its evaluator differs between the sides, so that a difference of the scores says
            nothing of the candidate; ``None`` where nothing does, or where it is not known.
        corrected: the difference corrected by what people say of some examples, where the gate asks for that.
        nights: the experiments since the baseline's, the candidate last, where they were looked at.
    """

    name: str
    direction: Direction = "maximize"
    n_pairs: int
    baseline_mean: float | None = None
    candidate_mean: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    p_value_adjusted: float | None = None
    p_higher: float = 1.0
    p_lower: float = 1.0
    smallest_p: float = 1.0
    wins: int = 0
    losses: int = 0
    ties: int = 0
    effect_size: float | None = None
    verdict: MetricVerdict = "no data"
    examples_needed: int | None = None
    test: str = ""
    sd_difference: float | None = None
    baseline_sd: float | None = None
    worst_score: float | None = None
    n_baseline_scored: int = 0
    errors_as_worst: WorstCase | None = None
    missing_as_worst: WorstCase | None = None
    unscored: Unscored = field(default_factory=Unscored)
    evaluator_change: EvaluatorChange | None = None
    corrected: Corrected | None = None
    nights: tuple[Night, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelComparison(_Record):
    """The labels that an evaluator gave, on the examples that both sides have labels of.

    Attributes:
        n_pairs: examples with a label on both sides.
        baseline, candidate: how many of the runs of these examples got each label, the commonest first.
        n_moved: examples whose labels are not the same on both sides.
        moves: from which label to which, and on how many examples, the commonest first; of examples with one run on
            either side.
        p_value: that chance alone shifts labels so much; see `comparison.label_shift.shift_test`.
        smallest_p: the smallest p-value that so many pairs can give.
        has_scores: whether the evaluator gives scores as well, which are a metric and what is judged; the p-values of
            such labels are adjusted among themselves.
        verdict: ``changed`` by the adjusted p-value, else ``unchanged``; ``not comparable`` where its evaluator has
            changed; ``no data`` without pairs.
        p_value_adjusted: Holm's, over the comparison's metrics and labels.
    """

    name: str
    n_pairs: int
    baseline: Mapping[str, int] = field(default_factory=dict)
    candidate: Mapping[str, int] = field(default_factory=dict)
    n_moved: int = 0
    moves: tuple[tuple[str, str, int], ...] = ()
    p_value: float | None = None
    p_value_adjusted: float | None = None
    smallest_p: float = 1.0
    test: str = ""
    has_scores: bool = False
    verdict: MetricVerdict = "no data"
    evaluator_change: EvaluatorChange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCheck(_Record):
    """What the gate says of one metric, or of one of its other rules.

    Attributes:
        name: the metric's, or what the rule is called; and where nothing can be compared ``examples``,
            ``metrics`` or ``baseline``.
        reason: one sentence with the figures.
        smallest_drop: the smallest change for the worse that fails with a probability of 0.8, where that is known.
    """

    name: str
    status: Status
    reason: str
    examples_needed: int | None = None
    smallest_drop: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(OnPages, Printed, _Record):
    """What a gate says of a comparison: the worst of its checks.

    Attributes:
        reasons: one sentence for each check that did not pass; where all passed, for each check.
        exit_code: 0 where the gate lets the candidate through, else 1.
        passing: which entries pass, where the gate asks that and there is no comparison, whose candidate has it; it is
            no part of what is written down.
    """

    status: Status
    reasons: tuple[str, ...]
    checks: tuple[MetricCheck, ...] = ()
    exit_code: int = 0
    passing: Passing | None = field(default=None, repr=False)

    @property
    def alone(self) -> bool:
        """Whether there was no baseline, so that only the rules that need none were asked."""
        return any(check.reason.startswith(NO_BASELINE) for check in self.checks)

    def keys(self) -> list[str]:
        """The names of the fields that are written down."""
        return [name for name in _Record.keys(self) if name != "passing"]

    def _said(self) -> Iterable[str]:
        open_checks = [check.name for check in self.checks if check.status != "passed"]
        yield f"{self.status}: {some(open_checks)}" if open_checks else self.status
        yield counted(len(self.checks), "check")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(OnPages, Printed, _Record):
    """A candidate beside a baseline, on the examples that both ran.

    Attributes:
        n_pairs: examples that both sides ran, without those that `differences` leaves out.
        only_in_baseline, only_in_candidate: ids of the examples that only one side ran.
        metrics: by evaluator name, and by the name of experiment evaluators.
        labels: by the name of each evaluator that gave labels.
        differences: what differs between the sides beside the candidate itself.
        operations: latency (``latency_ms``), ``token_count`` and ``total_cost``, where known; outside
            the correction for many metrics.
        regressed, improved: examples that got worse or better, worst (best) first; a tuple. Of more than a thousand a
            sequence that reads the texts of those that are looked at.
        failures: examples that only one side's task failed on.
        slices: the metrics on groups of the examples, by their metadata and splits.
        confidence: of the intervals, such as 0.95.
        verdict: the gate's; ``None`` without a gate.
        pooled: what else the baseline is made of; ``None`` where it is one run. It is the metrics' means, differences
            and tests that are beside the pool; errors, labels, latency and cost are beside the baseline's own run.
    """

    baseline: Side
    candidate: Side
    n_pairs: int
    only_in_baseline: tuple[str, ...] = ()
    only_in_candidate: tuple[str, ...] = ()
    metrics: Mapping[str, MetricComparison] = field(default_factory=dict)
    labels: Mapping[str, LabelComparison] = field(default_factory=dict)
    differences: Differences = field(default_factory=Differences)
    operations: Mapping[str, MetricComparison] = field(default_factory=dict)
    regressed: Items[ExampleChange] = ()
    improved: Items[ExampleChange] = ()
    failures: Failures = field(default_factory=Failures)
    slices: Slices = field(default_factory=Slices)
    confidence: float = 0.95
    verdict: Verdict | None = None
    pooled: Pooled | None = None

    def _said(self) -> Iterable[str]:
        yield f"{brief(self.candidate.label)} against {brief(self.baseline.label)}"
        if self.verdict is not None:
            yield self.verdict.status
        yield counted(self.n_pairs, "pair")
        yield some(f"{name} {metric.verdict}" for name, metric in self.metrics.items()) or "no metrics"

    @property
    def why_unpaired(self) -> str:
        """What would pair the sides, where they share no example and ids are made of the rows' content; else empty."""
        ids = (*self.only_in_baseline, *self.only_in_candidate)
        if self.n_pairs or not any(map(keys.is_content_id, ids)):
            return ""
        return (
            "Ids such as these are made of the input and the expected output, so that a row in which one was edited is "
            "another example: a column with ids (id, or id_key=) would pair them"
        )
