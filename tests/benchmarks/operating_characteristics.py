"""How often verdicts are wrong, and what intervals hold: simulated, for docs/operating-characteristics.md.

    python tests/benchmarks/operating_characteristics.py                    # prints the tables
    python tests/benchmarks/operating_characteristics.py --write            # into the page
    python tests/benchmarks/operating_characteristics.py --simulations 200 --only statistics
    python tests/benchmarks/operating_characteristics.py --write --only nights     # one of them into the page

Each module `oc_NAME.py` beside this one has a `TITLE` and `rows(n_sim, seed)`, which gives a `Row` for each figure.
Everything is seeded. What it was before is written down there, measured by the same code on the state before issue 13
(commit 029da7a).
"""

from __future__ import annotations

import argparse
import importlib
import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "operating-characteristics.md"
START, END = "<!-- made by tests/benchmarks/operating_characteristics.py -->", "<!-- end -->"
SIMULATIONS = 2000
SEED = 13


class Row(NamedTuple):
    """One line of the page.

    Attributes:
        what: was simulated, in words.
        before: the figure then, such as ``26 %``; empty where there was none.
        now: the figure now.
        bar: what it has to keep, such as ``<= 5 %``, ``>= 93 %``; empty where nothing was promised.
    """

    what: str
    before: str
    now: str
    bar: str

    @property
    def kept(self) -> bool:
        """Whether the figure keeps its bar; what is at most so much, to within two standard errors of 2,000 draws."""
        if not self.bar:
            return True
        sign, bound = self.bar.split()[:2]
        found, most = float(self.now.split()[0]), float(bound)
        allowance = 200 * math.sqrt(most * (100 - most) / 10_000 / SIMULATIONS) if 0 < most < 100 else 0.0
        return found <= most + allowance if sign == "<=" else found >= most


def percent(share: float) -> str:
    """Such as ``4.3 %``."""
    return f"{100 * share:.1f} %"


def modules(only: str = "") -> list[str]:
    """The modules that give rows."""
    return sorted(path.stem for path in HERE.glob("oc_*.py") if only in path.stem)


def table(title: str, rows: list[Row]) -> str:
    """A heading and its table."""
    lines = [f"## {title}", "", "| what | before | now | has to be |", "|---|---|---|---|"]
    for row in rows:
        now = row.now if row.kept else f"**{row.now}**"
        lines.append(f"| {row.what} | {row.before or '-'} | {now} | {row.bar or '-'} |")
    return "\n".join([*lines, ""])


def named(heading: str) -> str:
    """A heading without how often it was simulated."""
    return heading.removeprefix("## ").partition(" (")[0]


def write(tables: list[str]) -> None:
    """The tables into the page, between its marks, each in the place of the one of its name."""
    before, _, rest = PAGE.read_text().partition(START)
    made, _, after = rest.partition(END)
    there = re.split(r"^(?=## )", made.strip(), flags=re.MULTILINE)
    sections = {named(text.partition("\n")[0]): text.strip() for text in [*there, *tables] if text}
    text = "\n\n".join(sections.values())
    PAGE.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}")


def main() -> int:
    """Print or write the tables; 1 where a figure does not keep its bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    parser.add_argument("--only", default="", help="of the modules, those with this in their name")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    kept, tables = True, []
    for name in modules(given.only):
        module = importlib.import_module(name)
        rows = [Row(*row) for row in module.rows(given.simulations, SEED)]
        fewer = given.simulations != SIMULATIONS and "(" not in module.TITLE
        tables.append(table(module.TITLE + f" ({given.simulations:,} simulations)" * fewer, rows))
        print(tables[-1], flush=True)
        kept = kept and all(row.kept for row in rows)
    if given.write:
        write(tables)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
