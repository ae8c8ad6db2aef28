"""`AsyncClient`: the calls of `Client`, awaited, with the same parameters, for type checkers as well."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.client import Client, Datasets, Experiments, Spans
from prefect_experiments.client.compat_ax import RunInSpace, in_space
from prefect_experiments.client.compat_phoenix import PhoenixEvaluate, PhoenixResume
from prefect_experiments.experiment.arguments import EvaluateArguments, LogArguments, RunArguments
from prefect_experiments.in_json import InJson
from prefect_experiments.models import Experiment
from prefect_experiments.signatures import method_takes
from prefect_experiments.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.experiment.log import LoggedExperiment

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound="AsyncClient")


def _in_thread(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """A method of the synchronous client, awaited: it waits in a thread."""

    @functools.wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self.sync, *args, **kwargs)

    return call


def _made_like(init: Callable[Concatenate[Any, P], None]) -> Callable[[Any], Callable[Concatenate[Any, P], None]]:
    """Decorator of an ``__init__``: with the parameters of another one."""
    return functools.wraps(init)


class AsyncClient(InJson):
    """`Client` for asynchronous code: the same calls, awaited. See there.

    Attributes:
        sync: the client whose calls they are.
    """

    @_made_like(Client.__init__)
    def __init__(self, **given: Any) -> None:
        self._set_up(Client(**given))

    def __repr__(self) -> str:
        return repr(self.sync).replace(type(self.sync).__name__, type(self).__name__, 1)

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_client, (type(self), self.sync)

    def to_json_text(self) -> str:
        """What leads to it, without a secret."""
        return self.sync.to_json_text()

    @classmethod
    def from_json_text(cls, text: str) -> Self:
        """The client that a text tells of."""
        return _of_client(cls, Client.from_json_text(text))

    def _set_up(self, client: Client) -> None:
        self.sync = client
        self.backend = self.sync.backend
        self.remote = self.sync.remote
        self.store: Store = self.sync.store
        self.datasets = AsyncDatasets(self.sync.datasets)
        self.experiments = AsyncExperiments(self.sync.experiments)
        self.spans = AsyncSpans(self.sync.spans)


def _of_client(kind: type[C], client: Client) -> C:
    made = object.__new__(kind)
    made._set_up(client)
    return made


class AsyncDatasets:
    """``async_client.datasets``: the calls of `Datasets`, awaited."""

    def __init__(self, sync: Datasets) -> None:
        self.sync = sync

    create = _in_thread(Datasets.create)
    append_examples = _in_thread(Datasets.append_examples)
    get = _in_thread(Datasets.get)
    list = _in_thread(Datasets.list)
    delete = _in_thread(Datasets.delete)
    create_dataset = _in_thread(Datasets.create_dataset)
    add_examples_to_dataset = _in_thread(Datasets.add_examples_to_dataset)
    get_dataset = _in_thread(Datasets.get_dataset)
    get_info = _in_thread(Datasets.get_info)
    list_datasets = _in_thread(Datasets.list_datasets)
    list_versions = _in_thread(Datasets.list_versions)
    list_examples = _in_thread(Datasets.list_examples)
    update_examples = _in_thread(Datasets.update_examples)
    delete_dataset = _in_thread(Datasets.delete_dataset)
    export_dataset = _in_thread(Datasets.export_dataset)


class AsyncExperiments:
    """``async_client.experiments``: the calls of `Experiments`, awaited. What calls tasks does so in this loop."""

    def __init__(self, sync: Experiments) -> None:
        self.sync = sync

    @method_takes(RunArguments)
    async def run_experiment(self, arguments: RunArguments) -> RanExperiment:
        """`prefect_experiments.arun_experiment` in this client's store and backend."""
        from prefect_experiments.orchestration.runs import run_new

        return await run_new(arguments, self.sync.client)

    @method_takes(PhoenixResume)
    async def resume_experiment(self, arguments: PhoenixResume) -> RanExperiment:
        """`prefect_experiments.aresume_experiment` in this client's store and backend."""
        from prefect_experiments.orchestration.runs import go_on

        return await go_on(arguments.ours(), self.sync.client)

    @method_takes(EvaluateArguments)
    async def evaluate_experiment(self, arguments: EvaluateArguments) -> RanExperiment:
        """`prefect_experiments.aevaluate_experiment` in this client's store and backend."""
        from prefect_experiments.orchestration.runs import go_on

        return await go_on(arguments, self.sync.client)

    @method_takes(PhoenixEvaluate)
    async def resume_evaluation(self, arguments: PhoenixEvaluate) -> RanExperiment:
        """Phoenix's word for `evaluate_experiment`: evaluations that are there are kept."""
        from prefect_experiments.orchestration.runs import go_on

        return await go_on(arguments.ours(), self.sync.client)

    @method_takes(LogArguments)
    async def log_experiment(self, arguments: LogArguments) -> LoggedExperiment:
        """`prefect_experiments.alog_experiment` in this client's store and backend."""
        from prefect_experiments.orchestration.log_flow import log_in_flow

        return await log_in_flow(arguments, self.sync.client)

    @method_takes(RunInSpace)
    async def run(self, arguments: RunInSpace) -> tuple[Experiment | None, pd.DataFrame]:
        """`Experiments.run`."""
        from prefect_experiments.orchestration.runs import run_new

        return arguments.answer(await run_new(arguments.ours(), in_space(self.sync, arguments).client))

    create = _in_thread(Experiments.create)
    history = _in_thread(Experiments.history)
    list = _in_thread(Experiments.list)
    get = _in_thread(Experiments.get)
    get_results = _in_thread(Experiments.get_results)
    get_experiment = _in_thread(Experiments.get_experiment)
    delete = _in_thread(Experiments.delete)
    list_runs = _in_thread(Experiments.list_runs)
    list_pending = _in_thread(Experiments.list_pending)
    annotate_runs = _in_thread(Experiments.annotate_runs)
    tag = _in_thread(Experiments.tag)
    untag = _in_thread(Experiments.untag)
    compare = _in_thread(Experiments.compare)
    plan = _in_thread(Experiments.plan)
    push = _in_thread(Experiments.push)
    export = _in_thread(Experiments.export)


class AsyncSpans:
    """``async_client.spans``: the calls of `Spans`, awaited."""

    def __init__(self, sync: Spans) -> None:
        self.sync = sync

    get_spans_dataframe = _in_thread(Spans.get_spans_dataframe)
