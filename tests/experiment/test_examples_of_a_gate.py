"""What a gate says of single examples and of groups of them, on experiments whose datasets have metadata and splits."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments import Client, Dataset, EvaluationResult, Example
from prefect_experiments.errors import InvalidSetting


def tiers() -> Dataset:
    examples = [
        Example(
            id=f"e{n}",
            input=n,
            output=n,
            metadata={"customer": {"tier": "gold" if n < 15 else "free"}, "tags": ["old", "odd"][: 1 + n % 2]},
            splits=("golden",) if n < 12 else (),
        )
        for n in range(40)
    ]
    return Dataset(name="tiers", examples=examples)


def right(input: int) -> int:
    return input


def wrong_on_the_first(input: int) -> int:
    return input if input >= 12 else -1


@pytest.mark.thorough
def test_metadata_and_splits_come_from_the_dataset(client: Client) -> None:
    common: dict[str, Any] = {"dataset": tiers(), "evaluators": "exact_match", "print_summary": False}
    before = client.experiments.run_experiment(task=right, experiment_name="tiers 1", **common)
    gate = {
        "slices": ["metadata.customer.tier", "splits", "metadata.tags"],
        "required": {"split": "golden", "metadata.customer.tier": "free"},
    }
    after = client.experiments.run_experiment(
        task=wrong_on_the_first, experiment_name="tiers 2", baseline=before, gate=gate, **common
    )
    assert after.comparison is not None
    assert after.verdict is not None
    found = {one.name: (one.n_examples, one.metrics["exact_match"].losses) for one in after.comparison.slices.groups}
    assert found == {
        "metadata.customer.tier=free": (25, 0),
        "metadata.customer.tier=gold": (15, 12),
        "splits=golden": (12, 12),
        "metadata.tags=odd": (20, 6),
        "metadata.tags=old": (40, 12),
    }
    checks = {check.name: check for check in after.verdict.checks}
    assert checks["metadata.customer.tier"].status == "failed"
    assert checks["required"].status == "failed"
    assert checks["required"].reason.startswith("25 of 37 required examples are right (all scores >= 1); failed: e0 (")


def test_what_no_example_has_is_refused_before_anything_is_run(client: Client) -> None:
    called: list[Any] = []
    examples = [{"id": str(n), "input": n, "metadata": {"topic": "a", "key": str(n)}} for n in range(60)]
    client.datasets.create_dataset(name="sliced", examples=examples)
    slices, must = "the gate's slices, on dataset 'sliced'", "the gate's required names what is not in dataset 'sliced'"
    for gate, said in (
        ({"slices": "metadata.topik"}, f"{slices}: no example has 'metadata.topik'; did you mean 'metadata.topic'"),
        ({"slices": "splits"}, f"{slices}: no example has 'splits'"),
        ({"slices": "metadata.key"}, f"{slices}: metadata.key makes no groups: it has more than 50 values"),
        ({"required": {"ids": ["1", "60"]}}, f"{must}, or .*: there is no example '60'"),
        ({"required": {"split": "golden"}}, f"{must}, or .*: no example has 'splits'"),
        ({"required": {"metadata.topic": "b"}}, f"{must}, or .*: no example has metadata.topic=b"),
    ):
        for dry in (False, True):
            with pytest.raises(InvalidSetting, match=f"{said}.*Nothing was run"):
                client.experiments.run_experiment(dataset="sliced", task=called.append, gate=gate, dry_run=dry)
    assert not called


def test_a_required_metric_that_no_evaluator_gives_is_refused_before_anything_is_run(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Any] = []
    gate = {"required": {"ids": "e1", "metrics": ["exact_mach"]}}
    said = "the gate's required: unknown metric 'exact_mach'; did you mean 'exact_match'"
    with pytest.raises(InvalidSetting, match=f"{said}.*Nothing was run"):
        client.experiments.run_experiment(dataset=tiers(), task=called.append, evaluators="exact_match", gate=gate)
    assert not called

    def several(output: int) -> list[EvaluationResult]:
        return [EvaluationResult(name="exact_mach", score=float(output >= 0))]

    ran = client.experiments.run_experiment(  # a function may give scores of any names
        dataset=tiers(), task=right, evaluators=several, gate=gate, print_summary=False
    )
    assert ran.verdict is not None
    assert ran.verdict.status == "passed"
    assert "The gate asks for what no evaluator is called: unknown metric 'exact_mach'" in caplog.text


def test_what_no_example_has_is_refused_before_anything_is_logged(client: Client) -> None:
    client.datasets.create_dataset(name="tiers", examples=list(tiers().examples))
    rows = [{"example_id": f"e{n}", "output": n, "eval.ok.score": 1} for n in range(40)]
    for gate, said in (
        ({"slices": "metadata.teir"}, "the gate's slices, on dataset 'tiers': no example has 'metadata.teir'"),
        ({"required": {"ids": "e40"}}, "the gate's required names what is not in dataset 'tiers', or .* 'e40'"),
        ({"required": {"ids": "e1", "metrics": "okay"}}, "the gate's required: unknown metric 'okay'"),
    ):
        with pytest.raises(InvalidSetting, match=f"{said}.*Nothing was logged"):
            client.experiments.log_experiment(name="logged", experiment_runs=rows, dataset="tiers", gate=gate)
    assert not client.experiments.list().items
    good = {"slices": "metadata.customer.tier", "required": {"ids": "e1", "metrics": "ok"}}
    logged = client.experiments.log_experiment(name="logged", experiment_runs=rows, dataset="tiers", gate=good)
    assert logged.verdict is not None
    assert logged.verdict.status == "passed"
