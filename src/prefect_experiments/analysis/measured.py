"""Figures by name, kept as arrays and written down as lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer


def _as_lists(measured: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in measured.items()}


def _as_arrays(lists: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    return {name: np.asarray(values, dtype=np.float64) for name, values in lists.items()}


Measured = Annotated[Mapping[str, Any], PlainSerializer(_as_lists), BeforeValidator(_as_arrays)]
