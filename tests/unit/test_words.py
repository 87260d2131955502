"""Holds the words of the tables: durations, sizes, times, and text that cannot steer a terminal."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docproc.views.words import duration, instant, safe, shortened, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0, "0ms"),
        (0.0004, "0ms"),
        (0.04, "40ms"),
        (0.9994, "999ms"),
        (1, "1.0s"),
        (8.25, "8.2s"),
        (10, "10s"),
        (59.4, "59s"),
        (60, "1m00s"),
        (250, "4m10s"),
        (3599.4, "59m59s"),
        (3600, "1h 0m"),
        (7500, "2h 5m"),
        (86399, "23h 59m"),
        (86400, "1d 0h"),
        (3 * 86400 + 4 * 3600, "3d 4h"),
        (400 * 86400, "400d 0h"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.9996, "1.0s"), (9.96, "10s"), (59.6, "1m00s"), (3599.6, "1h 0m"), (86399.6, "1d 0h")]
)
def test_a_duration_that_rounds_up_is_in_the_next_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (512_000_000, "512.0 MB"),
        (2.5e9, "2.5 GB"),
        (1e12, "1.0 TB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_sizes(count: float, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(("count", "words"), [(999_960, "1.0 MB"), (999_999_999, "1.0 GB")])
def test_a_size_that_rounds_up_is_in_the_next_unit(count: float, words: str) -> None:
    assert size(count) == words


def test_times_are_utc_to_the_second() -> None:
    assert instant(datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
    assert instant(datetime(2026, 1, 2, 1, 0, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-01T23:00:00Z"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Größe 漢字 €.pdf", "Größe 漢字 €.pdf"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31m", "\\x9b31m"),
        ("exe.\u202efdp", "exe.\\u202efdp"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("\udcff.pdf", "\\udcff.pdf"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(text: str, printed: str) -> None:
    assert safe(text) == printed


@given(st.text(st.characters(categories=("C", "L", "M", "N", "P", "S", "Z"))))
@settings(deadline=None)
def test_safe_text_can_always_be_printed(text: str) -> None:
    printed = safe(text)
    printed.encode()
    assert not [c for c in printed if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert safe(printed) == printed


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("short.pdf", 9, "short.pdf"),
        ("short.pdf", 40, "short.pdf"),
        ("/data/in/2026/report.pdf", 13, "/dat…port.pdf"),
        ("abcdef", 5, "a…def"),
        ("abcdef", 2, "…f"),
        ("abcdef", 1, "…"),
        ("", 1, ""),
    ],
)
def test_long_text_is_cut_in_the_middle(text: str, width: int, cut: str) -> None:
    assert shortened(text, width) == cut


@given(st.text(), st.integers(1, 100))
@settings(deadline=None)
def test_cut_text_has_the_width_and_keeps_both_ends(text: str, width: int) -> None:
    cut = shortened(text, width)
    if len(text) <= width:
        assert cut == text
    else:
        assert len(cut) == width
        head, tail = cut[: (width - 1) // 3], cut[(width - 1) // 3 + 1 :]
        assert text.startswith(head)
        assert text.endswith(tail)
