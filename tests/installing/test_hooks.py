"""A fresh clone with the hooks installed: what CONTRIBUTING says about committing a change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from support import kept_out
from support.kept_out import faults

ROOT = Path(__file__).resolve().parents[2]
WHO = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
TEXTS = "src/prefect_experiments/texts.py"
IMPORTING = "\n\nfrom prefect_experiments import further as further  # noqa: E402\n"


class Clone:
    """A clone of this repository as somebody has it who has typed `make setup hooks`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.must("git", "clone", "--quiet", str(ROOT), str(path), cwd=path.parent)
        self.set_up()
        self.must("make", "--assume-old", ".venv/.installed-dev", "hooks")

    def set_up(self) -> None:
        """An environment with what is installed in this one, but for this package: that is the clone's own."""
        venv.create(self.path / ".venv")
        [packages] = (self.path / ".venv").glob("lib/python*/site-packages")
        (packages / "editable.pth").write_text(f"{self.path / 'src'}\n{sysconfig.get_path('purelib')}\n")
        for program in ("ruff", "pre-commit"):
            (self.path / ".venv/bin" / program).symlink_to(Path(sys.prefix) / "bin" / program)

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST"))}
        known = {"MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}  # else each commit costs a minute
        everything = {**environment, **WHO, **known}
        return subprocess.run(
            command, cwd=cwd or self.path, env=everything, capture_output=True, text=True, check=False
        )

    def must(self, *command: str, cwd: Path | None = None) -> None:
        done = self.run(*command, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr

    def append(self, name: str, content: str) -> None:
        with (self.path / name).open("a") as file:
            file.write(content)

    def commit(self, name: str, content: str) -> subprocess.CompletedProcess[str]:
        """Of a file with new content, or with some appended to what there is."""
        self.append(name, content)
        self.must("git", "add", name)
        return self.run("git", "commit", "--quiet", "--message", name)


def failed(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The hooks that have refused a commit."""
    assert done.returncode == 1
    return [line.split(".")[0] for line in (done.stdout + done.stderr).splitlines() if line.endswith("Failed")]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "a clone")


@pytest.mark.slow
def test_a_good_change_is_committed(clone: Clone) -> None:
    for name, content in {"docs/comparing.md": "\nOne sentence more.\n", TEXTS: "\n\nMORE = 1\n"}.items():
        done = clone.commit(name, content)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (TEXTS, "\n\nimport os\n", "ruff check"),
        (TEXTS, "\n\nMORE = [1,2]\n", "ruff format"),
        (TEXTS, '\n\nMORE: int = "more"\n', "mypy"),
        ("pyproject.toml", "\n[[tool.mypy.overrides]]\nmodule = 1\n", "mypy"),
        ("docs/large.md", "x" * 3_000_000, "nothing that must not get into git"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(clone: Clone, name: str, content: str, said: str) -> None:
    assert failed(clone.commit(name, content)) == [said]


@pytest.mark.slow
def test_types_are_checked_where_a_module_is_only_deleted(clone: Clone) -> None:
    clone.must("git", "rm", "--quiet", TEXTS)
    done = clone.run("git", "commit", "--quiet", "--message", "deleted")
    assert failed(done) == ["mypy"]
    assert "prefect_experiments.texts" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_module_that_git_does_not_know_is_asked_for(clone: Clone) -> None:
    clone.append("src/prefect_experiments/further.py", '"""More."""\n')
    done = clone.commit(TEXTS, IMPORTING)
    assert failed(done) == ["mypy"]
    assert "src/prefect_experiments/further.py is not in git" in done.stdout + done.stderr
    done = clone.commit("src/prefect_experiments/further.py", "")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_an_environment_is_asked_for_where_there_is_none(clone: Clone) -> None:
    """In each worktree there has to be one: it shares the hooks, and not what git ignores."""
    shutil.rmtree(clone.path / ".venv")
    clone.must("git", "worktree", "add", "--quiet", "--detach", "../another")
    for place in (clone.path, clone.path.parent / "another"):
        done = clone.run("git", "commit", "--allow-empty", "--message", "nothing", cwd=place)
        assert done.returncode == 1
        assert f"({place}). Make it: make setup" in done.stderr
    clone.set_up()
    clone.must("git", "commit", "--quiet", "--allow-empty", "--message", "nothing")


@pytest.mark.slow
def test_links_to_environments_are_not_committed(clone: Clone) -> None:
    (clone.path / ".venv-mine").symlink_to(Path(sys.prefix))
    assert clone.run("git", "add", ".venv-mine").returncode == 1, "it is not ignored"
    clone.must("git", "add", "--force", ".venv-mine")
    done = clone.run("git", "commit", "--quiet", "--message", "a link")
    assert failed(done) == ["nothing that must not get into git"]
    assert ".venv-mine is an environment" in done.stdout + done.stderr


# In pieces, as this file is committed as well.
@pytest.mark.parametrize(
    ("line", "said"),
    [
        (line, said)
        for said, lines in {
            "the address of a package registry": [
                "pip install --index-" "url http:/" "/mirror.example/simple",
                "extra-index-" "url = https://mirror.example",
                "PIP_INDEX_" "URL=x",
                "see http:/" "/pypi.org/project/x",
                "x @ https:/" "/files.python" "hosted.org/packages/x.whl",
                "https:/" "/mirror.example/root/" "simple/",
                "https:/" "/company.example/api/npm" "/npm-all",
                '"resolved": "https:/' '/registry.npm' 'js.org/x.tgz"',
                "npm ci --regis" "try=x",
                "- https:/" "/conda.ana" "conda.org/conda-forge",
                "[[tool.uv." "index]]",
                "pip install -" "i https://mirror.example/py x",
                "pip download --find" "-links=https://mirror.example/x",
                "HTTPS://PY" "PI.ORG/x",
            ],
            "a path of one machine": [
                "It is in /ro" "ot/somewhere.",
                "file:///ho" "me/jane/x.csv",
                "'/Us" "ers/jane'",
                "C:\\Us" "ers\\jane",
                '{"path": "d:\\\\us' 'ers\\\\jane"}',
                "C:/Us" "ers/jane",
                f"see {ROOT}/README.md",
            ],
            "a private key": ["-----BEGIN RSA PRI" "VATE KEY-----", "-----BEGIN PRI" "VATE KEY-----"],
            "the key of a service": [
                "AK" "IAIOSFODNN7EXAMPLE",
                "aws_secret_access" "_key = " + "a/" * 20,
                "AI" "za" + "b" * 35,
                "gh" "p_" + "0" * 36,
                "OPENAI_API_KEY=s" "k-proj-" + "aB3" * 16,
                "xo" "xb-123456789012",
                "s" "k-" + "ab3" * 12,
                "s" "k_live_" + "aB3" * 8,
                "a" "k-01234567-" + "89ab-" * 6,
                "h" "f_" + "aBc" * 10,
                "ey" "JhbGciOiJIUzI1NiJ9.ey" "JzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
            ],
            "the mark of a conflict": ["<" * 7 + " HEAD", ">" * 7 + " theirs"],
        }.items()
        for line in lines
    ],
)  # fmt: skip
def test_what_must_not_get_into_git_is_seen(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "data.json"
    for encoding in ("utf-8", "utf-16"):
        file.write_text(f"one\n{line}\n", encoding=encoding)
        assert list(faults(file)) == [f"{file}:2 has {said}"]


@pytest.mark.parametrize(
    "name", [".venv/lib/x", "venv/x", ".venv-arize", "a/.venv/x", ".venv_old/x", "venv3/x", "a/env/pyvenv.cfg"]
)
def test_environments_are_seen_wherever_they_are(name: str) -> None:
    assert list(faults(Path(name))) == [f"{name} is an environment, which `make setup` makes"]


def test_links_that_lead_nowhere_on_another_machine_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_out, "ROOT", tmp_path)
    refused = {"/etc/hosts": True, f"{tmp_path}/README.md": True, "../README.md": True, "README.md": False}
    for number, (target, is_refused) in enumerate(refused.items()):
        link = tmp_path / f"link-{number}"
        link.symlink_to(target)
        assert list(faults(link)) == [f"{link} is a link to a path of one machine"] * is_refused


def test_what_is_like_it_passes(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(
        "pip install 'prefect-experiments[cost]'\nA heading\n=======\nGET /users/7, /home, /rooted/x\n"
        "an index, a url, a registry of backends; https://docs.example/simple.html and https://x.example/simpler/\n"
        "hf_transformers_model_name_of_ours, npm_config_something_quite_long, .venvrc, venv_notes.md\n"
        "sk-your-key-goes-here\ntask-0123456789abcdefABCDEF0123456789abcd\n-----BEGIN CERTIFICATE-----\n"
    )
    assert not list(faults(file))


def test_all_that_is_in_git_passes() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no clone of the repository")
    names = [name for name in listed.stdout.split("\0") if name and name != "deployments/compose.yaml"]
    assert [fault for name in names for fault in faults(ROOT / name)] == []
