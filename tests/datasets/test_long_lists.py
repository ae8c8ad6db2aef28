"""More examples than are held: a list that is read from where they are kept as a tuple of them would be."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import pytest

from prefect_experiments.datasets import kept_rows, of_splits, rows, to_examples
from prefect_experiments.datasets.kept_rows import LongList
from prefect_experiments.models import Example

COUNT = 1_203  # more than are read at once, and than are asked for at once


@pytest.fixture
def every() -> tuple[Example, ...]:
    return tuple(
        Example(id=f"e{n}", input={"n": n}, output=n or None, metadata={"t": n % 3}, splits=("even",) * (n % 2 == 0))
        for n in range(COUNT)
    )


@pytest.fixture
def long(every: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch) -> Sequence[Example]:
    for module in (rows, kept_rows):
        monkeypatch.setattr(module, "HELD", 100)
    found = to_examples(every)
    assert isinstance(found, LongList)
    return found


def test_a_list_of_as_many_as_are_held_is_a_tuple(every: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rows, kept_rows):
        monkeypatch.setattr(module, "HELD", 100)
    assert to_examples(every[:100]) == every[:100]
    assert isinstance(to_examples(every[:100]), tuple)
    assert isinstance(to_examples(every[:101]), LongList)


@pytest.mark.parametrize("place", [0, 1, 999, 1000, 1001, COUNT - 1, -1, -COUNT])
def test_one_by_its_place(long: Sequence[Example], every: tuple[Example, ...], place: int) -> None:
    assert long[place] == every[place]


@pytest.mark.parametrize("place", [COUNT, -COUNT - 1])
def test_places_that_there_are_not(long: Sequence[Example], place: int) -> None:
    with pytest.raises(IndexError):
        long[place]


@pytest.mark.parametrize(
    "part",
    [
        slice(3), slice(-3, None), slice(None, None, 500), slice(1, 1), slice(5, 2), slice(None, None, -400),
        slice(10, 5, -1), slice(2, None, -1), slice(5, 10, -1), slice(None), slice(1000, 1201), slice(None, None, -1),
    ],
)  # fmt: skip
def test_a_part_of_it(long: Sequence[Example], every: tuple[Example, ...], part: slice) -> None:
    found = long[part]
    assert tuple(found) == every[part]
    assert len(found) == len(every[part])
    assert isinstance(found, LongList) == (len(every[part]) > 100 and (part.step or 1) > 0)


def test_a_part_of_a_part(long: Sequence[Example], every: tuple[Example, ...]) -> None:
    part = long[100:900]
    assert (part[0], part[-1], tuple(part[5:7])) == (every[100], every[899], every[105:107])
    assert tuple(part[::200]) == every[100:900:200]


def test_it_is_equal_to_what_holds_the_same(long: Sequence[Example], every: tuple[Example, ...]) -> None:
    assert long == every
    assert long == to_examples(every)
    assert long != every[1:]
    assert long != (*every[:-1], every[0])
    assert long != list(every)
    assert repr(long) == "<1,203 examples>"
    with pytest.raises(TypeError):
        hash(long)
    assert copy.copy(long) is copy.deepcopy(long) is long
    assert pickle.loads(pickle.dumps(long)) == every


def test_those_of_a_split(long: Sequence[Example], every: tuple[Example, ...]) -> None:
    found = of_splits(long, ["even"], "d")
    assert isinstance(found, LongList)
    assert tuple(found) == every[::2]
