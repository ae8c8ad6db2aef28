"""What a baseline was pooled of when a gate judged, and the means that it had then."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; of what was judged before, nothing is known."""
    op.add_column("judgements", sa.Column("pool", sa.Text))
    op.add_column("judgements", sa.Column("pool_means", sa.Text))
