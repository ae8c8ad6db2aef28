"""Traces of pixie's, as entries of a dataset: what the application really gave stands apart from what is expected.

`pixie format` puts it under ``expectation``, where an evaluator would compare the application with itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from prefect_experiments.datasets.files import read_text
from prefect_experiments.datasets.json_text import BadJson, load_json
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.jsonable import NotJson, dumps_strict
from prefect_experiments.models import Example
from prefect_experiments.pixie.dataset import entry_ids
from prefect_experiments.pixie.examples import (
    DESCRIPTION,
    EVAL_INPUT,
    EVAL_OUTPUT,
    Entry,
    Form,
    Named,
    as_items,
)
from prefect_experiments.pixie.file import EVALUATORS
from prefect_experiments.pixie.reading import parse_pixie, read_pixie

_ARGUMENTS, _WRAP, _LLM = "kwargs", "wrap", "llm_span"
PURPOSES: Final = ("input", "output", "state")

# What jsonpickle writes instead of a JSON value. It is read as far as that needs no class and no call.
_LISTS = ("py/set", "py/tuple")
_OBJECT, _STATE, _MARK = "py/object", "py/state", "py/"
_FIELDS = "__dict__"  # of a pydantic model, within its state


@dataclass(frozen=True, slots=True)
class Trace:
    """What one run of an application left in a trace.

    Attributes:
        arguments: what it was called with.
        inputs: what its `wrap` calls of the purpose ``input`` gave.
        outputs: what it captured, and what its models were asked and answered, in the order of the trace.
    """

    path: Path
    arguments: Mapping[str, Any]
    inputs: tuple[Named, ...]
    outputs: tuple[Named, ...]

    @property
    def title(self) -> str:
        """Of which file it was read."""
        return f"transformed from {self.path.name}"

    def given(self, form: Form) -> tuple[Named, ...]:
        """What evaluators see of the input besides the arguments; with ``entry_kwargs`` they see nothing else."""
        return self.inputs or ((Named("app_input", dict(self.arguments)),) if form == "entry_kwargs" else ())

    def to_entry(self, form: Form = "input_data", description: str | None = None) -> dict[str, Any]:
        """As an entry of a file: without expectation, and with the evaluators that the file has for all.

        Args:
            form: what the arguments are called.
            description: what the entry is about; by default, of which file it was made.
        """
        entry: dict[str, Any] = {form: dict(self.arguments), DESCRIPTION: description or self.title}
        if given := self.given(form):
            entry[EVAL_INPUT] = as_items(given)
        if self.outputs:
            entry[EVAL_OUTPUT] = as_items(self.outputs)
        return entry


def read_trace(path: str | Path) -> Trace:
    """A trace that `pixie trace` has written.

    Raises:
        InvalidDataset: it cannot be read, is none, or is of several runs.
    """
    path = Path(path)
    arguments: Mapping[str, Any] | None = None
    inputs: list[Named] = []
    outputs: list[Named] = []
    is_trace = False
    for number, line in _lines(path):
        where, what = f"{path}: line {number}", line.get("type")
        if what == _ARGUMENTS:
            if arguments is not None:
                raise InvalidDataset(f"{where}: a second run begins here; give the lines of each run a file of its own")
            arguments = _object(line.get("value"), where)
        elif what == _WRAP:
            if not isinstance(line.get("name"), str) or line.get("purpose") not in PURPOSES:
                raise InvalidDataset(
                    f"{where}: a line of type 'wrap' needs a 'name' and a 'purpose' that is one of "
                    f"{', '.join(PURPOSES)}, got {line.get('purpose')!r:.60}"
                )
            (inputs if line["purpose"] == "input" else outputs).append(Named(line["name"], readable(line.get("data"))))
        elif what == _LLM:
            outputs.append(_model_call(line))
        else:
            continue
        is_trace = True
    if not is_trace:
        raise InvalidDataset(
            f"{path}: no line of it is of a trace; they have a 'type' that is kwargs, wrap or llm_span. "
            "`pixie trace --runnable REFERENCE --input ARGUMENTS --output FILE` writes one"
        )
    return Trace(path, arguments or {}, tuple(inputs), tuple(outputs))


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip():
            continue
        try:
            line = load_json(text)
            dumps_strict(line)
        except (BadJson, NotJson) as error:
            at = f", at {error.at}" if isinstance(error, BadJson) and error.at else ""
            raise InvalidDataset(
                f"{path}: line {number}{at}: {error}. A trace has one object a line; take the line out if it was "
                "cut off"
            ) from None
        if not isinstance(line, dict):
            raise InvalidDataset(f"{path}: line {number} is no object; a trace has one object a line")
        yield number, line


def _object(value: Any, where: str) -> Mapping[str, Any]:
    found = readable(value)
    if not isinstance(found, dict):
        raise InvalidDataset(f"{where}: a line of type 'kwargs' needs an object as its 'value'")
    return found


def _model_call(line: Mapping[str, Any]) -> Named:
    """What a model was asked and answered, named as `pixie format` names it, and without what is not known."""
    model = line.get("request_model") or line.get("response_model") or "llm_call"
    return Named(f"llm_span_{model}", {k: v for k, v in line.items() if k != "type" and v is not None and v != []})


def readable(value: Any) -> Any:
    """The JSON value in what jsonpickle has written: lists for sets and tuples, and an object's fields for it.

    Nothing is decoded: what stands for a call, or for another part of the value, stays as it is written.
    """
    if isinstance(value, list):
        return [readable(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and isinstance(inner := value.get(next(iter(value))), list) and next(iter(value)) in _LISTS:
        return readable(inner)
    fields = {key: readable(one) for key, one in value.items()}
    if _OBJECT not in fields:
        return fields
    state = fields.get(_STATE)
    if isinstance(state, dict):
        return state.get(_FIELDS, state)
    rest = {key: one for key, one in fields.items() if key != _OBJECT}
    calls = any(key.startswith(_MARK) or key == "__reduce__" for key in rest)
    return fields if calls else rest


def append_entries(path: str | Path, traces: Sequence[Trace], **about: Any) -> Mapping[str, Any]:
    """What a dataset's file holds with entries for these traces at its end; nothing is written.

    Args:
        path: of the file.
        traces: of which the entries are made, in the form of those that are there.
        about: see `entries_of`.

    Raises:
        InvalidDataset: the file cannot be used, as it is or with the new entries.
    """
    path = Path(path)
    there = read_pixie(path)
    there.check()
    form: Form = about.pop("form", None) or (there.entries[-1].entry.form if there.entries else "input_data")
    content: dict[str, Any] = load_json(read_text(path))
    content["entries"] += entries_of(traces, form=form, **about)
    parse_pixie(content, path).check()
    return content


def entries_of(
    traces: Sequence[Trace],
    *,
    form: Form | None = None,
    description: str | None = None,
    evaluators: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Entries for traces; with evaluators of their own where some are named."""
    entries = [trace.to_entry(form or "input_data", description) for trace in traces]
    return [{**entry, EVALUATORS: list(evaluators)} if evaluators else entry for entry in entries]


def examples_of(traces: Sequence[Trace], *, form: Form | None = None, description: str | None = None) -> list[Example]:
    """Examples for traces, for a dataset that is kept; what the application gave stands in their metadata."""
    entries = [
        Entry(
            form=form or "input_data",
            arguments=trace.arguments,
            eval_input=trace.given(form or "input_data"),
            description=description or trace.title,
        )
        for trace in traces
    ]
    made = (entry.to_example(example_id) for entry, example_id in zip(entries, entry_ids(entries), strict=True))
    return [
        replace(example, metadata={**example.metadata, EVAL_OUTPUT: as_items(trace.outputs)})
        for example, trace in zip(made, traces, strict=True)
    ]
