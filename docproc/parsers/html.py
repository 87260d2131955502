"""HTML as Markdown: headings, lists, tables, code and links kept; scripts, styles and navigation left out."""

from __future__ import annotations

import re

from docproc.errors import PermanentError

_NOT_CONTENT = ("script", "style", "template", "noscript", "head", "nav", "svg", "iframe")


_A_TAG = 25
"""Bytes that a tag counts for: on the way to Markdown it takes up to 1.5 kB, a byte of text up to 36 bytes."""


def weight(html: bytes) -> int:
    """How much of a document there is to hold in memory, in bytes of plain text that would take as much."""
    return len(html) + _A_TAG * html.count(b"<")


def to_markdown(html: str) -> str:
    """The visible text of an HTML document as Markdown. Raises PermanentError ``parse.unreadable``."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all(_NOT_CONTENT):
        tag.decompose()
    converter = MarkdownConverter(heading_style="ATX", bullets="-", strip=["img"], escape_underscores=False)
    try:
        return re.sub(r"\n{3,}", "\n\n", str(converter.convert_soup(soup))).strip()
    except RecursionError:
        raise PermanentError("parse.unreadable", "the file cannot be read", why="its tags are too deep") from None
    finally:
        soup.decompose()  # its parts name each other, and would stay until some later collection
