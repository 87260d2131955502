"""What every chunker promises for every text: complete, in order, exact, within its limit, and the same every time."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from docproc import tokens
from docproc.chunkers import get
from docproc.model import Chunk, PageSpan, ParsedDocument

_BLANKS = st.text(alphabet=" \t\n\r\u3000\x0b\x1c\x85\u2028", max_size=90)
_WORDS = st.text(max_size=30) | st.sampled_from(
    [
        "Lorem ipsum dolor.",
        "don't",
        "12345678",
        "中文句子。",
        "ประเทศไทย",
        "هل هذا؟",
        "हिन्दी।",
        "e\u0301\u0302",
        "👩‍👩‍👧",
        "<|endoftext|>",
        ");\n\n",
    ]
)
_PROSE = st.lists(_WORDS | _BLANKS, max_size=40).map("".join)

_LINE = st.lists(
    st.sampled_from(["alpha", "Beta.", "gamma:", "δέλτα", "«5,000»", "`code`", "字。", "|", "**bold**"]), min_size=1
)
_SENTENCE = _LINE.map(" ".join)


@st.composite
def _tables(draw: st.DrawFn) -> str:
    rows = draw(st.lists(_SENTENCE, max_size=30))
    return "| Name | Value |\n|---|---|\n" + "".join(f"| {row} | 1 |\n" for row in rows)


_BLOCKS = st.one_of(
    _SENTENCE,
    _SENTENCE.map("{}:".format),
    st.tuples(st.integers(1, 6), _SENTENCE).map(lambda both: "#" * both[0] + " " + both[1]),
    _SENTENCE.map("{}\n===".format),
    _tables(),
    _tables().map(lambda table: "- in a list\n\n" + "".join(f"  {line}\n" for line in table.splitlines())),
    _tables().map(lambda table: "".join(f"> {line}\n" for line in table.splitlines())),
    st.lists(_SENTENCE, max_size=30).map(lambda lines: "```py\n" + "\n".join(lines) + "\n```"),
    st.lists(_SENTENCE, max_size=30).map(lambda lines: "\n".join(f"- {line}" for line in lines)),
    st.lists(_SENTENCE, max_size=9).map(
        lambda lines: "\n".join("  " * at + f"1. {one}" for at, one in enumerate(lines))
    ),
    st.lists(_SENTENCE, max_size=9).map(lambda lines: "<div>\n" + "\n".join(lines) + "</div>"),
    st.lists(_SENTENCE, max_size=9).map(lambda lines: "\n".join(f"> {line}" for line in lines)),
    st.sampled_from(["---", "[link]: /url", "[^1]: A note.", "    indented\n      code", "<!-- c -->", "#", "***"]),
    _PROSE,
)
_MARKDOWN = st.lists(_BLOCKS, max_size=14).map("\n\n".join)
_SPECS = st.sampled_from(
    [
        "markdown-simple@1",
        "markdown-simple@1+max=32",
        "markdown-simple@1+max=61",
        "tokens@1",
        "tokens@1+max=32",
        "markdown-simple@1+max=50",
    ]
)
_THOROUGH = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _chunks(spec: str, text: str) -> list[Chunk]:
    return list(get(spec).chunk(ParsedDocument(text, ())))


def _lost(text: str, chunks: list[Chunk]) -> str:
    """The characters of ``text`` outside every chunk, blanks left out."""
    ends = [0, *(chunk.end for chunk in chunks)]
    starts = [*(chunk.start for chunk in chunks), len(text)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True)), "chunks overlap"
    return "".join(text[end:start] for end, start in zip(ends, starts, strict=True)).strip()


@_THOROUGH
@given(_SPECS, _PROSE | _MARKDOWN)
@example("tokens@1+max=32", "a" * 40_000 + " " * 40_000 + "b")
@example("markdown-simple@1+max=32", "# " + "word " * 500 + "\n\ntext")
@example("markdown-simple@1+max=32", "字" * 20_000)
@example("markdown-simple@1+max=32", "a" + "\u0301" * 500)
@example("markdown-simple@1+max=32", "\t" * 60 + "x\n" + " \t" * 40 + "y" + "\u2003\u3000" * 30 + "z")
@example(
    "markdown-simple@1+max=50",
    "1.\n  **\n```\n# \x0b\t؟;：,>__*：;\u3000\x0b-dn'\u3000\x0b\r;1. 'e：,\u200b\n-**'r\n;-\n# #_é#-d'",
)
@example("markdown-simple@1", "|a|b|\n|-|-|\n" + "|x|" + "y " * 3000 + "|\n|1|2|\n")
def test_no_text_is_lost_and_no_chunk_is_over_the_limit(spec: str, text: str) -> None:
    limit = int(spec.partition("max=")[2] or 400)
    chunks = _chunks(spec, text)
    assert _lost(text, chunks) == ""
    assert [chunk.ord for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.tokens == tokens.count(chunk.embed_text) <= limit
        assert chunk.text.strip()


@_THOROUGH
@given(_SPECS, _PROSE | _MARKDOWN)
def test_a_chunk_is_a_slice_of_the_text_behind_its_headings_and_its_table_header(spec: str, text: str) -> None:
    for chunk in _chunks(spec, text):
        header = chunk.text.removesuffix(text[chunk.start : chunk.end])
        assert chunk.text == header + text[chunk.start : chunk.end]
        assert not header or ("---" in header and header.endswith("\n") and header.rstrip("\n") in text)
        path = " > ".join(chunk.heading_path)
        assert chunk.embed_text == (f"{path}\n\n{chunk.text}" if path else chunk.text)


@settings(max_examples=50, deadline=None)
@given(_SPECS, _MARKDOWN)
def test_the_same_text_gives_the_same_chunks(spec: str, text: str) -> None:
    assert _chunks(spec, text) == _chunks(spec, text)


@settings(max_examples=50, deadline=None)
@given(_PROSE, st.integers(32, 99), st.data())
def test_overlapping_windows_advance_and_lose_nothing(text: str, limit: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(1, limit // 2))
    chunks = _chunks(f"tokens@1+max={limit}+overlap={overlap}", text)
    seen = "".join(
        text[max(chunk.start, before) : chunk.end] for chunk, before in zip(chunks, _ends(chunks), strict=True)
    )
    assert "".join(seen.split()) == "".join(text.split())
    assert all(one.start < other.start and one.end < other.end for one, other in pairwise(chunks))
    assert all(chunk.tokens == tokens.count(chunk.text) <= limit for chunk in chunks)


def _ends(chunks: list[Chunk]) -> list[int]:
    return [0, *(chunk.end for chunk in chunks)][: len(chunks)]


@settings(max_examples=100, deadline=None)
@given(st.lists(_MARKDOWN, min_size=1, max_size=5))
def test_the_pages_of_a_chunk_are_those_of_its_first_and_last_character(pages: list[str]) -> None:
    text, spans = "", []
    for number, page in enumerate(pages, 1):
        spans.append(PageSpan(number, len(text), len(text) + len(page)))
        text += page
    for chunk in get("markdown-simple@1+max=40").chunk(ParsedDocument(text, tuple(spans))):
        touched = [page.number for page in spans if page.start < chunk.end and chunk.start < page.end]
        assert (chunk.page_first, chunk.page_last) == (touched[0], touched[-1])


@pytest.mark.parametrize("spec", ["markdown-simple@1", "tokens@1"])
@pytest.mark.parametrize("text", ["", " ", "\n\n\t\n", "\u3000\n"])
def test_a_text_without_characters_has_no_chunks(spec: str, text: str) -> None:
    assert _chunks(spec, text) == []
