"""What one process of a pytest run knows: its options, the names of experiments and reports, the cases it has found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.pytest_plugin.cases import cases_of
from prefect_experiments.pytest_plugin.hooks import found
from prefect_experiments.pytest_plugin.marks import repetition_of
from prefect_experiments.pytest_plugin.options import Options, options_of
from prefect_experiments.pytest_plugin.session import Session
from pytest_plugin.conftest import PLUGIN, Project

pytest_plugins = ["pytester"]

NOTHING = Options(backend=None, baseline=None, gate=None, report=None, repetitions=None, dry_run=None, first_run=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], {}),
        (["--experiment-dry-run"], {"dry_run": 1}),
        (["--experiment-dry-run", "3"], {"dry_run": 3}),
        (["--experiment-repetitions", "1", "--experiment-first-run"], {"repetitions": 1, "first_run": True}),
        (["-o", "experiment_repetitions=2", "-o", "experiment_gate=g.yaml"], {"repetitions": 2, "gate": "g.yaml"}),
        (["-o", "experiment_backend=phoenix", "--experiment-backend", "local"], {"backend": "local"}),
        (["--experiment-baseline", "latest", "--experiment-report", "r"], {"baseline": "latest", "report": "r"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_line_goes_before_the_ini_file(given: list[str], said: dict[str, Any], serverless: Project) -> None:
    expected = Options(**{**vars(NOTHING), **said})
    assert options_of(serverless.pytester.parseconfig("-p", PLUGIN, *given)) == expected


@pytest.mark.parametrize("option", ["--experiment-repetitions", "--experiment-dry-run"])
def test_a_number_below_1_is_refused(option: str, serverless: Project) -> None:
    config = serverless.pytester.parseconfig("-p", PLUGIN, option, "0")
    with pytest.raises(pytest.UsageError, match="--experiment-repetitions and --experiment-dry-run must be at least 1"):
        options_of(config)


def test_a_name_is_one_that_a_store_takes(serverless: Project) -> None:
    session = Session(serverless.pytester.parseconfig("-p", PLUGIN))
    assert session.name_of('test_a.py::test_b["x"\\\t]', None) == "test_a.py::test_b[?x???]"
    whole, longer, other = "n" * 255, "n" * 256, "n" * 257
    assert session.name_of(whole, None) == whole
    assert len(session.name_of(longer, None)) == 255
    assert session.name_of(longer, None).rpartition(" ")[0] == "n" * 246
    assert session.name_of(longer, None) != session.name_of(other, None)


def test_where_a_name_can_be_had_once_only_it_has_the_time(
    serverless: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOENIX_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("ARIZE_API_KEY", "of-the-tests")
    monkeypatch.setenv("ARIZE_SPACE_ID", "space")
    session = Session(serverless.pytester.parseconfig("-p", PLUGIN))
    assert session.name_of("sums", "phoenix") == "sums"
    first, second = (session.name_of("s" * 255, "arize") for _ in range(2))
    assert first != second
    assert (len(first), len(second)) == (255, 255)


def test_a_report_is_called_after_its_experiment(serverless: Project) -> None:
    session = Session(serverless.pytester.parseconfig("-p", PLUGIN, "--experiment-report", "reports"))
    path = session.report_path("test_a.py::test_b[x y]")
    assert path is not None
    assert path.parent == serverless.path / "reports"
    assert path.name.startswith("test_a.py--test_b-x-y--")
    assert path.name.endswith(".html")
    assert session.report_path("test_a.py::test_b[x-y]") != path
    long = session.report_path("n" * 300)
    assert long is not None
    assert long.stem.startswith("n" * 80 + "-")
    assert len(long.stem) == 80 + 1 + 8
    assert Session(serverless.pytester.parseconfig("-p", PLUGIN)).report_path("any") is None


def test_a_file_is_looked_for_here_beside_the_test_and_in_the_root(serverless: Project) -> None:
    (serverless.path / "evals").mkdir()
    for name in ("evals/beside.csv", "root.csv", "evals/both.csv", "both.csv"):
        (serverless.path / name).write_text("input\n1\n")
    test = serverless.path / "evals" / "test_it.py"
    test.write_text("def test_it():\n    pass\n")
    config = serverless.pytester.parseconfigure("-p", PLUGIN)
    [item] = serverless.pytester.genitems([serverless.pytester.getnode(config, test)])
    session = Session(config)
    assert session.near("beside.csv", item) == str(test.parent / "beside.csv")
    assert session.near("root.csv", item) == "root.csv", "it is there already"
    for kept in ("both.csv", "none.csv", str(test.parent / "beside.csv"), "beside.csv\n", {"a": 1}, None):
        assert session.near(kept, item) == kept


CASES = """
import pytest

@pytest.mark.experiment(repetitions=2)
@pytest.mark.parametrize("question, expected", [("1+1", "2")], ids=["a"])
def test_sum(question, expected): ...

@pytest.mark.experiment(repetitions=2)
def test_alone(): ...

@pytest.mark.experiment(dataset="fields")
@pytest.mark.parametrize("input, metadata, reference", [("x", {"topic": "y"}, "z")], ids=["one"])
def test_fields(input, metadata, reference): ...

@pytest.mark.experiment(dataset="fields")
@pytest.mark.parametrize("metadata", ["plain"])
def test_plain(metadata): ...

@pytest.mark.experiment(dataset="fields")
@pytest.mark.parametrize(argnames=["input"], argvalues=[["x"]])
def test_input(input): ...
"""


@pytest.fixture
def collected(serverless: Project) -> Callable[[str], list[pytest.Item]]:
    """The tests of a file, in this process."""
    serverless.pytester.plugins = [PLUGIN]

    def collect(source: str) -> list[pytest.Item]:
        return serverless.pytester.getitems(source)

    return collect


def test_the_cases_of_a_dataset_are_its_examples(collected: Callable[[str], list[pytest.Item]]) -> None:
    items = collected(CASES)
    assert [repetition_of(item) for item in items] == [1, 2, 1, 2, 1, 1, 1]
    found(items[0].config, items)
    file = Path(items[0].path).name
    groups = cases_of(items[0].config).groups
    assert {name: (group.nodeid, group.expected) for name, group in groups.items()} == {
        file.removesuffix(".py"): (f"{file}::test_sum[a-repetition-1]", 4),
        "fields": (f"{file}::test_fields[one]", 3),
    }
    empty: dict[str, Any] = {"output": None, "metadata": {}}
    assert [example for group in groups.values() for example in group.examples.values()] == [
        {"id": f"{file}::test_sum[a]", "input": {"question": "1+1"}, "output": "2", "metadata": {}},
        {"id": f"{file}::test_alone", "input": {"nodeid": f"{file}::test_alone"}, **empty},
        {"id": f"{file}::test_fields[one]", "input": "x", "output": "z", "metadata": {"topic": "y"}},
        {"id": f"{file}::test_plain[plain]", "input": {"metadata": "plain"}, **empty},
        {"id": f"{file}::test_input[x]", "input": "x", **empty},
    ]


@pytest.mark.parametrize(
    ("marker", "signature", "said"),
    [
        ("task=len", "", ": @pytest.mark.experiment needs dataset=, as the marker has task="),
        ("", "input", ": @pytest.mark.experiment needs dataset=, as the test takes the fields of an example"),
        ("dataset='a.csv', task=len, evaluator='x'", "", "unknown keyword 'evaluator'; did you mean 'evaluators'?"),
        ("task_name='x'", "", "a test whose parameters are the examples: unknown keyword 'task_name'"),
        ("dataset='a.xlsx'", "", "dataset= names where the examples are kept"),
        ("dataset=['a']", "", "got ['a']. To run over that dataset, give task=, or let the test take input"),
        ("gate={'metrics': {'pass': {'max_regression': 0.1}}}", "", "is measured from a baseline, and none is named"),
        ("gate={'metrcs': {}}", "", "unknown key 'metrcs'; did you mean 'metrics'?"),
    ],
)
@pytest.mark.thorough
def test_a_marker_that_cannot_be_used_names_its_test(
    marker: str, signature: str, said: str, collected: Callable[[str], list[pytest.Item]]
) -> None:
    [item] = collected(f"import pytest\n\n@pytest.mark.experiment({marker})\ndef test_it({signature}): ...\n")
    with pytest.raises(pytest.UsageError) as refused:
        found(item.config, [item])
    assert str(refused.value).startswith(item.nodeid)
    assert said in str(refused.value)


def test_cases_of_one_dataset_agree_on_everything_but_repetitions(
    collected: Callable[[str], list[pytest.Item]],
) -> None:
    test = "@pytest.mark.experiment(dataset='d', {})\ndef test_{}(): ...\n\n"
    agreed = collected("import pytest\n\n" + test.format("repetitions=2", "a") + test.format("repetitions=3", "b"))
    found(agreed[0].config, agreed)
    assert cases_of(agreed[0].config).groups["d"].expected == 5


@pytest.mark.thorough
def test_cases_of_one_dataset_that_disagree_are_refused(collected: Callable[[str], list[pytest.Item]]) -> None:
    test = "@pytest.mark.experiment(dataset='d', baseline={!r})\ndef test_{}(): ...\n\n"
    items = collected("import pytest\n\n" + test.format("latest", "a") + test.format("tag:x", "b"))
    with pytest.raises(pytest.UsageError) as refused:
        found(items[0].config, items)
    first, second = (item.nodeid for item in items)
    assert str(refused.value) == (
        f"{second}: its marker says another baseline than that of {first}, and both are cases of the dataset 'd'; "
        "give one of them another dataset="
    )
