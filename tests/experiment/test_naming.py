"""What experiments and tags can be called, and whose name stands in what is refused."""

from __future__ import annotations

import pytest

from prefect_experiments.errors import InvalidInput, InvalidSetting, NotFound
from prefect_experiments.experiment.naming import about_dataset, check_experiment_name, check_tag


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.mark.parametrize("name", ["nightly", " nightly ", "the latest", "latest-1", "tagged", "x" * 255, "名"])
def test_a_name_that_leads_nowhere_else(name: str) -> None:
    assert (check_experiment_name(name), check_tag(name)) == (name, name.strip())


NEWEST = "that word leads to the newest experiment, whatever it is called; choose another name"
OF_A_NAME = "what begins with 'latest:' leads to the newest experiment of a name; choose another name"
OF_A_TAG = "what begins with 'tag:' leads to the experiment that has a tag; "


@pytest.mark.parametrize(
    ("name", "of_experiment", "of_tag"),
    [
        ("latest", NEWEST, NEWEST),
        (" Latest ", NEWEST, NEWEST),
        ("latest:nightly", OF_A_NAME, OF_A_NAME),
        ("LATEST:", OF_A_NAME, OF_A_NAME),
        ("tag:best", f"{OF_A_TAG}choose another name", f"{OF_A_TAG}give the tag by its name alone, 'best'"),
        ("Tag: best", f"{OF_A_TAG}choose another name", f"{OF_A_TAG}give the tag by its name alone, 'best'"),
        ("tag:", f"{OF_A_TAG}choose another name", f"{OF_A_TAG}choose another name"),
    ],
)
def test_a_name_that_would_lead_elsewhere(name: str, of_experiment: str, of_tag: str) -> None:
    for check, an, why in ((check_experiment_name, "an experiment", of_experiment), (check_tag, "a tag", of_tag)):
        with pytest.raises(InvalidInput) as refused:
            check(name)
        assert str(refused.value) == f"{an} cannot be called {name!r}: {why}"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 256, None, 5])
def test_a_name_that_cannot_be_shown(name: str) -> None:
    for check, what in ((check_experiment_name, "experiment"), (check_tag, "tag")):
        with pytest.raises(InvalidInput) as refused:
            check(name)
        said = f"the {what}'s name must be 1 to 255 printable characters, got {name!r:.60}"
        assert str(refused.value) == said


@pytest.mark.parametrize(
    ("names", "error", "said"),
    [
        (("rows",), InvalidInput("column 'x' is missing"), "dataset 'rows': column 'x' is missing"),
        (("rows",), NotFound("no such version"), "no such version (dataset 'rows')"),
        (("rows",), InvalidInput("'rows' has no column"), "'rows' has no column"),
        (("rows", "there/rows.csv"), InvalidInput("there/rows.csv is empty"), "there/rows.csv is empty"),
        (("rows",), InvalidInput("in vain: rows"), "dataset 'rows': in vain: rows"),
        (("rows",), InvalidInput("dataset 'others' is empty"), "dataset 'others' is empty"),
        ((None, "rows"), InvalidInput("it is empty"), "dataset 'rows': it is empty"),
        ((None, ""), InvalidInput("it is empty"), "it is empty"),
        ((), InvalidInput("it is empty"), "it is empty"),
        (("rows",), KeyError("x"), "'x'"),
    ],
)
def test_what_is_refused_names_the_dataset_once(names: tuple[str | None, ...], error: Exception, said: str) -> None:
    with pytest.raises(type(error)) as refused, about_dataset(*names):
        error.add_note("and a note")
        raise error
    assert (str(refused.value), refused.value.__notes__) == (said, ["and a note"])


@pytest.mark.parametrize("is_of_connection", [True, False])
def test_what_is_true_of_any_dataset_names_none(is_of_connection: bool) -> None:
    error = InvalidSetting("the key is wrong")
    error.is_of_connection = is_of_connection  # type: ignore[attr-defined]
    with pytest.raises(InvalidSetting) as refused, about_dataset("rows"):
        raise error
    assert str(refused.value) == ("the key is wrong" if is_of_connection else "dataset 'rows': the key is wrong")
