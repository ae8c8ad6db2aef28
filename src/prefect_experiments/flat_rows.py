"""An example as one flat row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from prefect_experiments.models import Example


def flat_row(example: Example) -> Mapping[str, Any]:
    """``dataset_row``: read-only, ``id`` and every field under its own name.

    Names that stand in two of input, output and metadata get the prefix ``input.``, ``output.``
    or ``metadata.``, and so does a name that such a prefixed one would take the place of. A part
    that is not an object stands under the part's name.
    """
    parts: dict[str, Mapping[str, Any]] = {}
    for name in ("input", "output", "metadata"):
        value = getattr(example, name)
        if isinstance(value, Mapping):
            parts[name] = value
        elif value is not None:
            parts[name] = {name: value}
    seen = Counter(key for part in parts.values() for key in part)
    taken = {"id", *(key for key, count in seen.items() if count > 1)}
    while True:  # a second round only where a column is called "input.x" or so already
        prefixed = {f"{name}.{key}" for name, part in parts.items() for key in part if key in taken}
        if prefixed.isdisjoint(seen.keys() - taken):
            break
        taken |= prefixed
    row: dict[str, Any] = {"id": example.id}
    for name, part in parts.items():
        for key, value in part.items():
            row[f"{name}.{key}" if key in taken else key] = value
    return MappingProxyType(row)
