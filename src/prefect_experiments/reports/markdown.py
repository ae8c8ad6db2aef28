"""What was found, in Markdown and as rows, for Prefect's artifacts."""

from __future__ import annotations

from dataclasses import replace

from prefect_experiments.analysis import MetricSummary, RanExperiment, Summary, numbers
from prefect_experiments.analysis.comparison.said import label_comparisons
from prefect_experiments.analysis.example_changes import ExampleChange
from prefect_experiments.analysis.verdicts import Comparison, Side, Verdict
from prefect_experiments.reports import escaping, phrases
from prefect_experiments.reports.escaping import markdown as plain
from prefect_experiments.reports.slices import SLICES_MOVED, flaky_line, slice_lines
from prefect_experiments.reports.spending import figures, unpriced

WORST_SHOWN = 10
LONGEST_TEXT = 200


def summary_markdown(ran: RanExperiment, verdict: Verdict | None = None) -> str:
    """Scores with denominators, errors, latency; no content of any row.

    Args:
        ran: what ran.
        verdict: a gate's, where there is no baseline to compare with; it comes first.
    """
    summary, experiment = ran.summary, ran.experiment
    word = f"{phrases.verdict_word(verdict)}: " if verdict else ""
    lines = [f"# {word}{plain(experiment.name)}", ""]
    if verdict:
        lines += [phrases.verdict_sentence(verdict, plain), "", *reason_lines(verdict), ""]
    lines += [
        f"Dataset **{plain(experiment.dataset_name)}** (version {escaping.code(experiment.dataset_version_id)}), "
        f"task {escaping.code(experiment.task)}, experiment {escaping.code(experiment.id)}. {headline(ran)}.",
        "",
        "| evaluator | mean | of | standard error |",
        "|---|--:|--:|--:|",
    ]
    for name, metric in summary.metrics.items():
        mean, stderr = numbers.score(metric.mean), numbers.plain(metric.stderr)
        cells = [plain(name, cell=True) + less_note(metric), mean, f"{metric.n} of {metric.n_expected}", stderr]
        lines.append(f"| {' | '.join(cells)} |")
    unknown = unpriced(summary)
    lines += ["", *_behind(summary), figures(summary), *(["", plain(unknown)] if unknown else []), *error_lines(ran)]
    return "\n".join(lines)


def _behind(summary: Summary) -> list[str]:
    """What there is to say of the means besides, as a list: a column of such texts would not fit on Prefect's page."""
    lines = []
    for name, metric in summary.metrics.items():
        told = metric.n_task_errors == summary.n_errors  # in the headline, so that each need not repeat it
        if text := (replace(metric, n_task_errors=0) if told else metric).behind:
            lines.append(f"- {plain(name)}: {escaping.sentence(text)}")
    return [*lines, ""] if lines else []


def less_note(metric: MetricSummary) -> str:
    """`` (less is better)``, or nothing."""
    return " (less is better)" if metric.direction == "minimize" else ""


def error_lines(ran: RanExperiment) -> list[str]:
    """Which classes of errors came how often, as a Markdown list; nothing of what they say, which may be a row's."""
    failures = ran.failures
    lines = [
        f"- {'task' if who is None else f'evaluator {plain(who)}'}: {phrases.error_types(types, plain)}"
        for who, types in failures.types.items()
    ]
    whole = failures.every_call_of(ran.asked)
    return ["", *([f"**{phrases.throughout(whole)}**", ""] if whole else []), "Errors:", "", *lines] if lines else []


def comparison_markdown(comparison: Comparison, *, worst: int = WORST_SHOWN) -> str:
    """The verdict first, then a table of metrics, the examples that got worse, links to the backend's pages.

    Args:
        comparison: what was compared, with a gate's verdict or without.
        worst: how many of the examples that got worse are shown; their texts are cut.
    """
    lines = [
        f"# {phrases.verdict_word(comparison.verdict)}: {plain(comparison.candidate.label)}",
        "",
        phrases.opening(comparison, plain),
        "",
    ]
    reasons = [*reason_lines(comparison.verdict), ""] if comparison.verdict else []
    # Why it failed is read first; that each check passed can wait.
    passed = comparison.verdict is not None and comparison.verdict.status == "passed"
    lines += [] if passed else reasons
    lines += [*metric_table(comparison), "", *correction_lines(comparison)]
    lines += [*moved_lines(comparison), *label_lines(comparison)]
    if comparison.metrics and not passed and comparison.verdict:
        lines += ["The table asks whether there is a difference, the gate only whether it is for the worse.", ""]
    lines += [*side_lines(comparison), "", *likeness_lines(comparison)]
    lines += ["Checks:", "", *reasons] if passed else []
    return "\n".join([*lines, *worst_lines(comparison, worst)])


def reason_lines(verdict: Verdict) -> list[str]:
    """The verdict's reasons as a Markdown list."""
    return [f"- {escaping.sentence(reason)}" for reason in verdict.reasons]


def moved_lines(comparison: Comparison) -> list[str]:
    """The groups of examples on which a metric moved, as a Markdown list with its heading."""
    lines = [f"- {escaping.sentence(line)}" for line in slice_lines(comparison)]
    return [f"{SLICES_MOVED}:", "", *lines, ""] if lines else []


def correction_lines(comparison: Comparison) -> list[str]:
    """What people's scores make of judges' metrics, as a Markdown list; nothing where nobody has asked."""
    lines = [f"- {escaping.sentence(line)}" for line in phrases.correction_lines(comparison)]
    return [*lines, ""] if lines else []


def label_lines(comparison: Comparison) -> list[str]:
    """The labels of both sides as a Markdown list with its heading; nothing where there are none."""
    found = label_comparisons(comparison)
    lines = [f"- {escaping.sentence(phrases.label_line(one))}" for one in found]
    return ["Labels, the baseline's count first:", "", *lines, ""] if lines else []


def likeness_lines(comparison: Comparison) -> list[str]:
    """What is to be said of how alike the sides are, as a Markdown list."""
    lines = [f"- {escaping.sentence(line)}" for line in phrases.likeness(comparison)]
    return [*lines, ""] if lines else []


def metric_table(comparison: Comparison) -> list[str]:
    """The compared metrics as the lines of a Markdown table; below it latency, tokens and cost, as a list."""
    operations = [f"- {line}" for line in phrases.operation_lines(comparison)]
    if not comparison.metrics:
        return ["There is nothing that both sides were scored on.", "", *operations]
    # Few columns: Prefect's page and GitHub's have room for about 700 pixels, and hide the rest. A cost with its
    # interval takes half of that.
    difference = f"difference [{numbers.percent(comparison.confidence)}]"
    lines = [
        f"| metric | verdict | baseline → candidate | {difference} | better / worse / same |",
        "|---|---|--:|--:|--:|",
    ]
    every = [phrases.figures_of(metric) for metric in comparison.metrics.values()]
    for found in every:
        cells = [
            plain(found.name, cell=True),
            found.verdict,
            f"{found.baseline} → {found.candidate}",
            f"{found.difference} {found.interval}".strip(),
            f"{found.improved} / {found.regressed} / {found.ties}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    noted = [f"{plain(found.name)}{found.direction_note}" for found in every if found.direction_note]
    return [*lines, "", *([f"Directions: {', '.join(noted)}.", ""] if noted else []), *operations]


def comparison_rows(comparison: Comparison) -> list[dict[str, str]]:
    """The same means and differences, and p, as rows for a Prefect table artifact, which is as wide as its page.

    Latency, tokens and cost are without intervals: a cost's would push p off the page.
    """
    return [_row(found, comparison) for found in phrases.all_figures(comparison)]


def _row(found: phrases.Figures, comparison: Comparison) -> dict[str, str]:
    operation = found.name not in comparison.metrics
    return {
        "metric": found.name + ("" if operation else found.direction_note),  # nobody wants more latency or cost
        "verdict": found.verdict,
        "means": f"{found.baseline} → {found.candidate}",
        "difference": found.difference if operation else found.change,
        "p": found.p,
    }


def side_lines(comparison: Comparison) -> list[str]:
    """Each side with its link and its failed runs, as a Markdown list."""
    # Under a line of its own, or the list would go on with the one before.
    return ["Sides:", "", _side("Candidate", comparison.candidate), _side("Baseline", comparison.baseline)]


def _side(role: str, side: Side) -> str:
    named = f"- {role}: {escaping.markdown_link(side.label, side.url)}"
    identity = f" (experiment {escaping.code(side.experiment_id)})" if side.experiment_id else ""
    page = f", {escaping.markdown_link('flow run', side.flow_run_url)}" if side.flow_run_url else ""
    return f"{named}{identity}, {phrases.failures(side)}{page}"


def worst_lines(comparison: Comparison, worst: int) -> list[str]:
    """The examples that got worse, worst first, as a Markdown list: a table of texts would not fit on a page."""
    if not comparison.regressed or worst < 1:
        return []
    count, shown = phrases.worst_first(comparison, worst)
    lines = [f"**{phrases.WORST_FIRST}** ({count})", ""] if shown else []
    lines += [line for change in shown for line in _change(change, comparison)]
    flaky = flaky_line(comparison, lambda example_id: escaping.code(example_id, longest=60))
    return [*lines, *(["", flaky] if flaky else [])]


def _change(change: ExampleChange, comparison: Comparison) -> list[str]:
    step = f"{plain(change.metric, longest=60)} {phrases.step(change, comparison)}"
    return [
        f"- **{escaping.code(change.example_id, longest=60)}** {step}",
        *texts_below(
            baseline=f"failed: {change.baseline_error}" if change.baseline_error else change.baseline_output,
            candidate=f"failed: {change.candidate_error}" if change.candidate_error else change.candidate_output,
            expected=change.expected,
            input=change.input,
        ),
    ]


def texts_below(**values: object) -> list[str]:
    """An example's texts by name, cut, as a list below its line; what is empty is left out."""
    texts = {name: escaping.as_text(value, between=", ") for name, value in values.items()}
    return [f"  - {name} {escaping.code(text, longest=LONGEST_TEXT)}" for name, text in texts.items() if text.strip()]


def headline(ran: RanExperiment) -> str:
    """Such as ``Reused 812 runs, ran 188; 3 of 1000 failed``; of what was read, and not run, how many there are."""
    summary = ran.summary
    text = f"Reused {ran.reused} runs, ran {ran.ran}" if ran.reused else f"Ran {ran.ran}"
    if not ran.reused and not ran.ran:
        text = numbers.count(summary.n_runs, "run")
    if ran.logged:
        text = f"Logged {numbers.count(ran.logged, 'run')}"
    return f"{text}; {summary.n_errors} of {summary.n_runs} failed"
