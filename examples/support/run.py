"""Run both versions of the application on the tickets, compare them, judge the second, and write a report.

    python run.py               # the report is written beside this file
    python run.py report.html   # or where you say

The key, and an endpoint other than OpenAI's, come from OPENAI_API_KEY and OPENAI_BASE_URL.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# The comparison is what is worth seeing here, not each step of Prefect's.
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
# Where no server is set, Prefect starts one for this process, which takes ten seconds and longer on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

from prefect_experiments import Client, write_report

HERE = Path(__file__).resolve().parent


def main(report: Path) -> None:
    """Run, compare, report."""
    client = Client()
    tickets = client.datasets.create_dataset(
        name="support-tickets",
        file=HERE / "tickets.csv",
        input_keys=["text"],
        output_keys=["intent"],
        metadata_keys=["channel"],
        id_key="id",
        if_exists="new_version",  # this may run again, after you have changed the tickets, too
    )
    evaluators = [f"{HERE}/evaluators.py:right_intent", f"{HERE}/evaluators.py:to_the_point"]
    first = client.experiments.run_experiment(
        dataset=tickets, task=f"{HERE}/app.py:v1", evaluators=evaluators, experiment_name="prompt 1"
    )
    second = client.experiments.run_experiment(
        dataset=tickets,
        task=f"{HERE}/app.py:v2",
        evaluators=evaluators,
        experiment_name="prompt 2",
        baseline=first,
        gate=HERE / "gate.yaml",
    )
    print(f"\nThe report: {write_report(second, report)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else HERE / "report.html")
