"""HTML as Markdown: headings, lists, tables, code and links kept; scripts, styles and navigation left out."""

from __future__ import annotations

import re

_NOT_CONTENT = ("script", "style", "template", "noscript", "head", "nav", "svg", "iframe")


def to_markdown(html: str) -> str:
    """The visible text of an HTML document as Markdown."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all(_NOT_CONTENT):
        tag.decompose()
    converter = MarkdownConverter(heading_style="ATX", bullets="-", strip=["img"], escape_underscores=False)
    return re.sub(r"\n{3,}", "\n\n", str(converter.convert_soup(soup))).strip()
