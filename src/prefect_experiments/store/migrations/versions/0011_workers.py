"""Experiments that several workers share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of the work, its ranges and its workers."""
    op.create_table(
        "shared_work",
        sa.Column("experiment_id", sa.String(64), primary_key=True),
        sa.Column("leader", sa.Text, nullable=False),
        sa.Column("workers", sa.Integer, nullable=False),
        sa.Column("next", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("smallest", sa.Integer, nullable=False),
        sa.Column("largest", sa.Integer, nullable=False),
        sa.Column("stopped", sa.Text),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
    )
    op.create_table(
        "work_ranges",
        sa.Column("experiment_id", sa.String(64), nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
        sa.Column("worker", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", "first"),
        sa.ForeignKeyConstraint(["experiment_id"], ["shared_work.experiment_id"], ondelete="CASCADE"),
    )
    op.create_table(
        "workers",
        sa.Column("experiment_id", sa.String(64), nullable=False),
        sa.Column("worker", sa.Integer, nullable=False),
        sa.Column("part", sa.Text),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("run_errors", sa.Integer, nullable=False),
        sa.Column("evaluations", sa.Integer, nullable=False),
        sa.Column("abandoned", sa.Integer, nullable=False),
        sa.Column("spent", sa.Double, nullable=False),
        sa.Column("trouble", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("experiment_id", "worker"),
        sa.ForeignKeyConstraint(["experiment_id"], ["shared_work.experiment_id"], ondelete="CASCADE"),
    )
