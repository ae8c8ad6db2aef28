"""What a worker met, as a text that the process which leads it makes the same error of. Not a pickle: that is code."""

from __future__ import annotations

import orjson

from prefect_experiments import errors
from prefect_experiments.errors import ExperimentsError

_SIMPLE = (str, int, float, bool)


def to_text(error: ExperimentsError) -> str:
    """An error as JSON: the name of its class, its text, and its attributes, as far as they are simple values."""
    more = {name: value if isinstance(value, _SIMPLE) else None for name, value in vars(error).items()}
    return orjson.dumps({"kind": type(error).__name__, "text": str(error), "more": more}).decode()


def from_text(text: str) -> ExperimentsError:
    """The error that `to_text` wrote."""
    told = orjson.loads(text)
    kind = getattr(errors, told["kind"], None)
    if not isinstance(kind, type) or not issubclass(kind, ExperimentsError):  # of another version, or a backend's own
        return ExperimentsError(f"{told['kind']}: {told['text']}")
    error: ExperimentsError = kind.__new__(kind, told["text"])  # its attributes say what `__init__` would be given
    vars(error).update(told["more"])
    return error
