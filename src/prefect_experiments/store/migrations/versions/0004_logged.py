"""Results that were made elsewhere: runs keep what else is known of them, experiments what was logged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("experiment_runs", sa.Column("metadata", sa.Text))
    op.add_column("experiments", sa.Column("logged", sa.String(64)))
