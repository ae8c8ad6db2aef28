"""Refuses what must not get into git, as a hook before a commit: it stays in git's history for ever.

usage: python tests/support/kept_out.py FILE ...
"""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 500_000
ENVIRONMENT = re.compile(r"(^|/)(\.?venv([^/]*/|(-[\w-]+)?$)|pyvenv\.cfg$)")
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as PowerShell's `>` writes

# What is looked for in each line. None of these texts matches itself, so this file passes.
LINES = {
    "the address of a package registry": [
        r"(?i)//[\w.-]*\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|yarnpkg\.com|anaconda\.(org|com))\b",
        r"https?://[^\s\"'<>)]+/(simple|pypi|npm|conda)(/|[\s\"'<>)]|$)",
        r"(?i)index[-_]url\b|--regis[t]ry\b|\bregistry *= *[\"']?http|\bpip_inde[x]\b|\buv_(default_)?inde[x]\b",
        r"\bpip3? .*\s(-i|-f|--find-links)[ =]*[\"']?https?:",
        r"\[\[tool\.(uv\.index|poetry\.source)\]\]",
    ],
    "a path of one machine": [
        r"(?<![\w.])/(root/|home/\w|Users/\w)",
        r"(?i)\b[a-z]:[\\/]+users[\\/]+\w",
        *(re.escape(str(path)) + r"(?![\w.-])" for path in (ROOT, Path.home()) if len(path.parts) > 2),
    ],
    "a private key": [
        r"-----BEGIN [A-Z ]*PRIVATE KEY",
        r"PuTTY-User-Key-File-\d",
    ],
    "the key of a service": [
        r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|(?i:aws_secret_access_key) *[=:] *[\"']?[\w/+]{40}",
        r"\bAIza[\w-]{35}|\bAccountKey=[\w+/]{40,}",
        r"\b(gh[pousr]|github_pat|glpat)[_-]\w{20,}|\bpypi-AgE\w{20,}|\bxox[abprs]-[\w-]{10,}",
        r"\b(hf|npm|pnu|pnb)[_-](?=[a-zA-Z]*\d|[a-z]*[A-Z])[a-zA-Z0-9]{20,}",
        r"\bsk-(ant-|proj-|svcacct-)?(?=[\w-]*\d)((?=[\w-]*[A-Z])[\w-]{32,}|[a-z0-9]{32,})",
        r"\b[prs]k_(live|test)_\w{16,}|\bak-[0-9a-f]{8}-[\w-]{20,}|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    ],
    "the mark of a conflict": [r"^(<{7}|>{7}|\|{7})( |$)"],
}
PATTERNS = [(what, re.compile(pattern)) for what, patterns in LINES.items() for pattern in patterns]


def faults(path: Path) -> Iterator[str]:
    """What must not be committed of a file; the lines are named, not shown: they may hold a secret."""
    if ENVIRONMENT.search(os.path.relpath(path, ROOT)):
        yield f"{path} is an environment, which `make setup` makes"
    if path.is_symlink():
        if path.readlink().is_absolute() or not path.resolve().is_relative_to(ROOT):
            yield f"{path} is a link to a path of one machine"
    elif path.is_file():
        if (size := path.stat().st_size) > MOST_BYTES:
            yield f"{path} has {size:,} bytes; at most {MOST_BYTES:,} are kept in git"
        content = path.read_bytes()
        text = content.decode("utf-16" if content.startswith(WIDE) else "utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            for what in dict.fromkeys(what for what, pattern in PATTERNS if pattern.search(line)):
                yield f"{path}:{number} has {what}"


def main() -> int:
    found = [fault for name in sys.argv[1:] for fault in faults(Path(name))]
    if found:
        print(*found, "Where that is not so, mend the rule in tests/support/kept_out.py.", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
