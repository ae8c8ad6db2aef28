"""What a gate takes, on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.experiment_plan import ExperimentPlan, PlannedMetric
from prefect_experiments.analysis.power import MOST_EXAMPLES
from prefect_experiments.display import some
from prefect_experiments.reports import escaping

_ROUNDED = 1 + 1e-9
_COLUMNS = ("baseline", "margin", "smallest drop", "unchanged passes", "drop fails", "examples", "or repetitions")
_MORE = f"more than {MOST_EXAMPLES:,} examples"
_KNOWN_BETTER = (
    "Fewer will do once it is known better: name a second run of the same application (--beside), take a baseline with "
    "repetitions, or say which share of the examples scores the same again (--agreement 0.9)."
)
_MONEY_SAID = "nobody knows what they cost: the baseline's runs have no cost"


def print_plan(plan: ExperimentPlan, console: Console) -> None:
    """Print what was planned: a line a metric, what it takes, and how that is known."""
    word, style = ("ENOUGH", "bold green") if plan.enough else ("TOO FEW", "bold yellow")
    if not plan.asks:
        word, style = "PLANNED", "bold"
    baseline = escaping.one_line(plan.baseline)
    console.print(Text.assemble((word, style), f"  {size_line(plan)}, planned by {baseline}"), soft_wrap=True)
    console.print(plan_table(plan))
    for line in plan_lines(plan):
        console.print(Text(f"  {line}"), soft_wrap=True)


def size_line(plan: ExperimentPlan) -> str:
    """Such as ``200 examples, 3 repetitions``."""
    return _size(plan.n_examples, plan.repetitions)


def _size(n_examples: int, repetitions: int) -> str:
    return f"{numbers.count(n_examples, 'example')}, {numbers.count(repetitions, 'repetition')}"


def plan_table(plan: ExperimentPlan) -> Table:
    """One row a metric."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("metric", overflow="fold", min_width=8)
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for metric in plan.metrics.values():
        table.add_row(
            Text(escaping.one_line(metric.name)),
            _value(metric, metric.baseline_mean),
            _value(metric, metric.margin),
            numbers.NOTHING if metric.smallest_drop is None else _value(metric, metric.smallest_drop),
            _chance(metric.power_to_pass),
            _chance(metric.power_to_find),
            _needed(metric.examples_needed),
            _needed(metric.repetitions_needed),
        )
    return table


def plan_lines(plan: ExperimentPlan) -> Iterator[str]:
    """What is too little, what it takes, and how that is known, each in a sentence."""
    for metric in plan.metrics.values():
        yield from _metric_lines(plan, metric)
    if assumed := [name for name, one in plan.metrics.items() if one.noise == "assumed" and one.unseen is None]:
        yield (
            f"{escaping.one_line(some(assumed))}: two runs are taken to differ like any two examples, the worst "
            f"case. {_KNOWN_BETTER}"
        )
    for name, metric in plan.metrics.items():
        if metric.unseen is not None:
            what = "all examples score the same" if metric.noise == "assumed" else f"by {metric.noise} none differs"
            yield (
                f"{escaping.one_line(name)}: {what}, so nobody knows how often a run differs by chance; "
                f"{numbers.percent(metric.unseen)} of the examples are taken to. {_KNOWN_BETTER}"
            )
    yield "The smallest drop is the one that fails 4 times of 5."
    yield _spending(plan)
    yield from _gate_lines(plan)
    if (plan.n_examples, plan.repetitions) != (plan.n_there, plan.repetitions_there):
        there = _size(plan.n_there, plan.repetitions_there)
        yield f"The baseline has {there}: it has to be run again as well."


def _gate_lines(plan: ExperimentPlan) -> Iterator[str]:
    """What the gate asks beside its metrics, and how many tests that makes."""
    for name, why in plan.unplanned.items():
        asked = escaping.one_line(name)
        yield f"{asked} cannot be planned, as results like the baseline's would not pass: {escaping.one_line(why)}."
    for name, able in plan.groups.items():
        if not able:
            yield f"{escaping.one_line(name)}: none of its groups is large enough to be judged, so nothing would pass."
    if plan.n_tests > 1:
        share = numbers.percent((1 - plan.confidence) / plan.n_tests)
        yield f"{plan.n_tests} tests share the false alarms: each is planned with {share}, Holm's least."
    if plan.groups:
        yield f"Of {escaping.one_line(some(plan.groups))}, groups count of which enough examples are to differ by then."


def _metric_lines(plan: ExperimentPlan, metric: PlannedMetric) -> Iterator[str]:
    name, way = escaping.one_line(metric.name), "drop" if metric.direction == "maximize" else "rise"
    if why := _never(plan, metric, way):
        yield f"{name}: {why}."
    elif not metric.enough:
        asked = [] if metric.margin is None else [f"a margin of {_value(metric, metric.margin)}"]
        asked += [] if metric.power_to_find is None else [f"a {way} of {_value(metric, plan.drop)}"]
        needed = (
            _MORE if metric.examples_needed is None else f"about {numbers.count(metric.examples_needed, 'example')}"
        )
        also = metric.repetitions_needed
        more = "" if also is None else f", or {numbers.count(also, 'repetition')} of these,"
        verb = "take" if len(asked) > 1 else "takes"
        yield f"{name}: {' and '.join(asked)} {verb} {needed}{more} and there are {size_line(plan)}."
    if plan.drop is not None and metric.power_to_find is None:
        yield f"{name}: a {way} of {_value(metric, plan.drop)} is within its margin, so none is to be found."
    if metric.corrected_by is not None:
        human = escaping.one_line(metric.corrected_by)
        yield (
            f"{name}: these figures are the judge's own; the gate asks of the difference corrected by {human}, and how "
            "much that shows depends on how many runs people judge."
        )
    if metric.smallest_drop is None and metric.largest_drop != 0:
        yield f"{name}: not even the largest {way} would be found 4 times of 5."


def _never(plan: ExperimentPlan, metric: PlannedMetric, way: str) -> str:
    """Why no number of examples would do; empty where some would."""
    most = metric.largest_drop
    if most == 0:
        return "its mean is the worst there is, so no later run can be worse, and nothing would ever fail"
    if metric.margin == 0:
        return (
            "no number of examples shows a margin of 0; allow a little, or leave max_regression out: what is "
            "significantly worse fails then"
        )
    if most is not None and metric.margin is not None and metric.margin >= most:
        return f"nothing would ever fail: its margin is {_value(metric, metric.margin)}, and {_at_most(metric)}"
    if most is not None and metric.power_to_find is not None and plan.drop is not None and plan.drop > most * _ROUNDED:
        return f"there is no {way} of {_value(metric, plan.drop)}: {_at_most(metric)}"
    return ""


def _at_most(metric: PlannedMetric) -> str:
    return f"it can be worse by {_value(metric, metric.largest_drop)} at most"


def _spending(plan: ExperimentPlan) -> str:
    calls = f"One run makes {numbers.count(plan.calls, 'call')} of the task"
    needed = ""
    if plan.calls_needed is not None and plan.calls_needed != plan.calls:
        needed = f"; over {numbers.count(plan.examples_needed or 0, 'example')} {plan.calls_needed:,}"
    if plan.cost_per_call is None:
        return f"{calls}{needed}; {_MONEY_SAID}."
    more = f", about {numbers.money(plan.cost_needed)}" if needed else ""
    judges = "" if plan.judge_cost_per_call is None else f", judges {numbers.money(plan.judge_cost_per_call)} of it"
    each = f"{numbers.money(plan.cost_per_call)} each{judges}"
    return f"{calls}, about {numbers.money(plan.cost)} at {each}{needed}{more}.{_unknown_costs(plan)}"


def _unknown_costs(plan: ExperimentPlan) -> str:
    if plan.n_costs == plan.n_runs:
        return ""
    known = f" The task's cost is known of {plan.n_costs:,} of the baseline's {numbers.count(plan.n_runs, 'run')}"
    return f"{known}; the others are taken to have cost as much." if plan.n_costs else f"{known}; it comes on top."


def _value(metric: PlannedMetric, value: float | None) -> str:
    return numbers.value(value, numbers.unit_of(metric.baseline_mean))


def _chance(power: float | None) -> str:
    return numbers.NOTHING if power is None else numbers.percent(round(power, 2))


def _needed(n: int | None) -> str:
    return numbers.NOTHING if n is None else f"{n:,}"
