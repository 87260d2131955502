"""How ``tokens@1`` cuts: windows of so many tokens, whatever the text says."""

from itertools import pairwise

from docproc import tokens
from docproc.chunkers import get
from docproc.model import ParsedDocument

_TEXT = "# Title\n\n" + "One word follows another word. " * 100


def test_every_window_but_the_last_is_full() -> None:
    chunks = list(get("tokens@1+max=50").chunk(ParsedDocument(_TEXT, ())))
    assert all(chunk.tokens in (49, 50) for chunk in chunks[:-1])
    assert all(chunk.embed_text == chunk.text and chunk.heading_path == () for chunk in chunks)


def test_windows_overlap_by_as_many_tokens_as_asked() -> None:
    chunks = list(get("tokens@1+max=50+overlap=10").chunk(ParsedDocument(_TEXT, ())))
    assert all(tokens.count(_TEXT[other.start : one.end]) in (9, 10, 11) for one, other in pairwise(chunks))


def test_a_character_of_several_tokens_is_never_parted() -> None:
    text = "𝟘🦄字" * 100
    assert "".join(chunk.text for chunk in get("tokens@1+max=32").chunk(ParsedDocument(text, ()))) == text
