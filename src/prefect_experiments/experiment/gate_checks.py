"""What is refused, or said, of a baseline and a gate before anything is spent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.example_facts import Fields
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import result_table
from prefect_experiments.errors import InvalidDataset, InvalidSetting, unknown_value
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.evaluators.builtin import is_spec
from prefect_experiments.experiment.compare import Judging
from prefect_experiments.experiment.needs import Examples

logger = logging.getLogger("prefect_experiments")


def check_margins(judging: Judging | None) -> None:
    """Refuse, before anything is spent, margins that no candidate could exceed.

    Raises:
        InvalidSetting: there is one; see `Gate.refuse_unreachable`.
    """
    if judging is None or judging.baseline is None or judging.gate is None or not judging.gate.with_wide_margins:
        return  # nothing to read the baseline's results for
    judging.gate.refuse_unreachable(result_table(judging.baseline).side())


def check_names(judging: Judging | None, evaluators: Sequence[BoundEvaluator], *, is_new: bool) -> None:
    """Say, before anything is spent, which metric of the gate no evaluator is called: it may be a slip.

    It is no error: one evaluator may give scores of several names.

    Args:
        judging: what the experiment is judged by.
        evaluators: those that it has.
        is_new: whether it has no evaluations yet, so that nothing but these will give any.

    Raises:
        InvalidSetting: the gate's required names a metric, and the evaluators are built-in ones of other names.
    """
    if judging is None or judging.gate is None or not evaluators:
        return
    known = [evaluator.name for evaluator in evaluators]
    must = judging.gate.must
    if is_new and all(evaluator.reference and is_spec(evaluator.reference) for evaluator in evaluators):
        check_required_metrics(judging.gate, known)
    missing = [name for name in (*judging.gate.rules, *((must and must.metrics) or ())) if name not in known]
    if missing and judging.baseline is not None:
        side = result_table(judging.baseline).side()
        missing = [name for name in missing if name not in side.metrics and name not in side.labels_only]
    for name in missing:
        logger.warning("The gate asks for what no evaluator is called: %s", unknown_value("metric", name, known))


def check_required_metrics(gate: Any, known: Sequence[str], nothing: str = "Nothing was run") -> None:
    """Refuse, before anything is spent, metrics of the gate's required that there are not going to be.

    Args:
        gate: as `run_experiment` takes it.
        known: the names of all that there will be.
        nothing: what has not been done.

    Raises:
        InvalidSetting: there is one.
    """
    must = None if gate is None else Gate.parse(gate).must
    for name in (must and must.metrics) or ():
        if name not in known:
            raise InvalidSetting(f"the gate's required: {unknown_value('metric', name, list(known))}. {nothing}")


def check_pairs(judging: Judging | None, dataset: str, example_ids: Callable[[], Sequence[str]]) -> None:
    """Refuse, before anything is spent, a baseline on something else that has none of the examples.

    Args:
        judging: what the new experiment is compared with.
        dataset: the name of its dataset. What is on that as well may have been edited since: the comparison says so.
        example_ids: gives the ids of its examples.

    Raises:
        InvalidDataset: nothing could be compared.
    """
    side = None if judging is None else judging.baseline
    if side is None or (isinstance(side, RanExperiment) and side.experiment.dataset_name == dataset):
        return
    theirs, ours = list(side.example_ids), example_ids()
    if ours and theirs and not set(ours) & set(theirs):
        whose = f" is on dataset {side.experiment.dataset_name!r}, and" if isinstance(side, RanExperiment) else ""
        raise InvalidDataset(
            f"the baseline{whose} shares no example with dataset {dataset!r}: its example ids are such as "
            f"{', '.join(map(repr, theirs[:3]))}, and here {', '.join(map(repr, ours[:3]))}. Nothing was run: name an "
            "experiment on the same examples, or give both sides the same ids"
        )


def check_examples(gate: Any, examples: Examples, nothing: str = "Nothing was run") -> None:
    """Refuse, before anything is spent, a gate that names examples or fields of examples that there are not.

    Args:
        gate: as `run_experiment` takes it.
        examples: those that it is on.
        nothing: what has not been done.

    Raises:
        InvalidSetting: an id, a split or a metadata's value that none of them has, or a field that makes no groups.
    """
    checked = None if gate is None else Gate.parse(gate)
    if checked is not None and checked.must is not None:
        _, unknown = checked.must.among(examples.facts())
        if unknown:
            raise InvalidSetting(
                f"the gate's required names what is not in dataset {examples.name!r}, or not among the examples that "
                f"are used: {'; '.join(unknown)}. {nothing}"
            )
    if checked is not None and checked.fields:
        found = Fields.of(examples.facts())
        for name in checked.fields:
            if name not in found.values:
                why = f"{name} makes no groups: {why}" if (why := found.ungrouped.get(name)) else found.unknown(name)
                raise InvalidSetting(f"the gate's slices, on dataset {examples.name!r}: {why}. {nothing}")


def check_directions(judging: Judging | None, evaluators: Sequence[BoundEvaluator]) -> None:
    """Refuse, before anything is spent, evaluators that say another direction than the baseline's evaluations.

    Raises:
        InvalidSetting: they do, and the gate does not say which counts.
    """
    if judging is None or judging.baseline is None:
        return
    said = judging.baseline.directions
    rules = judging.gate.rules if judging.gate is not None else {}
    for evaluator in evaluators:
        before = said.get(evaluator.name, ())
        decided = evaluator.name in rules and rules[evaluator.name].direction is not None
        if before and evaluator.direction is not None and before != (evaluator.direction,) and not decided:
            raise InvalidSetting(
                f"evaluator {evaluator.name!r} says {evaluator.direction}, and the baseline's evaluations of that name "
                f"say {' and '.join(before)}: nothing was run. Give the evaluator another name, or let the gate say "
                f"which counts: {{metrics: {{{evaluator.name}: {{direction: {evaluator.direction}}}}}}}"
            )


def check_people(judging: Judging | None, evaluators: Sequence[BoundEvaluator]) -> None:
    """Refuse, before anything is spent, to correct a judge by the scores of an evaluator that is not a person.

    Raises:
        InvalidSetting: the gate's corrected_by names one.
    """
    correcting = {} if judging is None or judging.gate is None else judging.gate.corrected_by
    kinds = {evaluator.name: evaluator.kind for evaluator in evaluators}
    for name, human in correcting.items():
        if kinds.get(human, "HUMAN") != "HUMAN":
            raise InvalidSetting(
                f"the gate's corrected_by of {name!r} takes people's scores, and evaluator {human!r} is of the kind "
                f"{kinds[human]}: nothing was run. Name an annotation, or give the evaluator the kind HUMAN if people "
                "are behind it"
            )
