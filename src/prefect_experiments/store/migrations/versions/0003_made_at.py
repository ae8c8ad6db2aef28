"""Links know when a dataset was made: ids alone do not do, because a backend may give them again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; links from before are not trusted, so that what they lead to is looked at anew."""
    op.add_column("linked_versions", sa.Column("remote_made_at", sa.Double))
