"""A comparison of two experiments that are there already, with a verdict."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect_experiments import Client, Comparison, acompare_experiments
from prefect_experiments.experiment.compare import result_side
from prefect_experiments.flows.form import deployed
from prefect_experiments.orchestration.artifacts import show_compared
from prefect_experiments.orchestration.deployed.parameters import (
    GateRules,
    ProjectPath,
    Source,
    gate_of,
)
from prefect_experiments.orchestration.deployed.reporting import report_on_comparison, verdict_on


@deployed(
    "compare",
    called="{candidate} beside {baseline}",
    shown=("baseline", "candidate", "dataset", "gate", "gate_file"),
)
async def compare(
    baseline: Source = "tag:baseline",
    candidate: Source = "latest",
    dataset: str | None = None,
    gate: GateRules | None = None,
    gate_file: ProjectPath | None = None,
    report: ProjectPath | None = None,
    report_url: str | None = None,
    backend: str | None = None,
) -> Any:
    """Compare two experiments on the examples that both ran, and end as the gate says; nothing is run.

    Args:
        baseline: An experiment's id or name, tag:NAME, latest, or the path of a table of results.
        candidate: What is judged, named likewise.
        dataset: Name or id of the dataset that a name, a tag or latest is looked for in. Empty: in all of them.
        gate: The rules of the verdict. Empty, and no file: no metric may be worse than the baseline's.
        gate_file: Path of a YAML or JSON file with the rules, in place of `gate`.
        report: Where the HTML report is written: the path of an .html file, or of a folder. Empty: nowhere.
        report_url: Where people open that file or folder, such as https://reports.example.com. Empty: the page
            says the path.
        backend: local, phoenix, arize, or a saved block such as phoenix-credentials/prod. Empty: as the worker's
            settings say.
    """
    client = Client(backend=backend)
    rules = gate_of(gate, gate_file)

    def side(source: str, role: str) -> Any:
        return result_side(source, lambda: (client.store, client.remote), dataset, role=role)

    before = await asyncio.to_thread(side, baseline, "baseline")
    after = await asyncio.to_thread(side, candidate, "candidate")
    compared = await acompare_experiments(baseline=before, candidate=after, gate=rules, print_summary=False)
    assert isinstance(compared, Comparison)  # as there is one candidate
    name = dataset or compared.candidate.label
    await show_compared(compared, name, lined_up=False)
    if report is not None:
        await report_on_comparison(compared, before, after, report, name=name, url=report_url)
    return verdict_on(compared)
