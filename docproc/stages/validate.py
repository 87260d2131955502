"""validate: refuses parses that are empty or lack pages, says why by page, gives equal parses one canonical path."""

from __future__ import annotations

import codecs
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from docproc import text as texts
from docproc.errors import PermanentError
from docproc.model import Done, Fail, Job, Outcome, Page, Parsed, ParsedDocument, ParseResult
from docproc.parsers import TEXT_EXTENSIONS
from docproc.parsers.counting import can_count, pages_in_file
from docproc.redaction import unquoted
from docproc.settings import ValidateSettings
from docproc.stages import Context, settle_each
from docproc.stages.stored import (
    PlainText,
    good_pages,
    is_local,
    load_document,
    path_of,
    restore_text,
    says_nothing,
    stored,
)
from docproc.states import Command
from docproc.storage import Objects, key
from docproc.store import KnownParses

__all__ = ["PagesSeen", "ValidateStage", "load_document", "says_nothing"]

MOST_NUMBERS = 2000
"""Numbers kept of a document's pages at most: with more pages, each stands for several."""

MOST_NAMED = 100
"""Failed and missing pages that are named at most; all of them are counted."""


class ValidateStage:
    """Moves ``parsed`` to ``parse_validated``, or to ``failed_parse`` with a ``validate.*`` code."""

    command = Command.VALIDATE
    batch = 16
    batch_bytes = 1_000_000
    spread = False

    def __init__(self, parses: KnownParses, storage: Objects, settings: ValidateSettings) -> None:
        self._parses = parses
        self._storage = storage
        self._settings = settings

    def run(self, jobs: Sequence[Job], context: Context) -> None:
        """Judges each job's parse."""
        settle_each(jobs, context, self.outcome, self.command)

    def outcome(self, job: Job) -> Outcome:
        """The verdict on one parse, with what was seen of its pages. Raises JobError when the parse cannot be read."""
        uri = path_of(job)
        found = stored(self._storage, uri)
        if found.plain is not None:
            seen, sha = self._look_at_text(uri, found.plain), found.plain.sha
        else:
            seen, sha = self._look_at_pages(job, uri, found.result)
        progress = seen.progress()
        code = verdict(progress, job.extension, self._settings)
        if code is not None:
            return Fail(_refusal(code, seen, self._settings), progress)
        canonical = self._parses.canonical_parse(job, sha)
        product = Parsed(canonical or uri, sha, progress)
        return Done(product=product, note="same parse as before" if canonical else "")

    def _look_at_text(self, uri: str, plain: PlainText) -> PagesSeen:
        """Counts by blocks: the text may be too long for the memory."""
        digest, characters = hashlib.sha256(), 0
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with self._storage.open(key(uri)) as file:
            while block := file.read(texts.BLOCK):
                digest.update(block)
                characters += sum(map(len, decoder.decode(block).split()))
        if digest.hexdigest() != plain.sha:
            raise PermanentError("storage.corrupt", f"{uri} is not what parse stored")
        return PagesSeen(1, 1, None, Counter({1: characters}), failed={}, bad=(), removed=plain.removed)

    def _look_at_pages(self, job: Job, uri: str, result: ParseResult) -> tuple[PagesSeen, str]:
        pages = good_pages(result)
        parsed, removed = texts.document(pages)
        bad = [page.number for page, kept in zip(result.pages, pages, strict=True) if page != kept]
        seen = PagesSeen.of(pages, parsed, bad=bad, removed=removed, in_file=self._pages_in_file(job, result))
        # The offsets of the chunks are to be those of the stored text, whoever wrote it last.
        restore_text(self._storage, uri, parsed)
        return seen, texts.fingerprint(parsed)

    def _pages_in_file(self, job: Job, result: ParseResult) -> int | None:
        """The pages of the document itself; None where they cannot be counted, or came from that same reader."""
        if is_local(result):
            return None
        counted: int | None = job.progress.get("pages_in_file", result.pages_in_file)
        if counted is not None or "pages_in_file" in job.progress or not can_count(job.extension):
            return counted
        # The process that handed it in died before it could tell.
        raw = key(job.raw_path)
        if not self._storage.exists(raw):
            return None
        with self._storage.open(raw) as file:
            return pages_in_file(file, job.extension)["pages_in_file"]


def verdict(progress: Mapping[str, Any], extension: str, limits: ValidateSettings) -> str | None:
    """The code under which a parse with this ``progress`` is refused; None when it may be chunked."""
    returned, total, characters = progress["pages_total"], progress["pages"]["total"], progress["characters"]
    if progress["pages_failed"] > limits.max_failed_pages * returned:
        return "validate.pages_failed"
    if progress["pages_missing"] > limits.max_missing_pages * total:
        return "validate.pages_missing"
    if progress["pages_extra"] and limits.extra_pages == "refuse":
        return "validate.pages_extra"
    if characters < max(limits.min_characters, 1):
        return "validate.empty"
    if extension not in TEXT_EXTENSIONS and characters < limits.min_characters_per_page * total:
        return "validate.little_text"
    return None


def _refusal(code: str, seen: PagesSeen, limits: ValidateSettings) -> PermanentError:
    """The error of ``code`` in words."""
    characters = seen.characters.total()
    match code:
        case "validate.pages_failed":
            what = f"{len(seen.failed)} of {seen.returned} pages could not be parsed"
            why = f"pages {_listed(seen.failed)}"
        case "validate.pages_missing":
            what = f"{seen.missing} of {seen.total} pages are missing"
            why = f"pages {_listed(seen.missing_numbers())}"
        case "validate.pages_extra":
            what = f"{seen.extra} pages more than the file has"
            why = f"{seen.returned} pages returned"
        case "validate.empty":
            bad = f", {len(seen.bad)} with a text that only says so" if seen.bad else ""
            what, why = "the parse has no text", f"{seen.returned} pages, {characters} characters{bad}"
        case _:
            wanted = f"{limits.min_characters_per_page:g} are wanted"
            what, why = "the parse has too little text", f"{characters / seen.total:.0f} characters a page, {wanted}"
    return PermanentError(code, what, why=why)


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


def _reason(error: str) -> str:
    """A page's error on one line, without the characters that a database refuses and without what it quotes."""
    return unquoted(" ".join(texts.normalise(error)[0].split()))


def _listed(numbers: Iterable[int]) -> str:
    first = list(islice(numbers, 11))
    return ", ".join(map(str, first[:10])) + (" …" if len(first) > 10 else "")
