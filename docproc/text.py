"""The one door for text: pages as a parser returned them in, a clean document with page offsets out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from docproc.model import Page, PageSpan, ParsedDocument, sha256

PAGE_BREAK = "\n\n"
"""What stands between two pages of the normalised text."""

_LINE_ENDS = re.compile("\r\n?|[\f\v\u0085\u2028\u2029]")
# Control characters but tab and newline, lone surrogates, byte order marks and non-characters.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def normalise(text: str) -> tuple[str, int]:
    """``text`` in NFC, with ``\\n`` line ends and without control characters; and how many characters were removed."""
    clean, removed = _REFUSED.subn("", _LINE_ENDS.sub("\n", text))
    return unicodedata.normalize("NFC", clean), removed


def document(pages: Sequence[Page]) -> tuple[ParsedDocument, int]:
    """The normalised document of ``pages`` in order, and how many characters were removed on the way.

    Failed pages have a span without text, so that page numbers stay true.
    """
    texts, spans, at, removed = [], [], 0, 0
    for page in pages:
        text, gone = normalise(page.markdown)
        text = text.strip("\n")
        removed += gone
        spans.append(PageSpan(page.number, at, at + len(text)))
        texts.append(text)
        at += len(text) + len(PAGE_BREAK)
    return ParsedDocument(PAGE_BREAK.join(texts), tuple(spans)), removed


def fingerprint(parsed: ParsedDocument) -> str:
    """SHA-256 of the normalised text with its page breaks: equal parses have equal fingerprints."""
    return sha256("\f".join(parsed.text[span.start : span.end] for span in parsed.pages).encode())


def decode(data: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 with a byte order mark, else Windows-1252, which reads every byte."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
