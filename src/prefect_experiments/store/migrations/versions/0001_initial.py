"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _double(name: str, *, null: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=null)


def _integer(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null)


def _id(name: str, *, null: bool = False, length: int = 64) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=null)


def _of(parent: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], ondelete="CASCADE")


_RUN = ["experiment_id", "position", "repetition_number"]


def _run_key() -> list[sa.Column[Any]]:
    return [_id("experiment_id"), _integer("position"), _integer("repetition_number")]


def _of_run() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(_RUN, [f"experiment_runs.{name}" for name in _RUN], ondelete="CASCADE")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "datasets",
        _id("id"),
        _text("name"),
        _text("description", null=True),
        _text("metadata"),
        _double("created_at"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "dataset_versions",
        _id("id"),
        _id("dataset_id"),
        _integer("number"),
        _integer("example_count"),
        _id("fingerprint"),
        _double("created_at"),
        _of("datasets", "dataset_id"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dataset_id", "number"),
    )
    op.create_table(
        "examples",
        _id("dataset_id"),
        _integer("position"),
        _integer("since"),
        _integer("until", null=True),
        _text("example_id"),
        _text("input"),
        _text("output", null=True),
        _text("metadata"),
        _text("splits"),
        _of("datasets", "dataset_id"),
        sa.PrimaryKeyConstraint("dataset_id", "position", "since"),
    )
    _make_experiments()
    _make_results()


def _make_experiments() -> None:
    op.create_table(
        "experiments",
        _id("id"),
        _text("name"),
        _text("description", null=True),
        _text("metadata"),
        _id("dataset_id"),
        _id("dataset_version_id"),
        _text("splits"),
        _text("positions", null=True),
        _integer("example_count"),
        _integer("repetitions"),
        _text("task"),
        _id("task_fingerprint", null=True),
        _text("task_reference", null=True),
        _text("project_name", null=True),
        _double("created_at"),
        _double("updated_at"),
        _of("datasets", "dataset_id"),
        sa.ForeignKeyConstraint(["dataset_version_id"], ["dataset_versions.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_experiments_dataset", "experiments", ["dataset_id", "created_at"])
    op.create_index("ix_experiments_name", "experiments", ["name"])
    op.create_table(
        "experiment_evaluators",
        _id("experiment_id"),
        _text("name"),
        _integer("position"),
        _id("kind", length=8),
        _id("fingerprint"),
        _text("reference", null=True),
        _of("experiments", "experiment_id"),
        sa.PrimaryKeyConstraint("experiment_id", "name"),
    )
    op.create_table(
        "experiment_tags",
        _id("dataset_id"),
        _text("tag"),
        _id("experiment_id"),
        _of("datasets", "dataset_id"),
        _of("experiments", "experiment_id"),
        sa.PrimaryKeyConstraint("dataset_id", "tag"),
    )
    op.create_index("ix_experiment_tags_experiment", "experiment_tags", ["experiment_id"])


def _make_results() -> None:
    op.create_table(
        "experiment_runs",
        *_run_key(),
        _text("example_id"),
        _text("output", null=True),
        _text("error", null=True),
        _double("start_time"),
        _double("end_time"),
        _integer("attempts"),
        _integer("token_count", null=True),
        _double("total_cost", null=True),
        _id("trace_id", null=True, length=32),
        _of("experiments", "experiment_id"),
        sa.PrimaryKeyConstraint(*_RUN),
    )
    op.create_table(
        "evaluations",
        *_run_key(),
        _text("name"),
        _text("evaluator"),
        _id("annotator_kind", length=8),
        _id("fingerprint"),
        _double("score", null=True),
        _text("label", null=True),
        _text("explanation", null=True),
        _text("metadata", null=True),
        _text("error", null=True),
        _double("start_time"),
        _double("end_time"),
        _id("trace_id", null=True, length=32),
        _of_run(),
        sa.PrimaryKeyConstraint(*_RUN, "name"),
    )
    op.create_table(
        "annotations",
        *_run_key(),
        _text("name"),
        _double("score", null=True),
        _text("label", null=True),
        _text("text", null=True),
        _text("annotator", null=True),
        _double("updated_at"),
        _of_run(),
        sa.PrimaryKeyConstraint(*_RUN, "name"),
    )
