"""The process that leads deployed workers, in the project's folder: ``... run|resume DATASET ARGUMENTS``."""

from __future__ import annotations

import json
import sys

from prefect_experiments import Client


def main() -> None:
    how, dataset, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    client, common = Client(), {"task": "app.py:double", "evaluators": ["app.py:right"], "timeout": None, "retries": 0}
    if how == "run":
        client.experiments.run_experiment(dataset=f"{dataset}.jsonl", **common, **arguments)
    else:
        [first] = [e for e in client.experiments.list() if e.dataset_name == dataset]
        client.experiments.resume_experiment(experiment=first.id, **common, **arguments)


if __name__ == "__main__":
    main()
