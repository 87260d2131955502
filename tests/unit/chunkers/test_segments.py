"""A long text is chunked in segments, and where they meet nothing is lost, parted or read as something else."""

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docproc import tokens
from docproc.chunkers import get, segments
from docproc.chunkers import tokens as fixed
from docproc.chunkers.spool import Spool, dump, gather, load
from docproc.model import Chunk, PageSpan, ParsedDocument
from tests.performance.retrieval.corpus import document
from tests.performance.retrieval.structure import COLUMNS, damage

_SIZE = 3_000


@pytest.fixture(autouse=True, scope="module")
def _short_segments() -> Iterator[None]:
    """Segments so short that a small text has many."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(segments, "SEGMENT", _SIZE)
        patched.setattr(fixed, "SEGMENT", _SIZE)
        yield


class InPieces:
    """A document that comes in pieces of some size."""

    pages: tuple[PageSpan, ...] = ()

    def __init__(self, text: str, size: int) -> None:
        self._text, self._size = text, size

    def pieces(self) -> Iterator[str]:
        for at in range(0, len(self._text), self._size):
            yield self._text[at : at + self._size]


def _chunks(text: str, spec: str = "markdown-simple@1+max=100") -> list[Chunk]:
    return list(get(spec).chunk(ParsedDocument(text, ())))


_BLOCK = st.one_of(
    st.integers(1, 300).map(lambda n: "Some words of a sentence. " * n),
    st.integers(1, 200).map(lambda n: "| Name | Value |\n|---|---|\n" + "| some name | 12,345 |\n" * n),
    st.integers(1, 200).map(lambda n: "```py\n" + "call(name, 12)\n" * n + "```"),
    st.integers(1, 200).map(lambda n: "- an entry of a list\n  # 3. that goes on\n" * n),
    st.integers(1, 200).map(lambda n: "> a line that is quoted\n" * n),
    st.integers(1, 200).map(lambda n: "<div>\n" + "<p>word word</p>\n" * n + "</div>"),
    st.tuples(st.integers(1, 6), st.text("ab é字", max_size=9)).map(lambda both: "#" * both[0] + " " + both[1]),
    st.sampled_from(
        ["so:", "---", "字" * 4_000, "👍🏽" * 900, "a" * 7_000, " " * 5_000, "\n" * 4_000, "x # 1. y " * 700]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["markdown-simple@1+max=100", "tokens@1+max=64", "tokens@1+max=64+overlap=20"]),
    st.lists(_BLOCK, max_size=12).map("\n\n".join),
)
def test_nothing_is_lost_or_over_the_limit_where_segments_meet(spec: str, text: str) -> None:
    covered = 0
    for ord_, chunk in enumerate(_chunks(text, spec)):
        assert chunk.ord == ord_
        assert not text[covered : chunk.start].strip()
        assert "overlap" in spec or chunk.start >= covered
        assert chunk.text.endswith(text[chunk.start : chunk.end])
        assert chunk.tokens == tokens.count(chunk.embed_text) <= (100 if "simple" in spec else 64)
        covered = chunk.end
    assert not text[covered:].strip()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 50), st.integers(1, 9_000), st.sampled_from(["markdown-simple@1", "tokens@1+overlap=50"]))
def test_the_pieces_in_which_a_text_comes_do_not_show(seed: int, size: int, spec: str) -> None:
    text = document(seed).text[: 6 * _SIZE]
    assert list(get(spec).chunk(InPieces(text, size))) == _chunks(text, spec)


@pytest.mark.parametrize("limit", [200, 400])
def test_segments_break_nothing_that_a_whole_document_keeps(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT", 8_000)  # what is to be kept whole is far shorter than a segment
    spec = "markdown-simple@1" if limit == 400 else f"markdown-simple@1+max={limit}"
    for seed in range(20):
        made = document(seed)
        found = damage(made, _chunks(made.text, spec), limit)
        assert {column: found[column] for column in COLUMNS[:4]} == dict.fromkeys(COLUMNS[:4], 0)
        assert found["over limit"] == found["orphan headings"] == 0


def test_the_heading_path_goes_on_into_the_next_segment() -> None:
    chunks = _chunks("# Guide\n\n## Use\n\n" + "A paragraph of some words.\n\n" * 400)
    assert {chunk.heading_path for chunk in chunks} == {("Guide", "Use")}


def test_a_table_longer_than_a_segment_repeats_its_header_to_the_end() -> None:
    chunks = _chunks("# T\n\n| Key | Value |\n|---|---|\n" + "".join(f"| key{n} | {n} |\n" for n in range(900)))
    assert len(chunks) > 60
    assert all(chunk.text.startswith("| Key | Value |\n|---|---|\n| key") for chunk in chunks[1:])
    assert all(line.startswith("|") and line.endswith("|") for chunk in chunks[1:] for line in chunk.text.split("\n"))


def test_a_fence_longer_than_a_segment_stays_code() -> None:
    chunks = _chunks("```sh\n" + "# a comment that is no heading\nrun --it\n\n" * 300 + "```\n\n# End\n\nText.")
    assert {chunk.heading_path for chunk in chunks} <= {(), ("End",)}
    assert [chunk.heading_path for chunk in chunks if chunk.heading_path] == [("End",)]


def test_what_looks_like_a_heading_in_the_middle_of_a_long_line_is_none() -> None:
    assert {chunk.heading_path for chunk in _chunks("All of it counts. # word " * 3_000)} == {()}


def test_a_rule_at_a_segments_beginning_opens_no_front_matter() -> None:
    text = "word " * 598 + "\n\n---\nkey: value\n\n# A\n\n" + "word " * 300 + "\n\n---\n\nEnd."
    assert text.index("---") < _SIZE < text.index("value")
    assert any(chunk.heading_path == ("A",) for chunk in _chunks(text))


def test_many_chunks_go_to_disk_and_come_back_as_they_were_again_and_again() -> None:
    made = [Chunk(n, f"téxt {n}\n", n, n + 9, ("Ü", "x"), 1, 2, 5, f"Ü > x\n\ntéxt {n}\n") for n in range(3_000)]
    assert isinstance(gather(made), tuple)
    spool = Spool(made)
    assert len(spool) == 3_000
    assert list(spool) == made
    assert list(spool) == made


def test_more_than_fits_is_spooled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("docproc.chunkers.spool.LARGEST", 100)
    made = [Chunk(n, "text " * 9, n, n + 1, (), 1, 1, 5, "text " * 9) for n in range(20)]
    kept = gather(made)
    assert isinstance(kept, Spool)
    assert list(kept) == made


@given(st.text(), st.text(), st.lists(st.text()))
def test_a_chunk_comes_back_from_its_line_whatever_its_text(text: str, prefix: str, path: list[str]) -> None:
    chunk = Chunk(1, text, 2, 3, tuple(path), 4, 5, 6, prefix + text)
    line = dump(chunk)
    assert line.count(b"\n") == 1
    assert load(line) == chunk


def test_windows_of_tokens_follow_each_other_across_segments() -> None:
    text = "One word follows another word. " * 600
    chunks = _chunks(text, "tokens@1+max=50")
    assert all(chunk.tokens in (49, 50) for chunk in chunks[:-1])
    overlapping = _chunks(text, "tokens@1+max=50+overlap=10")
    assert all(tokens.count(text[other.start : one.end]) in (9, 10, 11) for one, other in pairwise(overlapping))


@pytest.mark.parametrize("spec", ["markdown-simple@1+max=100", "tokens@1"])
def test_the_memory_that_chunking_takes_does_not_grow_with_the_text(spec: str) -> None:
    def peak(paragraphs: int) -> int:
        document = InPieces("", 1)
        document.pieces = lambda: ("The tide was high at noon. 👍\n\n" for _ in range(paragraphs))  # type: ignore[method-assign]
        tracemalloc.start()
        try:
            assert sum(1 for _ in get(spec).chunk(document)) > paragraphs // 50
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(500)
    assert peak(10_000) < 1.5 * peak(1_000)
