"""`write_report`: what is written where, by the path's ending or as it is said."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from prefect_experiments import Gate, compare_experiments, write_report
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.errors import InvalidInput, InvalidSetting
from prefect_experiments.store import Store
from tests.store.samples import new_experiment, record, run_row

ROWS = [{"example_id": f"e{n}", "output": f"answer {n}", "eval.right.score": float(n % 3 > 0)} for n in range(30)]
WORSE = [{**row, "eval.right.score": 0.0} for row in ROWS]


@pytest.mark.parametrize(
    ("name", "begins"),
    [("r.html", "<!doctype html>"), ("R.HTM", "<!doctype html>"), ("r.xml", "<?xml"), ("r.md", "❌ **Failed**")],
)
def test_the_ending_says_what_is_written(tmp_path: Path, name: str, begins: str) -> None:
    compared = compare_experiments(baseline=ROWS, candidate=WORSE, gate=Gate(), print_summary=False)
    path = write_report(pd.DataFrame(WORSE), tmp_path / "new" / name, baseline=ROWS, comparison=compared)
    assert path == tmp_path / "new" / name
    assert path.read_text(encoding="utf-8").lower().startswith(begins.lower())
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_a_form_that_is_said_goes_before_the_ending(tmp_path: Path) -> None:
    path = write_report(ROWS, tmp_path / "results", form="junit")
    suites = ElementTree.parse(path).getroot()
    assert [case.get("name") for case in suites.iter("testcase")].count("right") == 1


def test_an_experiments_own_baseline_is_on_its_page_unless_another_one_is_given(tmp_path: Path) -> None:
    store = Store("sqlite://")
    ran = RanExperiment(store, new_experiment(store))
    record(store, ran.experiment.id, [run_row(0)])
    ran.baseline = [{**row, "output": "of its own baseline"} for row in ROWS]
    assert "of its own baseline" in write_report(ran, tmp_path / "r.html").read_text()
    given = write_report(ran, tmp_path / "r.html", baseline=ROWS).read_text()
    store.close()
    assert "of its own baseline" not in given
    assert "answer 7" in given


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"ends in \.html, \.htm, \.xml, \.md, got '.*report\.pdf'"):
        write_report(ROWS, tmp_path / "report.pdf")
    with pytest.raises(InvalidSetting, match="needs something to compare with"):
        write_report(ROWS, tmp_path / "comment.md")
    assert list(tmp_path.iterdir()) == []
