"""What an SQLite file beside its store tells of what was done to it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from prefect_experiments.store.glances import Header, Seen, difference, glances

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
        (seen(owner=4), ANOTHER),
        (seen(owner=0), ANOTHER),
        (Seen((1, 2), 4096, 0, None), SHORT),
        (Seen((1, 2), 2048, 0, Header(4096, 7, 5, 2)), SHORT),
        (Seen((1, 2), 2048, 0, Header(2048, 8, 5, 2)), None),  # it was vacuumed
        (Seen((1, 2), 4096, 0, Header(8192, 8, 5, 2)), None),  # the rest is still in the log
    ],
)
def test_what_sqlite_alone_would_not_have_done(now: Seen, found: str | None) -> None:
    assert difference(seen(), now) == found


@pytest.mark.parametrize("now", [seen(owner=6), seen(owner=4)])
def test_a_file_that_says_of_no_store_whose_it_is_may_become_any(now: Seen) -> None:
    """It was made before that was noted."""
    assert difference(seen(owner=0), now) is None


def test_a_file_that_was_empty_may_become_anything() -> None:
    assert difference(Seen((1, 2), 0, 0, None), seen()) is None
    assert difference(Seen((1, 2), 0, 0, None), Seen((1, 2), 0, 0, None)) is None


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
@pytest.mark.parametrize(("journal", "mode"), [("DELETE", 1), ("WAL", 2)])
def test_what_the_first_bytes_of_a_file_say(tmp_path: Path, page_size: int, journal: str, mode: int) -> None:
    path = tmp_path / "file.db"
    with contextlib.closing(sqlite3.connect(path)) as file:
        for statement in (f"PRAGMA page_size={page_size}", f"PRAGMA journal_mode={journal}", "CREATE TABLE t (a)"):
            file.execute(statement)
        file.execute("PRAGMA user_version=7")
        file.commit()
    raw = path.read_bytes()
    found = glances.at(path)
    assert found.header == Header(len(raw), int.from_bytes(raw[24:28], "big"), 7, mode)
    there = path.stat()
    assert found[:3] == ((there.st_dev, there.st_ino), len(raw), there.st_mtime_ns)
    (tmp_path / "header").write_bytes(raw[:100])
    assert glances.at(tmp_path / "header").header == found.header
    for name, content in (("short", raw[:99]), ("other", b"x" + raw[1:]), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        assert glances.at(tmp_path / name).header is None
    glances.sweep()


def test_a_file_that_nobody_is_connected_to_is_not_held_open(tmp_path: Path) -> None:
    """Closing it takes SQLite's locks, too: so it is held for as long as there is a connection."""
    path = tmp_path / "file.db"
    path.touch()
    number = glances.at(path).number

    def is_open() -> bool:
        glances.sweep()
        return path.resolve() in {one.resolve() for one in Path("/proc/self/fd").iterdir()}

    glances.connected(number, 1)
    glances.connected(number, 1)
    assert is_open()
    glances.connected(number, -1)
    assert is_open()
    glances.connected(number, -1)
    assert not is_open()
    glances.at(path)
    assert not is_open()
