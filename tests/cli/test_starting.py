"""The command line as it is installed: what starting it costs, help, version, usage errors."""

from __future__ import annotations

import importlib.metadata
import io
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from prefect_experiments.cli.app import app
from support.patience import PATIENCE_S

from .harness import Here, lines

COMMANDS = [
    *("run", "resume", "evaluate", "list", "show", "runs", "export", "annotate", "tag", "delete", "backends"),
    "datasets",
]
DATASET_COMMANDS = ["create", "append", "list", "show", "sample", "export", "delete"]
HEAVY = ["prefect", "pandas", "sqlalchemy", "scipy", "rapidfuzz", "pyarrow", "alembic"]


@pytest.mark.thorough
@pytest.mark.parametrize("option", ["--help", "--version", "run --help"])
def test_help_and_version_import_nothing_heavy(option: str) -> None:
    code = f"""
import sys
from prefect_experiments.cli.app import run
code = run({option.split()!r})
heavy = sorted(set({HEAVY!r}) & set(sys.modules))
sys.exit(f"imported: {{heavy}}" if heavy else code)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


def test_the_installed_command_knows_its_version() -> None:
    script = Path(sys.executable).with_name("prefect-experiments")
    ended = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.stdout.strip() == importlib.metadata.version("prefect-experiments")


def test_every_command_has_help(here: Here) -> None:
    root = here("--help")
    assert root.code == 0
    assert root.out.startswith("Usage: prefect-experiments")
    assert "Run evaluation experiments on AI applications as Prefect flows." in root.out
    assert "Exit codes: 0 done (and the gate passed), 1 the gate failed" in " ".join(root.out.split())
    for command in COMMANDS:
        assert f" {command} " in root.out
        described = here(command, "--help")
        assert described.code == 0
        summary = lines(described.out)[1]
        assert summary.endswith((".", ":"))
    for command in DATASET_COMMANDS:
        assert f" {command} " in here("datasets", "--help").out
        assert here("datasets", command, "--help").code == 0
    run = " ".join(here("run", "--help").out.replace("│", "").split())
    assert "prefect-experiments run questions.csv --task app.py:answer" in run
    assert "for a sample: so many examples; all of them where" in run
    assert "--metadata-key STR... the columns that make the metadata. Can be given several times." in run


LIMITS = {"--timeout": "60", "--retries": "3", "--concurrency": "10", "--workers": "2"}
DEFAULTS = {
    "run": {"--repetitions": "1", "--first-run": "False", "--pooled": "1", "--sample-method": "random",
            "--sample-seed": "42", **LIMITS},
    "resume": LIMITS,
    "evaluate": LIMITS,
    "log": {"--first-run": "False", "--pooled": "1", "--example-id": "example_id", "--output": "output"},
    "compare": {"--pooled": "1"},
    "report": {"--prediction": "output"},
    "plan": {},
    "passing": {"--threshold": "0.5"},
    "list": {"--limit": "50"},
    "runs": {"--limit": "50"},
    "pending": {"--limit": "50"},
    "doctor": {"--wait": "5.0"},
    "datasets create": {"--if-exists": "error"},
    "datasets list": {"--limit": "50"},
    "datasets sample": {"--method": "random", "--seed": "42"},
    "store backup": {"TARGET": "."},
}  # fmt: skip


@pytest.mark.parametrize("command", DEFAULTS)
@pytest.mark.thorough
def test_the_help_says_what_holds_where_nothing_is_given(command: str) -> None:
    said = io.StringIO()
    app.help_print(command.split(), console=Console(file=said, width=1000))
    assert dict(re.findall(r"(?m)^│ \*? *(\S+) .*\[default: (.*?)\]", said.getvalue())) == DEFAULTS[command]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["rnu"], 'Unknown command "rnu". Did you mean "run"?'),
        (["run", "rows.csv"], "--task"),
        (["run", "rows.csv", "--task", "x:y", "--bogus"], "Unknown option: --bogus"),
        (["run", "rows.csv", "--task", "x:y", "--concurrency", "many"], "--concurrency"),
        (["run", "rows.csv", "--task", "x:y", "--metadata", "[1]"], "--metadata must be a JSON object, got '[1]'"),
        (
            ["run", "rows.csv", "--task", "x:y", "--metadata", "{"],
            "--metadata must be a JSON object, got '{', which is ",
        ),
        (["run", "rows.csv", "--task", "x:y", "--sample-n", "0"], "Sample.n must be"),
        (["run", "rows.csv", "--task", "x:y", "--sample-by", "topic"], "Sample takes n= or fraction="),
        (["run", "rows.csv", "--task", "os.path:basename", "--dry-run", "0"], "dry_run must be"),
        (["run", "rows.csv", "--task", "nowhere:y"], "there is no module 'nowhere'"),
        (["run", "rows.csv", "--task", "os.path:basename", "--evaluator", "nope"], "unknown built-in evaluator 'nope'"),
        (["run", "rows.csv", "--task", "os.path:basename", "--timeout", "-1"], "timeout must be above 0"),
        (["run", "rows.csv", "--task", "os.path:basename", "--backend", "lokal"], "did you mean 'local'?"),
        (["run", "rows.csv", "--task", "os.path:basename", "--split", "dev"], "unknown split 'dev'"),
        (["run", "raws", "--task", "os.path:basename"], "unknown dataset 'raws'"),
        (["run", "odd.csv", "--task", "os.path:basename"], "Give --input-key COLUMN, --output-key COLUMN; columns: "),
        (["run", "rows.csv", "--task", "ap.py:answer"], "there is no file ap.py; did you mean 'app.py'?"),
        (["run", "row.csv", "--task", "app.py:answer"], "there is no file row.csv; did you mean 'rows.csv'?"),
        (["run", "rows.csv", "--task", "os.path:basename", "--type", "txt=json"], "--type: unknown column 'txt'"),
        (["run", "rows.csv", "--task", "os.path:basename", "--type", "input=float"], "--type input=...: unknown type"),
        (["log", "rows.csv", "--dataset", "d", "--score", "a=x", "--score", "a=y"], "--score is given twice for 'a'"),
        (["log", "rows.csv", "--dataset", "d", "--kind", "human"], "--kind takes NAME=KIND, got 'human'"),
        (["log", "rows.csv", "--dataset", "d", "--score", "a="], "--score takes NAME=COLUMN, got 'a='"),
        (
            ["log", "rows.csv", "--dataset", "d", "--explanation", "a=why"],
            "evaluator 'a' has neither a score nor a label; give --score a=COLUMN",
        ),
        (
            ["run", "kept", "--task", "os.path:basename", "--input-key", "x"],
            "--input-key is for files; the dataset 'kept' is kept with its examples as they are",
        ),
        (["resume", "nothing"], "unknown experiment 'nothing'"),
        (["evaluate", "nothing"], "--evaluator"),
        (["show", "latest"], "there is no experiment yet"),
        (["list", "--limit", "0"], "limit must be between 1 and 1000"),
        (["list", "--cursor", "x"], "is not a cursor"),
        (["annotate", "exp-1.0.1", "--name", "tone"], "no score, no label and no text"),
        (["annotate", "exp-1.0.1", "--name", "tone", "--score", "1"], "not in the store"),
        (["datasets", "create", "d", "nothing.csv"], "nothing.csv"),
        (["datasets", "show", "d"], "unknown dataset 'd'"),
        (["datasets", "sample", "d"], "Sample takes n= or fraction="),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else value[:20],
)
def test_wrong_use_is_one_line_and_code_2(arguments: list[str], text: str, here: Here) -> None:
    Path("odd.csv").write_text("question\nwhy?\n")
    Path("app.py").write_text("def answer(input):\n    return input\n")
    ended = here(*arguments)
    assert ended.code == 2
    [line] = lines(ended.err)
    assert line.startswith("error: ")
    assert text in line
    assert not ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--bogus", "--json"],
        ["show", "nothing", "--json"],
        ["--json=true", "run", "none.csv", "--task", "os.path:basename"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_error_is_a_document_too(arguments: list[str], here: Here) -> None:
    ended = here(*arguments)
    assert ended.code == 2
    [line] = lines(ended.err)
    assert ended.json == {"error": line.removeprefix("error: "), "experiment_id": None}
    assert '"experiment_id"' in here("--help").out


def test_debug_shows_the_traceback_as_well(here: Here) -> None:
    ended = here("show", "nothing", "--debug")
    assert ended.code == 2
    assert "Traceback (most recent call last)" in ended.err
    assert lines(ended.err)[-1].startswith("error: unknown experiment 'nothing'")


def test_a_store_that_does_not_answer_is_code_3_without_its_password(capfd: pytest.CaptureFixture[str]) -> None:
    from prefect_experiments.cli.app import run

    assert run(["list", "--store-url", "postgresql://tester:hidden-word@127.0.0.1:9/store"]) == 3
    [line] = lines(capfd.readouterr().err)
    assert line.startswith("error: the store at postgresql")
    assert "hidden-word" not in line


def test_what_nobody_expected_is_one_line_too(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr("prefect_experiments.client.Experiments.list", broken)
    ended = here("list")
    assert ended.code == 3
    said = "RuntimeError: first second (run with --debug for the traceback)"
    assert lines(ended.err) == [f"error: {said}"]
    assert here("list", "--json").json == {"error": said, "experiment_id": None}


@pytest.mark.parametrize(
    "error", [RuntimeError("Failed to reach API at http://127.0.0.1:9/api/"), httpx.ConnectError("refused")]
)
def test_what_prefects_client_says_of_a_server_that_is_away_is_a_line_with_advice(
    error: Exception, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("prefect_experiments.client.Experiments.list", broken)
    ended = here("list")
    assert (ended.code, lines(ended.err)) == (
        3,
        [
            f"error: Prefect's server does not answer ({error}). Is PREFECT_API_URL right, and is the server running? "
            "`prefect server start` starts one; without PREFECT_API_URL each run gets one of its own"
        ],
    )


def test_a_folder_that_was_deleted_meanwhile(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ended = here("init", "--yes")
    assert lines(ended.err) == ["error: the current directory does not exist any more; go to one that does"]
    assert ended.code == 3


def test_whose_store_url_is_wrong(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect_experiments.cli.app import run

    monkeypatch.delenv("PREFECT_EXPERIMENTS_STORE_URL", raising=False)
    assert run(["list", "--store-url", "foo"]) == 2
    assert capfd.readouterr().err.startswith("error: the store's URL 'foo' is not a database URL; ")
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", "bar")
    assert run(["list", "--store-url", "foo:s3cret@host"]) == 2
    assert capfd.readouterr().err.startswith("error: the store's URL is not a database URL; ")
    assert run(["list"]) == 2
    assert capfd.readouterr().err.startswith("error: PREFECT_EXPERIMENTS_STORE_URL is not a database URL")


def test_what_python_calls_by_another_name_is_said_as_it_is_here(here: Here) -> None:
    Path("strange.csv").write_text("who,what\nr1,A\n")
    odd = here("log", "strange.csv", "--dataset", "rows.csv")
    assert odd.code == 2
    assert "Here that is --example-id and --output" in odd.err
    assert here("datasets", "create", "mine", "rows.csv").code == 0
    Path("others.csv").write_text("example_id,output\nnobody,x\n")
    unknown = here("log", "others.csv", "--dataset", "mine")
    assert unknown.code == 2
    assert "Here that is --allow, once for each" in unknown.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["history", "support", "--last", "2.5"], "Invalid value for --last: '2.5' is no whole number."),
        (["compare", "a", "b", "--pooled", "2.5"], "Invalid value for --pooled: '2.5' is no whole number."),
        (["run", "a.csv", "--task", "m:f", "--repetitions", "1.5"], "Invalid value for --repetitions: '1.5'"),
        (["history", "support", "--last", "many"], 'Invalid value for --last: unable to convert "many" into int.'),
        (["history", "support", "--last", "2.0"], "unknown dataset 'support'"),
    ],
)
def test_a_number_of_something_is_a_whole_one(given: list[str], said: str, here: Here) -> None:
    ended = here(*given)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
