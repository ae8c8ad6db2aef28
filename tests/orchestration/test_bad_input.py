"""What cannot be used is refused before anything runs: what was wrong, where, the value, what to do."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prefect_experiments import Client, Dataset, Example, Sample, run_experiment
from prefect_experiments.errors import ExperimentsError, InvalidDataset, InvalidInput, NotFound

ROWS = [{"id": "a", "input": 1, "output": 1}, {"id": "b", "input": 2, "output": 2}]


def never(input: Any) -> Any:
    raise AssertionError("the task ran")


def refused(client: Client, error: type[ExperimentsError] = InvalidInput, **arguments: Any) -> str:
    with pytest.raises(error) as caught:
        run_experiment(**{"dataset": ROWS, "task": never, "client": client, "print_summary": False, **arguments})
    assert len(client.experiments.list()) == 0
    assert len(client.datasets.list_datasets()) == 0
    return str(caught.value)


Write = Callable[[Path], None]
FILES: list[tuple[str, Write, str]] = [
    ("missing.csv", lambda path: None, "missing.csv"),
    ("empty.csv", lambda path: path.write_text("") and None, "empty"),
    ("ragged.csv", lambda path: path.write_text("input,output\n1,2\n3,4,5\n") and None, "line 3"),
    ("short.csv", lambda path: path.write_text("input,output\n1\n") and None, "line 2"),
    ("open.csv", lambda path: path.write_text('input,output\n"1,2\n') and None, "quote|unterminated|unexpected end"),
    ("latin.csv", lambda path: path.write_bytes("input\nné\n".encode("latin-1")) and None, "UTF-8"),
    ("header.csv", lambda path: path.write_text("input,output\n") and None, "no rows"),
    ("no-input.csv", lambda path: path.write_text("question,answer\n1,2\n") and None, "input_keys.*question, answer"),
    ("doubles.csv", lambda path: path.write_text("id,input\na,1\na,2\n") and None, "'a'"),
    ("broken.json", lambda path: path.write_text('[{"input": 1},') and None, "line 1"),
    ("nan.json", lambda path: path.write_text('[{"input": NaN}]') and None, "NaN"),
    ("infinity.jsonl", lambda path: path.write_text('{"input": 1}\n{"input": -Infinity}\n') and None, "line 2"),
    ("scalar.json", lambda path: path.write_text("3") and None, "list"),
    ("empty.json", lambda path: path.write_text("[]") and None, "no rows"),
    ("truth.csv", lambda path: path.write_text("input,output,expected\n1,2,3\n") and None, "'output' and 'expected'"),
    ("unnamed.csv", lambda path: path.write_text(",input\nx,1\n") and None, "no name for column 1"),
    (
        "nul.json",
        lambda path: path.write_text('[{"id": "a\\u0000", "input": 1}]') and None,
        "row 1, the id holds a NUL",
    ),
    (
        "two.jsonl",
        lambda path: path.write_text('{"input": 1} {"input": 2}\n') and None,
        "two objects or more on line 1",
    ),
    ("empty.json", lambda path: path.write_text("[]") and None, "no rows; the list is empty"),
    ("twice.json", lambda path: path.write_text('[{"input": 1, "input": 2}]') and None, "'input' stands twice"),
    ("blank.csv", lambda path: path.write_text("input,output\n,\n") and None, "every row is empty"),
    ("broken.parquet", lambda path: path.write_bytes(b"PAR1 not really") and None, "[Pp]arquet"),
]


@pytest.mark.parametrize(("name", "write", "text"), FILES, ids=[name for name, _, _ in FILES])
def test_files(client: Client, tmp_path: Path, name: str, write: Write, text: str) -> None:
    path = tmp_path / name
    write(path)
    assert re.search(text, refused(client, dataset=path)), refused(client, dataset=path)


CONTENT: list[tuple[str, Any, str]] = [
    ("no rows", [], "no rows. A dataset needs at least one example"),
    ("nan", [{"input": 1}, {"input": {"price": math.nan}}], r"row 2.*price"),
    ("infinity in a frame", pd.DataFrame({"input": [1.0, math.inf]}), "row 2"),
    ("double ids", [{"id": "a", "input": 1}, {"id": "a", "input": 2}], "'a'"),
    ("not json", [{"input": object()}], "row 1"),
    ("not rows", [1, 2], "row 1"),
]


@pytest.mark.parametrize(("content", "text"), [c[1:] for c in CONTENT], ids=[c[0] for c in CONTENT])
def test_content(client: Client, content: Any, text: str) -> None:
    assert re.search(text, refused(client, dataset=content), re.DOTALL)


def test_names_that_lead_nowhere(client: Client) -> None:
    assert "unknown dataset 'nothing'" in refused(client, NotFound, dataset="nothing")
    assert "no module 'nowhere'" in refused(client, task="nowhere:task")
    assert "has no 'nope'. It has" in refused(client, task="json:nope")
    assert "there is no file missing.py" in refused(client, task="missing.py:task")
    assert "exact_match" in refused(client, evaluators="exactmatch")
    assert "no module 'nowhere'" in refused(client, evaluators=["nowhere:evaluator"])
    assert "no module 'nowhere'" in refused(client, rate_limit_errors="nowhere:Error")
    assert "did you mean 'local'" in refused(client, backend="locl")


def test_types_that_cannot_be_applied(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "typed.csv"
    path.write_text("input,output\n1,x\n")
    assert "column 'output', row 1: 'x' is no number" in refused(client, dataset=path, types={"output": "number"})
    assert "unknown type 'int'" in refused(client, dataset=path, types={"input": "int"})
    text = refused(client, dataset=[{"input": {"a": 1}}], types={"input": "text"})
    assert "Only numbers and truth values can be made text; leave the column out of types=" in text, text
    examples = Dataset(name="d", examples=(Example(input=1),))
    assert "dataset 'd': types= are for rows" in refused(client, dataset=examples, types={"input": "number"})
    client.datasets.create_dataset(name="kept", examples=ROWS)
    with pytest.raises(InvalidInput, match="dataset 'kept' is kept with its values"):
        run_experiment(dataset="kept", task=never, client=client, types={"input": "number"})


def test_types_are_applied_before_anything_runs(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "typed.csv"
    path.write_text('input,expected\n7,"{""a"": 8}"\n')
    types = {"input": "number", "expected": "json"}
    ran = run_experiment(
        dataset=path,
        task=lambda n: {"a": n + 1},
        evaluators="exact_match",
        types=types,
        client=client,
        print_summary=False,
    )
    assert ran.summary.metrics["exact_match"].mean == 1


def test_a_name_that_no_store_keeps(client: Client) -> None:
    assert "1 to 255 printable characters" in refused(client, dataset=Dataset(name="a\0", examples=(Example(input=1),)))


def test_parameters_that_cannot_be_filled(client: Client) -> None:
    assert "'prompt', 'model'. Known names: input, expected" in refused(client, task=lambda prompt, model: 1)
    assert "takes no argument" in refused(client, task=lambda: 1)
    assert "'threshold'" in refused(client, evaluators=lambda output, threshold: 1)
    assert "must be a function" in refused(client, task=3)
    assert "no task" in refused(client, task=None)
    assert "lambda" in refused(client, evaluators=[lambda output: 1, lambda output: 2])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("repetitions", 0), ("repetitions", -1), ("repetitions", 1.5), ("repetitions", True),
        ("concurrency", 0), ("concurrency", "10"), ("batch_size", 0), ("retries", -1), ("timeout", 0),
        ("timeout", -5), ("dry_run", -1), ("rate_limit_errors", [3]),
        ("experiment_name", ""), ("experiment_name", "a\nb"), ("experiment_metadata", {"a": math.nan}),
        ("splits", ["train"]),
    ],
)  # fmt: skip
def test_settings_out_of_range(client: Client, argument: str, value: Any) -> None:
    text = refused(client, **{argument: value})
    assert argument.split("_")[-1].rstrip("s") in text


def test_samples_that_do_not_go_together() -> None:
    for arguments in (
        {}, {"n": 0}, {"n": 1, "fraction": 0.5}, {"fraction": 1.5}, {"n": 1, "method": "ramdom"},
        {"n": 1, "method": "stratified"}, {"n": 1, "by": "topic"},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            Sample(**arguments)  # type: ignore[arg-type]


def test_a_million_characters_are_fine(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_text("input,output\n" + "x" * 1_000_000 + ",1\n")
    ran = run_experiment(dataset=path, task=len, evaluators="exact_match", client=client, print_summary=False)
    assert ran.task_runs[0].output == 1_000_000


def test_an_output_that_is_not_json_is_kept_as_its_repr(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    class Odd:
        def __repr__(self) -> str:
            return "<odd content>"

    with caplog.at_level("WARNING", logger="prefect_experiments"):
        ran = run_experiment(
            dataset=ROWS,
            task=lambda n: {"odd": Odd(), "n": n, "nan": math.nan},
            evaluators={"seen": functools.partial(lambda output, n: output["n"] > n, n=0)},
            client=client,
            print_summary=False,
        )
    assert ran.task_runs[0].output == {"odd": "<odd content>", "n": 1, "nan": "nan"}
    assert ran.summary.metrics["seen"].mean == 1.0
    assert caplog.text.count("Said once") == 1
    assert "odd content" not in caplog.text


def test_nothing_to_run_on(client: Client) -> None:
    client.store.datasets.put("emptied", [])
    with pytest.raises(InvalidDataset, match=r"^dataset 'emptied' has no examples$"):
        run_experiment(dataset="emptied", task=never, client=client)
    with pytest.raises(InvalidDataset, match=r"^dataset 'emptied' has no examples to run on$"):
        run_experiment(dataset="emptied", task=never, client=client, sample={"n": 3})
