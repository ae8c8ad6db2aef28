"""An evaluator as the task of an experiment: to find out whether it judges as people do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect_experiments import jsonable
from prefect_experiments.datasets.paths import ABSENT, descend
from prefect_experiments.errors import InvalidEvaluator, InvalidInput, unknown_value
from prefect_experiments.evaluators.base import BoundEvaluator
from prefect_experiments.evaluators.resolve import resolve_evaluators
from prefect_experiments.models import EvaluationResult, Example
from prefect_experiments.tasks import Fields
from prefect_experiments.unread import is_awaitable

_PARTS = {"input": "input", "output": "output", "expected": "output", "reference": "output", "metadata": "metadata"}


def evaluator_task(
    evaluator: Any,
    *,
    output: str = "output",
    input: str | None = "input",
    expected: str | None = None,
    metadata: str | None = None,
) -> Callable[[Example], Any]:
    """A task that judges the outputs recorded in a dataset, for scoring a judge against people.

    The judge sees what is named here and nothing else, so that the human label, which stands in the
    same example, cannot reach it by accident::

        labelled = Dataset(name="labelled answers", examples=(
            Example(input={"question": "2 + 2?"}, output={"answer": "5", "label": "wrong"}), ...))
        ran = run_experiment(dataset=labelled, task=evaluator_task(my_judge, output="output.answer"))
        print(meta_evaluation(ran, evaluator="output.label", human="expected.label", positive="wrong"))

    Args:
        evaluator: one evaluator of any sort that ``run_experiment(evaluators=...)`` takes.
        output: the field of the example with the recorded output: ``input``, ``output`` (also called
            ``expected`` or ``reference``) or ``metadata``, or a key in one of these, such as
            ``output.answer``.
        input: the field that the judge gets as ``input``; ``None`` for none.
        expected: the field that it gets as ``expected``; default none. Take care that the human
            label is not in it.
        metadata: the field with an object that it gets as ``metadata``; default none, with the same care.

    Returns:
        A task, async where the evaluator is. Its output is ``{"score", "label", "explanation"}``; for
        an evaluator that gives several named results, one such object under each name.

    Raises:
        InvalidEvaluator: no evaluator, or several.
        InvalidInput: a field that no example can have; while it runs, one that an example has not.
    """
    bound = _only(evaluator)
    # A tuple, because the task's fingerprint takes a dict in a closure for state and leaves it out.
    fields = (("output", output), ("input", input), ("expected", expected), ("metadata", metadata))
    for name, field in fields:
        _check(name, field)

    def judge(example: Example) -> Any:
        return _judged(bound, bound.call(_fields_of(example, fields)))

    async def judge_async(example: Example) -> Any:
        return _output(bound.parse(await bound.call(_fields_of(example, fields))))

    task: Callable[[Example], Any] = judge_async if bound.is_async else judge
    task.__name__ = bound.name
    return task


def _only(evaluator: Any) -> BoundEvaluator:
    bound = resolve_evaluators(evaluator)
    if len(bound) != 1:
        raise InvalidEvaluator(f"evaluator_task takes one evaluator, got {len(bound)}; make one task of each")
    return bound[0]


def _check(name: str, field: str | None) -> None:
    if field is None and name != "output":
        return
    if not isinstance(field, str) or field.partition(".")[0] not in _PARTS:
        raise InvalidInput(f"{name}=: {unknown_value('field of an example', field, list(_PARTS))}")


def _fields_of(example: Example, fields: Sequence[tuple[str, str | None]]) -> Fields:
    """What the evaluator is given, in place of the example's own fields."""
    values = {name: None if field is None else _value(example, field) for name, field in fields}
    metadata = values["metadata"]
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidInput(
            f"metadata={dict(fields)['metadata']!r} must lead to an object, got {type(metadata).__name__}"
        )
    return Fields(
        example.id,
        jsonable.dumps_strict(values["input"]),
        jsonable.dumps_strict(values["expected"]),
        jsonable.dumps_strict(metadata or {}),
        splits=example.splits,
        output_json=jsonable.dumps_strict(values["output"]),
    )


def _value(example: Example, field: str) -> Any:
    part, _, path = field.partition(".")
    value = descend(getattr(example, _PARTS[part]), path)
    if value is ABSENT:
        raise InvalidInput(f"example {example.id!r} has no {field}")
    return value


def _judged(bound: BoundEvaluator, value: Any) -> Any:
    """The output of a sync evaluator; of one that gave an awaitable after all, an awaitable."""
    return _awaited(bound, value) if is_awaitable(value) else _output(bound.parse(value))


async def _awaited(bound: BoundEvaluator, value: Any) -> Any:
    return _output(bound.parse(await value))


def _output(results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """Results as plain values; under their names where there are several."""
    plain = [{"score": one.score, "label": one.label, "explanation": one.explanation} for one in results]
    if len(results) == 1:
        return plain[0]
    return {str(result.name): one for result, one in zip(results, plain, strict=True)}
