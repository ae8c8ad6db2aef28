"""Prints the mutants of listed.json as `made.py` prints its own: for `run.py`.

usage: python tests/mutants/listed.py [ID ...] > listed.jsonl

Each was written by hand, for a mistake that the suite once let through, or one of its kind; `what` says what a user
would see. A text that is to be replaced has to be there once: when the code around it changes, the list is mended.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "src" / "prefect_experiments"


def main() -> None:
    for one in json.loads((HERE / "listed.json").read_text()):
        if sys.argv[1:] and one["id"] not in sys.argv[1:]:
            continue
        code = (PACKAGE / one["module"]).read_text()
        if code.count(one["before"]) != 1:
            sys.exit(
                f"{one['id']}: its text is {code.count(one['before'])} times in {one['module']}: {one['before']!r}"
            )
        source = code.replace(one["before"], one["after"])
        line = next(n for n, (a, b) in enumerate(zip(code.split("\n"), source.split("\n"), strict=False)) if a != b)
        print(json.dumps({**one, "operator": "listed", "line": line + 1, "source": source}))


if __name__ == "__main__":
    main()
