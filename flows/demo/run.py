"""The demo: two variants of a small question-answering application, run as experiments and compared.

Started by ``make demo``. Everything happens on this machine: no key, no network.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# What is worth seeing here is the result, not each step of Prefect's.
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
# Where Prefect starts a server for this process, that server would try to reach the internet.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# Starting it takes ten seconds, and longer than Prefect's twenty on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")

from application import answer_by_bm25, answer_by_keywords
from rich.console import Console

from evaluators import answer_found, overlap, right_document
from prefect_experiments import Client, Dataset
from prefect_experiments.errors import NotFound
from prefect_experiments.reports.terminal import print_side_by_side

QUESTIONS = Path(__file__).with_name("questions.csv")


def questions(client: Client) -> Dataset:
    """The questions as a dataset of the store; made at the first run."""
    try:
        return client.datasets.get_dataset(name="prefect-questions")
    except NotFound:
        return client.datasets.create_dataset(
            name="prefect-questions",
            file=QUESTIONS,
            input_keys=["question"],
            output_keys=["answer", "document"],
            metadata_keys=["topic"],
            id_key="id",
            description="Questions on Prefect and on evaluation, each answered by one paragraph of documents.md.",
        )


def main() -> None:
    """Run both variants and print their scores side by side."""
    client = Client()
    console = Console()
    dataset = questions(client)
    console.print(f"{len(dataset)} questions, two variants of the application, three evaluators:\n")
    if not os.environ.get("PREFECT_API_URL"):
        console.print("[dim]No Prefect server is named, so Prefect starts one for this process (ten seconds) ...[/dim]")
    variants = {"keywords": answer_by_keywords, "bm25": answer_by_bm25}
    rans = [
        client.experiments.run_experiment(
            dataset=dataset,
            task=task,
            evaluators=[right_document, answer_found, overlap],
            experiment_name=name,
            experiment_description=f"The demo's application, ranking by {name}.",
            print_summary=False,
        )
        for name, task in variants.items()
    ]
    print_side_by_side(rans, console)
    console.print(f"\nKept in {client.store.shown_url}. Look closer with:")
    command = os.path.relpath(Path(sys.executable).with_name("prefect-experiments"))
    console.print(f"  {command} list", soft_wrap=True)
    for ran in rans:
        console.print(f"  {command} runs {ran.experiment_id}  [dim]# {ran.experiment.name}[/dim]", soft_wrap=True)


if __name__ == "__main__":
    main()
