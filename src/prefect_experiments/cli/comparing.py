"""The commands that compare and report: compare, report; and the files they write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cyclopts import App, Group, Parameter

from prefect_experiments.cli.output import Answer, Here, Terminal
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.files import why_unwritable

if TYPE_CHECKING:
    from rich.console import Console

    from prefect_experiments.analysis import ClassificationReport, Comparison, RanExperiment, Verdict
    from prefect_experiments.analysis.results import ResultTable
    from prefect_experiments.reports.files import Form


@Parameter(name="*", group=Group("Reports", sort_key=8))
@dataclass(frozen=True, kw_only=True)
class Reports:
    """What to write besides.

    Attributes:
        report: an HTML page, in one file.
        junit: JUnit's XML, for a build server.
        comment: Markdown for a comment on a pull request.
        report_url: the address under which people will find the HTML page, for the comment.
    """

    report: Path | None = None
    junit: Path | None = None
    comment: Path | None = None
    report_url: str | None = None

    @property
    def paths(self) -> dict[str, str]:
        """What is written, by its sort."""
        every = {"report": self.report, "junit": self.junit, "comment": self.comment}
        return {sort: str(path) for sort, path in every.items() if path is not None}

    def check(self) -> None:
        """Make sure that the files can be written, before anything is run for them.

        Raises:
            InvalidSetting: one cannot.
        """
        for sort, path in self.paths.items():
            if trouble := why_unwritable(Path(path)):
                raise InvalidSetting(f"--{sort} {path} cannot be written: {trouble}; give the path of a file")


NO_REPORTS = Reports()


def register(app: App) -> None:
    """Add the commands to the root."""
    app.command(compare)
    app.command(report)


def compare(
    baseline: str,
    candidate: str,
    /,
    *,
    gate: str | None = None,
    pooled: int = 1,
    minimize: list[str] | None = None,
    confidence: float | None = None,
    dataset: str | None = None,
    reports: Reports = NO_REPORTS,
    terminal: Here,
) -> Answer:
    """Compare two experiments on the examples that both ran; with a gate, judge the second.

    The last run beside the one that is tagged as the baseline, judged by the rules in a file:

        prefect-experiments compare tag:baseline latest --gate gate.yaml --report report.html

    Args:
        baseline: id, name, tag:NAME, latest or latest:NAME (the newest of an experiment's or a dataset's name); or
            the path of a table of results (.csv, .tsv, .json, .jsonl, .parquet or .xlsx).
        candidate: likewise.
        gate: the rules, as the path of a YAML or JSON file, or as such text.
        pooled: the baseline is the mean of so many runs: its own and the first ones after it that passed.
        minimize: a metric of which less is better; can be given several times.
        confidence: of the intervals; by default the gate's, else 0.95.
        dataset: the dataset that a name, a tag or latest is looked for in.
        reports: what to write.
        terminal: where it is shown.
    """
    from prefect_experiments.analysis.comparison import compare_results
    from prefect_experiments.analysis.gate import Gate
    from prefect_experiments.analysis.results import result_table
    from prefect_experiments.experiment.arguments import PooledBaseline
    from prefect_experiments.experiment.earlier import between

    reports.check()
    rules = None if gate is None else Gate.parse(gate)
    before = side_of(terminal, baseline, dataset, "baseline")
    after = side_of(terminal, candidate, dataset, "candidate")
    compared = compare_results(
        result_table(before),
        result_table(after),
        gate=rules,
        earlier=between(
            before,
            after,
            rules,
            lambda: terminal.client().store,
            PooledBaseline(pooled=pooled).pooled,
            named=baseline,
        ),
        confidence=confidence,
        directions=dict.fromkeys(minimize or (), "minimize"),
    )
    write_reports(reports, compared, candidate=after, baseline=before)
    return comparison_answer(compared, reports)


def report(
    experiment: str,
    /,
    *,
    baseline: str | None = None,
    gate: str | None = None,
    minimize: list[str] | None = None,
    dataset: str | None = None,
    truth: str | None = None,
    prediction: str = "output",
    positive: str | None = None,
    reports: Reports = NO_REPORTS,
    terminal: Here,
) -> Answer:
    """Write a report on an experiment: an HTML page, JUnit's XML, a pull request's comment.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME; or the path of a table of results, as for compare.
        baseline: what it is compared with, named likewise.
        gate: the rules that judge it, as a file or as text.
        minimize: a metric of which less is better; can be given several times.
        dataset: the dataset that a name, a tag or latest is looked for in.
        truth: the field with the right class, such as expected.label, for classification metrics.
        prediction: the field with the predicted class.
        positive: the positive class, for precision and recall of it.
        reports: what to write; by default report.html.
        terminal: where it is shown.
    """
    from prefect_experiments.analysis.comparison import compare_results
    from prefect_experiments.analysis.gate import Gate
    from prefect_experiments.analysis.results import result_table

    reports = reports if reports.paths else Reports(report=Path("report.html"))
    reports.check()
    rules = None if gate is None else Gate.parse(gate)
    side = side_of(terminal, experiment, dataset, "results")
    before = None if baseline is None else side_of(terminal, baseline, dataset, "baseline")
    classes = None if truth is None else _classes(side, truth, prediction, positive)
    compared, verdict = None, None
    if before is not None:
        directions: Any = dict.fromkeys(minimize or (), "minimize")
        compared = compare_results(result_table(before), result_table(side), gate=rules, directions=directions)
        verdict = compared.verdict
    elif rules is not None:
        verdict = rules.judge_alone(result_table(side))
    write_reports(reports, compared, candidate=side, baseline=before, verdict=verdict, classification=classes)

    def show(console: Console) -> None:
        from prefect_experiments.reports.terminal import print_verdict

        if verdict is not None:
            print_verdict(verdict, console)
        if classes is not None:
            console.print(str(classes), markup=False, soft_wrap=True)
        print_written(reports, console)

    data = {"verdict": verdict and verdict.to_dict(), "written": reports.paths}
    if classes is not None:
        data["classification"] = classes.to_dict()
    return Answer(data, show, verdict.exit_code if verdict else 0)


def comparison_answer(compared: Comparison, reports: Reports) -> Answer:
    """What is said of a comparison."""

    def show(console: Console) -> None:
        from prefect_experiments.reports.terminal import print_comparison

        print_comparison(compared, console)
        print_written(reports, console, compared.candidate.flow_run_url)

    verdict = compared.verdict
    return Answer(lambda: {**compared.to_dict(), "written": reports.paths}, show, verdict.exit_code if verdict else 0)


def print_written(reports: Reports, console: Console, flow_run_url: str | None = None) -> None:
    """Say where there is more to see: on Prefect's page, where there is one, and in the files that were written."""
    from rich.text import Text

    if flow_run_url:
        console.print(f"flow run: {flow_run_url}", markup=False, soft_wrap=True)
    for sort, path in reports.paths.items():
        named = Text(path, style=f"link {Path(path).resolve().as_uri()}")  # most terminals open it at a click
        console.print(Text.assemble(f"{sort}: ", named), soft_wrap=True)


def write_reports(
    reports: Reports,
    compared: Comparison | None,
    *,
    candidate: Any,
    baseline: Any = None,
    verdict: Verdict | None = None,
    classification: Any = None,
) -> None:
    """Write the files that were asked for.

    Raises:
        InvalidSetting: one cannot be written, or needs a comparison that there is not.
    """
    if not reports.paths:
        return
    from prefect_experiments.reports.files import write_report

    every = {"page": reports.report, "junit": reports.junit, "comment": reports.comment}
    for form, path in every.items():
        if path is not None:
            write_report(
                candidate,
                path,
                form=cast("Form", form),
                baseline=baseline,
                comparison=compared,
                verdict=verdict,
                classification=classification,
                page=reports.report_url or reports.paths.get("report"),
            )


def side_of(terminal: Terminal, name: str, dataset: str | None, role: str) -> RanExperiment | ResultTable:
    """What a command names; the store and the backend are opened only where it is no file."""
    from prefect_experiments.experiment.compare import result_side

    def places() -> Any:
        client = terminal.client()
        return client.store, client.remote

    return result_side(name, places, dataset, role=role)


def _classes(
    side: RanExperiment | ResultTable, truth: str, prediction: str, positive: str | None
) -> ClassificationReport:
    from prefect_experiments.analysis import RanExperiment, classification_report

    results = side if isinstance(side, RanExperiment) else side.results
    return classification_report(results, truth=truth, prediction=prediction, positive=positive)
