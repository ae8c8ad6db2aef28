"""What `make coverage` has measured, by folder: lines and branches together, and the files that are run least.

usage: python tests/support/coverage_table.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEAST = 10


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)]
        subprocess.run(command, cwd=ROOT, check=True)
        files = json.loads(report.read_text())["files"]
    folders: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    shares = {}
    for path, found in files.items():
        parts = path.split("prefect_experiments/", 1)[1].split("/")
        figures = found["summary"]
        run = figures["covered_lines"] + figures["covered_branches"]
        every = figures["num_statements"] + figures["num_branches"]
        shares[path] = run / every if every else 1.0
        for name in ("together", parts[0] if len(parts) > 1 else "(the package's own)"):
            folders[name][0] += run
            folders[name][1] += every
    together = folders.pop("together")
    print("| folder | lines and branches that the tests run |\n|---|---|")
    for name, (run, every) in [*sorted(folders.items()), ("together", together)]:
        print(f"| {name} | {run / max(1, every):.1%} of {every:,} |")
    print(
        f"\nLeast: {', '.join(f'{path} {shares[path]:.0%}' for path in sorted(shares, key=shares.__getitem__)[:LEAST])}"
    )
    never = [path for path, share in shares.items() if share == 0]
    if never:
        print(f"No test runs {', '.join(never)}")
    return bool(never)


if __name__ == "__main__":
    sys.exit(main())
