"""Calls that are wrong: every line that ends with ``# wrong`` must be an error to each type checker, and no other.

Checked by `tests/test_typing.py`, never run. That misspelled keywords are found in every method is checked there, too.
"""

from __future__ import annotations

from prefect_experiments import (
    AsyncClient,
    Client,
    Sample,
    acompare_experiments,
    aresume_experiment,
    arun_experiment,
    compare_experiments,
    evaluate_experiment,
    log_experiment,
    resume_experiment,
    run_experiment,
)

questions = [{"input": "What is 2 + 3?", "output": "5"}]


def answer(input: str) -> str:
    return input


# The README's own calls, each with a keyword misspelled.
run_experiment(dataset=questions, task=answer, evaluator=["exact_match"], experiment_name="calculator")  # wrong
run_experiment(dataset=questions, task=answer, evaluators=["exact_match"], experimentname="calculator")  # wrong
run_experiment(datset=questions, task=answer)  # wrong
run_experiment(dataset=questions, task=answer, dry_runs=5)  # wrong
run_experiment(dataset=questions, task=answer, dataset_verion="1")  # wrong
client = Client()
client.datasets.create_dataset(name="capitals", examples=questions, input_key=["country"])  # wrong
client.datasets.create_dataset(name="capitals", exampels=questions)  # wrong
client.datasets.add_examples_to_dataset(dataset="capitals", examples=questions, outputs_keys=["capital"])  # wrong
client.experiments.run_experiment(dataset="capitals", task=answer, print_sumary=False)  # wrong
client.experiments.run_experiment(dataset="capitals", taks=answer)  # wrong
client.experiments.resume_experiment(experiment="latest", evaluator=[])  # wrong
client.experiments.resume_experiment(experimnt="latest")  # wrong
Sample(n=100, methods="stratified", by="region")  # wrong


async def awaited() -> None:
    there = AsyncClient()
    await there.datasets.create_dataset(name="capitals", examples=questions, input_key=["country"])  # wrong
    await there.datasets.add_examples_to_dataset(dataset="capitals", exampels=questions)  # wrong
    await there.experiments.run_experiment(dataset="capitals", task=answer, print_sumary=False)  # wrong
    await there.experiments.run_experiment(dataset="capitals", evaluator=["exact_match"])  # wrong
    await there.experiments.resume_experiment(experimnt="latest")  # wrong
    await arun_experiment(dataset=questions, taks=answer)  # wrong
    await aresume_experiment(experiment="latest", concurency=3)  # wrong
    await acompare_experiments(baseline="a", candidates="b")  # wrong


# Values of the wrong type.
run_experiment(dataset=questions, task=answer, concurrency="3")  # wrong
run_experiment(dataset=questions, task=answer, timeout="60")  # wrong
run_experiment(dataset=questions, task=answer, exit_on_error="no")  # wrong
run_experiment(dataset=questions, task=answer, rate_limit_errors=429)  # wrong
run_experiment(dataset=questions, task=answer, sample=10)  # wrong
run_experiment(dataset=questions, task=3)  # wrong
run_experiment(dataset=3, task=answer)  # wrong
run_experiment(dataset=questions, task=answer, evaluators=3)  # wrong
run_experiment(dataset=questions, task=answer, client="phoenix")  # wrong
Sample(n="3")  # wrong
Sample(n=3, method="first")  # wrong
Client(bakend="phoenix")  # wrong
Client(api_port="6006")  # wrong
AsyncClient(bakend="phoenix")  # wrong
Client(backend="phoenix", base_ulr="http://localhost:6006")  # wrong
AsyncClient(backend="phoenix", base_ulr="http://localhost:6006")  # wrong
Client(backend=7)  # wrong
AsyncClient(api_port="6006")  # wrong
client.experiments.list(limit="3")  # wrong
client.experiments.tag(experiment="latest")  # wrong
client.datasets.get(dataset=3)  # wrong
print(client.experiments.list()[0].nmae)  # wrong
print(client.datasets.list_datasets()[0].nmae)  # wrong
[run.outpt for run in client.experiments.list_runs(experiment="latest")]  # wrong
[example.inputs for example in client.datasets.list_examples(dataset="capitals")]  # wrong

# What is missing, and what has no place.
run_experiment(task=answer)  # wrong
run_experiment(questions, task=answer)  # wrong
resume_experiment()  # wrong
evaluate_experiment(experiment="latest")  # wrong
evaluate_experiment(experiment="latest", evaluators=[], exit_on_error=True)  # wrong
log_experiment(name="n")  # wrong
compare_experiments(baseline="a")  # wrong
client.experiments.run_experiment(dataset="capitals", task=answer, client=client)  # wrong
client.experiments.run(dataset="capitals", task=answer)  # wrong
client.experiments.resume_evaluation(experiment="latest", evaluators=[])  # wrong
client.experiments.nothing()  # wrong
