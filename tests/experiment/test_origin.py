"""Where an experiment comes from: what its metadata says besides what the caller gave."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.origin import git_facts, given, marked, origin_of
from prefect_experiments.reports.files import write_report

ROWS = [{"id": f"e{n}", "input": n, "output": n} for n in range(8)]
quiet: dict[str, Any] = {"dataset": ROWS, "print_summary": False}


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(folder: Path) -> str:
    """A repository with one file in it; its commit."""
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "app.py").write_text("first")
    git(folder, "add", "app.py")
    git(folder, "commit", "-q", "-m", "first")
    return git(folder, "rev-parse", "HEAD")


def same(input: int) -> int:
    return input


def right(output: int, expected: int) -> bool:
    return output == expected


def test_the_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    clean, changed = tmp_path / "clean", tmp_path / "changed"
    commit, other = repository(clean), repository(changed)
    (clean / "notes.txt").write_text("Git does not know this file")
    (changed / "app.py").write_text("second")
    assert git_facts(clean) == {"git_commit": commit, "git_dirty": False}
    assert git_facts(changed) == {"git_commit": other, "git_dirty": True}


@pytest.mark.thorough
def test_each_experiment_is_at_the_commit_that_it_was_run_at(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "app"
    first = repository(folder)
    monkeypatch.chdir(folder)
    run = client.experiments.run_experiment
    before = run(task=same, **quiet)
    (folder / "app.py").write_text("second")
    meanwhile = run(task=same, **quiet)
    git(folder, "commit", "-q", "-a", "-m", "second")
    after = run(task=same, **quiet)
    origins = [client.experiments.get(experiment=each).origin for each in (before, meanwhile, after)]
    assert [(origin["git_commit"], origin["git_dirty"]) for origin in origins] == [
        (first, False), (first, True), (git(folder, "rev-parse", "HEAD"), False),
    ]  # fmt: skip


def test_nothing_where_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare, without_git = tmp_path / "bare", tmp_path / "without"
    bare.mkdir()
    git(bare, "init", "-q")
    assert git_facts(bare) == {}, "there is no commit yet"
    assert git_facts(tmp_path) == {}, "no repository"
    assert git_facts(tmp_path / "nowhere") == {}
    repository(without_git)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_facts(without_git) == {}, "no Git"


def test_facts_stand_beside_what_was_given() -> None:
    first = marked({"model": "m"}, git_commit="c", flow_run_url=None)
    second = marked(first, gate="passed")
    assert given(second) == {"model": "m"}
    assert origin_of(second) == {"git_commit": "c", "gate": "passed"}
    assert marked({}) == {}
    assert origin_of({"prefect_experiments": "of the caller's"}) == {}


def test_an_experiment_knows_its_commit_its_flow_run_and_its_verdict(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository(tmp_path / "app")
    monkeypatch.chdir(tmp_path / "app")
    run = client.experiments.run_experiment
    first = run(task=same, evaluators=[right], experiment_metadata={"model": "m"}, **quiet)
    second = run(task=same, evaluators=[right], baseline=first, gate={"metrics": {"right": {}}}, **quiet)
    assert first.experiment_metadata == {"model": "m"}
    kept = client.experiments.get(experiment=second)
    origin = kept.origin
    assert (origin["git_commit"], origin["git_dirty"]) == (commit, False)
    assert second.verdict is not None
    assert origin["gate"] == second.verdict.status
    assert origin["flow_run_id"] in origin["flow_run_url"] == second.flow_run_url
    assert second.to_dict()["flow_run_url"] == second.flow_run_url
    assert second.flow_run_url != first.flow_run_url

    again = client.experiments.resume_experiment(experiment=first, print_summary=False)
    assert again.flow_run_url not in (None, first.flow_run_url), "it leads to who made it last"
    assert again.experiment_metadata == {"model": "m"}

    comment = write_report(second, tmp_path / "c.md", page="https://reports.example.com/1").read_text()
    shown, _, folded = comment.partition("<details>")
    assert f"[Flow run]({second.flow_run_url})" in shown
    assert "[Report](https://reports.example.com/1)" in shown
    assert str(first.flow_run_url) in folded
    assert "Report: `out/r.html`" in write_report(first, tmp_path / "f.md", page="out/r.html").read_text()
    assert str(second.flow_run_url) in write_report(second, tmp_path / "r.html").read_text()
