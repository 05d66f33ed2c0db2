"""Hooks of mkdocs.yml: what the site shows beside docs/. README is the home page, and links out of docs/ stay whole."""

from __future__ import annotations

import posixpath
import re
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
    """Add README, the changelog and the board's page."""
    for name in ("README.md", "CHANGELOG.md", "leaderboards/vsc-20/index.html"):
        files.append(File.generated(config, OUTSIDE[name], abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between files of the site."""
    here = page.file.src_uri
    source = {site: name for name, site in OUTSIDE.items()}.get(here, f"docs/{here}")

    def on_site(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        placed = OUTSIDE.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(placed, posixpath.dirname(here) or ".")

    return _LINK.sub(on_site, markdown)
