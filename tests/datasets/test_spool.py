"""Rows that are put down in a file of this process alone."""

from __future__ import annotations

import pytest

from prefect_experiments.datasets.spool import Scratch
from prefect_experiments.errors import InvalidSetting


def test_a_full_folder_is_said_with_the_way_out() -> None:
    scratch = Scratch("PRAGMA max_page_count=2; CREATE TABLE texts (text TEXT);")
    with pytest.raises(InvalidSetting) as told:
        scratch.write("INSERT INTO texts VALUES (?)", [("x" * 10_000,)])
    assert str(told.value) == (
        "there is no room for the rows of a dataset in the folder for temporary files (database or disk is full). Make "
        "some, or name another folder in SQLITE_TMPDIR or TMPDIR"
    )
