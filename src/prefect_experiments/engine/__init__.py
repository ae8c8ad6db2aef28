"""Plan what is missing, run it, retry, throttle, time out. asyncio only: no Prefect, no HTTP."""

from prefect_experiments.engine.budget import Budget
from prefect_experiments.engine.engine import Engine
from prefect_experiments.engine.items import EvaluationItem, RunItem, Sink
from prefect_experiments.engine.limits import Pace
from prefect_experiments.engine.plan import Batch, default_batch_size, in_batches
from prefect_experiments.engine.policy import CallPolicy
from prefect_experiments.engine.traces import TracedEvaluator, TracedTask, TraceFigures, Tracer

__all__ = [
    "Batch",
    "Budget",
    "CallPolicy",
    "Engine",
    "EvaluationItem",
    "Pace",
    "RunItem",
    "Sink",
    "TraceFigures",
    "TracedEvaluator",
    "TracedTask",
    "Tracer",
    "default_batch_size",
    "in_batches",
]
