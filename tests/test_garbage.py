"""Garbage is left alone for a while by whoever asks for it, and collected again when the last one is through."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator

import pytest

from prefect_experiments.garbage import without_collecting


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    was = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if was else gc.disable)()


def test_one_that_leaves_it_does_not_turn_it_on_for_another() -> None:
    entered, leave = threading.Event(), threading.Event()

    def within() -> None:
        with without_collecting():
            entered.set()
            leave.wait()

    other = threading.Thread(target=within)
    with without_collecting():
        other.start()
        entered.wait()
        assert not gc.isenabled()
    assert not gc.isenabled()
    leave.set()
    other.join()
    assert gc.isenabled()


def test_where_it_was_off_it_stays_off() -> None:
    gc.disable()
    with without_collecting(), without_collecting():
        assert not gc.isenabled()
    assert not gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_collects_its_own() -> None:
    with without_collecting():
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_one_forked_within_leaves_it_as_any_other() -> None:
    with without_collecting():
        child = os.fork()
    if not child:
        with without_collecting():
            inside = gc.isenabled()
        os._exit(0 if gc.isenabled() and not inside else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
