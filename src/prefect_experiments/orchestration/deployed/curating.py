"""Datasets that grow: from production traces, or by a sample of another dataset. No Prefect in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from prefect_experiments import datasets
from prefect_experiments.errors import NotFound
from prefect_experiments.models import Dataset, Example
from prefect_experiments.orchestration.deployed.parameters import Form, SampleRules

_SPAN = "context.span_id"


class Traces(Form):
    """Which spans become examples, and what of them."""

    project: str = Field(default="default", min_length=1, description="Name or id of the project.")
    hours: float = Field(default=24, gt=0, description="Only spans that began in the last so many hours.")
    limit: int = Field(default=1000, ge=1, description="At most so many, the newest ones.")
    span_kind: list[str] = Field(default_factory=list, description="Only these kinds, such as LLM. Empty: all.")
    status_code: list[str] = Field(default_factory=list, description="Only these: OK, ERROR, UNSET. Empty: all.")
    attributes: dict[str, Any] = Field(
        default_factory=dict, description='Only with these values of attributes, such as {"user.id": "u-42"}.'
    )
    root_spans_only: bool = Field(default=True, description="Only spans without a parent: whole requests.")
    input: list[str] = Field(default=["attributes.input.value"], description="Columns that make the input.")
    output: list[str] = Field(
        default=["attributes.output.value"],
        description="Columns that make the expected output: what was answered, until somebody corrects it.",
    )
    metadata: list[str] = Field(default_factory=list, description="Columns that make the metadata.")

    def examples(self, client: Any) -> Sequence[Example]:
        """The examples, each with its span's id as its own, so that a span never becomes two."""
        frame = client.spans.get_spans_dataframe(
            project_identifier=self.project,
            start_time=datetime.now(UTC) - timedelta(hours=self.hours),
            limit=self.limit,
            span_kind=self.span_kind or None,
            status_code=self.status_code or None,
            attributes=self.attributes or None,
            root_spans_only=self.root_spans_only,
        )
        if not len(frame):
            return ()
        return datasets.load(
            frame,
            input_keys=self.input,
            output_keys=self.output or None,
            metadata_keys=self.metadata or None,
            id_key=_SPAN,
            span_id_key=_SPAN,
        )


class PartOfDataset(Form):
    """A part of another dataset."""

    dataset: str = Field(min_length=1, description="Name or id of the dataset that examples are taken of.")
    version: str | None = Field(default=None, description="Id or number of its version. Empty: the newest.")
    splits: list[str] = Field(default_factory=list, description="Only the examples of these splits. Empty: all.")
    sample: SampleRules | None = Field(default=None, description="Only a sample of them. Empty: all.")

    def examples(self, client: Any) -> Sequence[Example]:
        """The examples, with the ids that they have there."""
        found = client.datasets.get_dataset(
            dataset=self.dataset, version_id=self.version, splits=self.splits or None
        ).examples
        return found if self.sample is None else datasets.draw(found, self.sample)


def add_new(client: Any, name: str, examples: Sequence[Example], description: str | None = None) -> tuple[Dataset, int]:
    """Add the examples that a dataset does not have; make the dataset where there is none.

    Args:
        client: a `Client`.
        name: of the dataset.
        examples: at least one; one whose id is there already is left out.
        description: of a dataset that is made.

    Returns:
        The dataset, in a new version where there was anything to add; and how many were added.
    """
    try:
        kept: Dataset = client.datasets.get_dataset(name=name)
    except NotFound:
        return client.datasets.create_dataset(name=name, examples=examples, description=description), len(examples)
    known = {example.id for example in kept.examples}
    new = [example for example in examples if example.id not in known]
    return (client.datasets.add_examples_to_dataset(dataset=name, examples=new) if new else kept), len(new)
