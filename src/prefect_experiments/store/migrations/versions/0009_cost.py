"""What evaluators' calls cost, which calls have no known cost, and what was spent on results that were made again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("experiment_runs", sa.Column("unpriced", sa.Text))
    op.add_column("evaluations", sa.Column("token_count", sa.Integer))
    op.add_column("evaluations", sa.Column("total_cost", sa.Double))
    op.add_column("evaluations", sa.Column("unpriced", sa.Text))
    op.add_column("experiments", sa.Column("replaced_cost", sa.Double))
