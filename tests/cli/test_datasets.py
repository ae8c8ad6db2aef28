"""The commands on datasets, in this process: they run nothing."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from .harness import CommandLine, Here, lines

QUESTIONS = "key,question,context,answer,topic,part\n" + "".join(
    f"k{n},q{n},c{n},a{n},{'x' if n % 2 else 'y'},{'dev' if n < 3 else 'test'}\n" for n in range(8)
)
KEYS = [
    *("--input-key", "question", "--input-key", "context", "--output-key", "answer"),
    *("--metadata-key", "topic", "--split-key", "part", "--id-key", "key"),
]


@pytest.fixture(autouse=True)
def questions(here: Here) -> None:
    Path("questions.csv").write_text(QUESTIONS)


def test_create_takes_the_columns_that_it_is_told(here: Here) -> None:
    made = here.json("datasets", "create", "qs", "questions.csv", *KEYS, "--description", "of all sorts")
    assert made["name"] == "qs"
    assert made["example_count"] == 8
    told = here("datasets", "create", "other", "questions.csv", *KEYS).out
    assert (
        told == f"created dataset other ({here.json('datasets', 'show', 'other')['dataset']['id']}) with 8 examples\n"
    )
    example = here.client.datasets.get_dataset(dataset="qs").examples[1]
    assert example.to_dict() == {
        "id": "k1",
        "input": {"question": "q1", "context": "c1"},
        "output": {"answer": "a1"},
        "metadata": {"topic": "x"},
        "splits": ["dev"],
        "span_id": None,
    }
    again = here("datasets", "create", "qs", "questions.csv", *KEYS)
    assert again.code == 2
    assert "there is a dataset 'qs' already" in again.err


def test_types_are_said_once_for_each_column(here: Here) -> None:
    Path("typed.csv").write_text('input,n,a=b,j\nx,1,true,"{""k"": [1]}"\ny,2.5,,\n')
    types = ["--type", "n=number", "--type", "a=b=bool", "--type", "j=json"]
    here.json("datasets", "create", "typed", "typed.csv", *types)
    here.json("datasets", "append", "typed", "questions.csv", *KEYS, "--type", "question=text")
    first, second, *_ = here.client.datasets.get_dataset(dataset="typed").examples
    assert first.metadata == {"n": 1, "a=b": True, "j": {"k": [1]}}
    assert second.metadata == {"n": 2.5, "a=b": None, "j": None}
    for given, said in [
        (["--type", "n"], "--type takes COLUMN=TYPE"),
        (["--type", "n=int"], "unknown type 'int'"),
        (["--type", "m=number"], "unknown column 'm'"),
        (["--type", "n=number", "--type", "n=text"], "twice for column 'n'"),
        (["--type", "n=bool"], "column 'n', row 1: '1' is no truth value"),
    ]:
        refused = here("datasets", "create", "other", "typed.csv", *given)
        assert refused.code == 2
        assert said in refused.err


@pytest.mark.thorough
def test_what_was_left_out_is_said_beside_the_answer(tmp_path: Path) -> None:
    (tmp_path / "blank.csv").write_text(",input\n0,x\n1,\n2,y\n")
    made = CommandLine(tmp_path)("datasets", "create", "blank", "blank.csv", "--json")
    assert made.json["example_count"] == 2
    (line,) = lines(made.err)
    assert "blank.csv: left out 1 row with nothing in it and the first column" in line


def test_show_has_versions_splits_and_first_examples(here: Here) -> None:
    here("datasets", "create", "qs", "questions.csv", *KEYS)
    Path("more.csv").write_text(QUESTIONS.replace("\nk", "\nm"))
    assert here("datasets", "append", "qs", "more.csv", *KEYS).code == 0
    shown = here.json("datasets", "show", "qs")
    assert [version["number"] for version in shown["versions"]] == [2, 1]
    assert shown["splits"] == {"dev": 6, "test": 10}
    assert [example["id"] for example in shown["first_examples"]] == ["k0", "k1", "k2", "k3", "k4"]
    assert shown["dataset"]["example_count"] == 16
    head, *rest = lines(here("datasets", "show", "qs").out)
    fields, tables = rest[: len(rest) - 9], rest[-9:]
    assert (head, [line.split(maxsplit=1)[0] for line in fields]) == ("qs", ["id", "examples", "splits", "created"])
    assert [line.split(maxsplit=1)[1] for line in fields[1:3]] == ["16", "dev (6), test (10)"]
    dataset = shown["dataset"]
    assert fields[0].split()[1] == dataset["id"]
    assert [line.split()[:3] for line in tables[:3]] == [
        ["version", "id", "examples"], *([str(one["number"]), one["id"], str(one["example_count"])]
                                         for one in shown["versions"])
    ]  # fmt: skip
    assert tables[3].split() == ["id", "input", "output", "metadata", "splits"]
    assert [line.split() for line in tables[4:]] == [
        [f"k{n}", f'{{"question":"q{n}","context":"c{n}"}}', f'{{"answer":"a{n}"}}',
         f'{{"topic":"{"x" if n % 2 else "y"}"}}', "dev" if n < 3 else "test"]
        for n in range(5)
    ]  # fmt: skip


def test_where_no_dataset_or_example_is_that_is_said(here: Here) -> None:
    assert "there is no dataset yet" in here("datasets", "list").out
    here.client.store.datasets.put("empty", [])
    assert lines(here("datasets", "show", "empty").out)[-1] == "there are no examples"


def test_list_goes_on_at_the_cursor(here: Here) -> None:
    for name in ("one", "two", "three"):
        here("datasets", "create", name, "questions.csv", *KEYS)
    first = here("datasets", "list", "--limit", "2")
    assert [line.split()[1] for line in lines(first.out)] == ["name", "three", "two"]
    [hint] = lines(first.err)
    assert hint.startswith("there is more: --cursor ")
    rest = here.json("datasets", "list", "--cursor", hint.split()[-1])
    assert [dataset["name"] for dataset in rest["datasets"]] == ["one"]
    assert rest["pagination"]["has_more"] is False


def test_a_sample_is_printed_or_becomes_a_dataset_or_a_file(here: Here) -> None:
    here("datasets", "create", "qs", "questions.csv", *KEYS)
    head = here.json("datasets", "sample", "qs", "--n", "2", "--method", "head")
    assert [example["id"] for example in head["examples"]] == ["k0", "k1"]
    stratified = ["datasets", "sample", "qs", "--fraction", "0.5", "--method", "stratified", "--by", "topic"]
    assert here.json(*stratified, "--seed", "7", "--to", "half")["example_count"] == 4
    drawn = here.client.datasets.get_dataset(dataset="half").examples
    assert sorted(example.metadata["topic"] for example in drawn) == ["x", "x", "y", "y"]
    assert here.json(*stratified, "--seed", "7", "--export", "half.json")["example_count"] == 4
    assert [row["id"] for row in json.loads(Path("half.json").read_text())] == [example.id for example in drawn]
    both = here(*stratified, "--to", "x", "--export", "x.json")
    assert both.code == 2
    assert "a sample goes to a new dataset with --to or to a file with --export, not to both" in both.err
    printed = here(*stratified, "--for-spreadsheets")
    assert (printed.code, "--for-spreadsheets is about the file of --export" in printed.err) == (2, True)


def test_export_writes_the_version_that_is_asked_for(here: Here) -> None:
    here("datasets", "create", "qs", "questions.csv", *KEYS)
    Path("more.csv").write_text(QUESTIONS.replace("\nk", "\nm"))
    here("datasets", "append", "qs", "more.csv", *KEYS)
    assert here("datasets", "export", "qs", "new.jsonl").out == "wrote new.jsonl\n"
    assert here.json("datasets", "export", "qs", "old.jsonl", "--version", "1") == {"path": "old.jsonl"}
    assert len(Path("new.jsonl").read_text().splitlines()) == 16
    assert len(Path("old.jsonl").read_text().splitlines()) == 8


def test_a_text_that_looks_like_a_formula_is_changed_only_for_spreadsheets(here: Here) -> None:
    here.client.datasets.create_dataset(name="sums", examples=[{"id": "a", "input": "=1+1", "output": "=2"}])
    for command in (["export", "sums", "sums.csv"], ["sample", "sums", "--n", "1", "--export", "sums.csv"]):
        assert here("datasets", *command).code == 0
        assert "'=" not in Path("sums.csv").read_text()
        assert "=1+1" in Path("sums.csv").read_text()
        assert here("datasets", *command, "--for-spreadsheets").code == 0
        assert Path("sums.csv").read_text().count("'=") == 2


def test_delete_asks_a_person_and_nobody_else(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here("datasets", "create", "qs", "questions.csv", *KEYS)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    refused = here("datasets", "delete", "qs")
    assert refused.code == 2
    assert "--yes" in refused.err
    monkeypatch.setattr(sys, "stdin", _Typed("n\n"))
    declined = here("datasets", "delete", "qs", "--json")
    assert declined.code == 2
    assert declined.json == {"error": "nothing was deleted", "experiment_id": None}
    assert "every experiment on it? [y/N]" in declined.err
    assert "error: nothing was deleted" in declined.err
    assert len(here.client.datasets.list_datasets()) == 1
    monkeypatch.setattr(sys, "stdin", _Typed("y\n"))
    assert here("datasets", "delete", "qs").out.startswith("deleted dataset qs")
    here("datasets", "create", "qs", "questions.csv", *KEYS)
    assert "deleted" in here.json("datasets", "delete", "qs", "--yes")
    assert len(here.client.datasets.list_datasets()) == 0


class _Typed(io.StringIO):
    def isatty(self) -> bool:
        return True
