"""What is there already, or is no file, where a file is to be written. Devices and pipes are this test's own."""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.cli.app import run as run_command
from prefect_experiments.datasets import read_rows, write_rows
from prefect_experiments.errors import InvalidInput
from prefect_experiments.reports.files import write_report
from support.patience import PATIENCE_S

ROWS = [{"input": f"question {number}", "output": "x" * 50} for number in range(20)]

Writer = Callable[[Path], Any]


def write_page(path: Path) -> None:
    results = [{"example_id": "a", "repetition_number": 1, "output": "x", "eval.right.score": 1.0}]
    write_report(results, path, form="page")


WRITERS = [pytest.param(lambda path: write_rows(ROWS, path), id="export"), pytest.param(write_page, id="report")]


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/store/experiments.db"
    client = Client(store_url=url)
    client.datasets.create_dataset(name="d", inputs=[row["input"] for row in ROWS])
    client.store.close()
    return url


def beside(tmp_path: Path) -> set[str]:
    return {path.name for path in tmp_path.iterdir() if path.name != "store"}


@pytest.mark.parametrize("write", WRITERS)
def test_into_a_pipe_and_a_device(write: Writer, tmp_path: Path) -> None:
    """Also through a link; they stay what they are."""
    pipe, link = tmp_path / "pipe.csv", tmp_path / "link.csv"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        got: list[bytes] = []
        reader = threading.Thread(target=lambda got=got: got.append(pipe.read_bytes()))
        reader.start()
        write(path)
        reader.join(PATIENCE_S)
        assert len(got[0]) > 1000
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    master, slave = os.openpty()
    device = Path(os.ttyname(slave))
    (tmp_path / "device.csv").symlink_to(device)
    drain = threading.Thread(target=lambda: os.read(master, 100), daemon=True)
    drain.start()
    write_rows(ROWS[:1], tmp_path / "device.csv")
    drain.join(PATIENCE_S)
    assert device.is_char_device()
    os.close(master)
    os.close(slave)
    assert beside(tmp_path) == {"pipe.csv", "link.csv", "device.csv"}


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_there_and_no_file_is_refused(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "circle.csv").symlink_to(tmp_path / "circle.csv")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "socket.csv"))
        (tmp_path / "link.csv").symlink_to("socket.csv")
        there = beside(tmp_path)
        for name, what in [("folder", "a folder"), ("socket", "a socket"), ("link", "a socket"), ("circle", ".*")]:
            with pytest.raises(InvalidInput, match=rf"{name}\.csv cannot be written: (it is )?{what}"):
                write(tmp_path / f"{name}.csv")
        assert stat.S_ISSOCK((tmp_path / "socket.csv").stat().st_mode)
    assert beside(tmp_path) == there


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_keeps_its_rights_and_its_link(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file, link = tmp_path / "there" / "real.csv", tmp_path / "link.csv"
    link.symlink_to("there/real.csv")
    write(link)
    assert link.is_symlink()
    file.chmod(0o640)
    write(link)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert beside(tmp_path) == {"there", "link.csv"}
    assert [path.name for path in file.parent.iterdir()] == ["real.csv"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_that_has_no_room_is_told_and_the_old_one_stays(write: Writer, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(InvalidInput, match=r"a\.csv cannot be written: File too large"):
            write(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_text() == "old"
    assert beside(tmp_path) == {"a.csv"}


def test_a_reader_that_goes_is_told(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    end = threading.Thread(target=lambda: os.close(os.open(pipe, os.O_RDONLY)))
    end.start()
    with pytest.raises(InvalidInput, match="its reader ended before everything was written"):
        write_rows(ROWS * 2000, pipe)
    end.join(PATIENCE_S)


COMMAND = [sys.executable, "-m", "prefect_experiments.cli"]


def shell(line: str, folder: Path, store_url: str) -> subprocess.CompletedProcess[str]:
    export = f"{' '.join(COMMAND)} --store-url {store_url} datasets export d"
    return subprocess.run(
        [
            "bash",
            "-o",
            "pipefail",
            "-c",
            line.replace("EXPORT", export),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.slow
def test_standard_output(tmp_path: Path, store_url: str) -> None:
    ended = shell("EXPORT /dev/stdout | head -1", tmp_path, store_url)
    assert ended.returncode == 0, ended.stderr
    assert '"question 0"' in ended.stdout
    assert ended.stderr.strip() == "wrote /dev/stdout"
    (tmp_path / "log.jsonl").write_text('{"input": "before"}\n')
    ended = shell("EXPORT /dev/stdout >> log.jsonl && EXPORT /dev/fd/1 >> log.jsonl", tmp_path, store_url)
    assert ended.returncode == 0, ended.stderr
    assert [row["input"] for row in read_rows(tmp_path / "log.jsonl")][:2] == ["before", "question 0"]
    assert len(read_rows(tmp_path / "log.jsonl")) == 1 + 2 * len(ROWS)
    ended = shell("EXPORT >(cat > copy.jsonl); wait; sleep 0.5", tmp_path, store_url)
    assert ended.returncode == 0, ended.stderr
    assert len(read_rows(tmp_path / "copy.jsonl")) == len(ROWS)


def test_what_this_process_has_open_for_itself_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "own").open("w+b") as own:
        own.write(b"kept")
        own.flush()
        with pytest.raises(InvalidInput, match="this process has that open for itself"):
            write_rows(ROWS, Path(f"/dev/fd/{own.fileno()}"))
        assert (tmp_path / "own").read_bytes() == b"kept"


def test_a_backup_goes_into_a_file(tmp_path: Path, store_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    pipe, link, store = tmp_path / "pipe", tmp_path / "link", Path(store_url.removeprefix("sqlite:///"))
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    (tmp_path / "same").symlink_to(store)
    for target, why in [(pipe, "it is a pipe"), (link, "it is a pipe"), (tmp_path / "same", "is the store itself")]:
        assert run_command(["store", "backup", str(target), "--overwrite", "--store-url", store_url]) == 2
        assert why in capfd.readouterr().err
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    assert store.stat().st_size > 0
