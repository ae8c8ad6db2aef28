"""The words of Phoenix's own client, in ours: all of them here. `docs/coming-from-phoenix-and-ax.md` has both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.client import datasets, experiments
from prefect_experiments.client.datasets import Content, MoreExamples, Naming, NewDataset, one_of, only_source
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.experiment.arguments import (
    EvaluateArguments,
    EvaluateOptions,
    ExperimentKey,
    ResumeArguments,
    ResumeOptions,
)
from prefect_experiments.models import Dataset
from prefect_experiments.options import AsIs, IfExists
from prefect_experiments.signatures import method_takes

Parts = Sequence[Mapping[str, Any]]


class PhoenixContent(Content):
    """What becomes examples: exactly one of examples, inputs, a DataFrame and a file; and how."""

    inputs: Annotated[Parts | None, AsIs] = None
    """one mapping an example, as Phoenix's client takes them."""
    outputs: Annotated[Parts | None, AsIs] = None
    """as many expected outputs."""
    csv_file_path: Annotated[str | Path | None, AsIs] = None
    """Phoenix's word for `file`."""
    example_id_key: str | None = None
    """Phoenix's word for `id_key`."""

    def ours(self, metadata: Parts | None) -> dict[str, Any]:
        """The content in our words."""
        parts = _in_parts(self.inputs, self.outputs, metadata)
        return {
            "examples": only_source(self.examples, self.dataframe, self.file, self.csv_file_path, parts),
            "dataframe": None,
            "file": None,
            "id_key": self.id_key or self.example_id_key,
        }


class PhoenixNewDataset(PhoenixContent, Naming):
    """What `create_dataset` takes."""

    metadata: Annotated[Mapping[str, Any] | Parts | None, AsIs] = None
    """of the dataset as a whole; with `inputs`, a list: that of each example."""
    if_exists: IfExists = "error"
    """what becomes of a dataset that has the name: ``"reuse"`` gives it where its examples are these, and refuses
    others; ``"new_version"`` gives it at a version with these examples; ``"error"`` refuses."""
    dataset_description: str | None = None
    """Phoenix's word for `description`."""


class PhoenixMoreExamples(PhoenixContent):
    """What `add_examples_to_dataset` takes."""

    dataset: Annotated[str | Dataset, AsIs]
    """name or id."""
    metadata: Annotated[Parts | None, AsIs] = None
    """with `inputs`, that of each example."""


class PhoenixResume(ResumeOptions):
    """What `resume_experiment` takes."""

    experiment: Annotated[ExperimentKey | None, AsIs] = None
    """id, name, ``tag:NAME``, ``latest``, ``latest:NAME``, an `Experiment` or a `RanExperiment`."""
    experiment_id: str | None = None
    """Phoenix's word for `experiment`."""

    def ours(self) -> ResumeArguments:
        """What `resume_experiment` is given, in our words."""
        return ResumeArguments.of(self, experiment=one_of(experiment=self.experiment, experiment_id=self.experiment_id))


class PhoenixEvaluate(EvaluateOptions):
    """What `resume_evaluation` takes."""

    experiment_id: str
    """id or name."""

    def ours(self) -> EvaluateArguments:
        """What `evaluate_experiment` is given, in our words."""
        return EvaluateArguments.of(self, experiment=self.experiment_id)


class Datasets(datasets.Datasets):
    """``client.datasets``, with Phoenix's words."""

    @method_takes(PhoenixNewDataset)
    def create_dataset(self, given: PhoenixNewDataset) -> Dataset:
        """A new dataset, from exactly one of examples, inputs, a DataFrame and a file.

        Raises:
            InvalidDataset: content that cannot be used; nothing is written.
            AlreadyExists: the name is in use, and `if_exists` does not say what to do then.
        """
        whole = given.metadata if isinstance(given.metadata, Mapping) else None
        of_examples = None if isinstance(given.metadata, Mapping) else given.metadata
        description = given.description or given.dataset_description
        return super().create_dataset(
            **NewDataset.of(given, **given.ours(of_examples), metadata=whole, description=description)
        )

    @method_takes(PhoenixMoreExamples)
    def add_examples_to_dataset(self, given: PhoenixMoreExamples) -> Dataset:
        """A new version of a dataset with further examples at its end; see `create_dataset`.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an id that the dataset has already.
        """
        return super().add_examples_to_dataset(**MoreExamples.of(given, **given.ours(given.metadata)))


class Experiments(experiments.Experiments):
    """``client.experiments``, with Phoenix's words."""

    @method_takes(PhoenixResume)
    def resume_experiment(self, arguments: PhoenixResume) -> RanExperiment:
        """`prefect_experiments.resume_experiment` in this client's store and backend."""
        return super().resume_experiment(**arguments.ours())

    @method_takes(PhoenixEvaluate)
    def resume_evaluation(self, arguments: PhoenixEvaluate) -> RanExperiment:
        """Phoenix's word for `evaluate_experiment`: evaluations that are there are kept."""
        return self.evaluate_experiment(**arguments.ours())

    def get_experiment(self, *, experiment_id: str) -> RanExperiment:
        """Phoenix's word for `get_results`."""
        return self.get_results(experiment=experiment_id)


def _in_parts(inputs: Parts | None, outputs: Parts | None, metadata: Parts | None) -> list[dict[str, Any]] | None:
    """Examples from a list for each part of them."""
    if inputs is None:
        if outputs is not None or metadata is not None:
            raise InvalidDataset("outputs and a list of metadata go with inputs=")
        return None
    parts = {"input": list(inputs)}
    parts |= {name: list(rows) for name, rows in {"output": outputs, "metadata": metadata}.items() if rows is not None}
    counts = {name: len(rows) for name, rows in parts.items()}
    if len(set(counts.values())) > 1:
        raise InvalidDataset(f"inputs, outputs and metadata must be as many as each other, got {counts}")
    return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
