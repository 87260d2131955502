"""Reads the text of real files on this machine, page by page, as Markdown: PDF, DOCX, PPTX, XLSX, HTML and plain text.

The reading is kreuzberg's (the extra ``local``); every word of the body is in the pages.

Not read: text in pictures (no OCR), running headers and footers of Office files, speaker notes, comments, charts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO

from docproc.errors import PermanentError
from docproc.model import Page
from docproc.parsers.office import count_sheets, count_slides, read_docx, read_pptx, read_xlsx, unpacked
from docproc.parsers.reading import count_pdf_pages, run_kreuzberg, unreadable

_SYNONYMS = {".htm": ".html", ".xhtml": ".html", ".markdown": ".md", ".text": ".txt"}


def extract(data: bytes, extension: str) -> tuple[Page, ...]:
    """The text of ``data`` as Markdown pages, numbered from 1; ``extension`` (``.pdf``) says what the bytes should be.

    A page is a PDF page, a slide, a sheet, what stands between page breaks in DOCX, or all of an HTML or text file.
    Raises PermanentError: ``parse.unreadable`` (damaged, or of another type), ``parse.rejected`` (needs a password).
    """
    kind = _kind(extension)
    reader = _READERS.get(kind)
    if reader is None:
        unreadable(f"files of type {kind or 'without extension'} cannot be read here")
    return tuple(Page(number, text.strip("\n")) for number, text in enumerate(reader(data), 1))


def count_pages(file: BinaryIO, extension: str) -> int | None:
    """The number of pages that ``extract`` will give; None where it cannot be known before (DOCX, damaged files).

    ``file`` has a descriptor. None too where counting would take much memory: of a PDF, all of it is held at once.
    """
    kind = _kind(extension)
    try:
        if kind == ".pdf":
            return count_pdf_pages(file)
        if kind == ".pptx":
            return count_slides(file)
        if kind == ".xlsx":
            return count_sheets(file)
    except PermanentError:
        return None
    return 1 if kind in (".html", ".md", ".txt") else None


def unpacked_size(file: BinaryIO, extension: str) -> int:
    """The bytes that ``extract`` will have to read, for an Office file unpacked; leaves ``file`` at its beginning."""
    return unpacked(file) if _kind(extension) in (".docx", ".pptx", ".xlsx") else file.seek(0, 2) - file.seek(0)


def _kind(extension: str) -> str:
    lower = extension.lower()
    return _SYNONYMS.get(lower, lower)


# ── PDF ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

_STRUCTURAL = re.compile(r"^(\s*)(?=#{1,6}\s|```|~~~|={2,}\s*$|-{2,}\s*$)")
_BULLET = re.compile(r"^(\s*)[•‣▪●◦]\s+")
_HEADING = re.compile(r"^(#{1,6}) +(\S.*)$", re.MULTILINE)
_HEADING_LINES = 4
_HEADINGS_AHEAD = 8


def _read_pdf(data: bytes) -> Iterator[str]:
    """The text of each page as it stands there, complete, with the headings that kreuzberg finds in the whole."""
    result = run_kreuzberg(data, ".pdf")
    texts = {page["page_number"]: page["content"].replace("\f", "\n") for page in result.pages or []}
    count = max([result.get_page_count(), *texts])
    joined = _join_hyphenated("\f".join(texts.get(number, "") for number in range(1, count + 1)))
    headings = [(match[1], _letters(match[2])) for match in _HEADING.finditer(result.content)]
    headings = [heading for heading in headings if heading[1]]
    for page in joined.replace("\r\n", "\n").split("\f"):
        lines, headings = _set_headings(page.split("\n"), headings)
        yield re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _join_hyphenated(text: str) -> str:
    """Words that the PDF cuts at a line's end (kreuzberg gives U+0002), joined as they are spelt elsewhere in it."""

    def join(match: re.Match[str]) -> str:
        spelt = f"{match[1]}-{match[2]}"
        return spelt if spelt in text else match[1] + match[2]

    return re.sub(r"(\w+)\x02(\w+)", join, text).replace("\x02", "-")


def _set_headings(lines: list[str], headings: list[tuple[str, str]]) -> tuple[list[str], list[tuple[str, str]]]:
    """``lines`` with the headings that stand in them marked, and the headings that are still to come."""
    letters = [_letters(line) for line in lines]
    done: list[str] = []
    at = 0
    while at < len(lines):
        # A heading whose lines are not found (columns, decoration) must not hide the ones after it.
        for ahead, (marks, wanted) in enumerate(headings[:_HEADINGS_AHEAD]):
            used = _lines_of(letters[at : at + _HEADING_LINES], wanted)
            if used:
                done += ["", f"{marks} {' '.join(line.strip() for line in lines[at : at + used])}", ""]
                headings = headings[ahead + 1 :]
                at += used
                break
        else:
            done.append(_BULLET.sub(r"\1- ", _STRUCTURAL.sub(r"\1\\", lines[at])))
            at += 1
    return done, headings


def _lines_of(letters: list[str], wanted: str) -> int:
    """How many lines of these ``letters`` make up the heading of the letters ``wanted``; 0 when they do not."""
    found = ""
    for count, part in enumerate(letters, 1):
        found += part
        if found == wanted:
            return count
        if not found or not wanted.startswith(found):
            return 0
    return 0


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


# ── HTML and text ──────────────────────────────────────────────────

_NOT_SHOWN = re.compile(
    r"<!--.*?-->|<(title|script|style)\b[^>]*>.*?</\1\s*>|<(?:meta|link|base)\b[^>]*>", re.DOTALL | re.IGNORECASE
)
_MAX_NUL_SHARE = 0.1
"""Faulty programs leave some NUL characters in text; a file that is a tenth NUL is something else."""

_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)
_INLINE_PICTURE = re.compile(r"!\[([^\]]*)\]\(data:[^)]*\)")


def _read_html(data: bytes) -> list[str]:
    # kreuzberg would make a front block of the head's entries, which Markdown then takes for a heading.
    shown = _NOT_SHOWN.sub("", _decode(data))
    return [_INLINE_PICTURE.sub(r"\1", run_kreuzberg(shown.encode(), ".html").content)]


def _read_text(data: bytes) -> list[str]:
    return [_decode(data).replace("\r\n", "\n")]


def _decode(data: bytes) -> str:
    """``data`` as text: by its byte order mark, as UTF-8, as its HTML says, as Windows-1252."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        candidates = ["utf-16"]
    else:
        declared = _CHARSET.search(data[:2048])
        candidates = ["utf-8-sig", *([declared[1].decode()] if declared else []), "cp1252"]
        if data.startswith((b"%PDF-", b"PK\x03\x04")) or data.count(0) > len(data) * _MAX_NUL_SHARE:
            unreadable("it is not text")
    for encoding in candidates:
        with suppress(UnicodeDecodeError, LookupError):
            return data.decode(encoding).replace("\0", "")
    return unreadable("its bytes are text in no known encoding")


_READERS: dict[str, Callable[[bytes], Iterable[str]]] = {
    ".pdf": _read_pdf,
    ".docx": read_docx,
    ".pptx": read_pptx,
    ".xlsx": read_xlsx,
    ".html": _read_html,
    ".md": _read_text,
    ".txt": _read_text,
}
