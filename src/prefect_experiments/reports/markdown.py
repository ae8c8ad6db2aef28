"""The summary of an experiment in Markdown, for Prefect's artifacts."""

from __future__ import annotations

from prefect_experiments.analysis import RanExperiment, Summary


def summary_markdown(ran: RanExperiment) -> str:
    """Scores with denominators, errors, latency; no content of any row."""
    summary, experiment = ran.summary, ran.experiment
    lines = [
        f"# {_escape(experiment.name)}",
        "",
        f"Dataset **{_escape(experiment.dataset_name)}** (version `{experiment.dataset_version_id}`), "
        f"task `{_escape(experiment.task)}`, experiment `{experiment.id}`. {headline(ran)}.",
        "",
        "| evaluator | mean | of | standard error | what is behind it |",
        "|---|---|---|---|---|",
    ]
    for name, metric in summary.metrics.items():
        mean = "-" if metric.mean is None else f"{metric.mean:.3f}"
        stderr = "-" if metric.stderr is None else f"{metric.stderr:.3f}"
        lines.append(f"| {_escape(name)} | {mean} | {metric.n} of {metric.n_expected} | {stderr} | {metric} |")
    lines += ["", figures(summary)]
    return "\n".join(lines)


def headline(ran: RanExperiment) -> str:
    """Such as ``Reused 812 runs, ran 188; 3 of 1000 failed``."""
    summary = ran.summary
    text = f"Reused {ran.reused} runs, ran {ran.ran}" if ran.reused else f"Ran {ran.ran}"
    return f"{text}; {summary.n_errors} of {summary.n_runs} failed"


def figures(summary: Summary) -> str:
    """Latency, tokens and cost in one line."""
    parts = [f"{name} {value:.0f} ms" for name, value in summary.latency_ms.items()]
    if parts:
        parts[0] = f"latency {parts[0]}"
    if summary.token_count is not None:
        parts.append(f"{summary.token_count} tokens")
    if summary.total_cost is not None:
        parts.append(f"${summary.total_cost:.4f}")
    return ", ".join(parts)


def _escape(text: str) -> str:
    """Names come from people: keep them from breaking the table or becoming markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
