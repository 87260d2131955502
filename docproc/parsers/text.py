"""The local parser for text formats: Markdown and text as they are, HTML as Markdown; no network and no cost."""

from __future__ import annotations

from docproc.model import Page, ParseResult
from docproc.text import decode

VERSION = "text@1"


def parse(data: bytes, extension: str) -> ParseResult:
    """One page with the document's text. Raises PermanentError ``parse.unreadable`` for HTML that cannot be read."""
    text = decode(data)
    if extension in (".html", ".htm"):
        from docproc.parsers.html import to_markdown

        text = to_markdown(text)
    return ParseResult((Page(1, text),), VERSION)
