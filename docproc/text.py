"""The one door for text: pages as a parser returned them in, a clean document with page offsets out."""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from docproc.model import Page, PageSpan, ParsedDocument, sha256

BLOCK = 1 << 18
"""Bytes of a text that are decoded at a time; as characters they take four times as much at most."""

LONGEST = 1 << 20
"""Characters without a place to cut after which the text is cut all the same."""

PAGE_BREAK = "\n\n"
"""What stands between two pages of the normalised text."""

_LINE_ENDS = re.compile("\r\n?|[\f\v\u0085\u2028\u2029]")
# Control characters but tab and newline, lone surrogates, byte order marks and non-characters.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")

# Never the second half of a composed character nor of a line end: before one of these a cut changes nothing.
_SAFE = re.compile("[\t -~\u3000-\u3029\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]")


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


class Cleaner:
    """Makes of one page's text, block by block, what ``document`` makes of it as a whole."""

    def __init__(self) -> None:
        self.removed = 0
        self.characters = 0
        self._held = ""
        self._line_ends = 0

    def feed(self, block: str) -> str:
        """Takes the next block; returns what is clean by now."""
        raw = self._held + block
        cut = _last_cut(raw) or (len(raw) if len(raw) > LONGEST else 0)
        self._held = raw[cut:]
        return self._cleaned(raw[:cut])

    def finish(self) -> str:
        """Returns the rest. The line ends after the text are left out, as are those before it."""
        rest, self._held = self._held, ""
        return self._cleaned(rest)

    def _cleaned(self, raw: str) -> str:
        text, removed = normalise(raw)
        self.removed += removed
        if not self.characters:
            text = text.lstrip("\n")
        body = text.rstrip("\n")
        before, ends = self._line_ends, len(text) - len(body)
        self._line_ends = ends if body else before + ends
        if not body:
            return ""
        self.characters += before + len(body)
        return "\n" * before + body


def _last_cut(raw: str) -> int:
    """The last place in ``raw`` before which it may be cut; 0 when there is none."""
    width = 64
    while True:
        start = max(len(raw) - width, 1)
        cuts = [match.start() for match in _SAFE.finditer(raw, start)]
        if cuts or start == 1:
            return cuts[-1] if cuts else 0
        width *= 16


def decode(data: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 with a byte order mark, else Windows-1252, which reads every byte."""
    encoding, errors = _encoding(io.BytesIO(data))
    return data.decode(encoding, errors)


def decoded(file: BinaryIO) -> Iterator[str]:
    """The text that ``decode`` finds in a file, by blocks; reads the file twice."""
    encoding, errors = _encoding(file)
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    while block := file.read(BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _encoding(file: BinaryIO) -> tuple[str, str]:
    """The encoding, and what is done with bytes that are none in it; the file stays at its beginning."""
    start = file.read(2)
    file.seek(0)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", "replace"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252", "replace"
    finally:
        file.seek(0)
    return "utf-8-sig", "strict"
