import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefect_experiments import datasets
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Dataset, Example
from prefect_experiments.options import Sample

GSM8K = Path(__file__).resolve().parents[1] / "data/gsm8k/test.jsonl"
ROWS = [{"question": "2+2?", "answer": "4"}, {"question": "3+3?", "answer": "6"}]
KEYS = {"input_keys": ["question"], "output_keys": ["answer"]}


@pytest.fixture(params=["str", "Path", "DataFrame", "list", "generator", "tuple"])
def source(request, tmp_path):
    path = tmp_path / "qa.jsonl"
    datasets.write_rows(ROWS, path)
    return {
        "str": str(path),
        "Path": path,
        "DataFrame": pd.DataFrame(ROWS),
        "list": ROWS,
        "generator": (row for row in ROWS),
        "tuple": tuple(ROWS),
    }[request.param]


def test_every_source_makes_the_same_examples(source):
    assert datasets.load(source, **KEYS) == datasets.to_examples(ROWS, **KEYS)


def test_a_dataset_and_its_table_are_sources():
    examples = datasets.load(
        [{"input": {"q": 1}, "output": None, "split": "s", "id": "a"}, {"input": "q", "output": [1], "topic": "t"}]
    )
    dataset = Dataset(name="d", examples=examples)
    assert datasets.load(dataset) == examples
    assert datasets.load(dataset.to_dataframe()) == examples


def test_all_options_are_passed_on():
    rows = [{"q": 1, "a": 2, "t": 3, "s": "x", "k": "key"}]
    options = {"input_keys": "q", "output_keys": "a", "metadata_keys": "t", "split_key": "s", "id_key": "k"}
    (example,) = datasets.load(rows, **options)
    assert example == Example(id="key", input={"q": 1}, output={"a": 2}, metadata={"t": 3}, splits=("x",))
    with pytest.raises(InvalidDataset, match="'key'"):
        datasets.load(rows, **options, existing_ids=["key"])


def test_messages_say_where_the_rows_are_from(tmp_path):
    path = tmp_path / "qa.csv"
    path.write_text("question\nx\n")
    for source, origin in [
        (path, str(path)),
        (pd.DataFrame(ROWS), "DataFrame"),
        (ROWS, "examples"),
        (Dataset(name="d", examples=()), "dataset 'd'"),
    ]:
        with pytest.raises(InvalidDataset) as caught:
            datasets.load(source)
        assert str(caught.value).startswith(f"{origin}: ")


def test_nan_in_a_file_is_told_by_its_place(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"input": [1.5, float("nan")], "k": ["x", "y"]}), path)
    with pytest.raises(InvalidDataset, match=r"a\.parquet: row 2, input: nan is not JSON"):
        datasets.load(path)


@pytest.mark.parametrize("source", [None, 3, b"a.csv", {"input": 1}, Example(input=1)])
def test_what_is_no_source(source):
    with pytest.raises(InvalidDataset, match=type(source).__name__):
        datasets.load(source)


def test_neither_pandas_nor_pyarrow_is_imported_before_it_is_needed():
    code = (
        "import sys; from prefect_experiments import datasets; datasets.load([{'input': 1}]); "
        "print(sorted({'pandas', 'pyarrow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_gsm8k(tmp_path):
    examples = datasets.load(GSM8K, **KEYS)
    assert len(examples) == 400
    assert len({example.id for example in examples}) == 400
    assert list(examples[0].input) == ["question"]
    assert examples[0].output["answer"].endswith("#### 18")
    sample = datasets.draw(examples, Sample(fraction=0.1))
    assert len(sample) == 40
    for suffix in (".csv", ".parquet", ".json", ".jsonl"):
        path = tmp_path / f"sample{suffix}"
        datasets.write_examples(sample, path)
        keys = KEYS if suffix in (".csv", ".parquet") else {}
        assert datasets.load(path, **keys) == tuple(sample)
