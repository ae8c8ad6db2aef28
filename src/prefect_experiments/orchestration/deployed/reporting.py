"""What flows do with a finished experiment or comparison: a report, a tag, the state that says the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State

from prefect_experiments.allowed import check_path
from prefect_experiments.analysis import Agreement, RanExperiment
from prefect_experiments.analysis.nights.promotion import promotion
from prefect_experiments.analysis.verdicts import Comparison, Verdict
from prefect_experiments.keys import fingerprint
from prefect_experiments.orchestration.artifacts import show_outcome, show_report
from prefect_experiments.orchestration.running import LONGEST_MESSAGE, final_state, in_a_line
from prefect_experiments.origin import REPORT_URL
from prefect_experiments.reports.files import write_report
from prefect_experiments.settings import temporary_clone
from prefect_experiments.texts import shortened


async def report_on(ran: RanExperiment, where: str, *, url: str | None = None) -> Path:
    """Write the HTML report on an experiment, and an artifact that leads to it.

    Args:
        ran: the experiment, with its comparison and its verdict.
        where: the path of an .html file, or of a folder that gets one named after the experiment.
        url: where people open that file or folder, such as ``https://reports.example.com``.

    Raises:
        InvalidSetting: the file cannot be written.
    """
    name = ran.experiment.dataset_name
    written, opened_at = await _report(partial(write_report, ran, form="page"), where, ran.experiment.id, url, name)
    if opened_at is not None and ran.store is not None:  # the history of the dataset leads there
        note = partial(ran.store.experiments.note, ran.record.experiment.id, **{REPORT_URL: opened_at})
        await asyncio.to_thread(note)
    return written


async def report_on_comparison(
    comparison: Comparison, baseline: Any, candidate: Any, where: str, *, name: str, url: str | None = None
) -> Path:
    """Write the HTML report on a comparison, and an artifact that leads to it.

    Args:
        comparison: of the two.
        baseline: a `RanExperiment`, or a table of results.
        candidate: likewise.
        where: as for `report_on`, like `url`.
        name: what the artifact is called after.
        url: where people open it.
    """
    write = partial(write_report, candidate, form="page", baseline=baseline, comparison=comparison)
    sides = [comparison.baseline, comparison.candidate]
    file = "-".join(side.experiment_id or fingerprint(side.label)[:12] for side in sides)
    return (await _report(write, where, file, url, name))[0]


async def _report(
    write: Callable[[Path], Path], where: str, file: str, url: str | None, name: str
) -> tuple[Path, str | None]:
    """Write it, and show where; the file, and where people open it."""
    if not Path(where).is_absolute() and (clone := temporary_clone(Path(where))) is not None:
        get_run_logger().warning(
            "The report's path %s is relative, and leads into %s, which is deleted after this flow run. "
            "Give an absolute path.",
            where,
            clone,
        )
    path = Path(check_path(where))
    is_file = path.suffix.lower() in (".html", ".htm")
    written = await asyncio.to_thread(lambda: write(path if is_file else path / f"{file}.html").resolve())
    opened_at = url if url is None or is_file else f"{url.rstrip('/')}/{written.name}"
    await show_report(written, opened_at, name)
    return written, opened_at


async def promote_passed(ran: RanExperiment, tag: str, client: Any, *, confirmed_in: int | None = None) -> str:
    """Give an experiment that the gate has passed a tag, such as the baseline's; a sentence that says what came of it.

    Args:
        ran: the experiment.
        tag: which it gets.
        client: the `Client` that tags it.
        confirmed_in: where there is a baseline, only if the run before was better than that, by a test that so many
            nights share: see `promotion`. ``None`` for whatever passes.
    """
    if ran.verdict is None or ran.verdict.status != "passed":
        said = f"Not tagged {tag!r}: only an experiment that a gate has passed is promoted."
        get_run_logger().warning(said)
        return said
    found = None if confirmed_in is None or ran.comparison is None else promotion(ran.comparison, nights=confirmed_in)
    if found is not None and not found.takes:
        said = f"Not tagged {tag!r}: {found.said}."
    else:
        await asyncio.to_thread(client.experiments.tag, experiment=ran, tag=tag)
        said = f"Experiment {ran.experiment_id} is {tag!r} now{f': {found.said}' if found else ''}."
    get_run_logger().info(said)
    return said


async def conclude(
    ran: RanExperiment,
    client: Any,
    *,
    report: str | None,
    report_url: str | None,
    promote_as: str | None,
    confirmed_in: int | None = None,
) -> State[Any]:
    """Show what came of an experiment, and do what was asked for with it.

    Args:
        ran: the experiment, with its comparison and its verdict.
        client: the `Client` that tags it.
        report: where the HTML report is written; ``None`` for nowhere.
        report_url: where people open it.
        promote_as: the tag that it gets where the gate has passed it; ``None`` for none.
        confirmed_in: as for `promote_passed`.

    Returns:
        The flow's final state.
    """
    await show_outcome(ran)
    if report is not None:
        await report_on(ran, report, url=report_url)
    promoted = ""
    if promote_as is not None:
        promoted = await promote_passed(ran, promote_as, client, confirmed_in=confirmed_in)
    return outcome(ran, after=promoted)


def outcome(ran: RanExperiment, *, before: str = "", after: str = "") -> State[Any]:
    """The final state of a flow that ran an experiment: the gate's verdict is its name.

    Args:
        ran: the experiment.
        before: a sentence that comes first.
        after: one that comes last, with a full stop.
    """
    message = before + in_a_line(ran)
    if ran.waiting:
        message += f". {ran.waiting} results wait for the backend: `prefect-experiments push {ran.experiment_id}`"
    return final_state(ran.verdict, f"{message}. {after.removesuffix('.')}" if after else message)


def verdict_on(comparison: Comparison) -> State[Any]:
    """The final state of a flow that compared: the gate's verdict is its name."""
    sides = f"{comparison.candidate.label} beside {comparison.baseline.label}"
    return final_state(comparison.verdict, f"{sides}, on {comparison.n_pairs} examples that both ran")


def agreed(agreement: Agreement, min_kappa: float | None) -> State[Any]:
    """The final state of a flow that measured an evaluator against people; with a bound on kappa, a gate's.

    Args:
        agreement: what was measured.
        min_kappa: the bound; ``None`` for none.
    """
    message = shortened(" ".join(str(agreement).split()), LONGEST_MESSAGE)
    if min_kappa is None:
        return final_state(None, message)
    labels, scores = agreement.labels, agreement.scores
    kappa = labels.kappa if labels else scores.weighted_kappa if scores else None
    shown = "there is no kappa" if kappa is None else f"kappa is {kappa:.2f}"
    reached = kappa is not None and kappa >= min_kappa
    verdict = Verdict(
        status="passed" if reached else "failed",
        reasons=(f"{shown}, and at least {min_kappa:g} is asked for",),
        exit_code=0 if reached else 1,
    )
    return final_state(verdict, message)
