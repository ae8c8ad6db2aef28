"""Where an experiment comes from: the commit, the flow run and the gate's verdict, kept under one key of its metadata.

The key is `MARK`. What the caller gave as metadata stands beside it. The facts are in the store and go to the backend
with the experiment, so that its page says what ran there; an `Experiment` has them apart, as its `origin`:

``git_commit``, ``git_dirty`` (files that Git knows were changed), ``flow_run_id``, ``flow_run_url``, ``gate``,
``report_url``, ``begun_for`` (the idempotency key).
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from prefect_experiments.errors import current_directory

MARK = "prefect_experiments"
FLOW_RUN_URL = "flow_run_url"
GATE = "gate"
REPORT_URL = "report_url"
BEGUN_FOR = "begun_for"

_GIT_WITHIN_S = 5
# A repository may name a program of its own that tells what has changed: it is not started.
_QUIETLY = ("--no-optional-locks", "-c", "core.fsmonitor=false")
_GIT = ("git", *_QUIETLY, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
_COMMIT = "# branch.oid "


def marked(metadata: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    """Metadata with facts added to those that are in it; what is ``None`` or empty is left out."""
    known = {name: fact for name, fact in facts.items() if fact not in (None, "")}
    found = {**origin_of(metadata), **known}
    return {**given(metadata), MARK: found} if found else {**given(metadata)}


def given(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller gave as an experiment's metadata."""
    return {name: value for name, value in metadata.items() if name != MARK}


def origin_of(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts in an experiment's metadata; none where there are none."""
    found = metadata.get(MARK)
    return found if isinstance(found, Mapping) else {}


def parts_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's metadata as the fields of an `Experiment`: what the caller gave, and where it comes from."""
    return {"metadata": given(metadata), "origin": origin_of(metadata)}


def is_failed(origin: Mapping[str, Any]) -> bool:
    """Whether a gate has failed the experiment of this origin."""
    return origin.get(GATE) == "failed"


def of_flow_run(trace_attributes: Mapping[str, str] | None) -> dict[str, str]:
    """What stands on a trace of the flow run that it was made in, as facts on an experiment."""
    named = {name.removeprefix("prefect."): value for name, value in (trace_attributes or {}).items()}
    return {name.replace(".", "_"): value for name, value in named.items() if name.startswith("flow_run.")}


def ask_git() -> Callable[[], Mapping[str, Any]]:
    """Have Git asked what the current folder is at, in a thread beside what is done meanwhile; call for the answer."""
    where, answer = current_directory(), Future[Mapping[str, Any]]()

    def ask() -> None:
        found: Mapping[str, Any] = {}
        try:
            found = {} if where is None else git_facts(where)
        finally:
            answer.set_result(found)  # whatever has happened: somebody waits for it

    # A plain thread: it may still be at work when the interpreter ends, which does not wait for it.
    threading.Thread(target=ask, name="asking-git", daemon=True).start()
    return answer.result


def git_facts(folder: Path) -> Mapping[str, Any]:
    """The commit that a folder is at, and whether files that Git knows differ from it.

    Nothing outside of a Git repository, before its first commit, where there is no Git, and where it takes long.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the Git that the user has, with nothing of a caller's
            _GIT, cwd=folder, capture_output=True, text=True, errors="replace", check=True, timeout=_GIT_WITHIN_S
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = done.stdout.splitlines()
    commit = next((line.removeprefix(_COMMIT) for line in lines if line.startswith(_COMMIT)), "")
    if not commit.isalnum():  # "(initial)": there is none yet
        return {}
    return {"git_commit": commit, "git_dirty": any(not line.startswith("#") for line in lines)}
