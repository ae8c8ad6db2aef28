"""`Experiments.run`, in AX's spelling, in our terms; for the synchronous and the asynchronous client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.client.ax_rows import ax_examples, ax_frame
from prefect_experiments.errors import InvalidInput
from prefect_experiments.evaluators import ax_evaluators
from prefect_experiments.models import Dataset, Experiment
from prefect_experiments.options import AsIs, Sample
from prefect_experiments.orchestration.arguments import NewArguments, RunArguments

if TYPE_CHECKING:
    import pandas as pd


class AxRunArguments(NewArguments):
    """What `Experiments.run` takes: what AX's client does, and what `run_experiment` takes besides."""

    name: str
    """the experiment's."""
    metadata: Annotated[Mapping[str, Any] | None, AsIs] = None
    """the experiment's, a JSON object."""
    dry_run: bool = False
    """try the first examples; nothing is written."""
    dry_run_count: Annotated[int, Field(ge=1)] = 10
    """how many of them."""
    timeout: Annotated[float | None, Field(gt=0)] = 120
    print_summary: bool = False
    space: Annotated[str | None, AsIs] = None
    """name or id of AX's space; by default the client's."""
    force_http: bool = False
    """accepted, and means nothing here: everything goes by HTTP."""

    def ours(self) -> RunArguments:
        """As `run_experiment` takes them."""
        changed: dict[str, Any] = {"experiment_name": self.name, "experiment_metadata": self.metadata}
        changed["evaluators"] = ax_evaluators(self.evaluators)
        if hasattr(self.dataset, "__iter__") and not isinstance(self.dataset, str | Mapping | Dataset):
            changed["dataset"] = ax_examples(self.dataset)  # rows, maybe with AX's columns
        if self.dry_run:
            changed |= {"dry_run": self.dry_run_count, "sample": Sample(n=self.dry_run_count, method="head")}
        return RunArguments.of(self, **changed)

    def answer(self, ran: RanExperiment) -> tuple[Experiment | None, pd.DataFrame]:
        """What `run_experiment` gave, as `Experiments.run` gives it."""
        return None if self.dry_run else ran.experiment, ax_frame(ran)


def check_space(space: Any) -> None:
    """Refuse what cannot name a space."""
    if space is not None and not isinstance(space, str):
        raise InvalidInput(f"space must be the name or the id of a space, got a value of type {type(space).__name__}")
