"""Whose certificates are trusted: what was given goes before the environment, and ours before that of a library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.backends.network_settings import NetworkSettings
from prefect_experiments.errors import InvalidSetting

URL = "https://there.example"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if "SSL" in name or "PROXY" in name.upper() or "CERT" in name]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("given", "verify"),
    [
        (None, None), ("", None), (True, True), (False, False), (" Yes ", True), ("on", True), ("1", True),
        ("TRUE", True), ("no", False), ("0", False), ("off", False), ("False", False), ("ca.pem", "ca.pem"),
        (Path("ca.pem"), "ca.pem"),
    ],
)  # fmt: skip
def test_words_for_yes_and_no_are_what_they_mean_and_others_are_files(given: Any, verify: bool | str | None) -> None:
    assert NetworkSettings(verify=given).verify == verify


@pytest.mark.parametrize(
    ("given", "env", "theirs", "said"),
    [
        ("none.pem", "env.pem", "theirs.pem", "verify=: no certificates can be read"),
        (None, "env.pem", "theirs.pem", "PREFECT_EXPERIMENTS_VERIFY: no certificates can be read"),
        (None, "", "theirs.pem", "THEIRS: no certificates can be read"),
    ],
)
def test_who_has_named_a_file_that_cannot_be_read_is_said(
    given: str | None, env: str, theirs: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_VERIFY", env)
    with pytest.raises(InvalidSetting) as refused:
        NetworkSettings(verify=given).way_to(URL, verify=theirs, verified_by="THEIRS")
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(("given", "env", "theirs", "verified"), [
    (False, "yes", True, False), (None, "no", True, False), (None, "", False, False), (True, "no", False, True),
    (None, "yes", False, True), (None, "", None, True),
])  # fmt: skip
def test_what_was_given_goes_first(
    given: bool | None, env: str, theirs: bool | None, verified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_VERIFY", env)
    way = NetworkSettings(verify=given).way_to(URL, verify=theirs)
    context = way.arguments["verify"]
    assert (context if isinstance(context, bool) else bool(context.verify_mode)) is verified


def test_a_key_goes_with_its_certificate() -> None:
    with pytest.raises(InvalidSetting) as refused:
        NetworkSettings(client_key="key.pem").way_to(URL)
    assert str(refused.value) == "client_key= goes with client_cert=, which is missing"
