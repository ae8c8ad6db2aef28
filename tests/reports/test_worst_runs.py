"""The runs of an experiment that are to be looked at first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from prefect_experiments import Client, RanExperiment, run_experiment
from prefect_experiments.reports.worst_runs import worst_runs_lines
from support.on_prefect import settings_for


@pytest.fixture(autouse=True)
def _on_the_server(prefect_api: str) -> Iterator[None]:
    with settings_for(prefect_api):
        yield


def answer(input: int) -> str:
    if input == 7:
        raise ValueError("cannot do <b>seven</b> | at all")
    return "x" * input


def short(output: str) -> float:
    return 0.25 if len(output) == 5 else 1.0


def fussy(output: str) -> bool:
    if len(output) == 3:
        raise RuntimeError("no verdict")
    return True


def ran(tmp_path: Path, count: int, **more: Any) -> RanExperiment:
    return run_experiment(
        dataset=[{"id": f"e{n}", "input": n, "output": "y"} for n in range(count)],
        task=answer,
        evaluators=[short, fussy],
        retries=0,
        print_summary=False,
        client=Client(store_url=f"sqlite:///{tmp_path / 'e.db'}"),
        **more,
    )


@pytest.mark.thorough
def test_what_failed_comes_first(tmp_path: Path) -> None:
    lines = worst_runs_lines(ran(tmp_path, 10))
    assert lines[0] == "**Failed runs and lowest scores** (3 of 3)"
    first, second, third = (line for line in lines if line.startswith("- "))
    assert first.startswith("- `e7` failed: `ValueError: cannot do <b>seven</b>")
    assert second == "- `e3` fussy failed: `RuntimeError: no verdict`"
    assert third == "- `e5` short 0.25", "in the other one it is at its best"
    assert lines[-3:] == ["  - output `xxxxx`", "  - expected `y`", "  - input `5`"]
    read = MarkdownIt("commonmark").parse("\n".join(lines))
    kinds = [token.type for token in read]
    assert kinds.count("list_item_open") == 3 + 2 + 3 + 3, "what has failed has no output"
    assert not [token for token in read for child in token.children or () if child.type == "html_inline"]
    assert len(worst_runs_lines(ran(tmp_path, 10), shown=1)) == 5, "a heading, and one run with two texts"
    bare = worst_runs_lines(ran(tmp_path, 10), contents=False)
    assert bare[2:] == ["- `e7` failed", "- `e3` fussy failed", "- `e5` short 0.25"]


def test_nothing_where_all_is_at_its_best(tmp_path: Path) -> None:
    assert worst_runs_lines(ran(tmp_path, 3)) == []


@pytest.mark.thorough
def test_repetitions_are_told_apart(tmp_path: Path) -> None:
    lines = worst_runs_lines(ran(tmp_path, 6, repetitions=2))
    assert [line for line in lines if "`e5`, repetition 2" in line]
