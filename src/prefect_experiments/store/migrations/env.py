"""What Alembic runs for each command; the connection comes from `upgrade`."""

from __future__ import annotations

from alembic import context

from prefect_experiments.store.tables import metadata

# The caller's transaction holds everything: either all migrations are in, or none.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
