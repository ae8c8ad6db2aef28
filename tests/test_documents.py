"""Every Python example of the documents runs, in the order in which a reader meets it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from prefect_experiments.analysis.gate import Gate
from prefect_experiments.cli.app import app, run
from support.arize import KEY, StandIn, arize, arize_server
from support.environment import without_prefect
from support.openai_stand_in import OpenAIStandIn
from support.patience import PATIENCE_S
from support.prefect_server import move_in, prefect_server
from support.support_desk import support_desk

__all__ = ["arize", "arize_server"]

ROOT = Path(__file__).resolve().parents[1]


def blocks_of(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def python_blocks(document: Path) -> list[str]:
    return blocks_of(document, "python")


# One after the other in one process: most of a command's time goes into importing Prefect.
COMMANDS = """
import shlex, sys
from prefect_experiments.cli.app import run
for line in sys.argv[1:]:
    if code := run(shlex.split(line)[1:]):
        sys.exit(f"{line}: exit code {code}")
"""


def run_commands(document: Path, folder: Path) -> str:
    """Run the commands of a document, in its order; what they print."""
    text = "\n".join(blocks_of(document, "sh")).replace("\\\n", "")
    commands = [line for line in text.splitlines() if line.startswith("prefect-experiments ")]
    assert commands
    return run_python(["-c", COMMANDS, *commands], folder)


def run_python(arguments: list[str], folder: Path) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.thorough
def test_examples_of_experiments_run(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = python_blocks(ROOT / "docs/experiments.md")
    assert len(blocks) >= 4
    script = tmp_path / "example.py"
    script.write_text("\n".join(blocks))
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    assert "1.00 over 3 of 3" in run_python([str(script)], tmp_path)


# Shell blocks of the README that are not run, each by its whole text, and why.
NOT_RUN = {
    "pip install 'prefect-experiments[cost]' openai arize-phoenix-evals\n": "asks a registry; they are installed here",
    "prefect server start  # in a terminal of its own\n": "the test has a server of its own",
    "export PREFECT_API_URL=http://127.0.0.1:4200/api\n": "likewise",
    """\
make example # compares two prompts on 200 tickets
make demo    # runs two variants of a small application as experiments, without a model
make test    # runs the tests
make up      # starts a Prefect server, a worker and a Phoenix on this machine; make down stops them
make docs    # builds these pages as a site
""": "each has a test of its own: test_example.py, below, tests/deployments, test_site.py",
}
WORKER = "prefect worker start --pool evals  # in a terminal of its own, with your key\n"


def environment_for(folder: Path, prefect_api: str, **settings: str) -> dict[str, str]:
    """For the commands of a document, as a newcomer has it: no settings but these."""
    return {
        **without_prefect(os.environ),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_API_URL": prefect_api,  # without it, Prefect starts a server for each command
        "DO_NOT_TRACK": "1",
        **settings,
    }


def shell(script: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a script as bash does in one terminal; what it prints."""
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_shell_blocks_of_the_readme_run_as_they_stand(tmp_path: Path) -> None:
    """All of them in one terminal, in a folder that has what a clone has in `examples`, up to a night of the gate."""
    blocks = blocks_of(ROOT / "README.md", "sh")
    assert {*NOT_RUN, WORKER} <= set(blocks), "a block that is not run has changed: look whether it can be now"
    folder = tmp_path / "fresh"
    shutil.copytree(
        ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("report.html", "desk", "__pycache__")
    )
    # The worker goes on for ever: it has a terminal of its own there, and is sent to the background here.
    run = [f"{block.partition('#')[0]} &>worker.log &\n" if block == WORKER else block for block in blocks]
    script = "".join(
        ["trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n", *(block for block in run if block not in NOT_RUN)]
    )
    with prefect_server() as api, support_desk() as server:
        settings = {"OPENAI_API_KEY": "a-key", "OPENAI_BASE_URL": server.url, "COLUMNS": "120"}
        printed = shell(script, folder, environment_for(tmp_path, api, **settings))
    shown = {line.rstrip() for line in printed.splitlines()}
    [text] = blocks_of(ROOT / "README.md", "text")
    for line in text.splitlines():
        assert line.rstrip() in shown
    assert "GatePassed" in printed
    assert (folder / "examples/support/report.html").exists()


def test_the_readme_shows_what_is_in_the_example() -> None:
    shown = re.findall(r"^```python file=(\S+)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert {name for name, _ in shown} == {"app.py", "evaluators.py"}
    for name, text in shown:
        assert text in (ROOT / "examples/support" / name).read_text()


@pytest.mark.slow
def test_shell_blocks_on_the_command_line_and_the_store_run_as_they_stand(
    prefect_api: str, phoenix_url: str, tmp_path: Path
) -> None:
    """One after the other, in one fresh folder: no file is there that an earlier block has not made."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    environment = environment_for(tmp_path, prefect_api)
    printed = {}
    for block in blocks_of(ROOT / "docs/command-line.md", "sh") + blocks_of(ROOT / "docs/store.md", "sh"):
        script = block.replace("http://localhost:6006", phoenix_url)  # where the tests' Phoenix is
        printed[block] = shell(script, folder, environment)
    [nightly] = [said for block, said in printed.items() if "--name nightly" in block]
    assert "nightly on questions: Ran 40; 0 of 40 failed" in nightly
    assert "exact_match  1.00 over 40 of 40" in nightly
    assert "PASSED" in "".join(printed.values())
    assert {path.name for path in folder.iterdir()} >= {"results.csv", "report.html", "backup.db"}


# Blocks of deploying.md that do not run as they stand: three of README's kind, and the worker that goes on for ever.
OF_TERMINALS = {
    "prefect server start  # in a terminal of its own; Prefect Cloud does as well\n",
    "export PREFECT_API_URL=http://127.0.0.1:4200/api\n",
}
OTHER_WORKER = "prefect worker start --pool evals  # in a terminal of its own, with the keys that your task needs\n"
ADD_PARAMETERS = """\
import sys, yaml
project = yaml.safe_load(open("prefect.yaml"))
project["deployments"][0]["parameters"] |= yaml.safe_load(sys.argv[1])["parameters"]
yaml.safe_dump(project, open("prefect.yaml", "w"))
"""


def in_a_terminal(kind: str, name: str, block: str) -> str:
    """A block of deploying.md as what a reader types, or does with an editor."""
    if block in OF_TERMINALS:
        return ""
    if kind == "yaml":
        added = f"python -c {shlex.quote(ADD_PARAMETERS)} {shlex.quote(block)}\n"
        return f"{added}prefect --no-prompt deploy --all\nprefect deployment run regression/nightly-desk --watch\n"
    if kind == "python":
        return f"printf %s {shlex.quote(block)} > {name}\n" if name else f"python -c {shlex.quote(block)}\n"
    return f"{block.partition('#')[0]} &>worker.log &\n" if block == OTHER_WORKER else block


@pytest.mark.slow
def test_examples_of_deploying_run(tmp_path: Path) -> None:
    """All of them, in one fresh folder, in the order of the document: files, commands, and changes of prefect.yaml."""
    document = (ROOT / "docs/deploying.md").read_text()
    found = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", document, flags=re.MULTILINE | re.DOTALL)
    assert {*OF_TERMINALS, OTHER_WORKER} <= {block for _, _, block in found}
    folder = tmp_path / "fresh"
    folder.mkdir()
    script = "".join(["trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT\n", *(in_a_terminal(*one) for one in found)])
    with prefect_server() as api:
        printed = shell(script, folder, environment_for(tmp_path, api, COLUMNS="120"))
        with httpx.Client(base_url=f"{api}/", trust_env=False, timeout=PATIENCE_S) as http:
            [deployment] = http.post("deployments/filter", json={}).raise_for_status().json()
    folder /= "desk"
    assert printed.count("Flow run finished successfully in 'GatePassed'") == 3
    assert deployment["parameters"]["options"]["limits"]["limits"]["concurrency"] == 4
    assert "(https://builds.example.com/7/report.html)" in (folder / "comment.md").read_text()
    assert (folder / "before-upgrade.db").exists()
    wrote = {line.partition("`")[2].partition("`")[0] for line in document.splitlines() if line.startswith("| `")}
    assert all((folder / name).exists() for name in wrote)


# Blocks of workers.md that need a cluster or other hosts, by what they call; and the worker that goes on for ever.
ON_CLUSTERS = ("docker ", "kubectl ", "python deployments/kubernetes/", "dask ", "from prefect_dask ")
CREWS_WORKER = "prefect worker start --pool crew  # in a terminal of its own, with the keys that your task needs\n"


@pytest.mark.slow
def test_examples_of_workers_run(postgres_url: str, tmp_path: Path) -> None:
    """The files, the commands, and the script, in one fresh folder."""
    document = (ROOT / "docs/workers.md").read_text()
    found = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", document, flags=re.MULTILINE | re.DOTALL)
    here = [(name, block) for _, name, block in found if not block.startswith(ON_CLUSTERS)]
    assert len(here) == 6
    lines = ["trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT\n"]
    for name, block in here:
        if name:
            (tmp_path / name).write_text(block)
        else:
            lines.append(f"{block.partition('#')[0]} &>worker.log &\n" if block == CREWS_WORKER else block)
    with prefect_server() as api:
        settings = {"PREFECT_EXPERIMENTS_HOME": str(tmp_path), "PREFECT_EXPERIMENTS_STORE_URL": postgres_url}
        printed = shell("".join(lines), tmp_path, environment_for(tmp_path, api, COLUMNS="120", **settings))
    assert "exact_match  1.00 over 100 of 100" in printed
    assert printed.splitlines()[-1] == "100"


@pytest.mark.slow
def test_examples_of_phoenix_run(
    prefect_api: str, phoenix_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "example.py"
    mine = f"sums-{uuid.uuid4().hex[:8]}"  # the tests share one Phoenix
    text = "\n".join(python_blocks(ROOT / "docs/phoenix.md"))
    script.write_text(text.replace('"sums"', f'"{mine}"').replace("from-production", f"{mine}-traces"))
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PHOENIX_BASE_URL", phoenix_url)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    assert f"{phoenix_url}/datasets/" in run_python([str(script)], tmp_path)


@pytest.mark.slow
def test_examples_of_comparing_run(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ROOT / "docs/comparing.md"
    (tmp_path / "example.py").write_text("\n".join(blocks_of(document, "python")))
    gate, every_night = blocks_of(document, "yaml")
    (tmp_path / "gate.yaml").write_text(gate)
    assert Gate.parse(every_night).nights == 30
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")

    assert "says so where people do not in 17 of 77" in run_python(["example.py"], tmp_path)
    printed = run_python(["-m", "prefect_experiments.cli", "compare", "version 1", "version 2"], tmp_path)
    shown = [line.rstrip() for line in printed.splitlines()]
    for line in "".join(blocks_of(document, "text")).splitlines():
        assert line in shown


@pytest.mark.slow
def test_examples_of_passing_run(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ROOT / "docs/passing.md"
    (tmp_path / "entries.py").write_text("\n".join(blocks_of(document, "python")))
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    printed = run_python(["entries.py"], tmp_path)
    passing, waiting = blocks_of(document, "sh")
    done = subprocess.run(
        [sys.executable, "-m", "prefect_experiments.cli", *shlex.split(passing)[1:]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1, done.stderr  # an entry has failed
    shown = [line.rstrip() for line in f"{printed}\n{done.stdout}".splitlines()]
    for line in "".join(blocks_of(document, "text")).splitlines():
        assert line in shown
    assert "polite" in run_python(["-m", "prefect_experiments.cli", *shlex.split(waiting)[1:]], tmp_path)
    [gate] = blocks_of(document, "yaml")
    (tmp_path / "gate.yaml").write_text(gate)
    judged = [sys.executable, "-m", "prefect_experiments.cli", "compare", "latest", "latest", "--gate", "gate.yaml"]
    done = subprocess.run(judged, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_S)
    assert "and 90 % must" in " ".join(done.stdout.split()), done.stdout + done.stderr


@pytest.mark.slow
def test_examples_of_cost_run(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ROOT / "docs/cost.md"
    (tmp_path / "example.py").write_text("\n".join(python_blocks(document)))
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    [prices] = blocks_of(document, "sh")
    name, _, value = prices.strip().removeprefix("export ").partition("=")
    [value] = shlex.split(value)
    monkeypatch.setenv(name, value)
    with OpenAIStandIn(tokens=(1000, 100)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        printed = run_python(["example.py"], tmp_path)
    assert "task 4,400 tokens for $0.00084, judges 4,400 tokens for $0.00084, together $0.00168" in printed
    assert "stopped: the budget of $0.005 is spent" in printed
    assert printed.splitlines()[-1] == "40"


@pytest.mark.slow
def test_examples_of_notebooks_run(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a script; `reports/test_notebook.py` runs them as a notebook."""
    document = ROOT / "docs/notebooks.md"
    (tmp_path / "example.py").write_text("\n".join(python_blocks(document)))
    (tmp_path / "tickets.csv").write_text("id,input,output\n1,I was charged twice,billing\n")
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    shown = [line.rstrip() for line in run_python(["example.py"], tmp_path).splitlines()]
    for line in "".join(blocks_of(document, "text")).splitlines():
        assert line in shown
    assert "made sure of dataset tickets" in run_commands(document, tmp_path)


@pytest.mark.slow
def test_examples_of_logging_run(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ROOT / "docs/logging.md"
    blocks = python_blocks(document)
    (tmp_path / "example.py").write_text("\n".join(blocks))
    (tmp_path / "my_app.py").write_text(blocks[-1].partition("assert ")[0])
    (results,) = blocks_of(document, "csv")
    (tmp_path / "results.csv").write_text(results)
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    said = run_python(["example.py"], tmp_path)
    assert "0.50 over 2 of 3; 1 task error; between 0.333 and 0.667" in said
    assert "1 row has an unknown id: 'ft' (row 2)" in said
    assert "2 examples have no result: 'jp', 'pe'" in said
    assert "these very results were logged under this name before" in run_commands(document, tmp_path)
    assert (tmp_path / "runs.jsonl").read_text().count("\n") == 3
    assert (tmp_path / "runs.csv").exists()


@pytest.mark.slow
def test_examples_of_pytest_run(prefect_api: str, tmp_path: Path) -> None:
    """The files as they stand there, and the commands in the folder with them."""
    document = ROOT / "docs/pytest.md"
    files = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
    for name, text in files.findall(document.read_text()):
        (tmp_path / name).write_text(text)
    environment = {
        **without_prefect({name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_API_URL": prefect_api,
        "PREFECT_EXPERIMENTS_STORE_URL": f"sqlite:///{tmp_path / 'experiments.db'}",
        # As where the package is installed, and nothing else that is installed here has a say.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "prefect_experiments.pytest_plugin",
    }
    script = "\n".join(blocks_of(document, "sh"))
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for block in blocks_of(document, "text"):
        for line in block.splitlines():
            assert re.search(re.escape(line).replace("…", ".*"), done.stdout), line
    assert re.search(r"\d+ passed, 2 xfailed", done.stdout)
    assert "PASSED       arithmetic on arithmetic" in done.stdout
    assert (tmp_path / "junit.xml").exists()


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("backend", ["local", "arize"])
def test_examples_of_coming_from_phoenix_and_ax_run(
    backend: str, arize: StandIn, prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the store, as they stand there; and on a stand-in for AX."""
    document = ROOT / "docs/coming-from-phoenix-and-ax.md"
    (tmp_path / "example.py").write_text("\n".join(python_blocks(document)))
    (tmp_path / "my_app.py").write_text("def answer(input):\n    return str(eval(input))\n")
    (tmp_path / "questions.csv").write_text("id,input,output\na,1+1,t2\n")
    (tmp_path / "results.csv").write_text("example_id,output\na,t2\n")
    arize.add_space("my-space")
    for name, value in {
        "PREFECT_API_URL": prefect_api,
        "PREFECT_EXPERIMENTS_STORE_URL": f"sqlite:///{tmp_path / 'experiments.db'}",
        "PREFECT_EXPERIMENTS_BACKEND": backend,
        "ARIZE_API_KEY": KEY,
        "ARIZE_SPACE_ID": "default",
        "ARIZE_API_HOST": arize.host,
        "ARIZE_API_PORT": str(arize.port),
        "ARIZE_API_SCHEME": "http",
    }.items():
        monkeypatch.setenv(name, value)
    assert "Thomas Edison invented the Telephone" in run_python(["example.py"], tmp_path)
    if backend == "arize":
        run_commands(document, tmp_path)
        there = {one["name"]: len(one["runs"]) for one in arize.state()["experiments"]}
        assert there == {"greeting": 4, "basic": 3, "nightly": 1, "by hand": 1}


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("home", ["with a database", "empty"])
def test_the_demo_runs_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """As a newcomer runs it: no server, no settings, a home of its own."""
    if home != "empty":
        move_in(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, str(ROOT / "flows/demo/run.py")], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for evaluator in ("right_document", "answer_found", "overlap"):
        assert re.search(rf"{evaluator} +│ 0\.\d+ over 77 of 77 +│ 0\.\d+ over 77 of 77", done.stdout)


@pytest.mark.slow
def test_the_measurements_of_sizing_run(postgres_url: str) -> None:
    """As they stand but for the number of examples, and the database's URL."""
    [block] = blocks_of(ROOT / "docs/sizing.md", "sh")
    on_sqlite, on_postgres, workers = block.splitlines()
    for line in (
        on_sqlite.replace("100000", "300"),
        on_postgres.replace("1000000", "300").replace("postgresql://USER:PASSWORD@HOST/NAME", postgres_url),
        f"{workers.partition('#')[0]} 60",
    ):
        command = [sys.executable, *shlex.split(line, comments=True)[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert re.search(r"\d (examples/s|calls of)|examples/s", done.stdout)


def test_commands_in_the_documents_exist(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    commands = {name for text in texts for name in re.findall(r"^prefect-experiments ([a-z]\w*)", text, re.MULTILINE)}
    assert {"run", "init", "compare", "log"} <= commands
    for command in sorted(commands):
        assert run([command, "--help"]) == 0, capsys.readouterr().err


def test_commands_in_the_document_on_comparing_are_understood() -> None:
    document = ROOT / "docs/comparing.md"
    text = "\n".join(blocks_of(document, "sh")).replace("\\\n", "")
    inline = re.findall(r"`(prefect-experiments [^`]+)`", document.read_text().replace("\n", " "))
    commands = [line for line in [*text.splitlines(), *inline] if line.startswith("prefect-experiments ")]
    assert len(commands) >= 6
    for command in commands:
        app.parse_args(shlex.split(command, comments=True)[1:], exit_on_error=False, print_error=False)


def test_the_table_of_faults_names_every_test_of_them() -> None:
    folder = ROOT / "tests" / "faults"
    table = (folder / "README.md").read_text()
    texts = [path.read_text() for path in folder.glob("test_*.py")]
    tests = {name for text in texts for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)}
    named = {name for name in re.findall(r"\btest_\w+", table) if not (folder / f"{name}.py").exists()}
    assert tests == named
