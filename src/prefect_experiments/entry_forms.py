"""What tells an example that was an entry of a pixie dataset from others, without loading what reads these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

Form = Literal["input_data", "entry_kwargs"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
"""The names that the application's arguments go by: today's, and that of pixie 0.6."""


def form_of(given: Any) -> Form | None:
    """What an entry's arguments are called in an example's input; ``None`` where that is of no entry."""
    if not isinstance(given, Mapping):
        return None
    return next((form for form in FORMS if isinstance(given.get(form), Mapping)), None)
