"""`Experiments.run`, in AX's spelling, in our terms; for the synchronous and the asynchronous client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.client.ax_rows import ax_examples, ax_frame
from prefect_experiments.errors import InvalidInput, at_least_one
from prefect_experiments.evaluators import ax_evaluators
from prefect_experiments.models import Dataset, Experiment, Sample

if TYPE_CHECKING:
    import pandas as pd


def ax_run_arguments(
    *,
    name: str,
    space: str | None = None,
    dry_run: bool = False,
    dry_run_count: int = 10,
    timeout: float | None = 120,
    force_http: bool = False,  # noqa: ARG001 - everything goes by HTTP
    metadata: Mapping[str, Any] | None = None,
    **same: Any,
) -> dict[str, Any]:
    """What `Experiments.run` is given, as `run_experiment` takes it."""
    check_space(space)
    arguments = {"print_summary": False, **same, "timeout": timeout}
    arguments["evaluators"] = ax_evaluators(arguments.get("evaluators"))
    given = arguments.get("dataset")
    if hasattr(given, "__iter__") and not isinstance(given, str | Mapping | Dataset):  # rows, maybe with AX's columns
        arguments["dataset"] = ax_examples(given)
    if dry_run:
        count = at_least_one("dry_run_count", dry_run_count)
        arguments |= {"dry_run": count, "sample": Sample(n=count, method="head")}
    return {**arguments, "experiment_name": name, "experiment_metadata": metadata}


def ax_answer(ran: RanExperiment, *, dry_run: bool = False, **_: Any) -> tuple[Experiment | None, pd.DataFrame]:
    """What `run_experiment` gave, as `Experiments.run` gives it."""
    return None if dry_run else ran.experiment, ax_frame(ran)


def check_space(space: Any) -> None:
    """Refuse what cannot name a space."""
    if space is not None and not isinstance(space, str):
        raise InvalidInput(f"space must be the name or the id of a space, got a value of type {type(space).__name__}")
