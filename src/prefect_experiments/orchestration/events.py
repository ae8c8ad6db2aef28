"""Events that automations start from."""

from __future__ import annotations

import logging
from typing import Any

from prefect.events import emit_event

from prefect_experiments.analysis import RanExperiment

COMPLETED = "experiment.completed"
REGRESSED = "experiment.regressed"

logger = logging.getLogger("prefect_experiments")


def tell_of(ran: RanExperiment) -> None:
    """Emit ``experiment.completed``, and where the gate has failed it ``experiment.regressed`` as well.

    Both have the experiment as their resource, and ids and figures as their payload. Only inside a
    flow run: elsewhere Prefect would start a server for it.
    """
    try:
        for event in [COMPLETED, *([REGRESSED] if ran.verdict and ran.verdict.status == "failed" else [])]:
            emit_event(event=event, resource=_resource(ran), payload=_payload(ran))
    except Exception as error:  # noqa: BLE001 - the experiment is done, whether or not anybody hears of it
        logger.warning("No event was emitted (%s: %s).", type(error).__name__, error)


def _resource(ran: RanExperiment) -> dict[str, str]:
    experiment = ran.experiment
    return {
        "prefect.resource.id": f"prefect-experiments.experiment.{experiment.id}",
        "prefect.resource.name": experiment.name,
        "prefect-experiments.dataset": experiment.dataset_name,
    }


def _payload(ran: RanExperiment) -> dict[str, Any]:
    """Figures and ids; nothing of any row."""
    experiment, summary, verdict, comparison = ran.experiment, ran.summary, ran.verdict, ran.comparison
    found: dict[str, Any] = {
        "experiment_id": experiment.id,
        "experiment_name": experiment.name,
        "dataset_id": experiment.dataset_id,
        "dataset_name": experiment.dataset_name,
        "dataset_version_id": experiment.dataset_version_id,
        "url": ran.url,
        "n_runs": summary.n_runs,
        "n_errors": summary.n_errors,
        "metrics": {name: metric.mean for name, metric in summary.metrics.items()},
        "verdict": verdict.status if verdict else None,
        "reasons": list(verdict.reasons) if verdict else [],
    }
    if comparison is not None:
        found["baseline_id"] = comparison.baseline.experiment_id
        found["differences"] = {name: metric.difference for name, metric in comparison.metrics.items()}
        found["n_regressed"] = len(comparison.regressed)
        found["n_improved"] = len(comparison.improved)
    return found
