"""validate: refuses parses that are empty or lack pages, says why by page, gives equal parses one canonical path."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice
from typing import Any

from docproc import text as texts
from docproc.errors import PermanentError
from docproc.model import Done, Fail, Job, Outcome, Page, Parsed, ParsedDocument, ParseResult
from docproc.parsers import TEXT_EXTENSIONS
from docproc.parsers.local import VERSION as LOCAL_VERSION
from docproc.settings import ValidateSettings
from docproc.stages import Settle
from docproc.stages.parse import load_pages
from docproc.states import Command
from docproc.storage import Storage, key, pages_uri
from docproc.store import ParseCalls

MOST_NUMBERS = 2000
"""Numbers kept of a document's pages at most: with more pages, each stands for several."""

MOST_NAMED = 100
"""Failed and missing pages that are named at most; all of them are counted."""

MOST_REASON = 200
"""Characters of a page's failure that are kept: the service's word may be a whole page of HTML."""

BAD_TEXTS = frozenset({"NO_CONTENT_HERE", "undefined"})
"""What LlamaParse is known to return in place of a page's text."""

MOST_APOLOGY = 400
"""Characters of the longest page that may be a model's apology; a real page with those words says more than that."""

_COUNTED = frozenset({".pdf", ".pptx", ".xlsx"})
"""Types whose pages, slides or sheets can be counted in the file; DOCX has pages only once it is laid out."""

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


class ValidateStage:
    """Moves ``parsed`` to ``parse_validated``, or to ``failed_parse`` with a ``validate.*`` code."""

    command = Command.VALIDATE
    batch = 1

    def __init__(self, calls: ParseCalls, storage: Storage, settings: ValidateSettings) -> None:
        self._calls = calls
        self._storage = storage
        self._settings = settings

    def run(self, jobs: Sequence[Job], settle: Settle) -> None:
        """Judges each job's parse."""
        for job in jobs:
            settle(job, self.outcome(job))

    def outcome(self, job: Job) -> Outcome:
        """The verdict on one parse, with what was seen of its pages. Raises JobError when the parse cannot be read."""
        result = _stored(self._storage, job)
        pages = _without_bad_texts(result)
        parsed, removed = texts.document(pages)
        bad = [page.number for page, kept in zip(result.pages, pages, strict=True) if page != kept]
        seen = PagesSeen.of(pages, parsed, bad=bad, removed=removed, in_file=self._pages_in_file(job, result))
        try:
            self._judge(job, seen)
        except PermanentError as refusal:
            return Fail(refusal, seen.progress())
        if bad:
            # Parse wrote the texts as they came; the offsets of the chunks are to be those of the stored text.
            self._storage.write(key(str(job.parsed_path)), parsed.text.encode())
        sha = texts.fingerprint(parsed)
        canonical = self._calls.canonical_parse(job, sha)
        product = Parsed(canonical or str(job.parsed_path), sha, seen.progress())
        return Done(product=product, note="same parse as before" if canonical else "")

    def _pages_in_file(self, job: Job, result: ParseResult) -> int | None:
        """The pages of the document itself; None where they cannot be counted, or came from that same reader."""
        if job.extension not in _COUNTED or _is_local(result) or find_spec("kreuzberg") is None:
            return None
        from docproc.parsers.extraction import count_pages

        raw = key(job.raw_path)
        return count_pages(self._storage.read(raw), job.extension) if self._storage.exists(raw) else None

    def _judge(self, job: Job, seen: PagesSeen) -> None:
        """Raises PermanentError for a parse that must not be chunked."""
        limits = self._settings
        if len(seen.failed) > limits.max_failed_pages * seen.returned:
            what = f"{len(seen.failed)} of {seen.returned} pages could not be parsed"
            raise PermanentError("validate.pages_failed", what, why=f"pages {_listed(seen.failed)}")
        if seen.missing > limits.max_missing_pages * seen.total:
            what = f"{seen.missing} of {seen.total} pages are missing"
            raise PermanentError("validate.pages_missing", what, why=f"pages {_listed(seen.missing_numbers())}")
        if seen.extra and limits.extra_pages == "refuse":
            what = f"{seen.extra} pages more than the file has"
            raise PermanentError("validate.pages_extra", what, why=f"{seen.returned} pages returned")
        characters = seen.characters.total()
        if characters < max(limits.min_characters, 1):
            why = f"{seen.returned} pages, {characters} characters"
            bad = f", {len(seen.bad)} with a text that only says so" if seen.bad else ""
            raise PermanentError("validate.empty", "the parse has no text", why=why + bad)
        paged = job.extension not in TEXT_EXTENSIONS
        if paged and characters < limits.min_characters_per_page * seen.total:
            why = f"{characters / seen.total:.0f} characters a page, {limits.min_characters_per_page:g} are wanted"
            raise PermanentError("validate.little_text", "the parse has too little text", why=why)


@dataclass(frozen=True, slots=True)
class PagesSeen:
    """What is known of a parse page by page, without a word of its text.

    ``total`` is the pages of the file or the highest number returned, whichever is more. ``characters`` counts those
    that are not white space, by number of page; ``bad`` are the pages with a known text that stands for none;
    ``removed`` counts the control characters taken out of the whole.
    """

    returned: int
    total: int
    in_file: int | None
    characters: Counter[int]
    failed: Mapping[int, str]
    bad: Sequence[int]
    removed: int

    @classmethod
    def of(
        cls, pages: Sequence[Page], parsed: ParsedDocument, *, bad: Sequence[int], removed: int, in_file: int | None
    ) -> PagesSeen:
        """Looks at ``pages`` and their normalised text; ``in_file``: the pages of the document, None if not known."""
        characters: Counter[int] = Counter()
        for span in parsed.pages:
            characters[span.number] += sum(map(len, parsed.text[span.start : span.end].split()))
        return cls(
            returned=len(pages),
            total=max([in_file or 0, *characters]),
            in_file=in_file,
            characters=characters,
            failed={page.number: _reason(page.error) for page in pages if page.error is not None},
            bad=bad,
            removed=removed,
        )

    @property
    def missing(self) -> int:
        """How many pages up to ``total`` were not returned at all."""
        return self.total - len([number for number in self.characters if number >= 1])

    def missing_numbers(self) -> Iterator[int]:
        """Their numbers. Lazy: a service that numbers a page with a billion must not fill the memory."""
        return (number for number in range(1, self.total + 1) if number not in self.characters)

    @property
    def extra(self) -> int:
        """Pages returned twice, or with numbers that the file does not have."""
        beyond = 0 if self.in_file is None else sum(number > self.in_file for number in self.characters)
        return self.returned - len(self.characters) + beyond

    def progress(self) -> dict[str, Any]:
        """What ``status`` shows, and no more of the document than that."""
        empty = [n for n, count in self.characters.items() if not count and n not in self.failed]
        return {
            "pages_total": self.returned,
            "pages_in_file": self.in_file,
            "pages_failed": len(self.failed),
            "pages_missing": self.missing,
            "pages_extra": self.extra,
            "pages_empty": len(empty),
            "characters": self.characters.total(),
            "characters_removed": self.removed,
            "pages": self._by_page(),
        }

    def _by_page(self) -> dict[str, Any]:
        """Characters by page, None where one was not returned; of several pages to a number, their mean."""
        step = max(-(-self.total // MOST_NUMBERS), 1)
        sums: Counter[int] = Counter()
        whole: Counter[int] = Counter()
        for number, count in self.characters.items():
            sums[(number - 1) // step] += count
            whole[(number - 1) // step] += number not in self.failed
        starts = range(0, self.total, step)
        sizes = [min(step, self.total - start) for start in starts]
        return {
            "total": self.total,
            "pages_a_number": step,
            "characters": [round(sums[n] / size) if whole[n] == size else None for n, size in enumerate(sizes)],
            "failed": {str(number): why for number, why in islice(self.failed.items(), MOST_NAMED)},
            "missing": list(islice(self.missing_numbers(), MOST_NAMED)),
            "bad_text": list(self.bad[:MOST_NAMED]),
        }


def load_document(storage: Storage, job: Job) -> tuple[tuple[Page, ...], ParsedDocument]:
    """The pages and the normalised text of a job's parse, from what parse stored."""
    pages = _without_bad_texts(_stored(storage, job))
    return pages, texts.document(pages)[0]


def says_nothing(text: str) -> bool:
    """Whether all that a page says is a text known to stand for none: a placeholder, or a model's apology."""
    text = text.strip().strip("`*_\"'.\n ")
    return text in BAD_TEXTS or (len(text) <= MOST_APOLOGY and _APOLOGY.fullmatch(text) is not None)


def _without_bad_texts(result: ParseResult) -> tuple[Page, ...]:
    """The pages, those that say nothing without text. What was read here came from no model: it is left alone."""
    if _is_local(result):
        return result.pages
    return tuple(replace(page, markdown="") if says_nothing(page.markdown) else page for page in result.pages)


def _stored(storage: Storage, job: Job) -> ParseResult:
    if job.parsed_path is None:
        raise PermanentError("storage.missing", "the job has no parse")
    return load_pages(storage.read(key(pages_uri(job.parsed_path))))


def _is_local(result: ParseResult) -> bool:
    return result.parser_version.partition("@")[0] == LOCAL_VERSION.partition("@")[0]


def _reason(error: str) -> str:
    """A page's error on one line, without the characters that a database refuses."""
    return " ".join(texts.normalise(error)[0].split())[:MOST_REASON]


def _listed(numbers: Iterable[int]) -> str:
    first = list(islice(numbers, 11))
    return ", ".join(map(str, first[:10])) + (" …" if len(first) > 10 else "")
