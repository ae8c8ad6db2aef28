"""Which of the experiments since the baseline's it is pooled of, and which are the candidate's nights."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_experiments import Client, Comparison
from prefect_experiments.analysis.nights.promotion import promotion
from prefect_experiments.analysis.results import result_table
from prefect_experiments.origin import GATE
from prefect_experiments.reports.html import html_report
from prefect_experiments.reports.junit import junit_xml
from prefect_experiments.reports.markdown import comparison_markdown
from prefect_experiments.reports.pull_request import pull_request_comment
from prefect_experiments.reports.report_model import table_side
from prefect_experiments.reports.terminal import print_comparison, printed
from prefect_experiments.store import EvaluatorRecord, TaskRecord
from tests.store.samples import examples, record, run_row, verdict

N = 60
RIGHT = EvaluatorRecord("right", "CODE", "a" * 64)
RULES = {"alarms": {"per": "month"}}


class Nights:
    """Experiments on one dataset, one a night, with what their gates have said."""

    def __init__(self, folder: Path) -> None:
        self.client = Client(store_url=f"sqlite:///{folder / 'nights.db'}")
        self._version = self.client.store.datasets.put("nights", examples(N))
        self._made = 0

    def night(
        self,
        share: float,
        task: str = "first",
        *,
        gate: str | None = "passed",
        n: int = N,
        code: str = "f",
        now: float | None = None,
        **how: int,
    ) -> str:
        """A night on which so large a share is right; its name."""
        self._made += 1
        store, name = self.client.store, f"night {self._made}"
        made = store.experiments.create(
            name,
            self._version,
            task=TaskRecord(task, code * 64, f"app:{task}"),
            evaluators=[RIGHT],
            now=now or 1_790_000_000.0 + 86_400 * self._made,
            **how,
        ).experiment
        chance = random.Random(self._made)
        said = [verdict(place, "right", score=float(chance.random() < share)) for place in range(n)]
        record(store, made.id, [run_row(place) for place in range(n)], said)
        if gate is not None:
            store.experiments.note(made.id, **{GATE: gate})
        return name

    def skip_to(self, number: int) -> None:
        """Have the next night this number, and with it its scores, whatever was before."""
        self._made = number - 1

    def compared(self, candidate: str, pooled: int = 5, baseline: str = "night 1") -> Comparison:
        found = self.client.experiments.compare(
            baseline=baseline, candidate=candidate, dataset="nights", gate=RULES, pooled=pooled, print_summary=False
        )
        assert isinstance(found, Comparison)
        return found


def on_the_terminal(comparison: Comparison) -> str:
    return printed(lambda console: print_comparison(comparison, console))


def for_a_build_server(comparison: Comparison) -> str:
    """JUnit's XML, whose attributes hold it."""
    return junit_xml(comparison).replace("&gt;", " ").replace('"', " ")


def on_a_page(comparison: Comparison) -> str:
    return html_report(comparison, table_side(result_table([{"example_id": "e"}])))


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


def charted(comparison: Comparison) -> list[str]:
    """The nights that were looked at together, but for the candidate."""
    return [night.label for night in comparison.metrics["right"].nights[:-1]]


def test_the_baseline_is_pooled_of_the_first_runs_that_no_gate_failed(nights: Nights) -> None:
    nights.night(0.8)
    nights.night(0.8, gate="failed")
    nights.night(0.8, gate="inconclusive")
    nights.night(0.8, gate=None)
    nights.night(0.8, repetitions=2)
    nights.night(0.8, n=N - 1)
    for _ in range(4):
        nights.night(0.8)
    found = nights.compared("night 10", pooled=3)
    assert found.pooled is not None
    assert found.pooled.runs == ("night 3", "night 7")
    assert found.pooled.left_out == {
        "failed by their gate": 1,
        "that no gate has judged": 1,
        "with other examples, splits or repetitions": 1,
        "that are not complete": 1,
    }
    assert charted(found) == ["night 2", "night 3", "night 7", "night 8", "night 9"]
    assert charted(nights.compared("night 8", pooled=3)) == ["night 2", "night 3", "night 7"], "nothing after it"


@pytest.mark.parametrize(("before", "unlike"), [(0, 0), (3, 1)])
def test_a_run_is_compared_with_all_that_are_pooled_before_it(nights: Nights, before: int, unlike: int) -> None:
    """Of the same scores, 0.54 after 0.8, one run before says too little, and four say enough."""
    nights.night(0.8)
    for _ in range(before):
        nights.night(0.8)
    nights.skip_to(5)
    nights.night(0.54)
    found = nights.compared(nights.night(0.8)).pooled
    assert found is not None
    assert found.left_out.get("whose scores are unlike those before them", 0) == unlike


def test_a_tag_that_is_put_back_leaves_behind_what_was_made_meanwhile(nights: Nights) -> None:
    """What came while another experiment had the tag is neither pooled nor a night: it may be another application."""
    experiments = nights.client.experiments
    nights.night(0.5)
    nights.night(0.5)
    between = nights.night(0.95)
    experiments.tag(experiment="night 1", tag="baseline")
    experiments.tag(experiment=between, tag="baseline")
    # Experiments are made at a time of their own here, and tags move now: so is this one.
    meanwhile = nights.night(0.95, now=time.time())
    experiments.tag(experiment="night 1", tag="baseline")
    last = nights.night(0.5, now=time.time())
    found = nights.compared(last, baseline="tag:baseline")
    assert charted(found) == ["night 2", between]
    assert meanwhile not in found.pooled.runs
    assert found.pooled.left_out == {
        "made while another experiment had the tag": 1,
        "whose scores are unlike those before them": 1,
    }
    assert charted(nights.compared(last, baseline="night 1")) == ["night 2", between, meanwhile], "no tag was asked for"


def test_code_that_was_rejected_is_a_trial_and_the_same_code_is_not(nights: Nights) -> None:
    nights.night(0.8)
    nights.night(0.8)
    for code in "fe":
        nights.night(0.4, gate="failed", code=code)
    found = nights.compared(nights.night(0.8)).metrics["right"].nights
    assert [night.worse_by is None for night in found] == [True, False, True, False]


@pytest.mark.thorough
def test_another_task_makes_nights_of_its_own(nights: Nights) -> None:
    """A variant under another name is promoted like any other; neither task's runs are taken for the other's."""
    nights.night(0.5)
    nights.night(0.5)
    nights.night(0.95, "second")
    nights.night(0.5)
    nights.night(0.95, "second")
    of_second, of_first = nights.compared("night 5"), nights.compared("night 4")
    assert of_second.pooled is not None
    assert of_second.pooled.runs == ("night 2", "night 4"), "the baseline's own task"
    assert charted(of_second) == ["night 3"]
    assert promotion(of_second) == (True, "the run before was better (right), and this one confirms it")
    assert charted(of_first) == ["night 2"]
    assert not promotion(of_first).takes


@pytest.mark.thorough
def test_of_many_nights_the_first_and_the_newest_are_looked_at(nights: Nights) -> None:
    for _ in range(45):
        nights.night(0.8)
    found = charted(nights.compared("night 45"))
    assert (len(found), found[:4], found[4]) == (40, [f"night {n}" for n in range(2, 6)], "night 9")
    assert found[-1] == "night 44"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "written",
    [on_the_terminal, comparison_markdown, pull_request_comment, on_a_page, for_a_build_server],
    ids=lambda one: one.__name__,
)
def test_what_the_baseline_is_pooled_of_is_said_everywhere(
    nights: Nights, written: Callable[[Comparison], str]
) -> None:
    nights.night(0.8)
    nights.night(0.8, gate=None)
    nights.night(0.8)
    nights.night(0.1, gate="failed")
    last = nights.night(0.8)
    text = " ".join(re.sub(r"<(?!property)[^>]+>|\\", "", written(nights.compared(last, pooled=4))).split())
    assert (
        "the baseline is the mean of 2 runs (night 1, night 3), of 4 that are asked for; left out: 1 that no gate has "
        "judged, 1 failed by their gate; improved and regressed count the examples above, or below, the median of "
        "these runs, and what is listed of examples, errors, labels, latency and cost is beside night 1 alone"
    ) in text
    alone = written(nights.compared("night 2", pooled=4))
    assert "the baseline is night 1 alone, of 4 that are asked for; there are no more yet" in re.sub(r"\s+", " ", alone)
    assert "the baseline is" not in written(nights.compared(last, pooled=1))
