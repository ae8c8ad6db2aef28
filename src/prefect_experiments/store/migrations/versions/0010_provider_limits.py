"""What processes that call one provider at once tell each other of its limit, and which processes these are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "provider_limits",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("pause", sa.Double, nullable=False),
        sa.Column("hold", sa.Double, nullable=False),
        sa.Column("since_cut", sa.Double),
        sa.Column("as_of", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("provider"),
    )
    op.create_table(
        "limit_sharers",
        sa.Column("experiment_id", sa.String(64), nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("observed", sa.Double),
        sa.Column("providers", sa.Text, nullable=False),
        sa.Column("seen", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", "process"),
    )
