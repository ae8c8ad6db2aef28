"""The latency of a run as it was measured or given, where it was made of two times that are not that exact."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and fill it to the microsecond, which is what the times still tell."""
    op.add_column("experiment_runs", sa.Column("latency_ms", sa.Double))
    name = ("start_time", "end_time", "latency_ms")
    runs = sa.table("experiment_runs", *(sa.column(each, sa.Double) for each in name))
    microseconds = sa.func.round((runs.c.end_time - runs.c.start_time) * 1_000_000)
    # Where a run ends as it begins, its latency was not known.
    op.execute(runs.update().where(runs.c.end_time != runs.c.start_time).values(latency_ms=microseconds / 1000))
