"""What stands on our spans, under OpenInference's names."""

from __future__ import annotations

import itertools
import linecache
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from prefect_experiments.engine import EvaluationItem, RunItem
from prefect_experiments.errors import describe
from prefect_experiments.jsonable import dumps_lenient
from prefect_experiments.records import EvaluationRecord

if TYPE_CHECKING:
    from opentelemetry.util.types import AnyValue

KIND = "openinference.span.kind"
JSON, TEXT = "application/json", "text/plain"
MOST_FRAMES, MOST_CAUSES = 20, 5

Attributes = dict[str, "AnyValue"]
OURS = str(Path(__file__).parents[1])


class Metadata:
    """The ``metadata`` of all root spans of an experiment; only the example differs.

    Args:
        shared: what all have: ``experiment_id`` and the like.
    """

    def __init__(self, shared: Mapping[str, Any] = MappingProxyType({})) -> None:
        text, _ = dumps_lenient({name: value for name, value in shared.items() if value is not None})
        self._head = "{" if text == "{}" else f"{text[:-1]},"

    def of(self, item: RunItem, attempts: int) -> str:
        """As JSON text."""
        tried = f',"attempts":{attempts}' if attempts > 1 else ""
        example = orjson.dumps(item.example_id).decode()
        return f'{self._head}"example_id":{example},"repetition_number":{item.repetition_number}{tried}}}'


def of_run(item: RunItem, output_json: str | None) -> Attributes:
    """What a task's run was given and gave."""
    attributes: Attributes = {}
    _put(attributes, "input", item.input_json)
    _put(attributes, "output", output_json)
    return attributes


def of_evaluation(item: EvaluationItem, rows: Sequence[EvaluationRecord]) -> Attributes:
    """What an evaluator was given and its evaluation; ``score``, ``label`` and ``explanation`` where it is one."""
    run = item.run
    attributes: Attributes = {
        "input.value": (
            f'{{"input":{run.input_json},"output":{item.output_json or "null"},'
            f'"expected":{run.expected_json or "null"},"metadata":{run.metadata_json}}}'
        ),
        "input.mime_type": JSON,
    }
    evaluations = [_evaluation(row) for row in rows if row.error is None]
    if len(evaluations) == 1:
        attributes.update(evaluations[0])
    else:
        for row, evaluation in zip(rows, evaluations, strict=False):
            evaluation["name"] = row.name
    if any(evaluations):
        value = evaluations[0] if len(evaluations) == 1 else evaluations
        attributes["output.value"] = orjson.dumps(value).decode()
        attributes["output.mime_type"] = JSON
    return attributes


def _evaluation(row: EvaluationRecord) -> Attributes:
    evaluation = {"score": row.score, "label": row.label, "explanation": row.explanation}
    return {name: value for name, value in evaluation.items() if value is not None}


def _put(attributes: Attributes, side: str, text: str | None) -> None:
    if text is None or text == "null":
        return
    plain = text.startswith('"')
    attributes[f"{side}.value"] = orjson.loads(text) if plain else text
    attributes[f"{side}.mime_type"] = TEXT if plain else JSON


def of_error(error: str, error_type: str | None, raised: BaseException | None) -> Attributes:
    """The attributes of an ``exception`` event.

    Args:
        error: type and text, as results have it.
        error_type: the type's name, where it is known.
        raised: what the last attempt raised, for its stack; something else than `error` where the
            attempt was given up from outside.
    """
    if raised is None or describe(raised) != error:
        name, _, text = error.partition(": ")
        return {"exception.type": error_type or name, "exception.message": text}
    kind = type(raised)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {
        "exception.type": name,
        "exception.message": error.partition(": ")[2],
        "exception.stacktrace": "".join(_stack(raised)),
    }


def _stack(error: BaseException) -> Iterator[str]:
    """The innermost frames of an error and of what caused it, the error last, without the engine's own.

    The traceback module's own text takes milliseconds, in which the event loop would stand still.
    """
    chain = [error]
    while len(chain) < MOST_CAUSES:
        last = chain[-1]
        below = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if below is None or below in chain:
            break
        chain.append(below)
    for cause in reversed(chain):
        yield "Traceback (most recent call last):\n"
        frames = itertools.dropwhile(_is_ours, traceback.walk_tb(cause.__traceback__))
        for frame, line in deque(frames, MOST_FRAMES):
            code = frame.f_code
            yield f'  File "{code.co_filename}", line {line}, in {code.co_name}\n'
            if source := linecache.getline(code.co_filename, line, frame.f_globals).strip():
                yield f"    {source}\n"
        yield f"{describe(cause)}\n"
        if cause is not error:
            yield "\n"


def _is_ours(place: tuple[FrameType, int]) -> bool:
    return place[0].f_code.co_filename.startswith(OURS)
