"""A hook of mkdocs: links that lead out of this folder keep their words and lose their target.

In the repository they lead to sources and notebooks, which the site does not have.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
HERE = Path(__file__).resolve().parent


def stays(target: str, page: str) -> bool:
    """Whether the link of a page (its path below docs/) leads to the web, or to a file here."""
    if "://" in target or target.startswith(("#", "mailto:")):
        return True
    place = posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition("#")[0]))
    return not place.startswith("..") and (HERE / place).is_file()


def site_text(markdown: str, page: str) -> str:
    """The page's text with those links alone that lead somewhere on the site."""
    return LINK.sub(lambda m: m[0] if stays(m[2], page) else m[1], markdown)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """What mkdocs calls for each page."""
    return site_text(markdown, page.file.src_uri)
