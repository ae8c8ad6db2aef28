"""Which examples an evaluator is meant for, where not for all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: a JSON list of positions; null for all examples."""
    op.add_column("experiment_evaluators", sa.Column("positions", sa.Text))
