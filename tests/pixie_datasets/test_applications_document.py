"""What `docs/pixie-applications.md` shows is so: its project is written as it stands there, and its code is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.patience import PATIENCE_S

DOCUMENT = Path(__file__).parents[2] / "docs/pixie-applications.md"


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path, store_url: str) -> None:
    code = []
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL):
        named = re.match(r"# (\S+\.py)\n", text)
        if language == "json" or named:
            file = tmp_path / (named[1] if named else "pixie_qa/datasets/support.json")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        else:
            assert language == "python"
            code.append(text)
    assert len(code) == 2
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        cwd=tmp_path,
        env={**os.environ, "PREFECT_EXPERIMENTS_STORE_URL": store_url},
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert re.findall("set up|torn down", done.stdout) == ["set up", "torn down"]
