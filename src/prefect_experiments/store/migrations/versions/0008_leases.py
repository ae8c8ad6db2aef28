"""Leases on experiments, in the place of those on pushes alone; and the number that says which experiment is newer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, drop the one before it, and count the experiments there are by their times."""
    op.create_table(
        "leases",
        sa.Column("experiment_id", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(80), nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("beat", sa.Double, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("flow_run_id", sa.String(64)),
        sa.PrimaryKeyConstraint("experiment_id", "purpose"),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
    )
    op.drop_table("push_holds")
    op.add_column("experiments", sa.Column("number", sa.Integer, nullable=False, server_default="0"))
    made = sa.table("experiments", sa.column("id"), sa.column("created_at"), sa.column("number"))
    before = made.alias("before")
    is_before = sa.or_(
        before.c.created_at < made.c.created_at,
        sa.and_(before.c.created_at == made.c.created_at, before.c.id <= made.c.id),
    )
    place = sa.select(sa.func.count()).select_from(before).where(is_before).correlate(made).scalar_subquery()
    op.execute(made.update().values(number=place))
    op.create_index("ix_experiments_number", "experiments", ["number"], unique=True)
