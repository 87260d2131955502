"""The pages of one document: what validate keeps of them, and the strip and the lines that status makes of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from docproc import text as texts
from docproc.model import Page
from docproc.stages.validate import MOST_NAMED, MOST_NUMBERS, PagesSeen, says_nothing
from docproc.views import document as view
from docproc.views.document import BARS, NOT_RETURNED, page_strip

WIDTH = 80

Shown = Callable[..., list[str]]


def progress_of(pages: list[Page], *, in_file: int | None = None) -> dict[str, Any]:
    """What validate keeps of ``pages``."""
    parsed, removed = texts.document(pages)
    return PagesSeen.of(pages, parsed, bad=[], removed=removed, in_file=in_file).progress()


def written(count: int, *, without: frozenset[int] = frozenset()) -> list[Page]:
    """Pages of ten characters each; those ``without`` text have failed."""
    numbers = range(1, count + 1)
    return [Page(n, "", error=f"reason {n}") if n in without else Page(n, "ten of them.") for n in numbers]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """The lines that a terminal of 80 columns shows of a job with this progress."""

    def show(progress: dict[str, Any], error: dict[str, str] | None = None) -> list[str]:
        out = io.StringIO()
        monkeypatch.setattr(view, "data", lambda: Console(file=out, width=WIDTH, highlight=False))
        monkeypatch.setattr(view, "for_people", lambda: True)
        job = {"source": "/in/a.pdf", "document_id": "d", "raw_bytes": 1, "chunks_version": "c", "embed_model": "m"}
        at = datetime(2026, 11, 23, tzinfo=UTC)
        code = None if error is None else error["code"]
        event = {"at": at, "from_status": "parsed", "to_status": "failed_parse", "seconds": 1.0, "code": code}
        history = [{**event, "note": "a note that says it all"}]
        view.show_document([({**job, "progress": progress, "last_error": error}, history)], json=False)
        return [line.rstrip() for line in out.getvalue().splitlines()]

    return show


# ── the strip ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bar_is_as_high_as_its_page_has_characters_beside_the_fullest() -> None:
    assert page_strip([10, 20, 30, 40, 50, 60, 70], WIDTH) == BARS[1:]


def test_an_empty_page_has_the_lowest_bar_and_a_page_with_one_character_a_higher_one() -> None:
    assert page_strip([0, 1, 70_000], WIDTH) == "▁▂█"


def test_pages_without_any_text_have_no_height() -> None:
    assert page_strip([0, 0, 0], WIDTH) == "▁▁▁"


def test_a_page_that_was_not_returned_is_a_dot() -> None:
    assert page_strip([5, None, 5, None], WIDTH) == "█·█·"
    assert page_strip([None], WIDTH) == "·"


def test_no_pages_are_no_strip() -> None:
    assert page_strip([], WIDTH) == ""


def test_more_pages_than_columns_share_bars_and_a_lost_page_is_not_hidden_by_its_neighbours() -> None:
    pages: list[int | None] = [70] * 300
    pages[150] = None
    strip = page_strip(pages, 73)
    assert len(strip) == 60
    assert strip == "█" * 30 + NOT_RETURNED + "█" * 29


@given(st.lists(st.none() | st.integers(0, 10**9), max_size=400), st.integers(-3, 200))
def test_a_strip_is_never_wider_than_asked_for_and_shows_a_dot_whenever_a_page_was_not_returned(
    pages: list[int | None], width: int
) -> None:
    strip = page_strip(pages, width)
    assert len(strip) <= max(width, 1)
    assert (NOT_RETURNED in strip) == (None in pages)
    assert bool(strip) == bool(pages)


# ── what is kept of the pages ───────────────────────────────────────────────────────────────────────────────────────


def test_a_document_of_many_pages_keeps_a_bounded_number_of_numbers() -> None:
    lost = frozenset(range(10, 5000, 20))
    pages = progress_of(written(5001, without=lost), in_file=5300)["pages"]
    assert pages["pages_a_number"] == 3
    assert len(pages["characters"]) == 1767 <= MOST_NUMBERS
    assert set(pages["characters"]) == {None, 10}
    assert pages["characters"][3] is None  # pages 10 to 12
    assert pages["characters"][2] == 10
    assert len(pages["failed"]) == len(pages["missing"]) == MOST_NAMED


def test_a_page_with_an_absurd_number_takes_neither_memory_nor_time() -> None:
    progress = progress_of([Page(1, "one"), Page(10**9, "two")])
    assert progress["pages_missing"] == 10**9 - 2
    assert len(progress["pages"]["characters"]) == MOST_NUMBERS
    assert progress["pages"]["missing"][0] == 2


def test_pages_returned_twice_and_pages_beyond_the_file_are_extra() -> None:
    progress = progress_of([Page(1, "a"), Page(2, "b"), Page(2, "c"), Page(3, "d")], in_file=2)
    assert (progress["pages_extra"], progress["pages_missing"], progress["pages_total"]) == (2, 0, 4)


def test_a_parse_without_pages_lacks_every_page_of_the_file() -> None:
    progress = progress_of([], in_file=3)
    assert progress["pages"]["characters"] == [None, None, None]
    assert progress["pages_missing"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "NO_CONTENT_HERE",
        " undefined\n",
        "```\nNO_CONTENT_HERE\n```",
        "I'm sorry, but I can't assist with that.",
        "I’m sorry, I can’t help with that request.",
        "I am unable to transcribe the text from this page.",
        "Sorry, I cannot read the document you provided. Please upload a clearer version.",
        "I apologize, but I am not able to extract the content of the image.",
    ],
)
def test_placeholders_and_apologies_say_nothing(text: str) -> None:
    assert says_nothing(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "undefined behaviour",
        "I'm sorry, but I can't come on Friday.",
        "Unfortunately I cannot agree with the board.",
        "He wrote: I'm sorry, but I can't assist with that.",
        "I'm sorry, but I can't assist with that. " + "Then we spoke of the harbour. " * 20,
    ],
)
def test_a_page_with_words_of_its_own_says_something(text: str) -> None:
    assert not says_nothing(text)


# ── on a terminal ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_ten_lost_pages_are_named_with_their_reasons_and_the_others_counted(shown: Shown) -> None:
    lines = shown(progress_of(written(400, without=frozenset(range(1, 26))), in_file=402))
    named = [line for line in lines if line.startswith("page ")]
    assert named == [f"page {n}: reason {n}" for n in range(1, 11)]
    assert "and 17 pages more" in lines
    assert "400 pages · 25 failed · 2 missing · 3,750 characters" in lines
    assert [line for line in lines if len(line) > WIDTH] == []
    assert any(line.startswith("pages  ·····█") for line in lines)
    assert any("6 pages to a bar" in line for line in lines)


def test_a_missing_page_is_named_as_not_returned(shown: Shown) -> None:
    lines = shown(progress_of(written(2), in_file=3))
    assert "pages  ██·" in lines
    assert "page 3: not returned by the parser" in lines


def test_a_long_reason_with_control_characters_stays_on_one_line(shown: Shown) -> None:
    lines = shown(progress_of([Page(1, "", error="\x1b[31m\u202e" + "[red]long[/] " * 40), Page(2, "text")]))
    (named,) = [line for line in lines if line.startswith("page 1")]
    assert len(named) <= WIDTH
    assert not {"\x1b", "\u202e"} & set(named)
    assert "[red]long[/]" in named


def test_removed_control_characters_and_extra_pages_are_told(shown: Shown) -> None:
    lines = shown(progress_of([Page(1, "a\0b\x07"), Page(2, "c")], in_file=1))
    assert "2 pages · 1 more than the file has · 3 characters · 2 control characters removed" in lines


def test_a_single_good_page_needs_no_strip(shown: Shown) -> None:
    lines = shown(progress_of(written(1)))
    assert "1 page · 10 characters" in lines
    assert not any(line.startswith(("pages", "page ")) for line in lines)


def test_a_job_that_was_not_validated_yet_has_no_strip(shown: Shown) -> None:
    lines = shown({"pages_total": 3, "pages_failed": 0, "characters_removed": 0})
    assert "3 pages" in lines
    assert not any(line.startswith("pages") for line in lines)


def test_why_and_try_stand_under_the_timeline_and_are_wrapped_under_themselves(shown: Shown) -> None:
    why = "words " * 30
    error = {"code": "validate.empty", "what": "the parse has no text", "why": why.strip(), "remedy": "look at it"}
    lines = shown(progress_of(written(1)), error)
    first = next(n for n, line in enumerate(lines) if line.startswith("why  the parse has no text: words"))
    assert lines[first + 1].startswith("     words")
    assert "try  look at it" in lines
    assert [line for line in lines if len(line) > WIDTH] == []
    # The reason of the end stands there once.
    assert not any("a note that says it all" in line for line in lines)
    assert any(line.endswith("validate.empty") for line in lines)
