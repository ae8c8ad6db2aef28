"""What gates have said of experiments, and which experiment had a tag from when on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of judgements and of tags that moved; of what was before, nothing is known."""
    op.create_table(
        "judgements",
        sa.Column("experiment_id", sa.String(64), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("exit_code", sa.Integer, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("checks", sa.Text, nullable=False),
        sa.Column("moved", sa.Text, nullable=False),
        sa.Column("baseline_id", sa.String(64)),
        sa.Column("baseline", sa.Text),
        sa.Column("judged_at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
    )
    op.create_table(
        "tag_moves",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dataset_id", sa.String(64), nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("experiment_id", sa.String(64)),
        sa.Column("moved_at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_tag_moves_dataset", "tag_moves", ["dataset_id"])
