"""One experiment made of cases that have run: logged, scored, judged, and the verdict reported as tests of its own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prefect_experiments.client import Client
from prefect_experiments.display import counted
from prefect_experiments.errors import ExperimentsError
from prefect_experiments.models import Dataset, Example
from prefect_experiments.options import EvaluationOptions
from prefect_experiments.pytest_plugin import judging
from prefect_experiments.pytest_plugin.cases import Group, cases_of
from prefect_experiments.pytest_plugin.running import failed_calls, with_prefect, write_report_of
from prefect_experiments.pytest_plugin.session import Record, Session, session_of
from prefect_experiments.pytest_plugin.shared import folder_of, is_worker

if TYPE_CHECKING:
    from prefect_experiments.analysis import RanExperiment

_ALLOWED = ("missing", "doubled")  # stopped before they ran; run again by a plugin


def close(session: pytest.Session) -> None:
    """Make experiments of the cases, where this is the last process to have run some, and report the verdicts."""
    config = session.config
    ours, cases, folder = session_of(config), cases_of(config), folder_of(config)
    if cases.groups and cases.keeps and folder.is_dir() and _is_last(config, folder):
        ours.closed.extend(_close_group(ours, group, folder) for group in cases.groups.values())
    if is_worker(config):
        if ours.closed:
            config.workeroutput["experiments"] = ours.closed  # type: ignore[attr-defined]
    elif ours.closed:
        _report_verdicts(session, ours)


def _is_last(config: pytest.Config, folder: Path) -> bool:
    """Whether all processes that run tests are done; ``True`` in one of them only."""
    if not is_worker(config):
        return True
    given: Any = config.workerinput  # type: ignore[attr-defined]
    (folder / f"done.{given['workerid']}").touch()
    if len(list(folder.glob("done.*"))) < given["workercount"]:
        return False
    try:
        (folder / "closing").open("x").close()
    except FileExistsError:
        return False
    return True


def keep(config: pytest.Config) -> None:
    """Log what the cases of a run gave that was interrupted, and judge nothing."""
    session, folder = session_of(config), folder_of(config)
    tried = {one["name"] for one in session.closed if one}
    for about_file in sorted(folder.glob("*.json")):
        about = json.loads(about_file.read_text(encoding="utf-8"))
        if about["dataset"] in tried:
            continue
        record = Record(about["name"], "STOPPED", dataset=about["dataset"])
        session.records.append(record)
        with _said(record, about_file):
            client, given = _to_log(about, _rows(about_file))
            if given is None:
                continue
            kept = client.experiments.create(**given)
            record.experiment_id = kept.id
            record.note = f"{len(given['experiment_runs'])} of {about['expected']} cases had run; not judged"
            _forget(about_file)


def _close_group(session: Session, group: Group, folder: Path) -> dict[str, Any]:
    """Log the cases of one dataset, score them with its evaluators, and hold them to its gate.

    Returns:
        What became of it, as plain values: it may have to go to another process.
    """
    about_file = folder / f"{group.key}.json"
    if not about_file.exists():
        return {}
    about, rows = json.loads(about_file.read_text(encoding="utf-8")), _rows(about_file)
    record = Record(about["name"], "NOT LOGGED", dataset=group.dataset)
    found: dict[str, Any] = {"nodeid": group.nodeid, "name": group.dataset, "checks": [], "failure": ""}
    with _said(record, about_file):
        client, given = _to_log(about, rows)
        if given is None:
            record.said, record.note = "SKIPPED", "no case has run: nothing was logged or judged"
            _forget(about_file)
            return {**found, "skipped": record.note, "record": asdict(record)}
        ran = _logged(session, group, client, given)
        record.experiment_id, record.where = ran.experiment_id, ran.url or ""
        _forget(about_file)
        lacking = group.expected - len({(row["example_id"], row["repetition_number"]) for row in rows})
        _judge(ran, record, found, lacking)
        left = session.deselected.get(group.dataset)
        notes = (record.note, failed_calls(ran), f"{left} of its cases were not selected" if left else "")
        record.note = "; ".join(filter(None, notes))
        write_report_of(session, ran, record)
    if record.said == "NOT LOGGED":
        found["failure"] = record.note
    return {**found, "record": asdict(record)}


@contextlib.contextmanager
def _said(record: Record, about_file: Path) -> Iterator[None]:
    """What goes wrong is said, and the results stay where they are."""
    try:
        yield
    except (ExperimentsError, OSError, ValueError) as error:
        kept = f"; the results are in {about_file.parent}" if about_file.exists() else ""
        record.note = f"{error}{kept}"


def _rows(about_file: Path) -> list[dict[str, Any]]:
    rows = []
    for file in sorted(about_file.parent.glob(f"{about_file.stem}.*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the last one, of a process that was killed
                rows.append(json.loads(line))
    return rows


def _forget(about_file: Path) -> None:
    for file in (about_file, *about_file.parent.glob(f"{about_file.stem}.*.jsonl")):
        file.unlink(missing_ok=True)


def _to_log(about: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[Client, dict[str, Any] | None]:
    """Where the results go, and what is logged; nothing where every case was skipped."""
    made = [row for row in rows if not row.get("skipped")]
    ran = {row["example_id"] for row in made}
    skipped = {row["example_id"] for row in rows} - ran
    examples = tuple(Example(**one) for one in about["examples"] if one["id"] not in skipped)
    client = Client(backend=about["backend"])
    dataset = Dataset(name=about["dataset"], description=about["dataset_description"], examples=examples)
    given = {
        "name": about["name"],
        "dataset": dataset,
        "experiment_runs": made,
        "allow": _ALLOWED,
        "description": about["description"],
        "metadata": about["metadata"],
    }
    return client, given if made else None


def _logged(session: Session, group: Group, client: Client, given: dict[str, Any]) -> RanExperiment:
    from prefect_experiments.experiment.compare import judging as look_up

    marked, options = group.marked, session.options
    baseline = marked.get("baseline", options.baseline)
    first_run = marked.get("first_run", options.first_run)
    evaluators = marked.get("evaluators")
    with with_prefect(session):
        if not evaluators:
            judged = {"baseline": baseline, "gate": marked.get("gate"), "first_run": first_run}
            return client.experiments.log_experiment(**given, **judged, print_summary=False)
        # Looked up before, as latest would be the new one.
        found = look_up(baseline, marked.get("gate"), client.store, client.remote, group.dataset, first_run=first_run)
        logged = client.experiments.log_experiment(**given, print_summary=False)
        ran = client.experiments.evaluate_experiment(
            experiment=logged.experiment_id,
            evaluators=evaluators,
            concurrency=marked.get("concurrency", EvaluationOptions().concurrency),
            print_summary=False,
        )
    if found is not None:
        found.apply(ran)
    return ran


def _judge(ran: RanExperiment, record: Record, found: dict[str, Any], lacking: int) -> None:
    verdict = ran.verdict
    record.said = "RAN" if verdict is None else verdict.status.upper()
    if verdict is None:
        if lacking:
            record.note = _not_run(lacking)
        return
    if lacking:  # a run that was cut short is no evidence of anything
        record.said, record.note = "NOT JUDGED", _not_run(lacking)
        found["failure"] = f"The gate was not asked: {record.note}.\n  {judging.where(ran)}"
        return
    checks = judging.metric_checks(ran, verdict)
    passes = not verdict.exit_code
    for check in checks:
        outcome = "passed" if check.status == "passed" else "skipped" if passes else "failed"
        found["checks"].append([check.name, outcome, check.reason])
    found["judged"] = True
    if not passes:
        found["failure"] = judging.sentence(verdict, ran)


def _not_run(lacking: int) -> str:
    return f"{counted(lacking, 'case')} {'was' if lacking == 1 else 'were'} not run"


def _report_verdicts(session: pytest.Session, ours: Session) -> None:
    """Report what the gates say of the cases: for each dataset a test, and one for each check."""
    for one in filter(None, ours.closed):
        session.testscollected += len(one["checks"]) + bool(one["failure"] or one.get("judged") or one.get("skipped"))
        ours.records.append(Record(**one["record"]))
        path = one["nodeid"].partition("::")[0]
        whole = f"{path}::experiment[{one['name']}]"
        for name, outcome, reason in one["checks"]:
            _report(session, f"{whole}[{name}]", outcome, reason)
        if one["failure"] or one.get("judged"):
            _report(session, whole, "failed" if one["failure"] else "passed", one["failure"])
        elif one.get("skipped"):
            _report(session, whole, "skipped", one["skipped"])


def _report(session: pytest.Session, nodeid: str, outcome: Any, reason: str) -> None:
    path, _, name = nodeid.partition("::")
    location = (path, None, name)
    longrepr: Any = None
    if outcome == "failed":
        longrepr = reason
    elif outcome == "skipped":
        longrepr = (path, 0, f"Skipped: {reason}")
    report = pytest.TestReport(nodeid, location, {}, outcome, longrepr, "call", user_properties=[("reason", reason)])
    hook = session.config.hook
    hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
    hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
