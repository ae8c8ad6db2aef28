"""Refuses large files, as a hook before a commit: they stay in git's history for ever.

usage: python tests/support/large_files.py FILE ...
"""

from __future__ import annotations

import sys
from pathlib import Path

MOST_BYTES = 500_000


def main() -> int:
    large = [path for path in map(Path, sys.argv[1:]) if path.is_file() and path.stat().st_size > MOST_BYTES]
    for path in large:
        print(f"{path} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are kept in git")
    return bool(large)


if __name__ == "__main__":
    sys.exit(main())
