"""Any table of text, through every kind of file and the store: equal ids, equal cells, equal scores."""

import csv
import uuid
from collections import Counter
from dataclasses import replace

import orjson
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_experiments import Client, run_experiment
from prefect_experiments.datasets import load, read_table, write_examples, write_rows

HOSTILE = [
    "007", "5", "5.0", "1e5", " 5 ", "True", "true", "None", "null", "NA", "nan", "NaN", "inf", "-0", "+1", "1_000",
    '{"a":1}', '["x"]', '"q"', "a,b", "a;b", "a\tb", "a|b", '"', "''", "a\nb", "a\rb", "a\r\nb", "\r", "\u2028", "\x85",
    "\x0b", "\ufeff", "\u00a0", "=1+1", "sep=;", "#", "\\", "\\n", "é", "\U0001f600", "",
]  # fmt: skip
TEXT = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SOMETHING = TEXT.filter(lambda text: bool(text.strip()))
IDS = SOMETHING.filter(lambda text: not text.endswith(".0"))
ROW = st.fixed_dictionaries({"input": SOMETHING, "expected": TEXT, "topic": TEXT})
ROWS = st.lists(ROW, min_size=1, max_size=6)
WITH_IDS = st.lists(st.tuples(IDS, ROW), min_size=1, max_size=6, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [{"id": example_id, **row} for example_id, row in pairs]
)
FEWER = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def sources(rows, folder):
    """The rows in every form that a table comes in."""
    frame = pd.DataFrame(rows)
    with (folder / "own.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "excel.csv").open("w", newline="", encoding="utf-8-sig") as file:
        file.write("sep=;\r\n")
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "a.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    frame.to_parquet(folder / "pandas.parquet")
    found = {path.name: path for path in sorted(folder.iterdir())}
    for suffix in (".csv", ".json", ".jsonl", ".parquet"):
        write_rows(rows, folder / f"ours{suffix}")
        found[f"ours{suffix}"] = folder / f"ours{suffix}"
    return {**found, "DataFrame": frame, "Arrow": pa.Table.from_pandas(frame, preserve_index=False), "list": rows}


@FEWER
@given(ROWS | WITH_IDS)
def test_every_source_gives_the_same_cells_and_examples(tmp_path_factory, rows):
    wanted = load(rows)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for name, source in sources(rows, tmp_path_factory.mktemp("tables")).items():
        assert read_table(source).columns == columns, name
        assert load(source) == wanted, name
    assert [(example.input, example.output) for example in wanted] == [(row["input"], row["expected"]) for row in rows]


@pytest.mark.thorough
@FEWER
@given(ROWS | WITH_IDS)
def test_an_export_can_be_read_again(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("exports")
    wanted = load(rows)
    for suffix in (".csv", ".json", ".jsonl", ".parquet"):
        write_examples(wanted, folder / f"a{suffix}")
        assert load(folder / f"a{suffix}") == wanted, suffix


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return Client(store_url=f"sqlite:///{tmp_path_factory.mktemp('store') / 'a.db'}")


@pytest.mark.thorough
@settings(FEWER, max_examples=20)
@given(rows=ROWS | WITH_IDS)
def test_the_store_gives_back_what_it_got(client, tmp_path_factory, rows):
    name = uuid.uuid4().hex
    wanted = load(rows)
    path = tmp_path_factory.mktemp("store") / "a.csv"
    client.datasets.create_dataset(name=name, dataframe=pd.DataFrame(rows))
    assert client.datasets.get_dataset(name=name).examples == wanted
    for suffix in (".csv", ".parquet", ".jsonl"):
        client.datasets.export_dataset(dataset=name, path=path.with_suffix(suffix))
        assert load(path.with_suffix(suffix)) == wanted


def parts(example):
    return example.input, example.output


@FEWER
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_id(rows, rng):
    shuffled = rng.sample(rows, len(rows))
    assert Counter((e.id, parts(e), orjson.dumps(e.metadata)) for e in load(rows)) == Counter(
        (e.id, parts(e), orjson.dumps(e.metadata)) for e in load(shuffled)
    )


UNIQUE = st.lists(
    ROW, min_size=1, max_size=8, unique_by=lambda row: (row["input"], row["expected"].strip() and row["expected"])
)


@pytest.mark.thorough
@FEWER
@given(UNIQUE, st.data())
def test_other_rows_and_columns_change_nothing_of_a_row(tmp_path_factory, rows, data):
    wanted = {parts(example): example for example in load(rows)}
    kept = data.draw(st.lists(st.sampled_from(rows), min_size=1, unique_by=id))
    added = data.draw(st.lists(TEXT, min_size=len(kept), max_size=len(kept)))
    path = tmp_path_factory.mktemp("fewer") / "a.csv"
    write_rows([{**row, "added": cell} for row, cell in zip(kept, added, strict=True)], path)
    for example in load(path):
        before = wanted[parts(example)]
        metadata = {key: value for key, value in example.metadata.items() if key != "added"}
        assert replace(example, metadata=metadata) == before


SCORED = st.lists(
    st.fixed_dictionaries({"input": SOMETHING, "expected": SOMETHING}),
    min_size=1,
    max_size=5,
    unique_by=lambda row: row["input"],
)


@pytest.mark.thorough
@settings(FEWER, max_examples=6)
@given(SCORED)
def test_right_answers_score_right_from_every_source(client, tmp_path_factory, rows):
    answers = {row["input"]: row["expected"] for row in rows}
    found = sources(rows, tmp_path_factory.mktemp("scores"))
    for name, source in {name: found[name] for name in ("own.csv", "pandas.parquet", "ours.jsonl", "Arrow")}.items():
        ran = run_experiment(
            dataset=source,
            task=answers.__getitem__,
            evaluators="exact_match",
            dry_run=len(rows),
            print_summary=False,
            client=client,
        )
        assert ran.summary.metrics["exact_match"].mean == 1, name
        assert ran.summary.n_runs == len(rows), name


def test_readmes_numbers_as_text_and_as_numbers_are_one_example():
    """The sample that scored 0.00: a file has text where a task gives numbers."""
    numbers = load([{"input": n, "expected": n * 2} for n in range(3)])
    texts = load([{"input": str(n), "expected": str(n * 2)} for n in range(3)])
    assert [example.id for example in numbers] == [example.id for example in texts]
