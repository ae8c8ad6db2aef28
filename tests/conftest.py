"""Fixtures for all tests. Each has its home in `support`; what stands here is only their names."""

import sys
from pathlib import Path

TESTS = str(Path(__file__).resolve().parent)
if TESTS not in sys.path:  # so that `support` can be imported, whatever directory pytest starts in
    sys.path.insert(0, TESTS)

from support.phoenix_server import phoenix_url  # noqa: E402
from support.postgres import postgres_server, postgres_url  # noqa: E402
from support.prefect_server import prefect_api  # noqa: E402

__all__ = ["phoenix_url", "postgres_server", "postgres_url", "prefect_api"]
