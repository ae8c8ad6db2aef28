"""Tests that are cases: the parameters of each are an example of a dataset, and its run is an experiment run.

What a case gave is written to a file as soon as the test has ended, by whichever process ran it. When all have run,
`closing` makes one experiment of them.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import json
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from prefect_experiments import jsonable
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.origin import marked as with_origin
from prefect_experiments.pytest_plugin.marks import REPETITION, example_id, repetition_of
from prefect_experiments.pytest_plugin.session import Session, session_of
from prefect_experiments.pytest_plugin.shared import is_worker, make_folder
from prefect_experiments.texts import shortened

PASS = "pass"  # noqa: S105 - no password
"""The evaluation that says whether the test passed, called as Phoenix's plugin calls it."""

_EXPECTED = ("expected", "reference")
_LONGEST_ERROR = 2000  # characters
_KEYWORDS = [
    "dataset",
    "dataset_description",
    "evaluators",
    "gate",
    "baseline",
    "first_run",
    "backend",
    "repetitions",
    "concurrency",
    "experiment_name",
    "experiment_description",
    "experiment_metadata",
]

_current: contextvars.ContextVar[Case | None] = contextvars.ContextVar("prefect_experiments_case", default=None)


@dataclass
class Group:
    """The cases of one dataset, which become one experiment.

    Attributes:
        marked: what the markers of its tests say, together.
        examples: by id, as JSON objects.
        expected: how many runs there are to be.
        nodeid: of the first of them.
    """

    dataset: str
    nodeid: str
    marked: dict[str, Any] = field(default_factory=dict)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)
    expected: int = 0

    @property
    def key(self) -> str:
        """Its part of the names of files."""
        return hashlib.sha256(self.dataset.encode()).hexdigest()[:16]


class Case:
    """One test, while it runs."""

    def __init__(self, cases: Cases, group: Group, item: pytest.Item) -> None:
        self._cases, self._group, self._item = cases, group, item
        self.output: Any = None
        self.evaluations: dict[str, dict[str, Any]] = {}
        self._start = self._end = datetime.now(UTC)
        self._runs = False
        self._outcome, self._why, self._error = "skipped", "", ""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While the test's function runs."""
        token = _current.set(self)
        self.output, self.evaluations, self._why, self._error = None, {}, "", ""
        self._start, self._runs = datetime.now(UTC), True
        try:
            yield
        finally:
            self._end, self._runs = datetime.now(UTC), False
            _current.reset(token)

    def reported(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Take note of a report: of the setup, of a subtest, of the test, of the teardown."""
        why = "" if call.excinfo is None else _text(call.excinfo.value)
        is_check = call.excinfo is not None and isinstance(call.excinfo.value, AssertionError | pytest.fail.Exception)
        if self._runs:  # a subtest
            self._why = self._why or (f"subtest: {why}" if report.failed else "")
        elif report.when == "setup":
            self._outcome = report.outcome
            self._error = why if report.failed else ""
        elif report.when == "call":
            is_expected = hasattr(report, "wasxfail") and call.excinfo is not None
            self._outcome = "failed" if is_expected else report.outcome
            if is_expected:
                self._why, self._error = why, "" if is_check else why
            if report.failed:
                self._why, self._error = why, "" if is_check else why
                self._left_to_the_gate(report, why)
        else:
            if report.failed:
                self._outcome, self._error = "failed", self._error or why
            self._cases.write(self._group, self._row())

    def _left_to_the_gate(self, report: pytest.TestReport, why: str) -> None:
        """Where a gate judges all cases together, one that fails is an expected failure."""
        if self._group.marked.get("gate") is not None and self._cases.keeps:
            report.outcome = "skipped"
            report.wasxfail = f"reason: left to the gate: {why}"

    def _row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"example_id": example_id(self._item), "repetition_number": repetition_of(self._item)}
        if self._outcome == "skipped":
            return {**row, "skipped": True}
        took = (self._end - self._start).total_seconds() * 1000
        row |= {"start_time": self._start.isoformat(), "end_time": self._end.isoformat(), "latency_ms": took}
        if self._error:
            return {**row, "status": "error", "error": self._error, "output": None}
        passed = self._outcome == "passed" and not self._why
        row |= {"status": "ok", "output": self.output}
        own = {"score": float(passed), "label": "pass" if passed else "fail", "explanation": self._why or None}
        for name, parts in {PASS: own, **self.evaluations}.items():
            row |= {f"eval.{name}.{part}": value for part, value in parts.items() if value is not None}
        return row


def _text(error: BaseException) -> str:
    return shortened("".join(traceback.format_exception_only(error)).strip(), _LONGEST_ERROR)


def dataset_of(item: pytest.Item, marked: Mapping[str, Any]) -> Any:
    """What the dataset of a case is called."""
    return marked.get("dataset") or re.sub(r"\.py$", "", item.nodeid.partition("::")[0])


class Cases:
    """The cases of this process."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.by_item: dict[pytest.Item, Case] = {}
        self.groups: dict[str, Group] = {}
        self.keeps = session.options.dry_run is None

    def add(self, item: pytest.Item, marked: dict[str, Any]) -> None:
        """Take note of a case that is to run.

        Raises:
            pytest.UsageError: its marker cannot be used.
        """
        wrong = next((name for name in marked if name not in _KEYWORDS), None)
        if wrong is not None:
            raise pytest.UsageError(
                f"{item.nodeid}: @pytest.mark.experiment of a test whose parameters are the examples: "
                f"{unknown_value('keyword', wrong, _KEYWORDS)}"
            )
        name = dataset_of(item, marked)
        if not isinstance(name, str) or name.endswith((".csv", ".json", ".jsonl", ".parquet", ".tsv", ".xlsx")):
            raise pytest.UsageError(
                f"{item.nodeid}: dataset= names where the examples are kept, as the test's parameters are the "
                f"examples; got {name!r:.80}. To run over that dataset, give task=, or let the test take input"
            )
        group = self.groups.setdefault(name, Group(name, item.nodeid))
        self._merge(group, item, {"gate": self._session.options.gate, **marked})
        self.by_item[item] = Case(self, group, item)
        group.examples.setdefault(example_id(item), _example(item))
        group.expected += 1

    def check(self) -> None:
        """Refuse a gate that nothing could be held to, before the first case runs.

        Raises:
            pytest.UsageError: it cannot be used.
        """
        options = self._session.options
        for group in self.groups.values():
            if (gate := group.marked.get("gate")) is None:
                continue
            first_run = group.marked.get("first_run", options.first_run)
            try:
                gate.refuse_without(group.marked.get("baseline", options.baseline), first_run=first_run)
            except InvalidSetting as error:
                raise pytest.UsageError(f"{group.nodeid}: {error}") from None

    def _merge(self, group: Group, item: pytest.Item, marked: dict[str, Any]) -> None:
        from prefect_experiments.analysis.gate import Gate

        given = {name: value for name, value in marked.items() if value is not None and name != "dataset"}
        if "gate" in given:
            try:
                given["gate"] = Gate.parse(self._session.near(given["gate"], item))
            except InvalidSetting as error:
                raise pytest.UsageError(f"{item.nodeid}: {error}") from None
        for name, value in given.items():
            if name != "repetitions" and name in group.marked and group.marked[name] != value:
                raise pytest.UsageError(
                    f"{item.nodeid}: its marker says another {name} than that of {group.nodeid}, and both are cases of "
                    f"the dataset {group.dataset!r}; give one of them another dataset="
                )
        group.marked |= given

    def write(self, group: Group, row: dict[str, Any]) -> None:
        """Write down what a case has given."""
        if not self.keeps:
            return
        config = self._session.config
        folder, worker = make_folder(config), "main"
        if is_worker(config):
            worker = config.workerinput["workerid"]  # type: ignore[attr-defined]
        about = folder / f"{group.key}.json"
        if not about.exists():
            new = folder / f"{group.key}.{worker}.new"
            new.write_text(json.dumps(self._about(group)), encoding="utf-8")
            new.replace(about)
        with (folder / f"{group.key}.{worker}.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(_line(row) + "\n")

    def _about(self, group: Group) -> dict[str, Any]:
        marked = group.marked
        backend = marked.get("backend") or self._session.options.backend
        metadata = marked.get("experiment_metadata") or {}
        return {
            "dataset": group.dataset,
            "dataset_description": marked.get("dataset_description"),
            "nodeid": group.nodeid,
            "examples": list(group.examples.values()),
            "expected": group.expected,
            "backend": backend,
            "name": marked.get("experiment_name") or self._session.name_of(group.dataset, backend),
            "description": marked.get("experiment_description"),
            "metadata": json.loads(jsonable.dumps_lenient(with_origin(metadata, **self._session.git))[0]),
        }


_CASES = pytest.StashKey[Cases]()


def cases_of(config: pytest.Config) -> Cases:
    """The cases of this process."""
    if _CASES not in config.stash:
        config.stash[_CASES] = Cases(session_of(config))
    return config.stash[_CASES]


def _line(row: dict[str, Any]) -> str:
    try:
        return jsonable.dumps_output(row)[0]
    except jsonable.NotJson as error:
        output = {name: value for name, value in row.items() if not name.startswith(("eval.", "output"))}
        output |= {"status": "error", "error": f"the output cannot be kept: {error}", "output": None}
        return jsonable.dumps_lenient(output)[0]


def _example(item: pytest.Item) -> dict[str, Any]:
    """The example that a test's parameters are."""
    callspec = getattr(item, "callspec", None)
    params = {} if callspec is None else {k: v for k, v in callspec.params.items() if k != REPETITION}
    expected = next((params.pop(name) for name in _EXPECTED if name in params), None)
    metadata = params.pop("metadata") if isinstance(params.get("metadata"), Mapping) else {}
    given = params["input"] if list(params) == ["input"] else params or {"nodeid": example_id(item)}
    found = {"id": example_id(item), "input": given, "output": expected, "metadata": dict(metadata)}
    return dict(json.loads(jsonable.dumps_lenient(found)[0]))


def _case() -> Case:
    case = _current.get()
    if case is None:
        raise InvalidSetting(
            "log_output, log_evaluation and evaluate are for a test that is a case: one that is marked with "
            "@pytest.mark.experiment, takes no field of an example such as input, and is running"
        )
    return case


def log_output(output: Any) -> Any:
    """Say what the output of the running case is.

    Returns:
        The output.
    """
    _case().output = output
    return output


def log_evaluation(
    *, name: str, score: float | None = None, label: str | None = None, explanation: str | None = None
) -> None:
    """Add an evaluation to the running case.

    Raises:
        InvalidSetting: the name cannot be one, or the score is not finite.
    """
    from prefect_experiments.evaluators.results import name_fault
    from prefect_experiments.models import EvaluationResult

    if (fault := name_fault(name)) is not None:
        raise InvalidSetting(f"an evaluation's name {fault}")
    EvaluationResult(score=score, label=label)  # refuses what is not finite
    _case().evaluations[name] = {"score": score, "label": label, "explanation": explanation}


def evaluate(evaluator: Any, /, **fields: Any) -> Any:
    """Call an evaluator within the running case, and add what it says to its run.

    Args:
        evaluator: one of any sort that ``run_experiment(evaluators=...)`` takes.
        fields: what it gets: ``output``, ``expected``, ``input``, ``metadata``.

    Returns:
        Its result, or where it gives several, the list of them.
    """
    from prefect_experiments.evaluators import resolve_evaluators
    from prefect_experiments.sync import run_sync
    from prefect_experiments.tasks import Fields
    from prefect_experiments.unread import is_awaitable

    case = _case()
    (bound,) = resolve_evaluators([evaluator])
    given = Fields(
        example_id(case._item),
        jsonable.dumps_output(fields.get("input"))[0],
        jsonable.dumps_output(fields.get("expected", fields.get("reference")))[0],
        jsonable.dumps_output(fields.get("metadata") or {})[0],
        output_json=jsonable.dumps_output(fields.get("output", case.output))[0],
    )

    async def awaited(value: Any) -> Any:
        return await value

    try:
        value = bound.call(given)
        results = bound.parse(run_sync(partial(awaited, value)) if is_awaitable(value) else value)
    except Exception as error:
        case.evaluations[bound.name] = {"error": _text(error)}
        raise
    for one in results:
        case.evaluations[one.name or bound.name] = {
            "score": one.score,
            "label": one.label,
            "explanation": one.explanation,
        }
    return results[0] if len(results) == 1 else list(results)
