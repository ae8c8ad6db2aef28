"""For mkdocs: pages that stand elsewhere in the repository, README first, and their links as they are on the site."""

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "docs/README.md": "documents.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "deployments/README.md": "deployments.md",
    "examples/support/README.md": "example.md",
}


def _of_a_flow(record: logging.LogRecord) -> bool:
    """Whether it is no complaint of a Prefect flow: its parameters are there, where griffe does not look for them."""
    return "No type or annotation for parameter" not in record.getMessage()


logging.getLogger("mkdocs.plugins.griffe").addFilter(_of_a_flow)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Lead links to the pages, and write the name of a file above a block that is one."""
    known = {there: here for here, there in PAGES.items()}
    folder = posixpath.dirname(known.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def led(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        to = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else link[1])
        return f"]({to}{link[2]})"

    markdown = re.sub(r"\]\(([^):#\s]+)(|#[^)\s]*)\)", led, markdown)
    return re.sub(r"^```(\w+) file=(\S+)$", r'```\1 title="\2"', markdown, flags=re.MULTILINE)
