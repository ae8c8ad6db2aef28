"""Experiments whose examples have evaluators of their own, made by the engine in a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect_experiments import AnnotateRecordInput, AnnotationInput, Client, Dataset, Example, pending
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.steps import run_spec
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.sync import run_sync

Grades = Mapping[str, Mapping[str, Any]]
PENDING = pending("Is it polite?")
TASK = "the task"


def made(
    client: Client, grades: Grades, *, name: str = "candidate", repetitions: int = 1, unused: Sequence[str] = ()
) -> RanExperiment:
    """An experiment of which each example has the evaluators, and these say of it, what is given.

    Args:
        client: whose store it is in.
        grades: by example, what each of its evaluators gives, or raises. What stands under `TASK` is what the task
            raises.
        name: the experiment's.
        repetitions: of each example; a tuple has what is given in each of them.
        unused: evaluators that only an example of another split has, of which nothing is run.
    """
    names = dict.fromkeys(key for given in grades.values() for key in given if key != TASK) | dict.fromkeys(unused)
    examples = [
        Example(id=example_id, input=example_id, metadata={"description": f"about {example_id}"}, splits=("used",))
        for example_id in grades
    ]
    only = {example_id: tuple(key for key in given if key != TASK) for example_id, given in grades.items()}
    if unused:
        examples.append(Example(id="elsewhere", input="elsewhere", splits=("other",)))
        only["elsewhere"] = tuple(unused)
    dataset = Dataset(name="entries", examples=tuple(examples), only_evaluators=only)
    calls: dict[tuple[str, str], int] = {}

    def given(example_id: str, what: str) -> Any:
        value = grades[example_id].get(what)
        if isinstance(value, tuple):
            place = calls[example_id, what] = calls.get((example_id, what), -1) + 1
            value = value[place]
        if isinstance(value, Exception):
            raise value
        return value

    def task(input: str) -> str:
        given(input, TASK)
        return input

    def evaluator(what: str) -> Callable[[str], Any]:
        return lambda output: given(output, what)

    work = RunWork(
        plan_new(
            RunArguments(
                dataset=dataset,
                task=task,
                evaluators={what: evaluator(what) for what in names},
                experiment_name=name,
                repetitions=repetitions,
                splits=["used"] if unused else None,
                retries=0,
            ),
            client,
        )
    )
    work.load_dataset()
    run_sync(lambda: run_spec(work.session.spec))
    return work.result


def fill_in(client: Client, ran: RanExperiment, score: float | None = None, label: str | None = None) -> RanExperiment:
    """The experiment as it is when a person has judged all that was pending."""
    found = client.experiments.list_pending(experiment=ran, all=True)
    annotations = [
        AnnotateRecordInput(record_id=one.run_id, values=[AnnotationInput(name=one.name, score=score, label=label)])
        for one in found.pending
    ]
    client.experiments.annotate_runs(annotations=annotations)
    return client.experiments.get_results(experiment=ran.experiment_id)
