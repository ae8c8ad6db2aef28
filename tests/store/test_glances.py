"""What an SQLite file beside its store tells of what was done to it."""

from __future__ import annotations

import pytest

from prefect_experiments.store.glances import Header, Seen, difference

SHORT = "was cut short or overwritten"
OLDER, ANOTHER = "was overwritten with an older copy", "was overwritten with another one"


def seen(*, changes: int = 7, owner: int = 5, mode: int = 2) -> Seen:
    return Seen((1, 2), 4096, 0, Header(4096, changes, owner, mode))


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (seen(), None),
        (seen(changes=8), None),
        (seen(changes=6), OLDER),
        (seen(changes=7, mode=1), OLDER),  # a backup has no log, whatever has been written since
        (seen(changes=6, mode=1), OLDER),
        (seen(changes=8, owner=6), ANOTHER),
        (Seen((1, 2), 4096, 0, None), SHORT),
        (Seen((1, 2), 2048, 0, Header(4096, 7, 5, 2)), SHORT),
    ],
)
def test_what_sqlite_alone_would_not_have_done(now: Seen, found: str | None) -> None:
    assert difference(seen(), now) == found
