"""The fixture `experiment`, and what its calls give back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from prefect_experiments.errors import ExperimentsError, InvalidSetting
from prefect_experiments.experiment.arguments import GateSource, RunArguments
from prefect_experiments.pytest_plugin import judging
from prefect_experiments.pytest_plugin.marks import fields_of
from prefect_experiments.pytest_plugin.running import Prepared, conclude, noted, prepare
from prefect_experiments.pytest_plugin.session import session_of
from prefect_experiments.signatures import method_takes
from prefect_experiments.sync import run_sync

if TYPE_CHECKING:
    from prefect_experiments.analysis import RanExperiment
    from prefect_experiments.analysis.verdicts import Comparison, Verdict

Required = str | Collection[str] | Mapping[str, str | Collection[str] | None]
_FIXTURE = pytest.StashKey["ExperimentFixture"]()


class ExperimentInTest:
    """An experiment that a test has run.

    Attributes:
        ran: the experiment with its results, as `run_experiment` gives it.
    """

    def __init__(self, fixture: ExperimentFixture, prepared: Prepared, ran: RanExperiment) -> None:
        self.ran = ran
        self._fixture, self._prepared = fixture, prepared
        self._asked = False

    @property
    def comparison(self) -> Comparison | None:
        """With the baseline, where there is one."""
        return self.ran.comparison

    @property
    def verdict(self) -> Verdict | None:
        """The gate's, where there is one."""
        self._asked = True
        return self.ran.verdict

    @property
    def unheard(self) -> str:
        """What its gate says against it, where the test has not asked; else empty."""
        verdict = self.ran.verdict
        if self._asked or verdict is None or not verdict.exit_code:
            return ""
        return judging.sentence(verdict, self.ran)

    def assert_gate(self, gate: GateSource | None = None, *, required: Required = ()) -> None:
        """Fail the test where the gate does not let the experiment through; each check and metric is a subtest.

        What is inconclusive fails, unless the gate says ``on_inconclusive: pass``. Without any gate, what fails is a
        run or an evaluation that failed. After a dry run the test is skipped: nothing was judged.

        Args:
            gate: the rules; by default those that the experiment was run with.
            required: examples that must have come out right, whatever the rest does: their ids, or ``split:NAME``; or a
                mapping of these to the metrics that count. Right is a run that did not fail, and scores of at least 1
                (of what is minimized, 0).

        Raises:
            AssertionError: it is not let through; the text is the verdict's.
            InvalidInput: a gate that cannot be used.
        """
        __tracebackhide__ = True
        try:
            text = self._why_not(gate, required)
        except ExperimentsError as error:
            raise error.with_traceback(None) from None  # the text says it all
        if text:
            raise AssertionError(text)

    def _why_not(self, gate: GateSource | None, required: Required) -> str:
        """Report the subtests; why the experiment is not let through, empty where it is."""
        prepared, self._asked = self._prepared, True
        if prepared.arguments.dry_run is not False:
            pytest.skip("a dry run of the experiment: nothing was kept or judged")
        before = self.ran.verdict
        verdict = judging.verdict_of(self.ran, prepared.session.near(gate, prepared.item), prepared.arguments)
        if verdict is not before:
            conclude(prepared, self.ran)
        checks = judging.without_gate(self.ran) if verdict is None else judging.metric_checks(self.ran, verdict)
        examples = judging.required_checks(self.ran, required)
        for check in (*checks, *examples):
            prepared.item.user_properties.append((check.name, check.reason))
            judging.subtest(self._fixture.subtests, check, lets_through=verdict is not None and not verdict.exit_code)
        asked = [*examples, *(checks if verdict is None else ())]
        if (verdict is None or not verdict.exit_code) and all(check.status == "passed" for check in asked):
            return ""
        if verdict is None or not verdict.exit_code:
            prepared.record.said = "FAILED"
        return judging.sentence(verdict, self.ran, asked)


class ExperimentFixture:
    """The fixture `experiment`: runs experiments, and in a case logs what belongs to its run."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._every: list[ExperimentInTest] = []

    def __repr__(self) -> str:
        return f"<experiment of {self._item.nodeid}>"

    @property
    def _item(self) -> pytest.Item:
        item: pytest.Item = self._request.node
        return item

    @functools.cached_property
    def subtests(self) -> pytest.Subtests:
        """The subtests of this test, which are pytest's own."""
        found: pytest.Subtests = self._request.getfixturevalue("subtests")
        return found

    @method_takes(RunArguments)
    def run(self, arguments: RunArguments) -> ExperimentInTest:
        """`prefect_experiments.run_experiment`, called after the test, with what the options of pytest say besides."""
        __tracebackhide__ = True
        return self.run_with(_given(arguments))

    @method_takes(RunArguments)
    async def arun(self, arguments: RunArguments) -> ExperimentInTest:
        """`run`, awaited, in the test's own event loop."""
        __tracebackhide__ = True
        from prefect_experiments.orchestration.runs import run_new

        try:
            prepared = prepare(self._item, _given(arguments))
            with noted(prepared):
                ran = await run_new(prepared.arguments, None)
        except ExperimentsError as error:
            raise error.with_traceback(None) from None  # the text says it all
        return self._done(prepared, ran)

    def run_with(self, given: dict[str, Any]) -> ExperimentInTest:
        """`run` with what is in a mapping."""
        __tracebackhide__ = True
        try:
            prepared = prepare(self._item, given)
            with noted(prepared):
                from prefect_experiments.orchestration.runs import run_new

                ran = run_sync(partial(run_new, prepared.arguments, None))
        except ExperimentsError as error:
            raise error.with_traceback(None) from None  # the text says it all
        return self._done(prepared, ran)

    def _done(self, prepared: Prepared, ran: RanExperiment) -> ExperimentInTest:
        conclude(prepared, ran)
        self._every.append(ExperimentInTest(self, prepared, ran))
        return self._every[-1]

    def end(self) -> None:
        """Fail the test where a gate does not let an experiment through, and the test has not asked it.

        Raises:
            AssertionError: so it is; the text is the verdict's.
        """
        __tracebackhide__ = True
        if unheard := [text for one in self._every if (text := one.unheard)]:
            raise AssertionError("\n".join([*unheard, "  (the test has not called assert_gate)"]))

    @property
    def last(self) -> ExperimentInTest:
        """The experiment that was run last, such as the one that the test is marked with.

        Raises:
            InvalidSetting: there is none yet.
        """
        if not self._every:
            raise InvalidSetting("no experiment was run yet in this test: call experiment.run(dataset=..., task=...)")
        return self._every[-1]

    @property
    def ran(self) -> RanExperiment:
        """`last`'s results."""
        return self.last.ran

    @property
    def comparison(self) -> Comparison | None:
        """`last`'s comparison with the baseline."""
        return self.last.comparison

    @property
    def verdict(self) -> Verdict | None:
        """`last`'s verdict."""
        return self.last.verdict

    def log_output(self, output: Any) -> Any:
        """In a test that is a case: say what the output of its run is; gives it back."""
        from prefect_experiments.pytest_plugin.cases import log_output

        return log_output(output)

    def log_evaluation(
        self,
        *,
        name: str,
        score: float | None = None,
        label: str | None = None,
        explanation: str | None = None,
    ) -> None:
        """In a test that is a case: add an evaluation to its run."""
        from prefect_experiments.pytest_plugin.cases import log_evaluation

        log_evaluation(name=name, score=score, label=label, explanation=explanation)

    def evaluate(self, evaluator: Any, /, **fields: Any) -> Any:
        """In a test that is a case: call an evaluator, and add what it says to its run; see `cases.evaluate`."""
        from prefect_experiments.pytest_plugin.cases import evaluate

        return evaluate(evaluator, **fields)


def _given(arguments: RunArguments) -> dict[str, Any]:
    return {name: arguments[name] for name in arguments.model_fields_set}


def of_test(request: pytest.FixtureRequest) -> ExperimentFixture:
    """The fixture's value for a test."""
    item = request.node
    if not hasattr(pytest, "Subtests"):
        raise pytest.UsageError(
            f"the fixture experiment needs pytest 9 or later, which has subtests; this is {pytest.__version__}. "
            "Install prefect-experiments[pytest]"
        )
    session_of(item.config)
    if _FIXTURE not in item.stash:
        item.stash[_FIXTURE] = ExperimentFixture(request)
    found: ExperimentFixture = item.stash[_FIXTURE]
    return found


def run_of_marker(item: pytest.Function, marked: dict[str, Any]) -> object | None:
    """Run the experiment that a test is marked with; see `marks.run_marked`."""
    __tracebackhide__ = True
    fixture = item.stash.get(_FIXTURE, None)
    if fixture is None:
        raise pytest.UsageError(f"{item.nodeid}: a fixture of its own called experiment hides the package's")
    given = dict(marked)
    required = given.pop("required", ())
    fields = fields_of(item.function)
    is_task = "task" not in given
    if is_task:
        given["task"] = _as_task(item)
    elif fields:
        raise pytest.UsageError(f"{item.nodeid} takes {', '.join(fields)} as a task does, and has task= as well")
    try:
        text = fixture.run_with(given)._why_not(None, required)
    except ExperimentsError as error:  # no line of the test is to blame
        text = f"{type(error).__name__}: {error}"
    if text:
        pytest.fail(text, pytrace=False)
    return True if is_task else None


def _as_task(item: pytest.Function) -> Any:
    """The test's function, with its fixtures filled in."""
    parameters = inspect.signature(item.obj).parameters.values()
    fixtures = {p.name: item.funcargs[p.name] for p in parameters if p.name in item.funcargs}
    return partial(item.obj, **fixtures) if fixtures else item.obj
