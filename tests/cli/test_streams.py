"""What a shell can do to a command: streams that are closed or full, readers and directories that are gone."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.patience import PATIENCE_S

from .harness import CommandLine, Ended, lines

RUN = ("run", "rows.csv", "--task", "app.py:slow", "--evaluator", "app.py:right")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def ended(cli: CommandLine, *arguments: str, **options: Any) -> Ended:
    with cli.start(*arguments, **options) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    return Ended(process.returncode, out or "", err or "")


def closing(*numbers: int) -> dict[str, Any]:
    """As ``>&-`` does; the streams that stay open are read."""
    pipes = {name: None for number, name in enumerate(("stdin", "stdout", "stderr")) if number in numbers}
    return {**pipes, "preexec_fn": lambda: [os.close(number) for number in numbers]}


def finished(cli: CommandLine, name: str) -> str:
    """The id of an experiment, all runs of which are kept."""
    ran = cli.client().experiments.get_results(experiment=name)
    assert (ran.summary.n_runs, ran.summary.n_errors) == (4, 0)
    return ran.experiment_id


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_a_closed_stream_is_one_that_nobody_reads(numbers: tuple[int, ...], cli: CommandLine) -> None:
    listed = ended(cli, "list", **closing(*numbers))
    assert listed.code == 0
    assert not listed.err
    assert ended(cli, "show", "nothing", "--json", **closing(*numbers)).code == 2


@pytest.mark.thorough
def test_a_run_with_all_streams_closed_is_kept_and_judged(cli: CommandLine) -> None:
    gate = "metrics: {right: {min: 0.9}}"
    judged = ended(cli, *RUN, "--name", "closed", "--gate", gate, **closing(0, 1, 2))
    assert judged.code == 1
    finished(cli, "closed")


@pytest.mark.thorough
@pytest.mark.mostly_slow
@needs_full
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=str)
def test_where_the_result_cannot_be_printed_the_experiment_is_named(as_json: tuple[str, ...], cli: CommandLine) -> None:
    name = f"full{len(as_json)}"
    with FULL.open("w") as full:
        unprinted = ended(cli, *RUN, "--name", name, *as_json, stdout=full)
    assert unprinted.code == 3
    said = [line for line in lines(unprinted.err) if not line.startswith("run ")]
    why = "the result could not be printed (No space left on device)"
    assert said == [f"error: {why}; experiment {finished(cli, name)} is complete"]


@pytest.mark.thorough
@pytest.mark.mostly_slow
@needs_full
@pytest.mark.parametrize("command", ["list", "list --json", "--help", "compare --help"])
def test_nothing_else_can_be_printed_either(command: str, cli: CommandLine) -> None:
    with FULL.open("w") as full:
        unprinted = ended(cli, *command.split(), stdout=full)
        assert unprinted.code == 3
        assert lines(unprinted.err) == ["error: the result could not be printed (No space left on device)"]
        assert ended(cli, *command.split(), stdout=full, stderr=full).code == 3


@pytest.mark.mostly_slow
@pytest.mark.parametrize("command", ["list", "list --json", "--help"])
def test_a_reader_that_is_gone_is_no_error(command: str, cli: CommandLine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended(cli, *command.split(), stdout=writer) == Ended(0, "", "")
    finally:
        os.close(writer)


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize(("scores", "code"), [([1, 1, 0, 1] * 10, 0), ([0] * 40, 1)])
@pytest.mark.parametrize("form", ["", "--json"])
def test_a_reader_that_has_seen_enough_leaves_the_verdicts_exit_code(
    scores: list[int], code: int, form: str, cli: CommandLine
) -> None:
    """``compare ... | head -1``, with a reader that is there for the first line, and with none."""
    for name, given in (("before", [1, 1, 0, 1] * 10), ("after", scores)):
        rows = "".join(f"q{number},{score}\n" for number, score in enumerate(given))
        (cli.folder / f"{name}.csv").write_text(f"example_id,eval.right.score\n{rows}")
    (cli.folder / "gate.yaml").write_text("metrics: {right: {}}\n")
    command = ("compare", "before.csv", "after.csv", "--gate", "gate.yaml", *form.split())
    assert ended(cli, *command).code == code
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended(cli, *command, stdout=writer) == Ended(code, "", "")
    finally:
        os.close(writer)
    words = " ".join(shlex.quote(word) for word in (sys.executable, "-m", "prefect_experiments.cli", *command))
    piped = ["bash", "-c", f"set -o pipefail; {words} | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}"]
    assert subprocess.run(piped, cwd=cli.folder, env=cli.environment, timeout=PATIENCE_S).returncode == code


# --- the current directory ----------------------------------------------------------------------


def nowhere(place: Path) -> dict[str, Any]:
    """In a directory that is deleted before the command begins."""
    place.mkdir()

    def enter() -> None:
        os.chdir(place)
        place.rmdir()

    return {"cwd": place.parent, "preexec_fn": enter}


@pytest.mark.slow
def test_without_a_current_directory_absolute_paths_do(cli: CommandLine, tmp_path: Path) -> None:
    arguments = ("run", str(cli.folder / "rows.csv"), "--task", f"{cli.folder}/app.py:slow")
    done = ended(cli, *arguments, "--name", "nowhere", **nowhere(tmp_path / "gone"))
    assert done.code == 0, done.err
    finished(cli, "nowhere")


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("run rows.csv --task os.path:basename", 2),
        ("compare none.csv none.csv", 2),
        ("report latest", 2),
        ("datasets export kept out.csv", 2),
        ("list --store-url sqlite:///store.db", 2),
    ],
)
def test_without_a_current_directory_the_error_names_it(
    command: str, code: int, cli: CommandLine, tmp_path: Path
) -> None:
    datasets = cli.client().datasets
    if "kept" not in [found.name for found in datasets.list_datasets()]:
        datasets.create_dataset(name="kept", examples=[{"id": "e", "input": 1}])
    refused = ended(cli, *command.split(), **nowhere(tmp_path / "gone"))
    [line] = lines(refused.err)
    assert "the current directory does not exist any more" in line
    assert refused.code == code
