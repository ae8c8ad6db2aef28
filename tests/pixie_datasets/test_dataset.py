"""A pixie file as a dataset: examples, ids, the task and the evaluators that it brings, wherever a dataset is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from prefect_experiments import Client, Dataset, Example, Sample, run_experiment
from prefect_experiments.errors import InvalidDataset, InvalidEntries, InvalidEvaluator
from prefect_experiments.pixie import load_pixie
from prefect_experiments.pixie.examples import Entry, Named

from .files import CHECKS, dataset, entry, project

CHECK = "pixie_qa/checks.py:is_short"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three entries, the second with an evaluator more, the third with another one alone."""
    return project(
        tmp_path,
        dataset(
            entry(1, expectation="QUESTION 1"),
            entry(2, expectation="QUESTION 2", evaluators=["...", CHECK]),
            entry(3, expectation=None, evaluators=[CHECK]),
            name="golden",
        ),
    )


def ids(found: Dataset) -> list[str]:
    return [example.id for example in found.examples]


class TestLoading:
    def test_what_it_brings(self, path: Path, tmp_path: Path) -> None:
        found = load_pixie(path)
        root = str(tmp_path)
        assert found.name == "golden"
        assert found.task == f"prefect_experiments.pixie:application('pixie_qa/app.py:answer', {root!r})"
        assert found.evaluators == tuple(
            f"prefect_experiments.pixie:evaluator({name!r}, {root!r})" for name in ("ExactMatch", CHECK)
        )
        one, _, three = ids(found)
        assert found.only_evaluators == {one: ("ExactMatch",), three: ("is_short",)}

    def test_entries_are_examples(self, path: Path) -> None:
        first = load_pixie(path).examples[0]
        assert first.input == {"input_data": {"q": "question 1"}}
        assert first.output == {"expectation": "QUESTION 1"}
        assert first.metadata == {"description": "Case 1"}
        assert load_pixie(path).examples[2].output == {"expectation": None}

    @pytest.mark.parametrize("folder", ["", "pixie_qa", "elsewhere"])
    def test_references_begin_at_the_project(
        self, path: Path, tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / folder)
        assert load_pixie(path).task == load_pixie(str(path)).task
        assert len(load_pixie(path).evaluators) == 2

    def test_the_root_can_be_said(self, path: Path, tmp_path: Path) -> None:
        moved = tmp_path / "moved.json"
        moved.write_text(path.read_text())
        assert load_pixie(moved, tmp_path).task == load_pixie(path).task
        with pytest.raises(InvalidEntries, match="no file"):
            load_pixie(moved, tmp_path / "pixie_qa")

    def test_a_file_outside_of_its_project_is_told_once_how_to_say_it(self, path: Path, tmp_path: Path) -> None:
        moved = path.rename(tmp_path / "outside.json")
        (tmp_path / "elsewhere").mkdir()
        moved = moved.rename(tmp_path / "elsewhere" / "outside.json")
        with pytest.raises(InvalidEntries) as refused:
            load_pixie(moved)
        lines = str(refused.value).splitlines()
        assert [line for line in lines if "--root" in line] == lines[-1:]
        assert lines[-1].startswith(f"References are taken from {tmp_path / 'elsewhere'}. ")
        assert "load_pixie(path, root=" in lines[-1]
        with pytest.raises(InvalidEntries) as refused:
            load_pixie(moved, tmp_path / "elsewhere")
        assert "--root" not in str(refused.value)
        assert len(load_pixie(moved, tmp_path).examples) == 3

    def test_what_it_names_is_looked_up_with_the_rest(self, tmp_path: Path) -> None:
        content = dataset(
            entry(1, evaluators=["...", "Factualty"]),
            entry(2, description=""),
            entry(3, evaluators=["pixie_qa/checks.py:is_shrt", "nowhere.py:x"]),
            runnable="pixie_qa/app.py:anser",
            evaluators=["Levenshtein"],  # as autoevals calls it, and used by no entry that can be used
        )
        with pytest.raises(InvalidEntries) as refused:
            load_pixie(project(tmp_path, content))
        lines = str(refused.value).splitlines()
        assert len(lines) == 1 + 6
        said = "\n".join(lines)
        for part in (
            "'runnable': reference 'pixie_qa/app.py:anser': pixie_qa/app.py has no 'anser'. It has: answer",
            "unknown pixie evaluator 'Levenshtein'; did you mean 'LevenshteinMatch'?",
            "entry 1 ('Case 1'): unknown pixie evaluator 'Factualty'; did you mean 'Factuality'?",
            "entry 2: 'description'",
            "entry 3 ('Case 3'): reference 'pixie_qa/checks.py:is_shrt'",
            "entry 3 ('Case 3'): reference 'nowhere.py:x': there is no file",
        ):
            assert part in said

    def test_what_is_replaced_is_not_looked_up(self, tmp_path: Path) -> None:
        path = project(tmp_path, dataset(evaluators=["nowhere.py:x"], runnable="nowhere.py:y"))
        found = load_pixie(path, task=False, evaluators=False)
        assert (found.evaluators, found.only_evaluators) == ((), {})
        with pytest.raises(InvalidEntries, match="2 problems"):
            load_pixie(path)

    def test_evaluators_of_one_name_in_two_files(self, tmp_path: Path) -> None:
        other = "pixie_qa/other.py:is_short"
        path = project(tmp_path, dataset(entry(1, evaluators=[CHECK, other]), entry(2, evaluators=["...", other])))
        (tmp_path / "pixie_qa" / "other.py").write_text(CHECKS)
        found = load_pixie(path)
        one, two = ids(found)
        assert found.only_evaluators == {one: (CHECK, other), two: ("ExactMatch", other)}
        assert [reference.count(other) for reference in found.evaluators] == [0, 2, 0]  # in the order of their use
        assert [reference.count(CHECK) for reference in found.evaluators] == [2, 0, 0]

    def test_the_form_can_be_said(self, path: Path) -> None:
        with pytest.raises(InvalidEntries, match="eval_input"):
            load_pixie(path, form="entry_kwargs")
        old = project(path.parents[2], dataset(entry(input_data=..., entry_kwargs={"q": "a"})))
        found = load_pixie(old, form="input_data")
        assert Entry.of(found.examples[0]).shown_input == (Named("input_data", {"q": "a"}),)

    def test_nothing_in_it_is_decoded(self, tmp_path: Path) -> None:
        evil = {"py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": [str(tmp_path / "made")]}]}
        path = project(tmp_path, dataset(entry(input_data={"q": evil}, expectation=evil, eval_metadata=evil)))
        found = load_pixie(path).examples[0]
        assert (found.input, found.output) == ({"input_data": {"q": evil}}, {"expectation": evil})
        assert not (tmp_path / "made").exists()


def test_an_example_that_is_no_entry() -> None:
    with pytest.raises(InvalidDataset) as refused:
        Entry.of(Example(id="e1", input="a question"))
    assert str(refused.value) == (
        "example 'e1' is no entry of a pixie dataset: its input must be an object with 'input_data' (or "
        "'entry_kwargs'), got 'a question'"
    )


class TestIds:
    def test_they_can_be_read(self, path: Path) -> None:
        for number, found in enumerate(ids(load_pixie(path)), 1):
            assert found.startswith(f"case-{number}-")
            assert len(found.rpartition("-")[2]) == 8

    def test_they_stay_while_the_input_does(self, tmp_path: Path) -> None:
        before = ids(load_pixie(project(tmp_path, dataset(entry(1), entry(2)))))
        same = dataset(entry(2, expectation="new", evaluators=[CHECK]), entry(1, eval_metadata={"a": 1}))
        assert ids(load_pixie(project(tmp_path, same))) == before[::-1]
        changed = dataset(entry(1, eval_input=[{"name": "a", "value": 1}]), entry(2, description="Case two"))
        assert not set(ids(load_pixie(project(tmp_path, changed)))) & set(before)

    def test_twins_are_told_apart(self, tmp_path: Path) -> None:
        one, two, three = ids(load_pixie(project(tmp_path, dataset(entry(), entry(), entry()))))
        assert (two, three) == (f"{one}-2", f"{one}-3")

    @pytest.mark.parametrize(
        ("said", "slug"),
        [("Refund: asked TWICE!", "refund-asked-twice-"), ("Größe über alles", "grosse-uber-alles-"), ("質問", "")],
    )
    def test_of_any_description(self, tmp_path: Path, said: str, slug: str) -> None:
        [found] = ids(load_pixie(project(tmp_path, dataset(entry(description=said)))))
        assert found[:-8] == slug

    def test_long_descriptions_are_cut(self, tmp_path: Path) -> None:
        [found] = ids(load_pixie(project(tmp_path, dataset(entry(description="word " * 40)))))
        assert len(found) <= 48 + 1 + 8


class TestWhereverADatasetIsNamed:
    @pytest.fixture
    def client(self, tmp_path: Path) -> Client:
        return Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")

    def dry(self, client: Client, path: Any, **more: Any) -> dict[str, list[str]]:
        """Of a dry run of everything, by example, the evaluators that scored it."""
        ran = run_experiment(dataset=path, client=client, **{"dry_run": 10, "print_summary": False, **more})
        by_run = {run.id: run.example_id for run in ran.task_runs}
        found: dict[str, list[str]] = {example_id: [] for example_id in sorted(by_run.values())}
        for one in sorted(ran.evaluation_runs, key=lambda evaluation: evaluation.name):
            assert one.error is None, one.error
            found[by_run[one.run_id]].append(one.name)
        return found

    def test_a_dry_run_takes_the_path_alone(self, path: Path, client: Client) -> None:
        one, two, three = ids(load_pixie(path))
        for given in (path, str(path), load_pixie(path)):
            assert self.dry(client, given) == {
                one: ["ExactMatch"],
                two: ["ExactMatch", "is_short"],
                three: ["is_short"],
            }

    def test_of_a_sample_each_has_its_own(self, path: Path, client: Client) -> None:
        one = ids(load_pixie(path))[0]
        assert self.dry(client, path, sample=Sample(n=1, method="head")) == {one: ["ExactMatch"]}
        for n in (1, 2):
            assert len(self.dry(client, path, dry_run=n)) == n

    def test_the_caller_s_evaluators_are_for_all(self, path: Path, client: Client) -> None:
        for given in (path, load_pixie(path)):
            found = self.dry(client, given, evaluators={"mine": lambda output: True})
            assert list(found.values()) == [["mine"]] * 3

    def test_the_caller_s_task_is_called(self, path: Path, client: Client) -> None:
        ran = run_experiment(dataset=path, task=lambda example: "mine", client=client, dry_run=3, print_summary=False)
        assert {run.output for run in ran.task_runs} == {"mine"}

    def test_it_can_be_kept(self, path: Path, client: Client) -> None:
        made = client.datasets.create_dataset(name="kept", file=path)
        assert ids(made) == ids(load_pixie(path))
        assert [Entry.of(example).arguments["q"] for example in made] == [f"question {n}" for n in (1, 2, 3)]
        other = project(path.parents[2], dataset(entry(4)), name="more.json")
        assert len(client.datasets.add_examples_to_dataset(dataset="kept", file=str(other))) == 4

    def test_its_application_need_not_be_there_for_that(self, path: Path, client: Client) -> None:
        path.write_text(json.dumps(dataset(entry(), runnable="pixie_qa/not_written_yet.py:answer")))
        assert len(client.datasets.create_dataset(name="early", file=path)) == 1

    def test_results_of_it_can_be_logged(self, path: Path, client: Client, prefect_api: str) -> None:
        rows = [{"example_id": name, "output": {"output": "x"}} for name in ids(load_pixie(path))]
        with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_LOGGING_LEVEL: "WARNING"}):
            logged = client.experiments.log_experiment(
                name="by hand", experiment_runs=rows, dataset=path, print_summary=False
            )
        assert len(logged.task_runs) == 3
        assert client.datasets.get_dataset(name="golden").examples == load_pixie(path).examples

    def test_columns_of_a_table_are_no_matter_of_it(self, path: Path, client: Client) -> None:
        with pytest.raises(InvalidDataset, match="types"):
            self.dry(client, path, types={"q": "text"})

    def test_where_rows_are_wanted_it_is_told_what_to_do(self, path: Path) -> None:
        from prefect_experiments.datasets import read_rows

        with pytest.raises(InvalidDataset, match=r"dataset of pixie's.*run_experiment\(dataset=") as refused:
            read_rows(path)
        assert "create_dataset(file=" in str(refused.value)


@pytest.mark.slow
def test_a_thousand_entries(tmp_path: Path, prefect_api: str) -> None:
    entries = [entry(n, expectation=f"QUESTION {n}", evaluators=["..."] + [CHECK] * (n % 4 == 0)) for n in range(1000)]
    path = project(tmp_path, dataset(*entries))
    client = Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")
    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_LOGGING_LEVEL: "WARNING"}):
        ran = client.experiments.run_experiment(dataset=path, concurrency=50, print_summary=False)
    metrics = ran.summary.metrics
    assert len(ran.task_runs) == 1000
    assert (metrics["ExactMatch"].n, metrics["ExactMatch"].mean) == (1000, 1)
    assert metrics["is_short"].n == 250
    assert client.datasets.get_dataset(name="support").examples[999].metadata == {"description": "Case 999"}


def test_what_compares_outputs_as_they_are_is_refused(tmp_path: Path) -> None:
    """`exact_match` would compare {"output": "QUESTION 1"} with {"expectation": "QUESTION 1"}, and score 0."""
    path = project(tmp_path, dataset(entry(expectation="QUESTION 1")))
    found = load_pixie(path)
    with pytest.raises(InvalidEvaluator, match=r"'exact_match' compares the output .* never alike: nothing was run"):
        run_experiment(dataset=found, evaluators=["exact_match"])


@pytest.mark.parametrize(
    ("content", "said"),
    [('{"name": "x", "runn', "line 1, column 15"), ("", "x.json is empty"), (None, "is a directory; give one of its")],
)
def test_a_path_that_cannot_be_read_is_said_before_a_task_is_missed(
    client: Client, tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / "datasets" / "x.json"
    path.parent.mkdir()
    if content is not None:
        path.write_text(content)
    for source in (path, str(path)) if content is not None else (path.parent, str(path.parent)):
        for given in ({}, {"task": len}):
            with pytest.raises(InvalidDataset, match=said):
                client.experiments.run_experiment(dataset=source, dry_run=True, **given)
