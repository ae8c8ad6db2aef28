"""Who pushes an experiment just now, to a backend that takes nothing back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "push_holds",
        sa.Column("link_id", sa.String(64), nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("link_id"),
        sa.ForeignKeyConstraint(["link_id"], ["linked_experiments.id"], ondelete="CASCADE"),
    )
