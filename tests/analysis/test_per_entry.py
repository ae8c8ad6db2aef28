"""Evaluators that only some examples have, and evaluations that are pending: what counts, and what does not."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest

from prefect_experiments import AnnotateRecordInput, AnnotationInput, Client, EvaluationResult, write_report
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import result_table
from prefect_experiments.analysis.verdicts import Verdict
from prefect_experiments.reports.markdown import summary_markdown
from prefect_experiments.reports.terminal import print_summary

from .entries import PENDING, TASK, fill_in, made
from .tables import checks

NO = ValueError("no")
# Twelve entries; three of them have `tools` as well, and one has nothing but `tools`.
SOME = {
    **{f"e{n}": {"fact": 1.0} for n in range(8)},
    "e8": {"fact": 0.0, "tools": 1.0},
    "e9": {"fact": 1.0, "tools": 0.5},
    "e10": {"tools": 1.0},
    "e11": {TASK: NO, "fact": 1.0},
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    found = Client(backend="local", store_url=f"sqlite:///{tmp_path / 'store.db'}")
    yield found
    found.store.close()


def fill_in_again(client: Client, ran: RanExperiment, score: float) -> RanExperiment:
    """What a person has judged may be judged again."""
    judged = [one.run_id for one in ran.evaluation_runs if one.annotator_kind == "HUMAN"]
    values = [AnnotationInput(name="polite", score=score)]
    annotations = [AnnotateRecordInput(record_id=run_id, values=values) for run_id in judged]
    client.experiments.annotate_runs(annotations=annotations)
    return client.experiments.get_results(experiment=ran.experiment_id)


def alone(ran: RanExperiment, gate: Gate | None = None) -> Verdict:
    return (gate or Gate()).judge_alone(result_table(ran))


class TestASummary:
    def test_counts_the_runs_that_an_evaluator_is_meant_for(self, client: Client) -> None:
        metrics = made(client, SOME).summary.metrics
        fact, tools = metrics["fact"], metrics["tools"]
        assert (fact.n, fact.n_expected, fact.n_task_errors, fact.n_missing) == (10, 11, 1, 0)
        assert (tools.n, tools.n_expected, tools.n_task_errors, tools.n_missing) == (3, 3, 0, 0)
        assert str(tools) == "0.833 over 3 of 3"
        assert (tools.lowest, tools.highest) == (pytest.approx(2.5 / 3), pytest.approx(2.5 / 3))
        assert str(fact).startswith("0.90 over 10 of 11; 1 task error; between 0.818 and 0.909 if")

    def test_over_repetitions(self, client: Client) -> None:
        grades = {"a": {"x": (1.0, 0.0), "y": 1.0}, "b": {"y": (1.0, NO)}, "c": {TASK: NO, "y": 1.0}}
        metrics = made(client, grades, repetitions=2).summary.metrics
        x, y = metrics["x"], metrics["y"]
        assert (x.n, x.n_expected, x.n_task_errors) == (2, 2, 0)
        assert (y.n, y.n_expected, y.n_task_errors, y.n_errors) == (3, 6, 2, 1)
        assert x.repetitions is not None
        assert (x.repetitions.n_examples, x.repetitions.n_task_errors) == (1, 0)
        assert y.repetitions is not None
        assert y.repetitions.n_task_errors == 2

    def test_of_an_evaluator_that_gives_several_results(self, client: Client) -> None:
        """They have names of their own, and are meant for what their evaluator is meant for."""
        several = [EvaluationResult(name="polite", score=1.0), EvaluationResult(name="short", score=0.0)]
        metrics = made(client, {"a": {"many": several, "x": 1.0}, "b": {"x": 1.0}}).summary.metrics
        assert {name: (one.n, one.n_expected) for name, one in metrics.items()} == {
            "polite": (1, 1), "short": (1, 1), "x": (2, 2),
        }  # fmt: skip

    def test_of_an_evaluator_that_no_used_example_has(self, client: Client) -> None:
        ran = made(client, {"a": {"x": 1.0}, "b": {"x": 1.0}}, unused=["tools"])
        assert str(ran.summary.metrics["tools"]) == "meant for none of the examples"

    def test_one_that_ran_elsewhere_counts_as_before(self, client: Client) -> None:
        """A table does not say for which examples an evaluator is meant."""
        ran = made(client, SOME)
        table = result_table(ran.to_dataframe())
        assert table.side().metrics["tools"].n_asked == 12
        assert result_table(ran).side().metrics["tools"].n_asked == 3


class TestAGate:
    def test_coverage_is_of_the_examples_that_have_the_evaluator(self, client: Client) -> None:
        verdict = alone(made(client, SOME), Gate(min_coverage=0.9))
        [coverage] = [check for check in verdict.checks if check.name == "coverage"]
        assert (coverage.status, coverage.reason) == ("passed", "scores on examples: fact 10 of 11, tools 3 of 3")

    def test_errors_are_counted_among_the_runs_that_have_it(self, client: Client) -> None:
        """Three of three calls failed, which is no small share of twelve runs."""
        grades = {name: {key: NO if key == "tools" else v for key, v in given.items()} for name, given in SOME.items()}
        reasons = alone(made(client, grades)).reasons
        assert any("tools has no score on 3 of 3 runs because of errors" in reason for reason in reasons)

    def test_beside_a_baseline_that_is_the_same(self, client: Client) -> None:
        before, after = (result_table(made(client, SOME, name=name)) for name in ("before", "after"))
        found = compare_results(before, after, gate=Gate(metrics={"fact": Metric(), "tools": Metric()}))
        tools = found.metrics["tools"]
        assert (tools.n_pairs, tools.n_baseline_scored) == (3, 3)
        assert (tools.errors_as_worst, tools.missing_as_worst) == (None, None)
        assert checks(found)["coverage"] == "passed"

    def test_a_task_that_failed_costs_only_the_evaluators_of_its_entry(self, client: Client) -> None:
        """Else nine failed runs without `tools` would pull its mean down as the worst scores."""
        fine = {f"e{n}": {"fact": 1.0, **({"tools": 1.0} if n < 30 else {})} for n in range(40)}
        fails = {name: {**given, **({} if "tools" in given else {TASK: NO})} for name, given in fine.items()}
        before, after = made(client, fine, name="before"), made(client, fails, name="after")
        # A table has no word of which examples are meant, and a baseline of one is met like any other.
        for baseline in (result_table(before), result_table(before.to_dataframe())):
            found = compare_results(baseline, result_table(after), gate=Gate())
            tools, fact = found.metrics["tools"], found.metrics["fact"]
            assert (tools.errors_as_worst, tools.missing_as_worst, tools.unscored.candidate_only) == (None, None, 0)
            assert fact.errors_as_worst is not None
            assert fact.errors_as_worst.n_candidate == 10
            assert checks(found)["tools"] == "passed"

    def test_an_evaluator_that_only_the_baselines_entries_have_is_not_missing(self, client: Client) -> None:
        every = {f"e{n}": {"fact": 1.0, "tools": 1.0} for n in range(40)}
        fewer = {name: given if n < 30 else {"fact": 1.0} for n, (name, given) in enumerate(every.items())}
        before, after = made(client, every, name="before"), made(client, fewer, name="after")
        for one, other in ((before, after), (after, before)):
            found = compare_results(result_table(one), result_table(other), gate=Gate(min_coverage=0.99))
            tools = found.metrics["tools"]
            assert (tools.n_pairs, tools.n_baseline_scored, tools.missing_as_worst) == (30, 30, None)
            assert (tools.unscored.candidate_only, tools.unscored.baseline_only) == (0, 0)
            assert found.verdict
            assert found.verdict.status == "passed", found.verdict.reasons

    def test_what_is_really_missing_counts(self, client: Client) -> None:
        fine = {f"e{n}": {"tools": 1.0} if n < 30 else {"fact": 1.0} for n in range(40)}
        gone = {name: {key: None if key == "tools" else 1.0 for key in given} for name, given in fine.items()}
        some = {**gone, **{f"e{n}": {"tools": 1.0} for n in range(15)}}
        before, after = made(client, fine, name="before"), made(client, some, name="after")
        found = compare_results(result_table(before), result_table(after), gate=Gate())
        assert found.metrics["tools"].unscored.candidate_only == 15
        assert checks(found)["coverage"] == "failed"

    def test_labels_of_entries_that_do_not_have_them_are_not_lost(self, client: Client) -> None:
        every = {f"e{n}": {"tone": "kind", "fact": 1.0} for n in range(20)}
        fewer = {name: given if n < 10 else {"fact": 1.0} for n, (name, given) in enumerate(every.items())}
        before, after = made(client, every, name="before"), made(client, fewer, name="after")
        tone = compare_results(result_table(before), result_table(after)).labels["tone"]
        assert (tone.n_pairs, tone.candidate, tone.n_moved) == (10, {"kind": 10}, 0)
        both = {"metrics": {"tone": {"positive": "kind"}, "fact": {}}}
        judged = compare_results(result_table(before), result_table(after), gate=Gate.parse(both))
        assert judged.metrics["tone"].missing_as_worst is None

    def test_an_evaluator_that_no_used_example_has_is_judged_only_where_the_gate_names_it(self, client: Client) -> None:
        grades = {"a": {"x": 1.0}, "b": {"x": 1.0}}
        before, after = (result_table(made(client, grades, name=name, unused=["tools"])) for name in ("one", "two"))
        assert "tools" not in checks(Gate().judge_alone(before))
        assert "tools" not in checks(compare_results(before, after, gate=Gate()))
        named = Gate(metrics={"tools": Metric(min=0.5)})
        for verdict in (named.judge_alone(after), compare_results(before, after, gate=named).verdict):
            assert verdict
            assert verdict.status == "failed"
            assert "two has no example that it is meant for" in verdict.reasons[0]


class TestPending:
    GRADES: ClassVar[dict[str, dict[str, Any]]] = {
        **{f"e{n}": {"fact": 1.0, "polite": 1.0} for n in range(6)},
        "e6": {"fact": 1.0, "polite": PENDING},
        "e7": {"fact": 1.0, "polite": PENDING},
        "e8": {"fact": 1.0, "polite": None},
    }

    def test_a_summary_counts_them_apart(self, client: Client) -> None:
        ran = made(client, self.GRADES)
        polite = ran.summary.metrics["polite"]
        assert (polite.n, polite.n_pending, polite.n_no_score, polite.n_errors, polite.n_missing) == (6, 2, 1, 0, 0)
        assert str(polite) == (
            "1.00 over 6 of 9; 1 without a score, 2 pending; between 0.667 and 1.00 if the others had scored 0 or 1"
        )
        assert ran.summary.to_dict()["metrics"]["polite"]["n_pending"] == 2
        assert not ran.failures.errors

    def test_a_gate_that_judges_them_is_inconclusive_and_says_what_to_do(self, client: Client) -> None:
        ran = made(client, self.GRADES)
        gate = Gate(metrics={"polite": Metric(min=0.5, bounds="point")}, min_coverage=0.8)
        verdict = alone(ran, gate)
        assert verdict.status == "inconclusive"
        [reason] = [check.reason for check in verdict.checks if check.name == "polite"]
        assert "2 evaluations of candidate are pending" in reason
        assert f"prefect-experiments pending {ran.experiment_id}" in reason
        assert "client.experiments.annotate_runs" in reason
        # They are no missing scores: six of seven examples is what there should be by now.
        [coverage] = [check.reason for check in verdict.checks if check.name == "coverage"]
        assert coverage == "scores on examples: polite 6 of 7"

    def test_a_gate_that_does_not_judge_them_judges(self, client: Client) -> None:
        verdict = alone(made(client, self.GRADES), Gate(metrics={"fact": Metric(min=0.5, bounds="point")}))
        assert verdict.status == "passed", verdict.reasons

    def test_once_filled_in_it_judges(self, client: Client) -> None:
        ran = made(client, self.GRADES)
        gate = Gate(metrics={"polite": Metric(min=0.8, bounds="point")}, min_coverage=0.8)
        assert alone(ran, gate).status == "inconclusive"
        low = fill_in(client, ran, 0.0)
        assert str(low.summary.metrics["polite"]).startswith("0.75 over 8 of 9; 1 without a score; between")
        assert alone(low, gate).status == "failed"
        high = fill_in_again(client, low, 1.0)
        assert alone(high, gate).status == "passed", alone(high, gate).reasons

    def test_where_nothing_else_is_known_of_a_metric(self, client: Client) -> None:
        grades = {name: {"polite": PENDING, "fact": 1.0} for name in self.GRADES}
        for gate in (Gate(), Gate(metrics={"polite": Metric()})):
            verdict = alone(made(client, grades), gate)
            assert checks(verdict)["polite"] == "inconclusive", verdict.reasons
            assert verdict.status == "inconclusive"

    def test_beside_a_baseline(self, client: Client) -> None:
        """Sixty are not yet judged: that is no regression, as sixty missing scores would be, and nothing passes."""
        fine = {f"e{n}": {"polite": 1.0, "fact": 1.0} for n in range(80)}
        waiting = {
            name: {**given, "polite": PENDING if n < 60 else 1.0} for n, (name, given) in enumerate(fine.items())
        }
        before, after = (made(client, given, name=n) for n, given in (("before", fine), ("after", waiting)))
        all_waiting = made(client, {n: {**given, "polite": PENDING} for n, given in fine.items()}, name="all")
        for one, other in ((before, after), (after, before), (before, all_waiting), (all_waiting, before)):
            found = compare_results(result_table(one), result_table(other), gate=Gate())
            assert found.verdict
            assert found.verdict.status == "inconclusive", found.verdict.reasons
            assert checks(found) == {
                "polite": "inconclusive", "fact": "passed", "error rate": "passed", "coverage": "passed",
            }  # fmt: skip
        gone = {n: {**given, "polite": None if given["polite"] is PENDING else 1.0} for n, given in waiting.items()}
        missing = compare_results(result_table(before), result_table(made(client, gone, name="gone")), gate=Gate())
        assert checks(missing)["coverage"] == "failed"

    def test_both_sides_wait(self, client: Client) -> None:
        waiting = {f"e{n}": {"polite": PENDING, "fact": 1.0} for n in range(20)}
        before, after = (result_table(made(client, waiting, name=name)) for name in ("before", "after"))
        found = compare_results(before, after, gate=Gate())
        assert checks(found)["polite"] == "inconclusive"

    def test_labels_that_wait(self, client: Client) -> None:
        waiting = {f"e{n}": {"tone": PENDING if n < 5 else "kind", "fact": 1.0} for n in range(20)}
        done = {f"e{n}": {"tone": "kind", "fact": 1.0} for n in range(20)}
        before, after = made(client, done, name="before"), made(client, waiting, name="after")
        found = compare_results(result_table(before), result_table(after), gate=Gate())
        assert found.labels["tone"].n_moved == 0
        assert checks(found)["tone"] == "inconclusive"
        assert checks(alone(after))["tone"] == "inconclusive"
        assert checks(compare_results(result_table(before), result_table(before), gate=Gate()))["tone"] == "passed"

    @pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
    def test_a_table_knows_them(self, client: Client, tmp_path: Path, suffix: str) -> None:
        ran = made(client, self.GRADES)
        path = client.experiments.export(experiment=ran, path=tmp_path / f"results.{suffix}")
        assert result_table(path).side().pending == {"polite": 2}
        assert checks(Gate(min_coverage=0.8).judge_alone(result_table(path)))["polite"] == "inconclusive"


class TestReports:
    GRADES: ClassVar[dict[str, dict[str, Any]]] = {
        "e0": {"fact": 1.0, "polite": PENDING},
        "e1": {"fact": 1.0, "polite": PENDING},
        "e2": {"fact": 1.0, "polite": PENDING},
        "e3": {"fact": 1.0},
    }

    def test_they_all_say_it(self, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ran = made(client, self.GRADES)
        print_summary(ran)
        assert "no score over 3; 3 pending" in capsys.readouterr().out
        assert "no score over 3; 3 pending" in summary_markdown(ran)
        page = write_report(ran, tmp_path / "page.html").read_text()
        assert '<td data-label="Pending" class="n bad">3</td>' in page
        assert "0 of 3" in page
        assert "Is it polite?" in page
        properties = {p.attrib["name"]: p.attrib["value"] for p in self.case(ran, tmp_path, "polite").iter("property")}
        assert (properties["scored"], properties["pending"], properties["missing"]) == ("0 of 3", "3", "0")
        ran.verdict = alone(ran)
        assert "3 evaluations of candidate are pending" in write_report(ran, tmp_path / "comment.md").read_text()

    def case(self, ran: Any, folder: Path, name: str) -> ElementTree.Element:
        root = ElementTree.fromstring(write_report(ran, folder / "junit.xml").read_bytes())
        return next(case for case in root.iter("testcase") if case.attrib["name"] == name)

    def test_of_a_comparison(self, client: Client, tmp_path: Path) -> None:
        before, after = (made(client, self.GRADES, name=name) for name in ("before", "after"))
        comparison = compare_results(result_table(before), result_table(after))
        comment = write_report(after, tmp_path / "c.md", comparison=comparison).read_text()
        assert "0 of 4 runs failed, 3 evaluations pending" in comment

    def test_a_page_without_any_has_no_column_for_it(self, client: Client, tmp_path: Path) -> None:
        page = write_report(made(client, SOME), tmp_path / "page.html").read_text()
        assert 'data-label="Pending"' not in page
        assert "3 of 3 (100%)" in page


def test_all_of_it_travels(client: Client) -> None:
    """Also without the store: nothing of which examples are meant is read again."""
    ran = made(client, SOME)
    for other in (pickle.loads(pickle.dumps(ran)), RanExperiment.from_json_text(ran.to_json_text())):
        assert other.meant_for == {
            "fact": tuple(name for name in SOME if name != "e10"), "tools": ("e8", "e9", "e10"),
        }  # fmt: skip
        assert other.summary == ran.summary
