"""What the suite is for: it fails on a backend that is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_experiments.client import Client
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.models import Dataset
from prefect_experiments.testing import BackendSuite, Conditions
from support.folder_backend import FolderBackend, FolderSettings


class TestBroken(Conditions):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> FolderBackend:
        (tmp_path / "kept").mkdir()
        return FolderBackend(FolderSettings(path=str(tmp_path / "kept")))

    def test_it_finds_the_newest_experiment_whatever_is_asked_for(
        self, remote: FolderBackend, client: Client, dataset: Dataset, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        find = remote.experiments.find
        monkeypatch.setattr(
            remote.experiments, "find", lambda key, dataset=None: find(key if dataset else "latest", dataset)
        )
        with pytest.raises(AssertionError):
            BackendSuite().test_an_experiment_is_found(client, dataset, name)

    @pytest.mark.parametrize("text", ["", "nothing is there\n", "nothing\nis there"])
    def test_it_does_not_say_in_one_line_that_the_place_is_wrong(
        self, text: str, client: Client, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wrong = FolderBackend(FolderSettings(path=str(tmp_path / "nowhere")))
        suite = BackendSuite()
        suite.test_a_wrong_place_is_said(wrong, client, name)

        def check() -> None:
            raise InvalidSetting(text)

        monkeypatch.setattr(wrong, "check", check)
        with pytest.raises(AssertionError):
            suite.test_a_wrong_place_is_said(wrong, client, name)
