"""For mkdocs: pages that stand elsewhere in the repository, README first, and their links as they are on the site."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "deployments/README.md": "deployments.md",
    "examples/support/README.md": "example.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, content=_as_page((ROOT / path).read_text(encoding="utf-8"))))
    return files


def _as_page(text: str) -> str:
    for path, page in PAGES.items():
        text = text.replace(f"]({path})", f"]({page})")
    text = text.replace("](docs/", "](")
    return re.sub(r"^```(\w+) file=(\S+)$", r'```\1 title="\2"', text, flags=re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """A block that is a file has the file's name above it."""
    return _as_page(markdown)
