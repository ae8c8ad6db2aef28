"""The pass rule of a gate: every entry, or a share of them, has to pass."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from prefect_experiments import Client, EvaluationResult, write_report
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.passing import passing
from prefect_experiments.analysis.results import result_table
from prefect_experiments.analysis.verdicts import Comparison, MetricCheck, Verdict
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.experiment.compare import Judging
from prefect_experiments.reports.markdown import summary_markdown
from prefect_experiments.reports.passing import passing_lines

from .entries import PENDING, TASK, fill_in, made
from .tables import columns

NO = ValueError("a secret of the row")
# Judged by this rule alone: the others want more than a handful of examples.
ALONE: dict[str, Any] = {"min_coverage": 0.0, "max_error_rate": 1.0, "metrics": {"fact": {}}}
FINE = {f"e{n}": {"fact": 1.0, **({"tools": 0.5} if n % 3 == 0 else {})} for n in range(15)}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    found = Client(backend="local", store_url=f"sqlite:///{tmp_path / 'store.db'}")
    yield found
    found.store.close()


def gate(**rules: Any) -> Gate:
    return Gate.parse({**ALONE, "pass_threshold": 0.5, **rules})


def pass_rate(verdict: Verdict | None) -> MetricCheck:
    assert verdict is not None
    [check] = [check for check in verdict.checks if check.name == "pass rate"]
    return check


def judged(ran: RanExperiment, **rules: Any) -> MetricCheck:
    """By itself; the same comes out beside a baseline."""
    alone = pass_rate(gate(**rules).judge_alone(result_table(ran)))
    beside = compare_results(result_table(columns(list(FINE), fact=[1.0] * 15)), result_table(ran), gate=gate(**rules))
    assert pass_rate(beside.verdict) == alone
    return alone


def changed(**entries: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {**FINE, **entries}


def test_all_entries_pass(client: Client) -> None:
    check = judged(made(client, FINE))
    assert (check.status, check.reason) == ("passed", "15 of 15 entries pass (all scores >= 0.5)")


def test_what_fails_is_said_with_its_evaluator_and_score(client: Client) -> None:
    grades = changed(e2={"fact": 0.4999}, e3={"fact": 1.0, "tools": 0.25}, e4={TASK: NO, "fact": 1.0}, e5={"fact": NO})
    check = judged(made(client, grades))
    assert check.status == "failed"
    assert check.reason == (
        "11 of 15 entries pass (all scores >= 0.5); failed: "
        "e2 (fact 0.4999), e3 (tools 0.25), e4 (the task failed), e5 (fact failed)"
    )


def test_only_the_first_are_named(client: Client) -> None:
    check = judged(made(client, {name: {"fact": 0.0} for name in FINE}))
    assert check.reason.endswith("e3 (fact 0.00), e4 (fact 0.00) and 10 others")


def test_another_threshold(client: Client) -> None:
    ran = made(client, changed(e1={"fact": 0.6}))
    assert judged(ran, pass_threshold=0.6).reason.startswith("10 of 15 entries pass (all scores >= 0.6)")  # tools 0.5
    assert judged(ran).status == "passed"


@pytest.mark.parametrize(("rate", "status"), [(0.8, "passed"), (0.81, "failed"), (0.0, "passed"), (1.0, "failed")])
def test_a_share_of_them(client: Client, rate: float, status: str) -> None:
    ran = made(client, changed(e1={"fact": 0.0}, e2={"fact": 0.1}, e4={"fact": 0.2}))
    check = judged(ran, min_pass_rate=rate)
    assert check.status == status
    assert check.reason.startswith("12 of 15 entries pass (all scores >= 0.5)")
    assert "failed: e1 (fact 0.00), e2 (fact 0.10), e4 (fact 0.20)" in check.reason


def test_a_share_alone_goes_by_pixies_threshold(client: Client) -> None:
    ran = made(client, changed(e1={"fact": 0.4}))
    table = result_table(ran)
    assert pass_rate(Gate.parse({"min_pass_rate": 0.9}).judge_alone(table)).status == "passed"
    assert "pass rate" not in {check.name for check in Gate().judge_alone(table).checks}


class TestPending:
    def test_nobody_knows_yet(self, client: Client) -> None:
        ran = made(client, changed(e1={"fact": 1.0, "polite": PENDING}, e2={"polite": PENDING}))
        check = judged(ran)
        assert check.status == "inconclusive"
        assert check.reason == (
            "13 of 15 entries pass (all scores >= 0.5); 2 evaluations of candidate are pending: prefect-experiments "
            f"pending {ran.experiment_id} lists them, client.experiments.annotate_runs fills them in"
        )
        # Enough pass whatever comes of them; but they are to be judged first.
        assert judged(ran, min_pass_rate=0.5).status == "inconclusive"

    def test_what_to_do_is_said_once_in_a_verdict(self, client: Client) -> None:
        ran = made(client, changed(e1={"fact": 1.0, "polite": PENDING}))
        verdict = gate(metrics={"polite": {"min": 0.5}}).judge_alone(result_table(ran))
        assert sum("pending" in check.reason for check in verdict.checks) == 2
        assert " ".join(verdict.reasons).count(f"prefect-experiments pending {ran.experiment_id}") == 1

    def test_an_entry_that_only_waits_has_not_passed(self, client: Client) -> None:
        check = judged(made(client, {name: {"polite": PENDING} for name in FINE}), metrics={})
        assert check.status == "inconclusive"
        assert check.reason.startswith("0 of 15 entries pass")

    def test_what_has_failed_already_stays_so(self, client: Client) -> None:
        grades = changed(e1={"fact": 0.0}, e2={"fact": 1.0, "polite": PENDING})
        ran = made(client, grades)
        assert judged(ran).status == "failed"
        assert judged(ran, min_pass_rate=0.9).status == "inconclusive"

    def test_once_filled_in_it_judges(self, client: Client) -> None:
        for judgement, status, said in (
            ({"score": 1.0}, "passed", "15 of 15 entries pass"),
            ({"score": 0.0}, "failed", "failed: e1 (polite 0.00)"),
            ({"label": "rude"}, "failed", "failed: e1 (polite gave the label 'rude' and no score)"),
        ):
            ran = made(client, changed(e1={"fact": 1.0, "polite": PENDING}))
            assert judged(ran).status == "inconclusive"
            check = judged(fill_in(client, ran, **judgement))
            assert (check.status, said in check.reason) == (status, True), check.reason


@pytest.mark.thorough
def test_every_repetition_must_pass(client: Client) -> None:
    table = result_table(made(client, {"a": {"fact": (1.0, 0.2, 1.0)}, "b": {"fact": 1.0}}, repetitions=3))
    assert pass_rate(gate().judge_alone(table)).reason == (
        "1 of 2 entries pass (all scores >= 0.5); failed: a (fact 0.20)"
    )


def test_entries_without_evaluators_do_not_count(client: Client) -> None:
    table = result_table(made(client, {"a": {"fact": 1.0}, "b": {}}))
    assert pass_rate(gate().judge_alone(table)).reason == (
        "1 of 1 entry passes (all scores >= 0.5); 1 of 2 entries not judged, without evaluators"
    )
    nothing = pass_rate(gate(metrics={}).judge_alone(result_table(made(client, {"a": {}, "b": {}}))))
    assert (nothing.status, nothing.reason) == ("failed", "no entry has evaluators, so there is none that could pass")


def test_a_neutral_metric_alone_is_no_missing_evaluator(client: Client) -> None:
    length = EvaluationResult(score=0.1, metadata={"direction": "neutral"})
    ran = made(client, {"a": {"length": length}, "b": {"length": length}})
    check = pass_rate(gate(metrics={}).judge_alone(result_table(ran)))
    lacking = "evaluators that say which scores are better (length is neutral)"
    assert (check.status, check.reason) == ("failed", f"no entry has {lacking}, so there is none that could pass")
    assert list(passing_lines(passing(ran))) == [f"0/0 passed | 2 entries without {lacking}"]


def test_directions_of_the_gate_count(client: Client) -> None:
    table = result_table(columns(["a", "b"], fact=[0.1, 0.4]))
    assert pass_rate(gate().judge_alone(table)).status == "failed"
    less = gate(metrics={"fact": {"direction": "minimize"}})
    check = pass_rate(less.judge_alone(table))
    assert check.status == "passed"
    assert check.reason.endswith("(all scores >= 0.5, or <= 0.5 where less is better)")
    assert pass_rate(compare_results(table, table, gate=less).verdict) == check


def test_labels_that_the_gate_calls_good_pass(client: Client) -> None:
    table = result_table(made(client, {"a": {"tone": "kind"}, "b": {"tone": "rude"}}))
    good = gate(metrics={"tone": {"positive": "kind"}})
    for verdict in (good.judge_alone(table), compare_results(table, table, gate=good).verdict):
        assert pass_rate(verdict).reason.endswith("1 of 2 entries pass (all scores >= 0.5); failed: b (tone 0.00)")


@pytest.mark.thorough
def test_it_asks_nothing_of_chance(client: Client) -> None:
    """So the other rules lose nothing by it: their p-values stay what they are."""
    grades = {f"e{n}": {"fact": float(n % 4 > 0)} for n in range(60)}
    worse = {f"e{n}": {"fact": float(n % 4 > 1)} for n in range(60)}
    before, after = (result_table(made(client, given, name=n)) for n, given in (("before", grades), ("after", worse)))
    without, with_it = (compare_results(before, after, gate=found).verdict for found in (Gate(), gate(min_pass_rate=0)))
    assert without
    assert with_it
    assert without.checks[0] == with_it.checks[0]


def test_what_a_rule_cannot_be() -> None:
    for rules in ({"pass_threshold": 1.5}, {"pass_threshold": "half"}, {"min_pass_rate": -1}, {"min_pass_rate": True}):
        with pytest.raises(InvalidSetting, match=r"Gate\.(pass_threshold|min_pass_rate) must be"):
            Gate.parse(rules)
    with pytest.raises(InvalidSetting, match="unknown key 'pass_treshold'; did you mean 'pass_threshold'"):
        Gate.parse("pass_treshold: 0.5")
    assert Gate.parse("pass_threshold: 0.5\nmin_pass_rate: 0.9") == Gate(pass_threshold=0.5, min_pass_rate=0.9)


def test_a_comparison_that_was_made_without_it_is_refused(client: Client) -> None:
    table = result_table(made(client, FINE))
    for other in (None, Gate(pass_threshold=0.25)):
        comparison = compare_results(table, table, gate=other)
        with pytest.raises(InvalidSetting, match=r"the gate has 0\.5; give the gate to the comparison"):
            gate().judge(comparison)
    comparison = compare_results(table, table, gate=gate())
    assert gate().judge(comparison) == comparison.verdict


class TestWhereItGoes:
    GRADES = changed(e1={"fact": 0.25}, e2={"fact": 1.0, "polite": PENDING}, e4={TASK: NO, "fact": 1.0})

    def cases(self, path: Path) -> tuple[dict[str, str], ElementTree.Element]:
        root = ElementTree.fromstring(path.read_bytes())
        found = {
            case.attrib["name"]: next((c.tag for c in case if c.tag in ("failure", "error", "skipped")), "passed")
            for case in root.iter("testcase")
            if case.attrib["classname"] == "entries"
        }
        return found, root

    def ran(self, client: Client, *, beside: bool, **rules: Any) -> RanExperiment:
        ran = made(client, self.GRADES)
        Judging(result_table(columns(list(FINE), fact=[1.0] * 15)) if beside else None, gate(**rules)).apply(ran)
        return ran

    @pytest.mark.parametrize("beside", [True, False], ids=["beside a baseline", "alone"])
    def test_junit_has_a_case_for_each_entry(self, client: Client, tmp_path: Path, beside: bool) -> None:
        ran = self.ran(client, beside=beside)
        found, root = self.cases(write_report(ran, tmp_path / "junit.xml"))
        assert len(found) == 15
        failed = {name: tag for name, tag in found.items() if tag != "passed"}
        assert set(failed) == {"[2] about e1", "[3] about e2", "[5] about e4"}
        assert sorted(failed.values()) == ["failure", "failure", "skipped"]
        messages = [found.attrib["message"] for found in root.iter("failure")]
        assert "fact 0.25" in messages

    def test_what_the_gate_allows_is_no_failure(self, client: Client, tmp_path: Path) -> None:
        ran = made(client, changed(e1={"fact": 0.25}))
        Judging(None, gate(min_pass_rate=0.9)).apply(ran)
        found, root = self.cases(write_report(ran, tmp_path / "junit.xml"))
        assert [tag for tag in found.values() if tag != "passed"] == ["skipped"]
        [suite] = root
        assert suite.attrib["failures"] == "0"

    @pytest.mark.parametrize("beside", [True, False], ids=["beside a baseline", "alone"])
    def test_artifacts_and_comments_say_it_without_contents(self, client: Client, tmp_path: Path, beside: bool) -> None:
        ran = self.ran(client, beside=beside)
        comment = write_report(ran, tmp_path / "comment.md").read_text()
        page = write_report(ran, tmp_path / "page.html").read_text()
        for text in (comment, page, summary_markdown(ran, ran.verdict)):
            assert "12 of 15 entries pass" in text
        assert "secret of the row" not in summary_markdown(ran, ran.verdict)

    def test_it_travels(self, client: Client) -> None:
        for beside in (True, False):
            ran = self.ran(client, beside=beside)
            other: Any
            for other in (pickle.loads(pickle.dumps(ran)), RanExperiment.from_json_text(ran.to_json_text())):
                assert other.verdict == ran.verdict
                holds = other.comparison.candidate if beside else other.verdict
                assert holds.passing.n_passed == 12
            assert "entries" not in str((ran.to_dict()["verdict"] or {}).keys())

    def test_it_is_no_part_of_what_is_written_down(self, client: Client) -> None:
        ran = self.ran(client, beside=True)
        assert isinstance(ran.comparison, Comparison)
        assert "passing" not in ran.comparison.to_dict()["candidate"]
        assert "passing" not in replace(ran.comparison).to_dict()["verdict"]
