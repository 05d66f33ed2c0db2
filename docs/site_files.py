"""Hooks of mkdocs.yml: what the site shows beside the pages of docs/. README is the home page, a notebook is a page as
it was executed, and links between files of the repository become links within the site."""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "leaderboards/vsc-20/README.md": "leaderboards/vsc-20/index.html",
    "leaderboards/vsc-20/index.html": "leaderboards/vsc-20/index.html",
}
"""File of the repository -> what it is on the site. A board's README lists its files; the site has its page alone."""

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add README, the changelog and the board's page; put a page in the place of each notebook."""
    for name in ("README.md", "CHANGELOG.md", "leaderboards/vsc-20/index.html"):
        files.append(File.generated(config, OUTSIDE[name], abs_src_path=str(ROOT / name)))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        document = json.loads(notebook.content_string)
        files.remove(notebook)
        page = "\n\n".join(text for cell in document["cells"] for text in _of_cell(cell))
        files.append(File.generated(config, _on_site(notebook.src_uri), content=page))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links within the site."""
    here = page.file.src_uri
    source = {site: name for name, site in OUTSIDE.items()}.get(here, f"docs/{here}")

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        return posixpath.relpath(_on_site(target), posixpath.dirname(here) or ".")

    return _LINK.sub(moved, markdown)


def _on_site(name: str) -> str:
    return OUTSIDE.get(name, re.sub(r"\.ipynb$", ".md", name.removeprefix("docs/")))


def _of_cell(cell: dict[str, Any]) -> Iterator[str]:
    """A cell of a notebook as Markdown: its source, and what it printed, showed and drew."""
    source = "".join(cell["source"])
    yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
    for output in cell.get("outputs", ()):
        shown = {kind: "".join(content) for kind, content in output.get("data", {}).items()}
        if "image/png" in shown:
            words, png = html.escape(shown.get("text/plain", "figure")), shown["image/png"].strip()
            yield f'<img alt="{words}" src="data:image/png;base64,{png}">'
        elif shown.get("text/html", "").strip():
            yield f'<div class="output">\n{shown["text/html"]}\n</div>'
        elif text := shown.get("text/plain") or "".join(output.get("text", "")):
            yield f"```text\n{text.rstrip()}\n```"
