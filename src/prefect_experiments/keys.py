"""Every key and fingerprint, made in this one place.

A key says *which* thing something is and is the same on every machine; a fingerprint says
whether it has *changed*. Both are sha256 over canonical JSON (sorted keys, no white space,
UTF-8), shortened where people read them.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from prefect_experiments.callables import describe, remembered

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def canonical_json(value: Any) -> bytes:
    """Canonical JSON of a value that is JSON already; anything else by its ``repr``."""
    return orjson.dumps(value, default=repr, option=_CANONICAL)


def fingerprint(*parts: Any) -> str:
    """64 hex digits that change when any part changes."""
    return hashlib.sha256(canonical_json(list(parts))).hexdigest()


def new_id(prefix: str) -> str:
    """A new random id such as ``exp-3f9a0c2e71b84d65`` (64 random bits)."""
    return f"{prefix}-{uuid.uuid4().hex[:16]}"


def example_id(input_value: Any, output_value: Any) -> str:
    """The id of an example that brings none: made of its input and expected output, so the same everywhere.

    Numbers and truth values count as the text that a CSV file holds for them, and nothing as an empty
    cell, so that it makes no difference what sort of file a row stands in. Doubles of one content are
    told apart by the caller with ``-2``, ``-3``, ...
    """
    content = canonical_json([_cells(input_value), _cells(output_value)])
    return "ex-" + hashlib.sha256(content).hexdigest()[:12]


_CONTENT_ID = re.compile(r"ex-[0-9a-f]{12}(-[0-9]+)?")


def is_content_id(text: str) -> bool:
    """Whether an id looks like one that was made of an example's content."""
    return _CONTENT_ID.fullmatch(text) is not None


def metadata_order(metadata: Mapping[str, Any]) -> bytes:
    """What orders examples of one content by their metadata, in whatever file and order they stand."""
    cells = {key: cell_text(value) for key, value in metadata.items()}
    return canonical_json({key: text for key, text in cells.items() if text})


def _cells(value: Any) -> Any:
    return {key: cell_text(cell) for key, cell in value.items()} if isinstance(value, dict) else cell_text(value)


def cell_text(value: Any) -> str:
    """A JSON value as a cell of a CSV file holds it; whole numbers without a fraction, see `without_fraction`."""
    if isinstance(value, str):
        return without_fraction(value)
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return without_fraction(str(value))
    return canonical_json(value).decode()


_MADE_FLOAT = re.compile(r"(0|-?[1-9][0-9]{0,14})\.0")


def without_fraction(text: str) -> str:
    """A number's text without ``.0``: pandas makes a column of whole numbers floats as soon as one is missing."""
    return text[:-2] if text.endswith(".0") and _MADE_FLOAT.fullmatch(text) else text


def run_id(experiment_id: str, position: int, repetition_number: int) -> str:
    """The id of an experiment run.

    An example's position is fixed for all versions of its dataset, so (experiment, position,
    repetition) names the same thing as (experiment, example id, repetition).
    """
    return f"{experiment_id}.{position}.{repetition_number}"


def parse_run_id(run_id: str) -> tuple[str, int, int]:
    """The experiment, position and repetition of a run id.

    Raises:
        ValueError: the text is not a run id.
    """
    experiment_id, position, repetition_number = run_id.rsplit(".", 2)
    return experiment_id, int(position), int(repetition_number)


def evaluation_id(experiment_run_id: str, name: str) -> str:
    """The id of an evaluation: one name has one evaluation on one experiment run."""
    return f"{experiment_run_id}.{name}"


def callable_fingerprint(obj: Any) -> str:
    """Changes when a callable's own code, bound arguments or attributes change, or what of the user's own it names.

    That is followed from one to the next, in the same module and in others, as long as they are the user's: constants
    (a list, a dict or a set as its module writes it, where it names nothing), functions and classes. Not looked at are
    installed packages, what is assigned with ``global``, what other objects hold, and files: give an evaluator a new
    ``version`` when only a prompt file or a model behind it has changed. What is named in a function's own ``import``
    is loaded for that.

    What an object is when it is first seen in a process is what counts: an evaluator that counts
    its calls, or a function that fills a cache, stays the same.
    """

    def make() -> tuple[str, Iterable[Any]]:
        description, functions = describe(obj)
        return fingerprint(*description), functions

    return remembered(obj, make, what="fingerprint")
