"""compare, report, and run with a baseline and a gate: exit codes, what is printed, what is written."""

from __future__ import annotations

import json
import re
import urllib.request
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from prefect_experiments.cli.app import run
from prefect_experiments.datasets.files import SUFFIXES
from support.on_prefect import settings_for
from support.patience import PATIENCE_S, wait_for

from .harness import CommandLine, Ended, lines

APPLICATION = """
calls = open("calls.txt", "a")

def answer(input):
    calls.write("called\\n")
    return input.upper()

def worse(input):
    return "?" if input < "k" else answer(input)

def unsure(input):
    return "?" if input < "c" else answer(input)

def fails(input):
    raise ValueError("cannot")

def correct(output, expected):
    return output == expected
"""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
GATE = "metrics:\n  correct:\n    min: 0.4\n    max_regression: 0.15\n"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> CommandLine:
    """A folder with an application, a dataset, a gate, and three experiments, one of them the baseline."""
    folder = tmp_path_factory.mktemp("comparing")
    (folder / "app.py").write_text(APPLICATION)
    (folder / "letters.csv").write_text("id,input,output\n" + "".join(f"{c},{c},{c.upper()}\n" for c in LETTERS))
    (folder / "gate.yaml").write_text(GATE)
    command = CommandLine(folder, prefect_api)
    command.in_turn(
        *(
            ("run", "letters.csv", "--task", f"app.py:{task}", "--evaluator", "app.py:correct", "--name", name)
            for task, name in (("answer", "good"), ("unsure", "unsure"), ("worse", "bad"))
        )
    )
    command.client().experiments.tag(experiment="good", tag="baseline")
    command.client().experiments.export(experiment="good", path=folder / "good.csv")
    command.client().experiments.export(experiment="bad", path=folder / "bad.jsonl")
    return command


@dataclass
class Here:
    """The command line in this process, in the folder of `command`."""

    command: CommandLine
    capfd: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, store_url: str | None = None) -> Ended:
        self.capfd.readouterr()
        code = run([*arguments, "--store-url", store_url or self.command.store_url])
        return Ended(code, *self.capfd.readouterr())

    def refused(self, *arguments: str) -> str:
        """The one line that is said of wrong use."""
        ended = self(*arguments)
        assert ended.code == 2
        assert not ended.out
        [line] = lines(ended.err)
        return line


@pytest.fixture
def here(command: CommandLine, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(command.folder)
    return Here(command, capfd)


@pytest.mark.parametrize(
    ("candidate", "gate", "code", "word"),
    [
        ("good", "gate.yaml", 0, "PASSED"),
        ("bad", "gate.yaml", 1, "FAILED"),
        ("unsure", "gate.yaml", 1, "INCONCLUSIVE"),
        ("unsure", '{"metrics": {"correct": {"max_regression": 0.15}}, "on_inconclusive": "pass"}', 0, "INCONCLUSIVE"),
        ("bad", "metrics: {correct: {max_regression: 0.9}}", 0, "PASSED"),
        ("bad", "metrics: {corect: null}", 1, "FAILED"),
        ("bad", None, 0, "COMPARED"),
    ],
)
@pytest.mark.parametrize("call", [("compare", "tag:baseline"), ("report",)])
def test_the_exit_code_is_the_gates(
    here: Here, tmp_path: Path, call: tuple[str, ...], candidate: str, gate: str | None, code: int, word: str
) -> None:
    rules = () if gate is None else ("--gate", gate)
    baseline = () if call[0] == "compare" else ("--baseline", "tag:baseline")
    arguments = (*call, candidate, *baseline, *rules, "--report", str(tmp_path / "report.html"))
    ended = here(*arguments)
    assert (ended.code, ended.err) == (code, "")
    assert word in ended.out or (call[0], word) == ("report", "COMPARED")
    told = here(*arguments, "--json")
    assert told.code == code
    verdict = told.json["verdict"]
    assert (verdict and (verdict["status"].upper(), verdict["exit_code"])) == (None if gate is None else (word, code))
    assert told.json["written"] == {"report": str(tmp_path / "report.html")}


def test_compare_shows_the_figures(here: Here) -> None:
    ended = here("compare", "good", "latest")
    assert ended.out.startswith("COMPARED  bad against good")
    assert "Over 26 shared examples" in ended.out
    assert "Worse, worst first (5 of 10 examples)" in ended.out
    document = here("compare", "good", "bad", "--json").json
    metric = document["metrics"]["correct"]
    assert (document["n_pairs"], metric["losses"], metric["wins"], metric["verdict"]) == (26, 10, 0, "regressed")
    assert document["baseline"]["label"] == "good"
    assert len(document["regressed"]) == 10
    turned = here("compare", "good", "bad", "--minimize", "correct", "--confidence", "0.99", "--json").json
    assert (turned["metrics"]["correct"]["verdict"], turned["confidence"]) == ("improved", 0.99)


def test_the_files_that_are_written(here: Here, tmp_path: Path) -> None:
    paths = {sort: tmp_path / "new" / f"{sort}.{end}" for sort, end in
             (("report", "html"), ("junit", "xml"), ("comment", "md"))}  # fmt: skip
    options = [option for sort, path in paths.items() for option in (f"--{sort}", str(path))]
    ended = here("compare", "good", "bad", "--gate", "gate.yaml", *options)
    assert ended.code == 1
    assert lines(ended.out)[-3:] == [f"{sort}: {path}" for sort, path in paths.items()]
    assert "bad against good" in paths["report"].read_text()
    suites = ET.parse(paths["junit"]).getroot()
    assert int(suites.attrib["failures"]) >= 1
    comment = paths["comment"].read_text()
    assert comment.startswith("❌ **Failed**: bad against good")
    assert "0 improved, 10 regressed" in comment
    assert comment.rstrip().endswith("<!-- prefect-experiments -->")

    ended = here("report", "bad", "--gate", "gate.yaml", *options)
    assert ended.code == 0
    assert "there was no baseline" in ended.out
    assert "there was no baseline" in paths["comment"].read_text()
    assert "<!-- prefect-experiments -->" in paths["comment"].read_text()
    assert ET.parse(paths["junit"]).getroot().attrib["failures"] == "0"


def test_a_report_needs_no_options(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = here("report", "good")
    assert (ended.code, ended.out) == (0, "report: report.html\n")
    assert "<!doctype html>" in (tmp_path / "report.html").read_text().lower()


def test_files_compare_without_a_store(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_BACKEND", "nonsense")
    for store_url in (f"sqlite:///{tmp_path / 'none.db'}", "nonsense"):
        assert here("compare", "good.csv", "bad.jsonl", "--gate", "gate.yaml", store_url=store_url).code == 1
        ended = here("report", "bad.jsonl", "--baseline", "good.csv", "--report", str(tmp_path / "r.html"),
                     store_url=store_url)  # fmt: skip
        assert ended.code == 0, ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.thorough
def test_the_help_names_every_sort_of_file(here: Here) -> None:
    every = [suffix for suffix in SUFFIXES if suffix != ".ndjson"]  # a .jsonl by another name
    for command in (["compare"], ["run"], ["log"], ["datasets", "create"], ["datasets", "append"]):
        said = here(*command, "--help").out
        assert [suffix for suffix in every if suffix not in said] == [], command
    document = (Path(__file__).parents[2] / "docs" / "comparing.md").read_text()
    assert [suffix for suffix in every if f"`{suffix}`" not in document] == []


@pytest.mark.thorough
def test_classification_metrics(here: Here, tmp_path: Path) -> None:
    target = str(tmp_path / "report.html")
    for side in ("bad", "bad.jsonl", "latest"):
        ended = here("report", side, "--truth", "expected", "--positive", "Z", "--report", target)
        assert ended.code == 0, ended.err
        assert "output against expected: 26 of 26 runs compared" in ended.out
        assert "accuracy 0.62" in ended.out
        document = here("report", side, "--truth", "expected", "--positive", "Z", "--report", target, "--json").json
        assert document["classification"]["accuracy"] == pytest.approx(16 / 26)
        assert document["classification"]["binary"]["recall"] == 1.0
        assert "confusion" in Path(target).read_text().lower()
    assert "unknown truth field 'expected.label'" in here.refused("report", "bad", "--truth", "expected.label")
    assert "unknown positive class 'ZZ'" in here.refused("report", "bad", "--truth", "expected", "--positive", "ZZ")


def test_wrong_use_is_said_in_a_line(here: Here, tmp_path: Path) -> None:
    refused = here.refused
    assert "unknown experiment 'god'; did you mean 'good'" in refused("compare", "good", "god")
    assert "unknown tag 'none'" in refused("compare", "tag:none", "good")
    assert "there is no file none.csv" in refused("compare", "none.csv", "good")
    assert "no column 'example_id'" in refused("compare", "letters.csv", "good")
    assert "none.yaml cannot be read" in refused("compare", "good", "bad", "--gate", "none.yaml")
    assert "unknown key 'mni'; did you mean 'min'" in refused(
        "compare", "good", "bad", "--gate", "metrics: {a: {mni: 1}}"
    )
    assert "is not JSON: line 1" in refused("report", "bad", "--gate", "{")
    assert "unknown metric 'corect'" in refused("compare", "good", "bad", "--minimize", "corect")
    assert "confidence must be above 0.5" in refused("compare", "good", "bad", "--confidence", "95")
    assert "does not go with the gate's" in refused(
        "compare", "good", "bad", "--gate", "gate.yaml", "--confidence", "0.9"
    )
    assert "requires an argument" in refused("compare", "good")
    assert "give a baseline" in refused("report", "bad.jsonl", "--comment", str(tmp_path / "comment.md"))
    for option in ("--report", "--junit", "--comment"):
        assert f"{option} {tmp_path} cannot be written: it is a folder; give the path of a file" in refused(
            "compare", "good", "bad", option, str(tmp_path)
        )
        assert "cannot be written: its folder is a file" in refused(
            "report", "bad", option, str(here.command.folder / "gate.yaml" / "x")
        )


def ran(command: CommandLine, task: str, *options: str) -> Ended:
    calls = command.folder / "calls.txt"
    calls.write_text("")
    return command("run", "letters.csv", "--task", f"app.py:{task}", "--evaluator", "app.py:correct", *options)


@pytest.mark.thorough
def test_run_ends_as_the_gate_says(
    command: CommandLine, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--baseline", "tag:baseline", "--gate", "gate.yaml", "--report", str(tmp_path / "report.html"))
    ended = ran(command, "worse", *options, "--junit", str(tmp_path / "junit.xml"), "--name", "worse")
    assert ended.code == 1
    how_far = re.compile(r"run \d+/26, \d+/26 evaluations")  # every five seconds, where it takes so long
    assert [line for line in lines(ended.err) if not how_far.fullmatch(line)] == []
    assert "worse on letters: Ran 26; 0 of 26 failed" in ended.out
    assert "FAILED  worse against good" in ended.out
    assert lines(ended.out)[-1] == f"junit: {tmp_path / 'junit.xml'}"
    ended = ran(command, "answer", *options, "--json")
    assert ended.code == 0, ended.err
    assert ended.json["verdict"]["status"] == "passed"
    assert ended.json["comparison"]["n_pairs"] == 26
    assert ended.json["written"] == {"report": str(tmp_path / "report.html")}
    monkeypatch.setenv("PREFECT_API_URL", str(command.api))
    with settings_for(str(command.api)):
        resumed = here("resume", "worse", *options)
    assert resumed.code == 1
    assert "Reused 26 runs, ran 0" in resumed.out
    assert "FAILED  worse against good" in resumed.out
    # The process ends at once, and what automations wait for has reached the server all the same.
    assert events(command, ended.json["experiment_id"], 1) == ["experiment.completed"]
    worse = command.client().experiments.get(experiment="worse").id
    assert set(events(command, worse, 2)) == {"experiment.completed", "experiment.regressed"}


def events(command: CommandLine, experiment_id: str, expected: int) -> list[str]:
    """The events about an experiment, once there are so many: they reach the server a little later."""
    wanted = {"filter": {"resource": {"id": [f"prefect-experiments.experiment.{experiment_id}"]}}}
    request = urllib.request.Request(
        f"{command.api}/events/filter", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )

    def read() -> list[str]:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            found = sorted(event["event"] for event in json.load(answer)["events"])
        return found if len(found) >= expected else []

    return wait_for(read, f"{expected} events", every=0.2)


@pytest.mark.slow
def test_the_first_run_of_a_team_passes_through_ci(command: CommandLine, tmp_path: Path) -> None:
    """Its store is empty, and the command is the one that will run every night."""
    fresh = replace(command, extra={"PREFECT_EXPERIMENTS_STORE_URL": f"sqlite:///{tmp_path / 'fresh.db'}"})
    files = (
        "--report",
        str(tmp_path / "r.html"),
        "--junit",
        str(tmp_path / "j.xml"),
        "--comment",
        str(tmp_path / "c.md"),
    )
    ended = ran(fresh, "answer", "--baseline", "tag:baseline", "--gate", "gate.yaml", *files)
    assert ended.code == 0, ended.err
    assert "no baseline 'tag:baseline' with results on letters yet" in ended.err
    assert "there was no baseline to compare with" in ended.out
    assert (tmp_path / "c.md").read_text().startswith("# Passed: ")
    ended = ran(fresh, "worse", "--gate", "metrics: {correct: {min: 0.9}}")
    assert ended.code == 1
    assert "below the minimum of 0.90" in ended.out


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gate", "none.yaml"), "none.yaml cannot be read"),
        (("--gate", "metrics: {correct: {mni: 1}}"), "unknown key 'mni'; did you mean 'min'"),
        (("--baseline", "exp-0"), "there is no baseline 'exp-0'"),
        (("--report", "/proc/none/report.html"), "--report /proc/none/report.html cannot be written"),
        (("--comment", "."), "--comment . cannot be written: it is a folder"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_task_is_called(
    here: Here, options: tuple[str, ...], said: str
) -> None:
    calls = here.command.folder / "calls.txt"
    calls.write_text("")
    call = ("run", "letters.csv", "--task", "app.py:answer", "--evaluator", "app.py:correct")
    assert said in here.refused(*call, *options)
    assert calls.read_text() == ""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("call", "kept"),
    [
        (
            ["run", "letters.csv", "--task", "app.py:answer"],
            "The experiment is done; `prefect-experiments report {}` writes its report",
        ),
        (
            ["log", "good.csv", "--dataset", "letters", "--name", "logged"],
            "The results are logged; `prefect-experiments report {}` writes the report",
        ),
    ],
)
def test_a_report_that_cannot_be_written_in_the_end_costs_no_results(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: list[str], kept: str
) -> None:
    """Each of the paths can be written, and both of them cannot."""
    report = tmp_path / "report.html"
    monkeypatch.setenv("PREFECT_API_URL", str(here.command.api))
    with temporary_settings({PREFECT_API_URL: here.command.api, PREFECT_LOGGING_LEVEL: "CRITICAL"}):
        ended = here(*call, "--report", str(report), "--junit", str(report / "junit.xml"), "--json")
    assert ended.code == 2
    made = here.command.client().experiments.get(experiment=ended.json["experiment_id"])
    assert made.example_count == 26
    assert ended.json["error"] == f"{report} cannot be written: it is a folder. {kept.format(made.id)}"
    assert lines(ended.err)[-1] == f"error: {ended.json['error']}"


@pytest.mark.slow
def test_an_experiment_that_stops_has_no_verdict(command: CommandLine, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    ended = ran(command, "fails", "--baseline", "tag:baseline", "--gate", "gate.yaml", "--exit-on-error",
                "--retries", "0", "--report", str(report))  # fmt: skip
    assert ended.code == 3
    assert "error: the task raised ValueError" in ended.err
    assert not report.exists()


@pytest.mark.slow
def test_a_dry_run_judges_nothing(command: CommandLine, tmp_path: Path) -> None:
    ended = ran(command, "worse", "--baseline", "tag:baseline", "--gate", "gate.yaml", "--dry-run", "3",
                "--report", str(tmp_path / "new" / "report.html"))  # fmt: skip
    assert ended.code == 0, ended.err
    assert "nothing was kept" in ended.out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_five_thousand_examples(here: Here, tmp_path: Path) -> None:
    for name, share in (("before", 10), ("after", 8)):
        rows: list[dict[str, Any]] = [
            {
                "example_id": str(n),
                "input": {"question": f"{n} " + "word " * 40},
                "output": {"answer": "word " * 40},
                "latency_ms": 100 + n % 17,
                "eval.correct.score": float(n % share != 0),
                "eval.close.score": (n * share % 101) / 100,
            }
            for n in range(5000)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ended = here("compare", str(tmp_path / "before.jsonl"), str(tmp_path / "after.jsonl"), "--gate", "{}", "--report",
                 str(tmp_path / "r.html"), "--junit", str(tmp_path / "j.xml"))  # fmt: skip
    assert ended.code == 1, ended.err
    assert "on 5,000 pairs" in ended.out
