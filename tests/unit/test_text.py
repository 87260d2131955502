"""Holds the door for text to its promises: clean text, true page offsets, fingerprints that tell parses apart."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docproc import text as door
from docproc.model import Page, PageSpan, ParsedDocument
from docproc.text import LONGEST, PAGE_BREAK, Cleaner, decode, decoded, document, fingerprint, normalise

# Every code point, lone surrogates too, with those that need care drawn often.
SPECIAL = "\r\n\t\x00\x07\x0b\x0c\x1b\x7f\x85\u2028\u2029\ufeff\ufffe\uffff\ud800\udfff\u0301e\u00e9\u212b\uac01\u1100"
texts = st.text(st.one_of(st.sampled_from(SPECIAL), st.characters(categories=("C", "L", "M", "N", "P", "S", "Z"))))
pages = st.lists(st.builds(Page, st.integers(1, 999), texts), max_size=8)


# ── normalise ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "clean", "removed"),
    [
        ("plain", "plain", 0),
        ("", "", 0),
        ("a\r\nb\rc\nd", "a\nb\nc\nd", 0),
        ("a\u2028b\u2029c\x85d", "a\nb\nc\nd", 0),
        ("\r\r\n\n", "\n\n\n", 0),
        ("tab\tstays", "tab\tstays", 0),
        ("e\u0301", "\u00e9", 0),
        ("\u212b", "\u00c5", 0),
        ("a\x00b\x07c\x1b[31m", "abc[31m", 3),
        ("\ufeffstart", "start", 1),
        ("\ud83dhalf", "half", 1),
        ("\ufffe\uffff", "", 2),
        ("e\x00\u0301", "\u00e9", 1),
    ],
)
def test_text_is_normalised(raw: str, clean: str, removed: int) -> None:
    assert normalise(raw) == (clean, removed)


@given(texts)
@settings(deadline=None)
def test_normalised_text_is_clean_and_stays_as_it_is(raw: str) -> None:
    clean, _ = normalise(raw)
    assert normalise(clean) == (clean, 0)
    assert unicodedata.is_normalized("NFC", clean)
    assert not [c for c in clean if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"]
    clean.encode()


@given(texts)
@settings(deadline=None)
def test_normalising_counts_what_it_removes(raw: str) -> None:
    ends = re.sub("\r\n|[\r\f\v\x85]", "\n", raw)
    control = [c for c in ends if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    assert normalise(raw)[1] == len(control) + sum(map(ends.count, "\ufeff\ufffe\uffff"))


# ── document ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pages_stand_one_after_the_other_and_removed_characters_are_counted() -> None:
    parsed, removed = document([Page(1, "\nOne\r\n"), Page(2, "", error="failed"), Page(3, "Th\x00ree\x07")])
    assert parsed == ParsedDocument("One\n\n\n\nThree", (PageSpan(1, 0, 3), PageSpan(2, 5, 5), PageSpan(3, 7, 12)))
    assert removed == 2


def test_a_document_without_pages_is_empty() -> None:
    assert document([]) == (ParsedDocument("", ()), 0)


@given(pages)
@settings(deadline=None)
def test_every_span_is_its_page_and_between_two_is_a_page_break(given_pages: list[Page]) -> None:
    parsed, removed = document(given_pages)
    assert [span.number for span in parsed.pages] == [page.number for page in given_pages]
    assert removed == sum(normalise(page.markdown)[1] for page in given_pages)
    slices = [parsed.text[span.start : span.end] for span in parsed.pages]
    assert slices == [normalise(page.markdown)[0].strip("\n") for page in given_pages]
    assert PAGE_BREAK.join(slices) == parsed.text


@given(pages)
@settings(deadline=None)
def test_the_whole_document_is_normalised(given_pages: list[Page]) -> None:
    text = document(given_pages)[0].text
    assert normalise(text) == (text, 0)


# ── fingerprint ─────────────────────────────────────────────────────────────────────────────────────────────────────


def parse(*texts: str) -> ParsedDocument:
    return document([Page(number, text) for number, text in enumerate(texts, 1)])[0]


def test_the_fingerprint_is_the_sha256_of_the_pages_with_form_feeds_between_them() -> None:
    # printf 'One\fTwo' | sha256sum
    assert fingerprint(parse("One", "Two")) == "343c538abea733ab1deac388b137030953e51c4216eba1f493bfd76d35d92b46"


def test_parses_that_differ_only_in_bytes_have_one_fingerprint() -> None:
    assert fingerprint(parse("e\u0301t\u00e9\r\n")) == fingerprint(parse("\u00e9te\u0301"))


def test_the_same_text_on_other_pages_has_another_fingerprint() -> None:
    assert fingerprint(parse("One\n\nTwo")) != fingerprint(parse("One", "Two"))
    assert fingerprint(parse("One", "", "Two")) != fingerprint(parse("One", "Two"))


@given(pages, pages)
@settings(deadline=None)
def test_fingerprints_are_equal_exactly_when_the_pages_are(one: list[Page], other: list[Page]) -> None:
    def contents(given_pages: list[Page]) -> list[str]:
        return [normalise(page.markdown)[0].strip("\n") for page in given_pages]

    # No page and one empty page are the same text.
    same = (contents(one) or [""]) == (contents(other) or [""])
    assert (fingerprint(document(one)[0]) == fingerprint(document(other)[0])) == same


# ── decode ──────────────────────────────────────────────────────────────────────────────────────────────────────────

letters = st.text()


@given(letters)
@settings(deadline=None)
def test_utf_8_is_read_with_and_without_a_byte_order_mark(text: str) -> None:
    assert decode(text.encode("utf-8-sig")) == text
    assert decode(text.encode()) == text.removeprefix("\ufeff")


@given(letters)
@settings(deadline=None)
def test_utf_16_is_read_in_both_orders(text: str) -> None:
    for order in ("le", "be"):
        assert decode(f"\ufeff{text}".encode(f"utf-16-{order}")) == text


def test_what_is_not_utf_8_is_windows_1252() -> None:
    assert decode("Größe: 5 € – “gut”".encode("cp1252")) == "Größe: 5 € – “gut”"


@given(st.binary())
@settings(deadline=None)
def test_every_byte_string_can_be_decoded_and_stored(data: bytes) -> None:
    normalise(decode(data))[0].encode()


# ── by blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────


def cleaned(blocks: Iterable[str]) -> tuple[str, int, int]:
    cleaner = Cleaner()
    text = "".join([*map(cleaner.feed, blocks), cleaner.finish()])
    return text, cleaner.removed, cleaner.characters


@given(st.lists(texts, max_size=8))
@settings(deadline=None)
def test_a_text_that_comes_in_blocks_becomes_the_same_as_in_one(blocks: list[str]) -> None:
    whole, removed = document([Page(1, "".join(blocks))])
    assert cleaned(blocks) == (whole.text, removed, len(whole.text))


@given(texts)
@settings(deadline=None)
def test_a_text_that_comes_by_characters_becomes_the_same_as_in_one(text: str) -> None:
    whole, removed = document([Page(1, text)])
    assert cleaned(text) == (whole.text, removed, len(whole.text))


def test_no_composition_begins_with_a_character_before_which_a_text_may_be_cut() -> None:
    safe = {chr(code) for code in range(0x110000) if door._SAFE.match(chr(code))}
    seconds = set()
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code))
        if parts and not parts.startswith("<"):
            seconds |= {chr(int(part, 16)) for part in parts.split()[1:]}
    assert len(safe) > 20_000
    assert not safe & seconds
    assert not [c for c in safe if unicodedata.combining(c) or unicodedata.normalize("NFC", c) != c]
    assert "\n" not in safe


def test_what_waits_for_a_place_to_cut_is_bounded() -> None:
    cleaner = Cleaner()
    given_back = sum(len(cleaner.feed("\u0301" * 100_000)) for _ in range(3 * LONGEST // 100_000))
    assert given_back > LONGEST


encoded = st.one_of(st.binary(), texts.map(lambda text: text.encode("utf-8", "ignore")))


@given(encoded, st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]), st.integers(1, 5))
@settings(deadline=None)
def test_a_file_is_decoded_by_blocks_as_in_one(data: bytes, mark: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "BLOCK", size)
        assert "".join(decoded(io.BytesIO(mark + data))) == decode(mark + data)
