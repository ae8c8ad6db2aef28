"""Latency, tokens and cost of an experiment as text: of its task, of its judges, and of both."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_experiments.analysis import Summary, numbers
from prefect_experiments.analysis.summary import Used
from prefect_experiments.display import some
from prefect_experiments.reports.escaping import one_line
from prefect_experiments.tracing.prices import has_table

_MOST_MODELS = 5
_MOST_JUDGES = 8
_LONGEST_NAME = 60


def figures(summary: Summary) -> str:
    """Latency, tokens and cost in one line; the task's, the judges', and each judge's where there are several."""
    parts = [f"{name} {numbers.duration(value)}" for name, value in summary.latency_ms.items()]
    if parts:
        parts[0] = f"latency {parts[0]}"
    of_task = _said(Used(token_count=summary.token_count, total_cost=summary.total_cost))
    again = [] if summary.replaced_cost is None else [f"results made again {numbers.money(summary.replaced_cost)}"]
    of_judges = _said(Used(token_count=summary.judge_token_count, total_cost=summary.judge_cost))
    if summary.judges:
        parts += [f"{who} {' for '.join(used)}" for who, used in (("task", of_task), ("judges", of_judges)) if used]
    else:
        parts += of_task
    if len(summary.judges) > 1:
        parts[-1] += f" ({_of_each(summary)})"
    parts += again
    if sum(cost is not None for cost in (summary.total_cost, summary.judge_cost, summary.replaced_cost)) > 1:
        parts.append(f"together {numbers.money(summary.overall_cost)}")
    return ", ".join(parts)


def _of_each(summary: Summary) -> str:
    named = [f"{one_line(name, _LONGEST_NAME)} {_said(used)[-1]}" for name, used in summary.judges.items()]
    return some(named, _MOST_JUDGES)


def _said(used: Used) -> list[str]:
    """Tokens, then cost, of these that are known."""
    tokens, cost = used.token_count, used.total_cost
    said = [None if tokens is None else numbers.count(tokens, "token"), None if cost is None else numbers.money(cost)]
    return [text for text in said if text is not None]


def judge_rows(summaries: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """What the judges have used, a row each figure and a column each summary; no row where no judge used anything."""
    names = list(dict.fromkeys(name for summary in summaries for name in summary.judges))
    if not names:
        return []
    rows = [
        ("judges, tokens", [_count(summary.judge_token_count) for summary in summaries]),
        ("judges, cost", [numbers.money(summary.judge_cost) for summary in summaries]),
    ]
    if len(names) > 1:
        for name in names:
            each = [summary.judges.get(name, Used()) for summary in summaries]
            rows += [
                (f"{one_line(name, _LONGEST_NAME)}, tokens", [_count(used.token_count) for used in each]),
                (f"{one_line(name, _LONGEST_NAME)}, cost", [numbers.money(used.total_cost) for used in each]),
            ]
    return [*rows, ("cost, task and judges", [numbers.money(summary.overall_cost) for summary in summaries])]


def _count(tokens: int | None) -> str:
    return numbers.NOTHING if tokens is None else numbers.count(tokens)


def unpriced(summary: Summary) -> str | None:
    """What to say where the cost of some calls is not known."""
    if not summary.unpriced:
        return None
    named = [one_line(model, _LONGEST_NAME) for model in summary.unpriced]
    shown = some(named, _MOST_MODELS)
    calls = numbers.count(sum(summary.unpriced.values()), "call")
    where = "PREFECT_EXPERIMENTS_PRICES takes prices"
    if not has_table():
        where = f"pip install 'prefect-experiments[cost]' brings a table of prices, {where} of your own"
    return f"cost of {calls} unknown, and in no sum: {shown}. {where}"
