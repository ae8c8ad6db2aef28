"""The process that leads deployed workers: ``deployed_driver.py run|resume DATASET ARGUMENTS``, in the project's folder.

What comes of it is printed as JSON.
"""

from __future__ import annotations

import json
import sys

from prefect_experiments import Client


def main() -> None:
    how, dataset, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    client, common = Client(), {"task": "app.py:double", "evaluators": ["app.py:right"], "timeout": None, "retries": 0}
    if how == "run":
        rows = [json.loads(line) for line in open(f"{dataset}.jsonl")]
        client.experiments.run_experiment(
            dataset=client.datasets.create_dataset(name=dataset, examples=rows), **common, **arguments
        )
    else:
        [first] = [e for e in client.experiments.list() if e.dataset_name == dataset]
        client.experiments.resume_experiment(experiment=first.id, **common, **arguments)


if __name__ == "__main__":
    main()
