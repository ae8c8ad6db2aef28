"""The commands on experiments that are there, in this process: they run nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

import pytest

from prefect_experiments.models import Example, Experiment
from prefect_experiments.records import EvaluatedRun, EvaluationRecord, RunRecord
from prefect_experiments.store import EvaluatorRecord, Recorder, TaskRecord

from .harness import Here, lines

TASK = TaskRecord("answer", "f0", "app.py:answer")
RIGHT = EvaluatorRecord("right", "CODE", "f1", "app.py:right")


@pytest.fixture
def experiment(here: Here) -> Experiment:
    """An experiment of four runs: the task failed on r2 and r4, the evaluator on r3."""
    return make(here, "first")


def make(here: Here, name: str) -> Experiment:
    store = here.client.store
    if not len(here.client.datasets.list_datasets()):
        here.client.datasets.create_dataset(name="rows", file="rows.csv")
    version = store.datasets.version("rows")
    experiment = store.experiments.create(name, version, task=TASK, evaluators=[RIGHT]).experiment

    async def record() -> None:
        async with Recorder(store.database, experiment.id) as recorder:
            for position in range(4):
                error = "ValueError: not \x1b[31mtoday" if position % 2 else None
                output = None if error else '{"said": "[bold]A[/bold]"}'
                await recorder.write_run(
                    RunRecord(
                        position=position,
                        example_id=f"r{position + 1}",
                        repetition_number=1,
                        output_json=output,
                        error=error,
                        start_time=1000.0,
                        end_time=1000.25,
                        attempts=1,
                        latency_ms=250.0,
                    )
                )
            await recorder.write_evaluations([_verdict(0, 1.0), _verdict(2, None)])

    asyncio.run(record())
    return experiment


def _verdict(position: int, score: float | None) -> EvaluationRecord:
    return EvaluationRecord(
        position=position,
        repetition_number=1,
        evaluator="right",
        name="right",
        annotator_kind="CODE",
        fingerprint="f1",
        score=score,
        label=None,
        explanation=None,
        metadata_json=None,
        error=None if score is not None else "KeyError: 'x'",
        start_time=1000.0,
        end_time=1000.1,
    )


def test_list_and_show(here: Here, experiment: Experiment) -> None:
    make(here, "second")
    listed = here.json("list", "--dataset", "rows")
    assert [found["name"] for found in listed["experiments"]] == ["second", "first"]
    page = here("list", "--limit", "1")
    newest = listed["experiments"][0]
    created = datetime.fromisoformat(newest["created_at"]).astimezone()
    assert [line.split() for line in lines(page.out)] == [
        ["id", "name", "dataset", "examples", "repetitions", "evaluators", "tags", "created"],
        [newest["id"], "second", "rows", "4", "1", "right", *f"{created:%Y-%m-%d %H:%M}".split()],
    ]
    assert page.err == f"there is more: --cursor {here.json('list', '--limit', '1')['pagination']['next_cursor']}\n"
    shown = here.json("show", "first")
    assert shown["experiment"]["id"] == experiment.id
    assert shown["summary"]["metrics"]["right"]["n_errors"] == 1
    created = f"{experiment.created_at.astimezone():%Y-%m-%d %H:%M}"
    assert [line.split() for line in lines(here("show", experiment.id).out)] == [
        line.split()
        for line in (
            "first",
            f"id {experiment.id}",
            f"dataset rows (version {experiment.dataset_version_id})",
            "task answer",
            f"created {created}",
            "runs 4 of 4 made, 2 failed",
            "figures latency p50 250 ms, p95 250 ms, p99 250 ms",
            "evaluator score standard error",
            "right 1.00 over 1 of 4; 2 task errors, 1 evaluator error; "
            "between 0.25 and 1.00 if the others had scored 0 or 1 -",
            "task errors, 2 of 4 (50%) runs:",
            "2 times: ValueError: not \ufffd[31mtoday (example r2)",
            "evaluator errors, right 1 of 2 (50%) evaluations:",
            "right once: KeyError: 'x' (example r3)",
        )
    ]
    assert [error["count"] for error in shown["errors"]] == [2, 1]


@pytest.mark.thorough
def test_what_an_experiment_is_of_is_shown(here: Here, experiment: Experiment) -> None:
    store = here.client.store
    version = store.datasets.version("rows")
    store.experiments.create(
        "half", version, task=TASK, splits=("dev", "test"), description="half of it", metadata={"k": 1}
    )
    shown = [line.split(maxsplit=1) for line in lines(here("show", "half").out)]
    assert ["splits", "dev, test"] in shown
    assert ["description", "half of it"] in shown
    assert not [words for words in shown if words[0] == "tags"]
    here.client.experiments.tag(experiment="half", tag="baseline")
    assert ["tags", "baseline"] in [line.split(maxsplit=1) for line in lines(here("show", "half").out)]
    assert not [line for line in lines(here("show", "first").out) if line.startswith(("splits", "metadata"))]


@pytest.mark.parametrize("columns", ["80", "110", "160"])
def test_a_list_has_each_id_whole_however_narrow_the_terminal(
    here: Here, experiment: Experiment, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id is there to be copied into the next command."""
    monkeypatch.setattr("prefect_experiments.cli.output._PIPE_WIDTH", int(columns))
    make(here, "a-name-with-the-time-20261128-222316-2744")
    printed = here("list").out
    assert experiment.id in printed
    assert "…" not in printed
    assert ("evaluators" in printed) == (columns != "80")


def test_where_nobody_is_to_judge_anything_that_is_said(here: Here, experiment: Experiment) -> None:
    assert here("pending", "first").out == "nothing is pending\n"


def test_an_empty_store_says_so(here: Here) -> None:
    assert here("list").out == "there is no experiment yet\n"
    assert here.json("list")["experiments"] == []


def test_runs_show_outputs_and_errors_as_plain_text(here: Here, experiment: Experiment) -> None:
    header, *rows = lines(here("runs", "latest").out)
    assert header.split()[:4] == ["id", "example", "repetition", "status"]
    assert header.rstrip().endswith("  output or error")
    assert [row.split()[:4] for row in rows[:2]] == [
        [f"{experiment.id}.0.1", "r1", "1", "ok"],
        [f"{experiment.id}.1.1", "r2", "1", "error"],
    ]
    assert '{"said":"[bold]A[/bold]"}' in rows[0]
    assert rows[1].rstrip().endswith("ValueError: not  [31mtoday")
    assert "\x1b" not in rows[1]
    assert rows[2].split()[6:8] == ["error", '{"said":"[bold]A[/bold]"}']


def test_runs_page_by_page(here: Here, experiment: Experiment) -> None:
    for option in ([], ["--failed"]):
        wanted = ["r2", "r3", "r4"] if option else ["r1", "r2", "r3", "r4"]
        seen = []
        cursor: list[str] = []
        while True:
            page = here.json("runs", "first", "--limit", "1", *option, *cursor)
            seen += [row["example_id"] for row in page["experiment_runs"]]
            if not page["pagination"]["has_more"]:
                break
            cursor = ["--cursor", page["pagination"]["next_cursor"]]
        assert seen == wanted
        everything = here.json("runs", "first", "--all", *option)
        assert [row["example_id"] for row in everything["experiment_runs"]] == wanted
    row = everything["experiment_runs"][0]
    assert row["error"].startswith("ValueError")
    assert row["eval.right.score"] is None
    assert everything["experiment_runs"][1]["eval.right.error"] == "KeyError: 'x'"
    _, *table = lines(here("runs", "first", "--failed").out)
    said = ["ValueError: not  [31mtoday", "right: KeyError: 'x'", "ValueError: not  [31mtoday"]
    assert [line.rstrip().endswith(text) for line, text in zip(table, said, strict=True)] == [True] * 3
    assert here("runs", "first", "--failed", "--limit", "0").code == 2


def test_export_writes_the_table(here: Here, experiment: Experiment) -> None:
    assert here("export", "first", "results.json").out == "wrote results.json\n"
    rows = json.loads(Path("results.json").read_text())
    assert [row["example_id"] for row in rows] == ["r1", "r2", "r3", "r4"]
    assert rows[0]["eval.right.score"] == 1
    wrong = here("export", "first", "results.txt")
    assert wrong.code == 2
    assert "unknown file suffix '.txt'" in wrong.err


def test_an_output_that_looks_like_a_formula_is_changed_only_for_spreadsheets(here: Here) -> None:
    store = here.client.store
    version = store.datasets.put("sums", [Example(id="a", input=1)])
    runs = [EvaluatedRun(RunRecord(0, 1, "a", '"=1+1"', None, 1, 2))]
    store.ingest.put("sums", version, runs, fingerprint="x", task=TASK, evaluators=[RIGHT])
    assert here("export", "sums", "sums.csv").code == 0
    assert ",=1+1," in Path("sums.csv").read_text()
    assert here("export", "sums", "sums.csv", "--for-spreadsheets").code == 0
    assert ",'=1+1," in Path("sums.csv").read_text()


def test_export_says_what_was_not_run(here: Here, experiment: Experiment) -> None:
    store = here.client.store
    store.experiments.create("stopped", store.datasets.version("rows"), task=TASK, evaluators=[RIGHT], repetitions=2)
    ended = here("export", "stopped", "results.csv")
    assert (ended.code, ended.out) == (0, "wrote results.csv\n")
    assert "The experiment is not whole: 0 of 8 runs were made" in ended.err
    assert here("export", "stopped", "results.csv", "--json").json["n_expected"] == 8
    assert "not whole" not in here("export", "first", "results.csv").err


def test_annotations_replace_one_of_the_same_name(here: Here, experiment: Experiment) -> None:
    run_id = f"{experiment.id}.0.1"
    first = here.json("annotate", run_id, "--name", "tone", "--score", "0.5", "--annotator", "me")
    assert first["written"] == 1
    assert here("annotate", run_id, "--name", "tone", "--label", "polite", "--text", "very").code == 0
    [row] = here.json("runs", "first", "--limit", "1")["experiment_runs"]
    assert (row["annotation.tone.score"], row["annotation.tone.label"]) == (None, "polite")


def test_tags_are_given_found_and_taken_away(here: Here, experiment: Experiment) -> None:
    assert here("tag", "first", "production").out.rstrip().endswith("production")
    second = make(here, "second")
    assert here.json("tag", "second", "production")["tags"] == ["production"]
    assert here.json("show", "tag:production", "--dataset", "rows")["experiment"]["id"] == second.id
    assert here.json("tag", "second", "production", "--remove")["tags"] == []
    gone = here("show", "tag:production")
    assert gone.code == 2
    assert "no experiment has the tag 'production'" in gone.err


def test_who_tags_what_its_gate_has_failed_is_told(here: Here, experiment: Experiment) -> None:
    tagged = f"experiment first ({experiment.id}) on rows has baseline"
    assert here("tag", "first", "baseline").out.strip() == tagged
    here.client.store.experiments.note(experiment.id, gate="failed")
    warned = f"{tagged}. Its gate has failed it: as a baseline it lets as bad a run pass"
    assert here("tag", "first", "baseline").out.strip() == warned
    assert "Its gate" not in here("tag", "first", "baseline", "--remove").out


@pytest.mark.parametrize("name", ["latest", "LATEST", "tag:production", "a\x00b", ""])
def test_what_is_no_tag_is_refused_with_the_reason(name: str, here: Here, experiment: Experiment) -> None:
    refused = here("tag", "first", name)
    assert refused.code == 2
    [line] = lines(refused.err)
    assert "tag" in line
    assert repr(name) in line


def test_delete_without_a_terminal_needs_yes(here: Here, experiment: Experiment) -> None:
    refused = here("delete", "first")
    assert refused.code == 2
    said = f"Delete experiment first ({experiment.id}) with all its runs, evaluations and annotations?"
    assert f"{said} Say so with --yes: there is no terminal to ask on" in refused.err
    assert len(here.client.experiments.list()) == 1
    assert here.json("delete", "first", "--yes") == {"deleted": experiment.id}
    assert len(here.client.experiments.list()) == 0


def test_a_name_that_several_have_is_told_apart_by_id(here: Here, experiment: Experiment) -> None:
    other = make(here, "first")
    ambiguous = here("show", "first")
    assert ambiguous.code == 2
    assert experiment.id in ambiguous.err
    assert other.id in ambiguous.err


@pytest.mark.thorough
def test_every_run_is_listed_however_many_there_are(here: Here) -> None:
    """More than one table holds: each has a head of its own; as JSON, they are one list."""
    store = here.client.store
    version = store.datasets.put("many", [Example(id=f"m{place}", input=place) for place in range(1_100)])
    runs = [
        EvaluatedRun(
            RunRecord(place, 1, f"m{place}", None if place == 1_050 else "1", "E: no" if place == 1_050 else None, 1, 2)
        )
        for place in range(1_100)
    ]
    store.ingest.put("long", version, runs, fingerprint="x", task=TASK, evaluators=[RIGHT])
    listed = here.json("runs", "long", "--all")
    assert [row["example_id"] for row in listed["experiment_runs"]] == [f"m{place}" for place in range(1_100)]
    assert listed["pagination"] == {"has_more": False, "next_cursor": None}
    assert listed["experiment_runs"][:50] == here.json("runs", "long")["experiment_runs"]
    told = lines(here("runs", "long", "--all").out)
    assert [line.split()[0] for line in told].count("id") == 2
    assert len(told) == 1_102
    assert [row["example_id"] for row in here.json("runs", "long", "--all", "--failed")["experiment_runs"]] == ["m1050"]
