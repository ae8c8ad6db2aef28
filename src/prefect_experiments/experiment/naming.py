"""Names: what an experiment and a tag can be called, and the dataset's in what is refused.

Nothing is called what leads elsewhere, nor what a store or a backend would refuse later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from prefect_experiments.backends import Remote
from prefect_experiments.errors import InvalidInput, NotFound
from prefect_experiments.store.named import BY_LATEST, BY_TAG, LATEST
from prefect_experiments.store.paging import check_name


def check_experiment_name(name: str, remote: Remote | None = None) -> str:
    """The name, if an experiment can have it and be found by it.

    Args:
        name: the name; in capitals as well it would be taken for what it is not.
        remote: the backend that gets the experiment, if it is not the store.

    Raises:
        InvalidInput: it cannot.
    """
    _lead_nowhere_else(name, "experiment")
    if remote is not None:
        remote.experiments.check_name(name)
    return name


def check_tag(tag: str) -> str:
    """The tag without spaces around it, if an experiment can have it and be found by it.

    Raises:
        InvalidInput: it cannot.
    """
    return _lead_nowhere_else(tag, "tag").strip()


def _lead_nowhere_else(name: str, what: str) -> str:
    given = check_name(name, what).strip()
    plain = given.casefold()
    an = "an experiment" if what == "experiment" else "a tag"
    if plain == LATEST:
        raise InvalidInput(
            f"{an} cannot be called {name!r:.80}: that word leads to the newest experiment, whatever it is called; "
            "choose another name"
        )
    if plain.startswith(BY_LATEST):
        raise InvalidInput(
            f"{an} cannot be called {name!r:.80}: what begins with {BY_LATEST!r} leads to the newest experiment of a "
            "name; choose another name"
        )
    if plain.startswith(BY_TAG):
        bare = given[len(BY_TAG) :].strip()
        instead = (
            "choose another name" if what == "experiment" or not bare else f"give the tag by its name alone, {bare!r}"
        )
        raise InvalidInput(
            f"{an} cannot be called {name!r:.80}: what begins with {BY_TAG!r} leads to the experiment that has a tag; "
            f"{instead}"
        )
    return name


@contextlib.contextmanager
def about_dataset(*names: str | None) -> Iterator[None]:
    """What is refused while this is entered names the dataset that it is about.

    Args:
        names: what the dataset is called, the usual name first; a path counts as one. Without any, nothing is added.
    """
    known = [name for name in names if name]
    try:
        yield
    except (InvalidInput, NotFound) as error:
        if getattr(error, "is_of_connection", False):  # true of any dataset
            raise
        text = str(error)
        is_named = text.startswith("dataset '") or any(repr(n) in text or text.startswith(n) for n in known)
        if is_named or not known:
            raise
        name = f"dataset {known[0]!r}"
        named = type(error)(f"{text} ({name})" if isinstance(error, NotFound) else f"{name}: {text}")
        for note in getattr(error, "__notes__", ()):
            named.add_note(note)
        raise named.with_traceback(error.__traceback__) from error.__cause__
