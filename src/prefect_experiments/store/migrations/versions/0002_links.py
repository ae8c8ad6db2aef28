"""What backends call the things that are kept here, and what they have of the results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _of(parent: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], ondelete="CASCADE")


def upgrade() -> None:
    """Make the tables of links and of what was pushed; examples know their span."""
    op.add_column("examples", sa.Column("span_id", sa.String(32)))
    op.create_table(
        "linked_versions",
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("remote_version_id", sa.String(255), nullable=False),
        sa.Column("remote_dataset_id", sa.Text, nullable=False),
        sa.Column("dataset_version_id", sa.String(64), nullable=False),
        sa.Column("linked_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("target", "remote_version_id"),
        _of("dataset_versions", "dataset_version_id"),
    )
    op.create_index("ix_linked_versions_version", "linked_versions", ["dataset_version_id"])
    op.create_table(
        "linked_experiments",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("experiment_id", sa.String(64), nullable=False),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("remote_id", sa.String(255), nullable=False),
        sa.Column("remote_dataset_id", sa.Text, nullable=False),
        sa.Column("remote_version_id", sa.Text, nullable=False),
        sa.Column("project_name", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("linked_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("experiment_id", "target"),
        sa.UniqueConstraint("target", "remote_id"),
        _of("experiments", "experiment_id"),
    )
    op.create_table(
        "pushed_runs",
        sa.Column("link_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("repetition_number", sa.Integer, nullable=False),
        sa.Column("remote_id", sa.Text),
        sa.Column("stamp", sa.Double, nullable=False),
        sa.Column("refused", sa.Text),
        sa.PrimaryKeyConstraint("link_id", "position", "repetition_number"),
        _of("linked_experiments", "link_id"),
    )
    op.create_table(
        "pushed_evaluations",
        sa.Column("link_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("repetition_number", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("stamp", sa.Double, nullable=False),
        sa.Column("refused", sa.Text),
        sa.PrimaryKeyConstraint("link_id", "position", "repetition_number", "name"),
        _of("linked_experiments", "link_id"),
    )
