"""What a person sees on the flow run's page: progress while it runs, a summary at the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import (
    acreate_link_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.utilities.urls import url_for

from prefect_experiments.analysis import RanExperiment, history_of
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.errors import ExperimentsError
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.keys import fingerprint
from prefect_experiments.orchestration.patience import current_line
from prefect_experiments.orchestration.shared_server import is_shared_server
from prefect_experiments.reports.escaping import code, fence, markdown_link
from prefect_experiments.reports.history_markdown import NIGHTS_SHOWN, history_markdown
from prefect_experiments.reports.markdown import comparison_markdown, comparison_rows, summary_markdown
from prefect_experiments.reports.phrases import verdict_word
from prefect_experiments.reports.worst_runs import worst_runs_lines

PROGRESS_FIRST_S = 0.5  # an experiment that is over by then needs one request for it, and not two
PROGRESS_EVERY_S = 5.0
_PROGRESS = "the progress"

# To show the runs to look at first, all of them are read. Where nobody asked for a verdict and nothing failed, that is
# only done where it takes no time; a large experiment's report has them.
MOST_RUNS_READ = 20_000
MOST_RUNS_READ_UNASKED = 1_000
MOST_RESULTS_OF_HISTORY = 200_000  # runs and evaluations: a second or two


@contextlib.asynccontextmanager
async def progress_of(work: RunWork) -> AsyncIterator[None]:
    """Keep a progress artifact up to date while this is entered: soon made, then at most one update in 5 seconds.

    A Prefect server that does not answer costs the experiment its progress bar and nothing else.
    """
    narrator = asyncio.create_task(_narrate(work))
    try:
        yield
    finally:
        # The last update has been under way since the work ended.
        work.done.set()
        line = current_line()
        _, unfinished = await asyncio.wait({narrator}, timeout=line.patience)
        if unfinished:
            line.missed(_PROGRESS, TimeoutError())
        narrator.cancel()
        await asyncio.gather(narrator, return_exceptions=True)


async def _narrate(work: RunWork) -> None:
    line, description = current_line(), f"Progress of {work.name}"
    artifact, shown, wait, over = None, 0.0, PROGRESS_FIRST_S, False
    while not over:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(work.done.wait(), wait)
        over, done, wait = work.done.is_set(), percent_done(work), PROGRESS_EVERY_S
        if artifact is None:
            artifact = await line.tell(_PROGRESS, acreate_progress_artifact(progress=done, description=description))
            if artifact is None:
                return
        elif done != shown:
            await line.tell(_PROGRESS, aupdate_progress_artifact(artifact, progress=done))
        shown = done


def percent_done(work: RunWork) -> float:
    """How much of the calls that are to be made are made, from 0 to 100."""
    return round(100 * work.progress().share, 1)


def flow_run_page() -> str | None:
    """Prefect's page of the flow run that is running; ``None`` where its server ends with the process."""
    if not PREFECT_API_URL.value() or is_shared_server(PREFECT_API_URL.value()):
        return None
    run_id = _flow_run_id()
    return url_for("flow-run", obj_id=run_id) if run_id else None


def _flow_run_id() -> str | None:
    """The flow run that is running; ``None`` also where Prefect's server has not answered, so that there is none."""
    try:
        found: str | None = flow_run.id
    except AttributeError:  # Prefect's own: there is a flow, and no run of it
        found = None
    return found


def shown_by_traces() -> dict[str, str]:
    """What leads from a trace, and from the experiment, to the flow run that is running."""
    found = {"prefect.flow_run.id": _flow_run_id(), "prefect.flow_run.url": flow_run_page()}
    return {name: str(value) for name, value in found.items() if value}


async def show_summary(ran: RanExperiment) -> None:
    """The summary as a markdown artifact under a key of the dataset's, so that versions line up.

    Nothing of any row is in it: who runs an experiment has not asked for its data on Prefect's pages, other than who
    deploys a flow for people to look at.
    """
    text = summary_markdown(ran, None if ran.comparison else ran.verdict)
    await current_line().tell(
        "the summary",
        acreate_markdown_artifact(
            markdown=await _with_lowest(text, ran, contents=False),
            key=artifact_key("experiment", ran.experiment.dataset_name),
            description=f"Experiment {ran.experiment.name} on {ran.experiment.dataset_name}",
        ),
    )
    if ran.url is not None and ran.link is not None:
        backend = ran.link.target.partition(" ")[0]
        await current_line().tell(
            "the link",
            acreate_link_artifact(
                link=ran.url,
                link_text=f"{ran.experiment.name} in {backend}",
                key=artifact_key(backend, ran.experiment.dataset_name),
                description=f"Where {backend} compares the experiments on {ran.experiment.dataset_name}",
            ),
        )


async def show_comparison(ran: RanExperiment) -> None:
    """The comparison of an experiment with its baseline, under keys of the dataset's."""
    if ran.comparison is not None:
        await show_compared(ran.comparison, ran.experiment.dataset_name)


async def show_compared(comparison: Comparison, name: str, *, lined_up: bool = True) -> None:
    """A comparison: the verdict and what got worse, and the metrics as a table.

    Args:
        comparison: what was compared.
        name: what the artifacts are called after.
        lined_up: whether the verdict gets a key, under which versions line up; see `show_outcome`.
    """
    description = f"{comparison.candidate.label} beside {comparison.baseline.label}"
    key = artifact_key("comparison", name) if lined_up else None
    await current_line().tell(
        "the comparison",
        acreate_markdown_artifact(markdown=comparison_markdown(comparison), key=key, description=description),
    )
    await current_line().tell(
        "the metrics",
        acreate_table_artifact(
            table=comparison_rows(comparison), key=artifact_key("metrics", name), description=description
        ),
    )


async def show_outcome(ran: RanExperiment) -> None:
    """What came out, on the page of the flow run that asked for the experiment: one artifact that has it all.

    Without a key: with one, Prefect's page would lead to a list of everything that had the key, and not to this one.
    The experiment's own flow run has the artifacts that versions line up under.
    """
    name, dataset, comparison = ran.experiment.name, ran.experiment.dataset_name, ran.comparison
    text = summary_markdown(ran, ran.verdict) if comparison is None else comparison_markdown(comparison)
    if comparison is None and ran.url is not None:  # a comparison has the links of both sides
        text += f"\n\nAll of it: {markdown_link(name, ran.url)}"
    if comparison is None or not comparison.regressed:  # else the examples that got worse are what to look at
        text = await _with_lowest(text, ran)
    word = f"{verdict_word(ran.verdict)}: " if ran.verdict else ""
    await current_line().tell(
        "the outcome", acreate_markdown_artifact(markdown=text, description=f"{word}{name} on {dataset}")
    )


async def _with_lowest(text: str, ran: RanExperiment, *, contents: bool = True) -> str:
    """The text, and below it the runs to look at first."""
    summary = ran.summary
    most = MOST_RUNS_READ if ran.verdict or summary.n_errors else MOST_RUNS_READ_UNASKED
    if summary.n_runs > most:
        return text
    return "\n".join([text, "", *await asyncio.to_thread(partial(worst_runs_lines, ran, contents=contents))])


async def show_history(ran: RanExperiment) -> None:
    """The last experiments on the dataset beside each other, under a key of the dataset's; nothing of any example.

    What has to be read grows with the dataset: of a large one it has fewer experiments.
    """
    own, store = ran.record.experiment, ran.store
    if store is None:
        return
    results = own.example_count * own.repetitions * (1 + len(own.evaluators))
    last = max(1, min(NIGHTS_SHOWN, MOST_RESULTS_OF_HISTORY // max(1, results)))
    target = None if ran.link is None else ran.link.target
    try:
        found = await asyncio.to_thread(partial(history_of, store, own.dataset_id, last=last, target=target))
    except ExperimentsError as error:  # the verdict is what the flow is for
        get_run_logger().warning("The history of %s is not shown: %s", own.dataset_name, error)
        return
    await current_line().tell(
        "the history",
        acreate_markdown_artifact(
            markdown=history_markdown(found),
            key=artifact_key("history", own.dataset_name),
            description=f"The last experiments on {own.dataset_name}",
        ),
    )


async def show_report(path: Path, url: str | None, name: str) -> None:
    """Where a report is: a link where it can be opened over the network, else its path. Without a key, as an outcome.

    Args:
        path: of the file, absolute.
        url: of the file, where there is one.
        name: of the dataset, or of what was compared.
    """
    description = f"HTML report on {name}"
    if url is not None:
        await current_line().tell(
            "the report", acreate_link_artifact(link=url, link_text=path.name, description=description)
        )
        return
    where = f"The report is in {code(str(path), longest=1000)} on the machine {code(socket.gethostname())}."
    await current_line().tell("the report", acreate_markdown_artifact(markdown=where, description=description))


async def show_text(text: str, sort: str, name: str, description: str) -> None:
    """A text as it is, as it would stand on a terminal."""
    marks = fence(text, 3)  # of less, Markdown makes no block
    markdown = f"{marks}text\n{text}\n{marks}"
    key = artifact_key(sort, name)
    await current_line().tell(
        "the text", acreate_markdown_artifact(markdown=markdown, key=key, description=description)
    )


def artifact_key(sort: str, name: str) -> str:
    """A key that Prefect accepts: lower-case letters, digits and dashes.

    A name that other letters are left out of is told apart by its fingerprint.
    """
    text = f"{sort}-{name}".lower()
    key = "-".join(filter(None, "".join(c if c.isascii() and c.isalnum() else "-" for c in text).split("-")))[:200]
    return key if name.isascii() else f"{key}-{fingerprint(name)[:8]}"
