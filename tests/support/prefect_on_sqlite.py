"""Prefect's command, with a server that can write in SQLite while others write; in place of ``python -m prefect``.

Transactions of Prefect's that are going to write, such as that of a new flow run, begin by reading. In SQLite, such a
one is refused at once, and no busy timeout waited for, where another has written since it read (SQLITE_BUSY_SNAPSHOT,
https://www.sqlite.org/isolation.html). Prefect 3.9 answers 503 then, and its client tries again, with pauses: 124
times in five minutes of four processes' tests, and elsewhere until the client gave up. Begun as what they are, the
transactions wait for each other.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from prefect.cli import app
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

_begin = AioSqliteConfiguration.begin_transaction


@contextlib.asynccontextmanager
async def _begin_to_write(
    self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = True
) -> AsyncGenerator[AsyncSessionTransaction, None]:
    async with _begin(self, session, with_for_update=True) as transaction:
        yield transaction


if __name__ == "__main__":
    AioSqliteConfiguration.begin_transaction = _begin_to_write  # type: ignore[method-assign]
    app()
