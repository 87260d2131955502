"""The stored parse: the pages as they came in JSON, and beside them the normalised text as one Markdown file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from docproc import faultpoints
from docproc import text as texts
from docproc.errors import PermanentError
from docproc.model import Job, Page, PageSpan, ParsedDocument, ParseResult, sha256
from docproc.parsers.local import VERSION as LOCAL_VERSION
from docproc.storage import Objects, key, pages_uri, sha256_of

BAD_TEXTS = frozenset({"NO_CONTENT_HERE", "undefined"})
"""What LlamaParse is known to return in place of a page's text."""

MOST_APOLOGY = 400
"""Characters of the longest page that may be a model's apology; a real page with those words says more than that."""

# The whole page must be a refusal of the model's own task: a letter that says "I'm sorry, but I can't come" is content.
_APOLOGY = re.compile(
    r"(?:(?:(?:I['’]m|I am)(?: very| so)? sorry|Sorry|I apologi[sz]e|(?:My )?apologies|Unfortunately"
    r"|As an AI[^.,]{0,60})[,.:;!]?\s+(?:but\s+)?)?"
    r"I(?:['’]m| am)? (?:can['’]?t|can ?not|unable to|not able to|could(?: not|n['’]t)) (?:\w+ )?"
    r"(?:(?:assist|help|comply)(?: you)? with (?:that|this|the|your)\b"
    r"|(?:process|transcribe|extract|convert|read|view|see|analy[sz]e|interpret|parse|access|fulfil+|identify|provide)"
    r"\b[^.]{0,80}\b(?:images?|pictures?|photos?|screenshots?|scans?|pages?|documents?|files?|contents?|text|request)\b)"
    r".*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class PlainText:
    """What is known of a text that is one page: it stands in the Markdown file alone, however long it is."""

    sha: str
    characters: int
    removed: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A parse as it is stored: ``text_sha`` is that of the Markdown file; with ``plain`` the one page is that file."""

    result: ParseResult
    text_sha: str | None
    plain: PlainText | None = None


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def write_pages(storage: Objects, uri: str, result: ParseResult) -> int:
    """Stores a parse under ``uri``; returns how many characters were removed from its text."""
    parsed, removed = texts.document(good_pages(result))
    faultpoints.reach("parse.before_store")
    # The Markdown last: with the hash in the JSON it proves that both are there and of one parse.
    storage.write(key(pages_uri(uri)), dump_pages(result))
    storage.write(key(uri), parsed.text.encode())
    return removed


def write_text(storage: Objects, uri: str, blocks: Iterable[str], version: str) -> int:
    """Stores a text of one page under ``uri``, block by block; returns how many characters were removed from it."""
    cleaner, digest = texts.Cleaner(), hashlib.sha256()
    with storage.draft() as draft:
        for block in blocks:
            clean = cleaner.feed(block).encode()
            digest.update(clean)
            draft.write(clean)
        rest = cleaner.finish().encode()
        digest.update(rest)
        draft.write(rest)
        plain = PlainText(digest.hexdigest(), cleaner.characters, cleaner.removed)
        faultpoints.reach("parse.before_store")
        storage.write(key(pages_uri(uri)), _dump(ParseResult((Page(1, ""),), version), plain.sha, plain))
        draft.keep(key(uri))
    return cleaner.removed


def dump_pages(result: ParseResult) -> bytes:
    """A parse as the JSON that is kept beside its Markdown."""
    return _dump(result, _sha_of(texts.document(good_pages(result))[0]), None)


def _dump(result: ParseResult, text_sha: str, plain: PlainText | None) -> bytes:
    pages = [
        {"number": p.number, "markdown": p.markdown, "error": p.error, "confidence": p.confidence} for p in result.pages
    ]
    document: dict[str, Any] = {
        "schema": 2,
        "parser_version": result.parser_version,
        "credits": result.credits,
        "pages_in_file": result.pages_in_file,
        "text_sha": text_sha,
        "pages": pages,
    }
    if plain is not None:
        document["plain"] = {"characters": plain.characters, "removed": plain.removed}
    # ASCII escapes keep lone surrogates, which UTF-8 has no bytes for.
    return json.dumps(document).encode("ascii")


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def stored(storage: Objects, uri: str) -> Stored:
    """What is known of the parse under ``uri``. Raises PermanentError ``storage.missing`` and ``storage.corrupt``."""
    return _loaded(storage.read(key(pages_uri(uri))))


def load_pages(data: bytes) -> ParseResult:
    """The parse that ``dump_pages`` wrote. Raises PermanentError ``storage.corrupt`` when it is not one."""
    return _loaded(data).result


def _loaded(data: bytes) -> Stored:
    try:
        document = json.loads(data)
        pages = tuple(Page(**page) for page in document["pages"])
        result = ParseResult(
            pages, document["parser_version"], document["credits"], pages_in_file=document.get("pages_in_file")
        )
        sha, plain = document.get("text_sha"), document.get("plain")
        return Stored(result, sha, None if plain is None else PlainText(str(sha), **plain))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PermanentError("storage.corrupt", "the stored page data cannot be read") from None


def is_whole(storage: Objects, uri: str) -> bool:
    """Whether the parse under ``uri`` is there, its pages and its Markdown of one and the same parse."""
    try:
        return stored(storage, uri).text_sha == _sha_in(storage, uri)
    except PermanentError:
        return False


def restore_text(storage: Objects, uri: str, parsed: ParsedDocument) -> None:
    """Writes the Markdown under ``uri`` once more unless it is what ``parsed`` says."""
    data = parsed.text.encode()
    try:
        same = _sha_in(storage, uri) == sha256(data)
    except PermanentError:
        same = False
    if not same:
        storage.write(key(uri), data)


def load_document(storage: Objects, job: Job) -> tuple[tuple[Page, ...], ParsedDocument]:
    """The pages and the normalised text of a job's parse, all of it in memory."""
    uri = path_of(job)
    found = stored(storage, uri)
    if found.plain is not None:
        text = storage.read(key(uri)).decode()
        return (Page(1, text),), ParsedDocument(text, (PageSpan(1, 0, len(text)),))
    pages = good_pages(found.result)
    return pages, texts.document(pages)[0]


def open_text(storage: Objects, job: Job) -> tuple[BinaryIO, tuple[PageSpan, ...]]:
    """The normalised text of a validated job as a UTF-8 file at its beginning, and where its pages stand in characters.

    The text is that of ``load_document``, and need not be in memory. The caller closes the file.
    """
    uri = path_of(job)
    found = stored(storage, uri)
    if found.plain is not None:
        spans: tuple[PageSpan, ...] = (PageSpan(1, 0, found.plain.characters),)
    else:
        spans = texts.document(good_pages(found.result))[0].pages
    return storage.open(key(uri)), spans


def path_of(job: Job) -> str:
    """Where the job's parse is. Raises PermanentError ``storage.missing`` when it has none."""
    if job.parsed_path is None:
        raise PermanentError("storage.missing", "the job has no parse")
    return job.parsed_path


def _sha_in(storage: Objects, uri: str) -> str:
    with storage.open(key(uri)) as file:
        return sha256_of(file)


def _sha_of(parsed: ParsedDocument) -> str:
    return sha256(parsed.text.encode())


# ── pages that say nothing ──────────────────────────────────────────────────────────────────────────────────────────


def says_nothing(text: str) -> bool:
    """Whether all that a page says is a text known to stand for none: a placeholder, or a model's apology."""
    text = text.strip().strip("`*_\"'.\n ")
    return text in BAD_TEXTS or (len(text) <= MOST_APOLOGY and _APOLOGY.fullmatch(text) is not None)


def good_pages(result: ParseResult) -> tuple[Page, ...]:
    """The pages, those that say nothing without text. What was read here came from no model: it is left alone."""
    if is_local(result):
        return result.pages
    return tuple(replace(page, markdown="") if says_nothing(page.markdown) else page for page in result.pages)


def is_local(result: ParseResult) -> bool:
    """Whether the parse was made here."""
    return result.parser_version.partition("@")[0] == LOCAL_VERSION.partition("@")[0]
