"""How a flow that was deployed ends: its final state, its log, and who gets a tag; with no server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from prefect_experiments import Client, RanExperiment
from prefect_experiments.analysis import meta_evaluation
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.history import history_of
from prefect_experiments.analysis.results import result_table
from prefect_experiments.analysis.verdicts import Verdict
from prefect_experiments.orchestration.deployed import reporting
from prefect_experiments.orchestration.deployed.reporting import agreed, outcome, promote_passed, report_on
from prefect_experiments.orchestration.running import in_a_line
from tests.store.samples import new_experiment

PASSED = Verdict(status="passed", reasons=("no metric is worse",), exit_code=0)
FAILED = Verdict(status="failed", reasons=("worse",), exit_code=1)


def judged(**columns: Any) -> Any:
    rows = [{"example_id": f"e{n}", "output": n} for n in range(4)]
    return [row | {name: values[n] for name, values in columns.items()} for n, row in enumerate(rows)]


LABELS = {"eval.judge.label": ["good", "good", "bad", "bad"], "annotation.human.label": ["good", "bad", "bad", "bad"]}
SCORES = {"eval.judge.score": [0.1, 0.2, 0.3, 0.4], "annotation.human.score": [0.1, 0.3, 0.2, 0.4]}


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")


@pytest.fixture
def ran(client: Client) -> RanExperiment:
    return RanExperiment(client.store, new_experiment(client.store), waiting=3)


@flow
def evaluation() -> None:
    """What the flow runs are of."""


@pytest.fixture
def in_flow() -> Iterator[None]:
    run = FlowRun.model_construct(id=uuid4(), name="run", flow_id=uuid4(), run_count=1, tags=[])
    with (
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
        FlowRunContext.model_construct(flow=evaluation, flow_run=run),
    ):
        yield


@pytest.mark.parametrize(
    ("verdict", "compared", "said"),
    [
        (FAILED, False, "Not tagged 'best': only an experiment that a gate has passed is promoted."),
        (None, False, "Not tagged 'best': only an experiment that a gate has passed is promoted."),
        (PASSED, True, "Not tagged 'best': the run before was not better than the baseline, which stays."),
        (PASSED, False, "Experiment {} is 'best' now."),
    ],
)
def test_what_is_promoted_and_why_not(
    verdict: Verdict | None,
    compared: bool,
    said: str,
    ran: RanExperiment,
    client: Client,
    in_flow: None,
    said_in_flows: list[str],
) -> None:
    table = result_table(judged(**SCORES), "a night")
    ran.verdict, ran.comparison = verdict, compare_results(table, table) if compared else None
    told = asyncio.run(promote_passed(ran, "best", client, confirmed_in=30))
    assert said_in_flows == [told] == [said.format(ran.experiment_id)]
    is_tagged = not said.startswith("Not")
    assert client.experiments.get(experiment=ran.experiment_id).tags == ("best",) * is_tagged


def test_what_waits_for_the_backend_stands_in_the_final_state(ran: RanExperiment) -> None:
    waits = f". 3 results wait for the backend: `prefect-experiments push {ran.experiment_id}`"
    plain = in_a_line(ran)
    for said, whole in (
        ({}, f"{plain}{waits}"),
        ({"before": "At last. "}, f"At last. {plain}{waits}"),
        ({"after": "It is 'best' now."}, f"{plain}{waits}. It is 'best' now"),
    ):
        ended = outcome(ran, **said)
        assert (ended.name, ended.message) == ("Completed", whole)
    ran.waiting, ran.verdict = 0, FAILED
    ended = outcome(ran)
    assert (ended.name, ended.is_failed(), ended.message) == ("GateFailed", True, f"worse. {plain}")
    ran.verdict = PASSED
    assert (outcome(ran).name, outcome(ran).is_completed()) == ("GatePassed", True)


@pytest.mark.parametrize(("is_clone", "path"), [(True, "reports"), (True, "{}/reports"), (False, "reports")])
def test_a_report_into_a_folder_that_is_deleted_is_told_of(
    is_clone: bool,
    path: str,
    ran: RanExperiment,
    in_flow: None,
    said_in_flows: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path.parent))
    if is_clone:
        monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid4()))
    shown = []

    async def show(*given: Any) -> None:
        shown.append(given)

    monkeypatch.setattr(reporting, "show_report", show)  # which a server would have to take
    written = asyncio.run(report_on(ran, path.format(tmp_path)))
    assert written == tmp_path / "reports" / f"{ran.experiment_id}.html"
    assert shown == [(written, None, "dataset")]
    is_told = is_clone and path == "reports"
    assert said_in_flows == is_told * [
        f"The report's path reports is relative, and leads into {tmp_path}, which is deleted after this flow run. "
        "Give an absolute path."
    ]


@pytest.mark.parametrize(
    ("where", "file", "url", "opened_at"),
    [
        ("reports", "reports/{}.html", None, None),
        ("reports", "reports/{}.html", "https://reports.example.com", "https://reports.example.com/{}.html"),
        ("reports", "reports/{}.html", "https://reports.example.com/", "https://reports.example.com/{}.html"),
        (
            "a/last.html",
            "a/last.html",
            "https://reports.example.com/last.html",
            "https://reports.example.com/last.html",
        ),
        ("a/last.HTM", "a/last.HTM", "https://reports.example.com/x", "https://reports.example.com/x"),
        ("a.html.d", "a.html.d/{}.html", None, None),
    ],
)
@pytest.mark.thorough
def test_the_history_leads_to_a_report_that_people_can_open(
    where: str,
    file: str,
    url: str | None,
    opened_at: str | None,
    ran: RanExperiment,
    client: Client,
    in_flow: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = []

    async def show(*given: Any) -> None:
        shown.append(given)

    monkeypatch.setattr(reporting, "show_report", show)  # which a server would have to take
    written, there = tmp_path / file.format(ran.experiment_id), opened_at and opened_at.format(ran.experiment_id)
    assert asyncio.run(report_on(ran, str(tmp_path / where), url=url)) == written
    assert written.read_text().startswith("<!")
    assert shown == [(written, there, "dataset")]
    (entry,) = history_of(client.store, ran.experiment.dataset_name).entries
    assert entry.report_url == there


@pytest.mark.parametrize(
    ("columns", "least", "ends", "said"),
    [
        (LABELS, 0.4, "GatePassed", "kappa is 0.50, and at least 0.4 is asked for. "),
        (LABELS, 0.5, "GatePassed", "kappa is 0.50, and at least 0.5 is asked for. "),
        (LABELS, 0.6, "GateFailed", "kappa is 0.50, and at least 0.6 is asked for. "),
        (SCORES, 0.4, "GateFailed", "there is no kappa, and at least 0.4 is asked for. "),
        (LABELS, None, "Completed", ""),
    ],
)
def test_what_kappa_has_to_reach(columns: dict[str, list[Any]], least: float | None, ends: str, said: str) -> None:
    agreement = meta_evaluation(judged(**columns), evaluator="judge", human="human")
    state = agreed(agreement, least)
    assert (state.name, state.is_failed()) == (ends, ends == "GateFailed")
    assert str(state.message).startswith(f"{said}eval.judge.")
