"""Drawing a part of a dataset: the same seed draws the same examples, in dataset order."""

from __future__ import annotations

import heapq
import random
from array import array
from collections.abc import Collection, Sequence
from typing import Any

from prefect_experiments import keys
from prefect_experiments.datasets.kept_rows import chosen as chosen_of
from prefect_experiments.datasets.kept_rows import splits_of
from prefect_experiments.datasets.paths import ABSENT, descend
from prefect_experiments.errors import InvalidDataset, InvalidSetting, unknown_value
from prefect_experiments.flat_rows import flat_row
from prefect_experiments.models import Example
from prefect_experiments.options import Sample

_PARTS = {"input": "input", "metadata": "metadata"} | dict.fromkeys(
    ("output", "expected", "reference", "dataset_output"), "output"
)


def draw(examples: Sequence[Example], sample: Sample) -> Sequence[Example]:
    """The examples that a sample names, in dataset order.

    ``stratified`` looks `by` up under the names of `dataset_row` (``topic``), with its part
    (``metadata.topic``, ``input.user.lang``, ``expected.label`` or ``reference.label``), then as
    ``splits``. Examples without the field are a stratum of their own. The size is shared out in
    proportion by largest remainder, so every stratum is within one example of its share and together
    they are exactly the size asked for.

    Args:
        examples: the whole dataset.
        sample: how many, and how to choose; a fraction is rounded to whole examples.

    Returns:
        Those drawn; all examples where fewer than asked for exist.

    Raises:
        InvalidSetting: no example has the field to stratify by; the text names those there are.
    """
    size = _size(len(examples), sample)
    rng = random.Random(sample.seed)  # noqa: S311 - not for secrets
    if sample.method == "head":
        chosen: Sequence[int] = range(size)
    elif sample.method == "systematic":
        chosen = _systematic(len(examples), size, rng)
    elif sample.method == "stratified":
        chosen = _stratified(examples, size, sample.by or "", rng)
    else:
        chosen = _drawn(range(len(examples)), size, rng)
    return chosen_of(examples, array("q", sorted(chosen)))


def _size(total: int, sample: Sample) -> int:
    wanted = sample.n if sample.n is not None else max(1, round((sample.fraction or 0) * total))
    return min(wanted, total)


def _drawn(places: Sequence[int], size: int, rng: random.Random) -> list[int]:
    """The first of the places in a random order.

    Of all that Random does, only ``random()`` promises the same numbers in every version of
    Python. A larger sample of the same seed holds the smaller one, whose work is not lost.
    """
    drawn = heapq.nsmallest(size, places, key=lambda _: rng.random())
    if not size:  # so that others are drawn as they would be beside a larger one
        for _ in places:
            rng.random()
    return drawn


def _systematic(total: int, size: int, rng: random.Random) -> list[int]:
    """Places whose distances differ by at most one, in whole numbers: nothing is rounded."""
    if not size:
        return []
    start = int(rng.random() * total)
    return [(step * total + start) // size for step in range(size)]


def _stratified(examples: Sequence[Example], size: int, by: str, rng: random.Random) -> list[int]:
    strata: dict[bytes, array[int]] = {}
    found = not examples
    for place, example in enumerate(examples):
        value = _field(example, by)
        found = found or value is not ABSENT
        stratum = b"" if value is ABSENT else keys.canonical_json(value)
        strata.setdefault(stratum, array("q")).append(place)
    if not found:
        raise InvalidSetting(f"Sample.by: {unknown_value('field', by, _field_names(examples))}")
    shares = _shares([len(places) for places in strata.values()], size)
    return [
        place for places, share in zip(strata.values(), shares, strict=True) for place in _drawn(places, share, rng)
    ]


def _shares(sizes: Sequence[int], wanted: int) -> list[int]:
    """`wanted` shared out in proportion to `sizes`, by largest remainder; the earlier one at a tie."""
    total = sum(sizes) or 1
    shares = [wanted * size // total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda stratum: -(wanted * sizes[stratum] % total))
    for stratum in by_remainder[: wanted - sum(shares)]:
        shares[stratum] += 1
    return shares


def _field(example: Example, name: str) -> Any:
    row = flat_row(example)
    if name in row:
        return row[name]
    if name == "splits":
        return example.splits or ABSENT
    part, _, rest = name.partition(".")
    if part in _PARTS:
        value = getattr(example, _PARTS[part])
        return ABSENT if value is None else descend(value, rest)
    return descend(row, name)


def _field_names(examples: Sequence[Example]) -> list[str]:
    names = dict.fromkeys(name for example in examples for name in flat_row(example))
    if any(example.splits for example in examples):
        names["splits"] = None
    return list(names)


def of_splits(examples: Sequence[Example], splits: Collection[str], name: str) -> Sequence[Example]:
    """The examples that belong to one of the splits.

    Raises:
        InvalidDataset: a split that no example belongs to.
    """
    known: set[str] = set()
    places = array("q")
    wanted = set(splits)
    for place, found in enumerate(splits_of(examples)):
        known.update(found)
        if not wanted.isdisjoint(found):
            places.append(place)
    for split in splits:
        if split not in known:
            raise InvalidDataset(f"dataset {name!r}: {unknown_value('split', split, sorted(known))}")
    return chosen_of(examples, places)
